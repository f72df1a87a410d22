package prop_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/policy/prop"
	"github.com/countersign-mpc/countersign/rego"
	"github.com/countersign-mpc/countersign/wire"
)

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// passing stands for the policy's own tests, which a weakened policy would not pass and which take their time.
const passing = "package countersign.passing_test\n\ntest_passing if true\n"

// source is the shipped policy over the filled data of this test.
func source(t testing.TB) *policy.Source {
	t.Helper()
	s := must[*policy.Source](t)(policy.Load(rego.FS(), "testdata/data.json"))
	for name := range s.Modules {
		if strings.HasSuffix(name, "_test.rego") {
			delete(s.Modules, name)
		}
	}
	s.Modules["passing_test.rego"] = []byte(passing)
	return s
}

func replaced(t testing.TB, s *policy.Source, file, old, by string) *policy.Source {
	t.Helper()
	text := string(s.Modules[file])
	if strings.Count(text, old) != 1 {
		t.Fatalf("%s does not hold this once: %s", file, old)
	}
	s.Modules[file] = []byte(strings.Replace(text, old, by, 1))
	return s
}

func engine(t testing.TB, s *policy.Source) *policy.Engine {
	t.Helper()
	return must[*policy.Engine](t)(policy.New(context.Background(), policy.Config{Source: s}))
}

type rehearsal struct{ *callback.Rehearsal }

func outcome(trial *callback.Trial, err error) (prop.Outcome, error) {
	if err != nil {
		return prop.Outcome{}, err
	}
	return prop.Outcome{Decision: trial.Decision, Input: trial.Input}, nil
}

func parse(body []byte) (*wire.Parsed, error) { return wire.ParseCheck(wire.PathCheck, body) }

func setting(s prop.Setting) callback.Setting {
	return callback.Setting{Node: policy.Node{ID: "n", Name: "n"}, Now: s.Now, Used: s.Used, Approved: s.Approved}
}

func (r rehearsal) Judge(ctx context.Context, body []byte, s prop.Setting) (prop.Outcome, error) {
	parsed, err := parse(body)
	if err != nil {
		return prop.Outcome{}, err
	}
	return outcome(r.Try(ctx, parsed, setting(s)))
}

// config judges as the server does.
func config(e *policy.Engine, cases int) prop.Config {
	return prop.Config{
		Engine: e, Seed: 1, Cases: cases, Discovery: 160,
		Judge: func(ctx context.Context, body []byte, s prop.Setting) (prop.Outcome, error) {
			parsed, err := parse(body)
			if err != nil {
				return prop.Outcome{}, err
			}
			return outcome(callback.Try(ctx, e, parsed, setting(s)))
		},
		Rehearse: func(ctx context.Context, at time.Time) (prop.Rehearsal, error) {
			r, err := callback.NewRehearsal(ctx, e, at)
			return rehearsal{r}, err
		},
	}
}

func properties(t testing.TB, text string) []prop.Property {
	t.Helper()
	return must[[]prop.Property](t)(prop.Parse("p.json", []byte(`{"format":"`+prop.Format+`","properties":[`+text+`]}`)))
}

// try tries one property, written in JSON without its name.
func try(t testing.TB, e *policy.Engine, cases int, text string) prop.Result {
	t.Helper()
	tester := must[*prop.Tester](t)(prop.New(context.Background(), config(e, cases)))
	p := properties(t, `{"name":"p",`+text+`}`)
	return must[prop.Result](t)(tester.Try(context.Background(), 0, &p[0]))
}

// shipped is a tester of the shipped policy over the filled data, which several tests use.
var shipped = sync.OnceValues(func() (*prop.Tester, error) {
	s, err := policy.Load(rego.FS(), "testdata/data.json")
	if err != nil {
		return nil, err
	}
	for name := range s.Modules {
		if strings.HasSuffix(name, "_test.rego") {
			delete(s.Modules, name)
		}
	}
	s.Modules["passing_test.rego"] = []byte(passing)
	e, err := policy.New(context.Background(), policy.Config{Source: s})
	if err != nil {
		return nil, err
	}
	cfg := config(e, 96)
	cfg.Discovery = prop.DefaultDiscovery
	if detecting {
		cfg.Discovery = 160
	}
	return prop.New(context.Background(), cfg)
})

