package policy_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"

	"github.com/countersign-mpc/countersign/evidence"
	"github.com/countersign-mpc/countersign/policy"
)

// schemaNode is a JSON schema as the tests read it.
type schemaNode struct {
	Type        string                 `json:"type"`
	Description string                 `json:"description"`
	Properties  map[string]*schemaNode `json:"properties"`
	Required    []string               `json:"required"`
	Items       *schemaNode            `json:"items"`
	AnyOf       []*schemaNode          `json:"anyOf"`
	Additional  json.RawMessage        `json:"additionalProperties"`
}

func (n *schemaNode) values(t *testing.T) *schemaNode {
	t.Helper()
	if len(n.Additional) == 0 || n.Additional[0] != '{' {
		return nil
	}
	out := &schemaNode{}
	must(t, json.Unmarshal(n.Additional, out))
	return out
}

func readSchema(t *testing.T, b []byte) *schemaNode {
	t.Helper()
	out := &schemaNode{}
	must(t, json.Unmarshal(b, out))
	return out
}

// drift compares a schema with a Go type, in both directions.
type drift struct {
	t        *testing.T
	nullable bool // pointers are written as null, and absent fields are those of omitempty
}

func (d drift) compare(at string, n *schemaNode, of reflect.Type) {
	d.t.Helper()
	if n == nil {
		d.t.Errorf("%s: the schema says nothing of it", at)
		return
	}
	if n.Description == "" && at != "" {
		d.t.Errorf("%s: has no description", at)
	}
	kind := func(want string) {
		if n.Type != want {
			d.t.Errorf("%s: the schema says %q, the Go type %s", at, n.Type, of)
		}
	}
	switch {
	case of == reflect.TypeFor[json.RawMessage](), of.Kind() == reflect.Interface:
		if n.Type != "" || len(n.AnyOf) > 0 {
			d.t.Errorf("%s: holds anything, but the schema says %q", at, n.Type)
		}
	case of == reflect.TypeFor[json.Number]():
		kind("integer")
		if d.nullable && !strings.Contains(n.Description, "Unit") {
			d.t.Errorf("%s: the description names no unit", at)
		}
	case of.Kind() == reflect.Pointer:
		if d.nullable {
			if len(n.AnyOf) != 2 || n.AnyOf[0].Type != "null" {
				d.t.Errorf("%s: may be null, which the schema does not say", at)
				return
			}
			n.AnyOf[1].Description = n.Description
			n = n.AnyOf[1]
		}
		d.compare(at, n, of.Elem())
	case of.Kind() == reflect.Struct:
		kind("object")
		d.members(at, n, of)
	case of == policy.AddressList:
		kind("object")
		d.compare(at+".*", n.values(d.t), reflect.TypeFor[string]())
	case of.Kind() == reflect.Slice:
		kind("array")
		d.compare(at+"[]", n.Items, of.Elem())
	case of.Kind() == reflect.Map:
		kind("object")
		if of.Elem().Kind() != reflect.Interface {
			d.compare(at+".*", n.values(d.t), of.Elem())
		}
	case of.Kind() == reflect.String:
		kind("string")
	case of.Kind() == reflect.Bool:
		kind("boolean")
	default:
		kind("integer")
	}
}

func (d drift) members(at string, n *schemaNode, of reflect.Type) {
	d.t.Helper()
	if string(n.Additional) != "false" {
		d.t.Errorf("%s: the schema takes members that do not exist", at)
	}
	left := map[string]bool{}
	for name := range n.Properties {
		left[name] = true
	}
	for i := range of.NumField() {
		if !of.Field(i).IsExported() { // it is not part of the JSON form
			continue
		}
		name, options, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
		delete(left, name)
		d.compare(at+"."+name, n.Properties[name], of.Field(i).Type)
		if d.nullable && slices.Contains(n.Required, name) == strings.Contains(options, "omitempty") {
			d.t.Errorf("%s.%s: whether it is always there is not as the schema says", at, name)
		}
	}
	for name := range left {
		d.t.Errorf("%s.%s: stands in the schema only", at, name)
	}
}

// TestInputSchemaIsTheInput: each field of the one is in the other, with type, null and absence.
func TestInputSchemaIsTheInput(t *testing.T) {
	n := readSchema(t, policy.InputSchema())
	delete(n.Properties, "format") // of the JSON form only
	drift{t, true}.compare("", n, reflect.TypeFor[policy.Input]())
}

