// Package fuzzlist holds no code: its test demands that every parser of what comes from outside is fuzzed, that each has a
// corpus in the tree, and that deploy/fuzz.sh finds them all.
package fuzzlist