func filled(t testing.TB) []prop.Property {
	t.Helper()
	return must[[]prop.Property](t)(prop.Parse("properties.json", must[[]byte](t)(os.ReadFile("testdata/properties.json"))))
}

func TestShippedPolicyHasTheProperties(t *testing.T) {
	tester := must[*prop.Tester](t)(shipped())
	if tester.Approves() < 20 && !detecting {
		t.Errorf("only %d different requests were found that the policy approves", tester.Approves())
	}
	generic := must[[]prop.Property](t)(prop.Parse("properties.json", must[[]byte](t)(rego.FS().(interface {
		ReadFile(string) ([]byte, error)
	}).ReadFile("properties.json"))))
	for i, p := range append(generic, filled(t)...) {
		if every := map[bool]int{true: 16, false: 4}[detecting]; i%every != 0 && os.Getenv("COUNTERSIGN_PROPERTIES") != "all" {
			continue // all of them take a minute
		}
		r := must[prop.Result](t)(tester.Try(t.Context(), i, &p))
		if r.Vacuous { // its bounds are narrow
			longer := *tester
			longer.Cases = 2000
			r = must[prop.Result](t)(longer.Try(t.Context(), i, &p))
		}
		if !r.Holds() {
			t.Errorf("%s: vacuous %v, counterexample %s", r.Name, r.Vacuous, must[[]byte](t)(json.Marshal(r.Counterexample)))
		}
	}
}

// The generator has to find what a policy approves of every kind, or all that forbids approvals would hold of itself.
func TestEveryKindIsApproved(t *testing.T) {
	if detecting {
		t.Skip("takes minutes with the race detector")
	}
	tester := *must[*prop.Tester](t)(shipped())
	tester.Cases = 2000
	for i, given := range []string{
		`"kind":"transaction","chain":"ETH","asset":"USDT_ETH","evidence":"verified"`, `"kind":"transaction","chain":"ETH","asset":"ETH","call":false`,
		`"kind":"transaction","call":true`, `"input":{"/call/approvals/0/spender":"0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed"}`,
		`"chain":"BTC","asset":"BTC_BTC","evidence":"verified"`, `"chain":"BTC","evidence":"unverifiable"`, `"input":{"/runes/0/id":"840000:3"}`,
		`"requester":"` + strings.Repeat("7e", 32) + `","evidence":"unverifiable","input":{"/brc20/0/ticker":"ordi","/brc20/0/method":"transfer"}`, `"request_type":"taproot-sign"`, `"request_type":"bip340-schnorr-sign","kind":"transaction"`,
		`"input":{"/message/kind":"text"}`, `"input":{"/message/kind":"typed_data"}`, `"input":{"/message/permits/0/asset":"USDT_ETH"}`,
		`"kind":"raw"`, `"kind":"keygen"`, `"kind":"pre_sign"`, `"recipient":"own"`, `"wallet":"7"`,
		`"approvals":"given","asset":"USDT_ETH","amount":{"above":"5000"}`,
	} {
		p := properties(t, `{"name":"p","given":{`+given+`},"then":"not Approve"}`)
		if r := must[prop.Result](t)(tester.Try(t.Context(), i, &p[0])); r.Counterexample == nil {
			t.Errorf("nothing was found that is approved of %s (%d requests, %d within the bounds)", given, r.Cases, r.Met)
		}
	}
}

