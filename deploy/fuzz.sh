#!/bin/sh
# Fuzzes every Fuzz function of the module, one after the other, for the time given (default 20s).
set -eu
time=${1:-20s}
for package in $(go list ./...); do
	list=$(go test -list '^Fuzz' "$package") # a package that does not build ends this, instead of being left out
	for target in $(echo "$list" | grep '^Fuzz' || true); do
		echo "== $package $target"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 1x "$package"
	done
done
