// Package rego holds the policies that Countersign ships: Rego modules, their data and their tests. The Go in it does
// nothing but embed them; package policy compiles and evaluates them.
package rego

import (
	"embed"
	"io/fs"
)

//go:embed *.rego data.json properties.json
var files embed.FS

// FS returns the shipped policy: modules, tests and data.json at its root.
func FS() fs.FS { return files }