func TestCounterexampleIsThePlainestAtTheEdge(t *testing.T) {
	if detecting {
		t.Skip("takes minutes with the race detector")
	}
	s := replaced(t, source(t), "addresses.rego", "listed if is_string(lists.allow[input.tx.to])",
		"listed if is_string(lists.allow[input.tx.to])\n\nlisted if input.tx.amount_base < 700000000")
	e := engine(t, s)
	r := try(t, e, 3000, `"given":{"kind":"transaction","recipient":"unlisted","asset":"USDT_ETH","amount":{"above":"123.45"}},"then":"Reject"`)
	if r.Counterexample == nil {
		t.Fatalf("nothing was found: %+v", r)
	}
	var body struct {
		Detail struct {
			TxInfo struct{ Amount, To string } `json:"tx_info"`
		} `json:"request_detail"`
	}
	example := r.Counterexample.Requests[0]
	if err := json.Unmarshal(example.Body, &body); err != nil {
		t.Fatal(err)
	}
	if body.Detail.TxInfo.Amount != "123450001" {
		t.Errorf("the amount is %s, the smallest is 123450001", body.Detail.TxInfo.Amount)
	}
	trial := must[*callback.Trial](t)(callback.Try(t.Context(), e, must[*wire.Parsed](t)(parse(example.Body)), callback.Setting{
		Node: policy.Node{ID: "n", Name: "n"}, Now: example.Time, Used: example.Used,
	}))
	if trial.Decision.Action != wire.Approve {
		t.Errorf("tried again, the request is decided as %s", trial.Decision.Action)
	}
	if n := len(r.Counterexample.Differs); n > 5 { // what, chain, asset, to, amount
		t.Errorf("it differs from a plain request in %v", r.Counterexample.Differs)
	}
}

func TestSumsOverAWindowAreFound(t *testing.T) {
	if detecting {
		t.Skip("takes minutes with the race detector")
	}
	s := replaced(t, source(t), "windows.rego", "input.windows[id].after <= data.windows[id].max_base", "true")
	s = replaced(t, s, "windows.rego", "	input.windows[id].after > data.windows[id].max_base\n", "	input.windows[id].after > data.windows[id].max_base + 1500000000\n")
	r := try(t, engine(t, s), 3000,
		`"given":{"chain":"ETH","asset":"USDT_ETH","approvals":"given"},"never":{"approve_over":"20000","within_seconds":86400}`)
	if r.Counterexample == nil {
		t.Fatalf("nothing was found: %+v", r)
	}
	if n := len(r.Counterexample.Requests); n < 2 || n > 100 {
		t.Errorf("it took %d requests to come to %s", n, r.Counterexample.Sum)
	}
	if sum := r.Counterexample.Sum; !strings.HasPrefix(sum, "2") || len(strings.Split(sum, ".")[0]) != len("20000") {
		t.Errorf("the sum is %s", sum)
	}
}

func TestSameSeedSameRequests(t *testing.T) {
	e := engine(t, replaced(t, source(t), "addresses.rego", "listed if lists.allow_any == true", "listed if input.tx.wallet_id == \"90210\""))
	text := `"given":{"recipient":"unlisted"},"then":"Reject"`
	first, second := try(t, e, 2000, text), try(t, e, 2000, text)
	a, b := must[[]byte](t)(json.Marshal(first)), must[[]byte](t)(json.Marshal(second))
	if first.Counterexample == nil || string(a) != string(b) {
		t.Errorf("%s\nand then\n%s", a, b)
	}
}

func TestWhatNothingMeetsIsVacuous(t *testing.T) {
	tester := must[*prop.Tester](t)(shipped())
	for i, given := range []string{`"request_type":"sign","kind":"keygen"`, `"input":{"/tx/nonsense":1}`} {
		p := properties(t, `{"name":"p","given":{`+given+`},"then":"Reject"}`)
		if r := must[prop.Result](t)(tester.Try(t.Context(), i, &p[0])); !r.Vacuous || r.Holds() {
			t.Errorf("%s: %+v", given, r)
		}
	}
}

// TestMayBeVacuous: a property may say that its bounds depend on the data, and then only that is forgiven.
func TestMayBeVacuous(t *testing.T) {
	e := engine(t, source(t))
	for text, holds := range map[string]bool{
		`"given":{"input":{"/tx/nonsense":1}},"then":"Reject"`:                                                        false,
		`"given":{"input":{"/tx/nonsense":1}},"then":"Reject","may_be_vacuous":true`:                                  true,
		`"given":{"kind":"transaction","recipient":"not_allowed","call":false},"then":"Reject","may_be_vacuous":true`: true,
		`"given":{"kind":"transaction","recipient":"listed"},"then":"Reject","may_be_vacuous":true`:                   false,
	} {
		if r := try(t, e, 1000, text); r.Holds() != holds {
			t.Errorf("%s: %+v\n%s", text, r, must[[]byte](t)(json.Marshal(r.Counterexample)))
		}
	}
}

