package policy

import (
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
