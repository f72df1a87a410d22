package policy

import (
	"bytes"
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/format"
)

// Format writes a module as `opa fmt` does, in Rego v1. What it writes parses to the same module; name stands in errors.
func Format(name string, module []byte) ([]byte, error) {
	out, err := format.SourceWithOpts(name, module, format.Opts{RegoVersion: ast.RegoV1})
	if err != nil {
		return nil, fmt.Errorf("format: %w", err)
	}
	return out, nil
}

// Unformatted names the modules that are not as [Format] writes them, sorted. An error says that a module does not parse.
func (s *Source) Unformatted() ([]string, error) {
	out := []string{}
	for _, name := range sortedKeys(s.Modules) {
		want, err := Format(name, s.Modules[name])
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(want, s.Modules[name]) {
			out = append(out, name)
		}
	}
	return out, nil
}
