package policy

import (
	"strings"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
)

// refusedBuiltins do not exist for policies, with what a policy does instead. Beside these, everything that OPA marks
// as nondeterministic is gone.
var refusedBuiltins = map[string]string{
	"div":                  "division loses digits: multiply the other side instead",
	"round":                "it loses digits near 1e30: amounts are integers in base units",
	"ceil":                 "it loses digits near 1e30: amounts are integers in base units",
	"floor":                "it loses digits near 1e30: amounts are integers in base units",
	"abs":                  "it loses digits near 1e30: amounts are integers in base units",
	"to_number":            "it takes \"1e5\", \"+5\" and null for numbers: use the *_base integers of the input",
	"cast_string":          "it is obsolete",
	"units.parse":          "it computes with decimals: use the *_base integers of the input",
	"units.parse_bytes":    "it computes with decimals: use the *_base integers of the input",
	"yaml.unmarshal":       "integers lose digits in YAML",
	"io.jwt.decode_verify": "it reads the clock",
	"crypto.x509.parse_and_verify_certificates":              "it reads the clock",
	"crypto.x509.parse_and_verify_certificates_with_options": "it reads the clock",
}

// capabilities returns what policies may use: no built-in whose result is not a function of its arguments, none that
// computes inexactly, and no host to fetch schemas from (nil would allow any). Nobody may change it: all compilers share it.
var capabilities = sync.OnceValue(func() *ast.Capabilities {
	c := ast.CapabilitiesForThisVersion()
	kept := make([]*ast.Builtin, 0, len(c.Builtins))
	for _, b := range c.Builtins {
		if refusal(b) == "" {
			kept = append(kept, b)
		}
	}
	c.Builtins = kept
	c.AllowNet = []string{}
	return c
})

// refusal says why policies may not use a built-in, or "".
func refusal(b *ast.Builtin) string {
	if why := refusedBuiltins[b.Name]; why != "" {
		return why
	}
	if b.IsNondeterministic() {
		return "its result is not a function of the input, so that a recorded decision would not replay; the time is input.now"
	}
	return ""
}

// builtinRoots returns the first segment of the name of every built-in and operator, such as "gt", "count" or "time":
// a rule or an import of that name takes its place in the whole package.
func builtinRoots() map[string]bool {
	roots := make(map[string]bool, len(ast.Builtins))
	for _, b := range ast.Builtins {
		root, _, _ := strings.Cut(b.Name, ".")
		roots[root] = true
	}
	return roots
}