func TestPropertiesThatAreRefused(t *testing.T) {
	for text, says := range map[string]string{
		`{"name":"p","given":{},"then":"Refuse"}`:                                                    "none of Approve, Wait and Reject",
		`{"name":"p","given":{}}`:                                                                    "either then",
		`{"name":"p","given":{},"then":"Reject","never":{"approve_over":"1"}}`:                       "either then",
		`{"name":"p","given":{"reciever":"x"},"then":"Reject"}`:                                      "not known here",
		`{"name":"p","given":{"kind":"tx"},"then":"Reject"}`:                                         "none of transaction",
		`{"name":"p","given":{"kind":[]},"then":"Reject"}`:                                           "list of strings",
		`{"name":"p","given":{"amount":{"above":"1"}},"then":"Reject"}`:                              "needs one asset",
		`{"name":"p","given":{"time":{"zone":"Mars","from":"09:00","to":"10:00"}},"then":"Reject"}`:  "no time zone",
		`{"name":"p","given":{"time":{"zone":"UTC","from":"10:00","to":"09:00"}},"then":"Reject"}`:   "no part of a day",
		`{"name":"p","given":{"input":{"tx":1}},"then":"Reject"}`:                                    "no JSON pointer",
		`{"name":"p","given":{"input":{"/tx":{"over":"1"}}},"then":"Reject"}`:                        "above, from, to or below",
		`{"name":"p","given":{},"then":"not Reject","by":"a.b"}`:                                     "there is none",
		`{"name":"p","given":{},"never":{"approve_over":"1"}}`:                                       "one chain and one asset",
		`{"name":"","given":{},"then":"Reject"}`:                                                     "one of its own",
		`{"name":"p","given":{},"then":"Reject"},{"name":"p","given":{},"then":"Reject"}`:            "one of its own",
		`{"name":"p","given":{},"given":{},"then":"Reject"}`:                                         "duplicate",
		`{"name":"p","given":{"approvals":"some"},"then":"Reject"}`:                                  "neither none nor given",
		`{"name":"p","given":{"chain":"ETH","asset":"X"},"never":{"approve_over":"1","within":"1"}}`: "not known here",
	} {
		_, err := prop.Parse("p.json", []byte(`{"format":"`+prop.Format+`","properties":[`+text+`]}`))
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, which does not say %q", text, err, says)
		}
	}
	tester := must[*prop.Tester](t)(shipped())
	for text, says := range map[string]string{
		`"given":{"chain":"SOL"},"then":"Reject"`:                                                     "not a chain",
		`"given":{"chain":"ETH","asset":"DAI"},"then":"Reject"`:                                       "not an asset",
		`"given":{},"then":"Reject","by":"limit.nothing"`:                                             "not a rule",
		`"given":{"chain":"ETH","asset":"USDT_ETH","amount":{"above":"1e3"}},"then":"Reject"`:         "no amount",
		`"given":{"chain":"ETH","asset":"USDT_ETH","amount":{"above":"0.0000001"}},"then":"Reject"`:   "no amount",
		`"given":{"chain":"ETH","asset":"USDT_ETH"},"never":{"approve_over":"-1","within_seconds":1}`: "no amount",
	} {
		p := properties(t, `{"name":"p",`+text+`}`)
		if _, err := tester.Try(t.Context(), 0, &p[0]); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, which does not say %q", text, err, says)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(must[[]byte](f)(os.ReadFile("testdata/properties.json")))
	f.Add([]byte(`{"format":"` + prop.Format + `","properties":[{"name":"p","given":{"input":{"/a":{"not":[1,null]}}},"then":"not Wait"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := prop.Parse("p.json", b)
		if err == nil && len(list) == 0 {
			t.Fatal("no properties, and no error")
		}
		_ = fmt.Sprint(list)
	})
}