// TestDataSchemaIsData: the same of data.json as it is written.
func TestDataSchemaIsData(t *testing.T) {
	drift{t, false}.compare("", readSchema(t, policy.DataSchema()), policy.FileData)
}

// matches holds a document to a schema with OPA's own JSON schema library.
func matches(t testing.TB, document, schema []byte) {
	t.Helper()
	q, err := matcher()
	must(t, err)
	value, err := ast.ValueFromReader(strings.NewReader(fmt.Sprintf(`{"document":%s,"schema":%s}`, document, schema)))
	must(t, err)
	results, err := q.Eval(t.Context(), rego.EvalParsedInput(value))
	must(t, err)
	answer, isPair := results[0].Expressions[0].Value.([]any)
	if !isPair || len(answer) != 2 {
		t.Fatalf("the schema gave %v", results)
	}
	if answer[0] != true {
		t.Errorf("not as the schema says: %v\n%s", answer[1], document)
	}
}

var matcher = sync.OnceValues(func() (rego.PreparedEvalQuery, error) {
	return rego.New(rego.Query("json.match_schema(input.document, input.schema)"), rego.StrictBuiltinErrors(true)).PrepareForEval(context.Background())
})

func TestSchemaCanFail(t *testing.T) {
	q, err := matcher()
	must(t, err)
	for _, document := range []string{`{}`, `{"format":"countersign/policy-input/v2"}`} {
		value, err := ast.ValueFromReader(strings.NewReader(fmt.Sprintf(`{"document":%s,"schema":%s}`, document, policy.InputSchema())))
		must(t, err)
		results, err := q.Eval(t.Context(), rego.EvalParsedInput(value))
		must(t, err)
		if results[0].Expressions[0].Value.([]any)[0] == true {
			t.Errorf("%s passes for an input", document)
		}
	}
}

// everyData are the demo's data.json, and others that have every key there is, as docs/POLICY.md shows them.
func everyData(t *testing.T) []object {
	t.Helper()
	b, err := os.ReadFile("../docs/POLICY.md")
	must(t, err)
	out := []object{demoData()}
	for _, block := range regexp.MustCompile(`(?m)^    \{\n(?:    .*\n)+`).FindAllString(string(b), -1) {
		var data object
		if json.Unmarshal([]byte(block), &data) == nil && data["format"] == policy.DataFormat && !strings.Contains(block, "...") {
			out = append(out, data)
		}
	}
	if len(out) < 3 {
		t.Fatalf("docs/POLICY.md has %d files of data that can be read", len(out)-1)
	}
	more := demoData()
	more["unknown_fields"] = []string{"/request_detail/new"}
	more["limits"].(object)["ETH"].(object)["ETH"] = []object{{"max": "1", "wallets": []string{"1"}, "vaults": []string{"2"}}}
	bound := object{"keys": []string{rootKey}, "paths": []string{"m/0", "m/1/*"}}
	more["wallets"], more["vaults"] = object{"1": bound}, object{"2": bound}
	more["windows"] = object{"day": object{
		"measure": "amount", "chain": "ETH", "asset": "USDT_ETH", "scope": []string{"wallet"}, "rolling_seconds": 86400, "max": "10",
		"approvals": []object{{"above": "5", "group": "treasury", "threshold": 1, "expiry_seconds": 60, "not_requester": true, "rejection_final": true}},
	}}
	more["evidence"] = object{"unverifiable": object{"ETH": object{"codes": []string{"no-raw-tx"}, "requesters": []string{opsKey}}}}
	more["pre_sign"] = object{rootKey: object{"any_requester": true, "paths": []string{"m/0"}}}
	more["chains"].(object)["BTC"] = object{"family": "utxo", "network": "mainnet", "amount_unit": "base", "assets": object{"BTC": object{"kind": "native", "decimals": 8}}}
	more["utxo"] = object{"BTC": object{"max_fee": "1", "max_fee_rate": 1, "max_fee_per_mille": 20}}
	tier := []object{{"above": "0.5", "group": "treasury", "threshold": 1, "expiry_seconds": 60, "not_requester": true, "rejection_final": true}}
	who := object{"allow": object{"3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy": "us"}, "deny": object{"1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2": "them"}}
	more["brc20"] = object{"BTC": object{"ordi": object{"methods": object{"mint": object{"max": "1", "steps": []int{1}, "approvals": tier}}, "recipients": who}}}
	more["runes"] = object{"BTC": object{"1:2": object{
		"spaced_name": "A•B", "symbol": "x", "divisibility": 1, "amount_unit": "base", "max": "1", "approvals": tier, "recipients": who,
	}}}
	more["policy_changes"] = object{"group": "treasury", "threshold": 1, "expiry_seconds": 3600, "not_proposer": true, "backtest_min_entries": 10}
	more["nfts"] = object{"ETH": object{sender: object{"kind": "erc1155", "name": "n", "recipients": object{recipient: "us"}, "any_id": false, "ids": []string{"7"}, "max": "2"}}}
	more["custom"] = object{"anything": []int{1}}
	return append(out, more)
}

