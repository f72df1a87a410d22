package callback_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"

	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/wire"
)

// TestInputsAreAsTheSchemaSays: what policies see of the vendor's requests, of payments on both families and of messages is
// what `callback policy schema` prints.
func TestInputsAreAsTheSchemaSays(t *testing.T) {
	engine := newWorld(t, options{}).live.Engine()
	bodies := map[string]string{}
	for _, v := range vectors(t) {
		if v.Path == wire.PathCheck {
			bodies[v.Name] = v.Body
		}
	}
	bodies["evm"] = string(must[[]byte](t)(payment{callbackID: "cb-1", requestID: "r", amount: 5}.check(t).Marshal()))
	check := func(name string, e *policy.Engine, body string) {
		t.Run(name, func(t *testing.T) {
			parsed := must[*wire.Parsed](t)(wire.ParseCheck(wire.PathCheck, []byte(body)))
			trial := must[*callback.Trial](t)(callback.Try(t.Context(), e, parsed, callback.Setting{Node: policy.Node{ID: "n", Name: "n"}, Now: newClock().wall}))
			if trial.Input == nil {
				t.Fatal("there is no input")
			}
			holdsTo(t, trial.Input, policy.InputSchema())
		})
	}
	for name, body := range bodies {
		check(name, engine, body)
	}
	check("psbt", bitcoinLive().Engine(), string(must[[]byte](t)(three(keyID(t, newKey(t))).check("cb-1").Marshal())))
}

var matchSchema = sync.OnceValues(func() (rego.PreparedEvalQuery, error) {
	return rego.New(rego.Query("json.match_schema(input.document, input.schema)"), rego.StrictBuiltinErrors(true)).PrepareForEval(context.Background())
})

// holdsTo compares a document with a JSON schema by OPA's library for them.
func holdsTo(t *testing.T, document json.RawMessage, schema []byte) {
	t.Helper()
	q := must[rego.PreparedEvalQuery](t)(matchSchema())
	value := must[ast.Value](t)(ast.ValueFromReader(strings.NewReader(fmt.Sprintf(`{"document":%s,"schema":%s}`, document, schema))))
	results := must[rego.ResultSet](t)(q.Eval(t.Context(), rego.EvalParsedInput(value)))
	answer, isPair := results[0].Expressions[0].Value.([]any)
	if !isPair || len(answer) != 2 || answer[0] != true {
		t.Errorf("not as the schema says: %v\n%s", results[0].Expressions[0].Value, document)
	}
}
