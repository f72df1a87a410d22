package evidence

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// typedSchema holds the struct types of a document, with their fields in order.
type typedSchema map[string][]schemaField

type schemaField struct {
	name string
	typ  typedType
}

// typedType is a field's type. primitive is nil for a struct; dimensions are an array's, innermost first, each a length
// or dynamic.
type typedType struct {
	base       string
	primitive  func(jsontext.Value) (any, error)
	dimensions []int
}

// dynamic is the length of T[].
const dynamic = -1

// newTypedSchema checks the types of a document. Type and field names are limited to letters, digits and "_$:" (the
// colon is not the standard's, but deployed contracts use it), so that encodeType can be read in one way only.
func newTypedSchema(doc typedDocument) (typedSchema, error) {
	if len(doc.Types) > maxTypes {
		return nil, fmt.Errorf("%d types: at most %d are allowed", len(doc.Types), maxTypes)
	}
	if _, ok := doc.Types[domainType]; !ok {
		return nil, fmt.Errorf("types must define %s with the domain's fields: implementations differ about it otherwise", domainType)
	}
	if _, ok := doc.Types[doc.PrimaryType]; !ok || doc.PrimaryType == domainType {
		return nil, fmt.Errorf("primaryType %q must be a type that types defines, other than %s", excerpt(doc.PrimaryType), domainType)
	}
	// In sorted order, so that the same document always gives the same error: findings are recorded and replayed.
	names := slices.Sorted(maps.Keys(doc.Types))
	total := 0
	for _, name := range names {
		if total += len(doc.Types[name]); total > maxTypeFields {
			return nil, fmt.Errorf("types have more than %d fields", maxTypeFields)
		}
		if !wellNamed(name, typeName) || reserved.MatchString(name) {
			return nil, fmt.Errorf("type name %q is malformed or reserved", excerpt(name))
		}
	}
	schema := typedSchema{}
	for _, name := range names {
		parsed, err := parseFields(doc, doc.Types[name])
		if err != nil {
			return nil, fmt.Errorf("type %s: %w", name, err)
		}
		schema[name] = parsed
	}
	return schema, checkDomainType(doc.Types[domainType])
}

var (
	typeName  = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$:]*$`)
	fieldName = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$]*$`)
	// reserved are Solidity's elementary type names, those that EIP-712 leaves out included.
	reserved = regexp.MustCompile(`^(address|bool|string|byte|function|bytes\d*|u?int\d*|u?fixed(\d+x\d+)?|mapping|tuple)$`)
)

func wellNamed(name string, form *regexp.Regexp) bool {
	return len(name) <= maxNameLength && form.MatchString(name)
}

func parseFields(doc typedDocument, fields []typedField) ([]schemaField, error) {
	out := make([]schemaField, 0, len(fields))
	seen := map[string]bool{}
	for _, f := range fields {
		if !wellNamed(f.Name, fieldName) || seen[f.Name] {
			return nil, fmt.Errorf("field name %q is malformed or used twice", excerpt(f.Name))
		}
		seen[f.Name] = true
		t, err := parseType(doc, f.Type)
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", f.Name, err)
		}
		out = append(out, schemaField{f.Name, t})
	}
	return out, nil
}

// parseType reads "base", "base[]", "base[3][]" and so on.
func parseType(doc typedDocument, s string) (typedType, error) {
	base, rest, _ := strings.Cut(s, "[")
	t := typedType{base: base}
	for rest != "" {
		size, tail, ok := strings.Cut(rest, "]")
		n := dynamic
		if size != "" {
			var err error
			if n, err = strconv.Atoi(size); err != nil || n < 1 || strconv.Itoa(n) != size {
				ok = false
			}
		}
		if tail != "" {
			var opens bool
			if tail, opens = strings.CutPrefix(tail, "["); !opens || tail == "" {
				ok = false
			}
		}
		if t.dimensions = append(t.dimensions, n); !ok || len(t.dimensions) > maxDimensions {
			return t, fmt.Errorf("type %q is malformed or has more than %d dimensions", excerpt(s), maxDimensions)
		}
		rest = tail
	}
	if strings.HasSuffix(s, "[") {
		return t, fmt.Errorf("type %q is malformed", excerpt(s))
	}
	if t.primitive = primitive(base); t.primitive != nil {
		return t, nil
	}
	if _, ok := doc.Types[base]; !ok {
		return t, fmt.Errorf("type %q is neither elementary nor defined in types", excerpt(base))
	}
	return t, nil
}

// checkDomainType allows the five fields that EIP-712 defines, each with its type and at least one of them.
func checkDomainType(fields []typedField) error {
	standard := map[string]string{
		"name": "string", "version": "string", "chainId": "uint256", "verifyingContract": "address", "salt": "bytes32",
	}
	if len(fields) == 0 {
		return errors.New(domainType + " has no field: a signature without a domain is good everywhere")
	}
	for _, f := range fields {
		if standard[f.Name] != f.Type {
			return fmt.Errorf("%s has field %q of type %q: EIP-712 knows name and version (string), chainId (uint256), "+
				"verifyingContract (address) and salt (bytes32)", domainType, excerpt(f.Name), excerpt(f.Type))
		}
	}
	return nil
}