// TestEvidenceCodes: the schema lists the codes that ParseData takes.
func TestEvidenceCodes(t *testing.T) {
	var listed struct {
		Properties struct {
			Evidence struct {
				Properties struct {
					Unverifiable struct {
						AdditionalProperties struct {
							Properties struct {
								Codes struct {
									Items struct {
										Enum []evidence.Code `json:"enum"`
									} `json:"items"`
								} `json:"codes"`
							} `json:"properties"`
						} `json:"additionalProperties"`
					} `json:"unverifiable"`
				} `json:"properties"`
			} `json:"evidence"`
		} `json:"properties"`
	}
	must(t, json.Unmarshal(policy.DataSchema(), &listed))
	got := listed.Properties.Evidence.Properties.Unverifiable.AdditionalProperties.Properties.Codes.Items.Enum
	if !slices.Equal(got, evidence.UnverifiableCodes()) {
		t.Errorf("the schema lists %v, evidence gives %v", got, evidence.UnverifiableCodes())
	}
	for _, code := range got {
		_, err := parse(t, set(demoData(), "evidence.unverifiable", object{"ETH": object{"codes": []evidence.Code{code}, "any_requester": true}}))
		must(t, err)
	}
}

// TestDataSchemas: what ParseData takes is as the schema says, and so is what rules see of it. Every member that the schema
// of the latter has is there in one of them.
func TestDataSchemas(t *testing.T) {
	seen := map[string]bool{}
	for _, data := range everyData(t) {
		b, err := json.Marshal(data)
		must(t, err)
		matches(t, b, policy.DataSchema())
		d, err := policy.ParseData("data.json", b)
		must(t, err)
		matches(t, d.Canonical(), policy.RulesDataSchema())
		var document any
		must(t, json.Unmarshal(d.Canonical(), &document))
		reached(t, seen, "", readSchema(t, policy.RulesDataSchema()), document)
	}
	for _, path := range leaves(t, "", readSchema(t, policy.RulesDataSchema())) {
		if !seen[path] {
			t.Errorf("%s: stands in the schema, and no data has it", path)
		}
	}
}

func reached(t *testing.T, seen map[string]bool, at string, n *schemaNode, value any) {
	t.Helper()
	if len(n.AnyOf) == 2 && value != nil {
		n = n.AnyOf[1]
	}
	seen[at] = true
	switch v := value.(type) {
	case []any:
		for _, one := range v {
			reached(t, seen, at+"[]", n.Items, one)
		}
	case map[string]any:
		for key, one := range v {
			if below := n.Properties[key]; below != nil {
				reached(t, seen, at+"."+key, below, one)
			} else if values := n.values(t); values != nil {
				reached(t, seen, at+".*", values, one)
			}
		}
	}
}

func leaves(t *testing.T, at string, n *schemaNode) []string {
	t.Helper()
	out := []string{at}
	if len(n.AnyOf) == 2 {
		n = n.AnyOf[1]
	}
	for name, below := range n.Properties {
		out = append(out, leaves(t, at+"."+name, below)...)
		if below.Description == "" {
			t.Errorf("%s.%s: has no description", at, name)
		}
	}
	if n.Items != nil && n.Items.Type == "object" {
		out = append(out, leaves(t, at+"[]", n.Items)...)
	}
	if values := n.values(t); values != nil {
		out = append(out, leaves(t, at+".*", values)...)
	}
	return out
}

// TestCompilerSchema: OPA's compiler knows the members of what may be null.
func TestCompilerSchema(t *testing.T) {
	b, err := policy.CompilerSchema()
	must(t, err)
	n := readSchema(t, b)
	if n.Properties["tx"].Properties["gas"].Properties["price_base"] == nil || strings.Contains(string(b), "anyOf") {
		t.Errorf("got %s", b)
	}
}
