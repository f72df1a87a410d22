package prop_test

import (
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/policy/prop"
)

// TestEveryShapeIsGenerated: of each shape of transaction something is found that the shipped policy approves, or that
// evidence has verified: a search that never comes to it says nothing about it.
func TestEveryShapeIsGenerated(t *testing.T) {
	if detecting {
		t.Skip("takes long with the race detector")
	}
	tester := must[*prop.Tester](t)(shipped())
	tester.Cases = 2000
	for name, text := range map[string]string{
		"transfer in a Safe's transaction": `"given":{"kind":"transaction","call":false,"input":{"/call/steps/0/contract":"0x3e5c63644e683549055b9be8653de26e0b4cd36e"}},"then":"Reject"`,
		"call in a multicall":              `"given":{"kind":"transaction","call":true,"input":{"/call/steps/0/selector":"0xac9650d8"}},"then":"Reject"`,
		"payment of two own inputs":        `"given":{"kind":"transaction","chain":"BTC","evidence":"verified","input":{"/utxo/inputs/1/own":true}},"then":"Reject"`,
		"payment with another's input":     `"given":{"kind":"transaction","chain":"BTC","input":{"/utxo/inputs/1/own":false}},"then":"Approve"`,
		"BRC-20 reveal":                    `"given":{"kind":"transaction","chain":"BTC","evidence":"verified","input":{"/brc20/0/ticker":"ordi"}},"then":"Reject"`,
	} {
		p := properties(t, `{"name":"p",`+text+`}`)
		r := must[prop.Result](t)(tester.Try(t.Context(), 0, &p[0]))
		if r.Counterexample == nil {
			t.Errorf("%s: %d of %d requests were of it, and none was judged so", name, r.Met, r.Cases)
		}
	}
}

// TestEdgesComeFirst: what is decided at a threshold is found among the requests that are made up systematically, whatever
// the seed.
func TestEdgesComeFirst(t *testing.T) {
	if detecting {
		t.Skip("takes long with the race detector")
	}
	for name, text := range map[string]string{
		"the limit":                `"given":{"chain":"ETH","asset":"USDT_ETH","amount":{"from":"5000","to":"5000"}},"then":"Reject"`,
		"one more than the tier":   `"given":{"chain":"ETH","asset":"USDT_ETH","amount":{"from":"5000.000001","to":"5000.000001"}},"then":"not Wait"`,
		"one more than the limit":  `"given":{"chain":"ETH","asset":"USDT_ETH","amount":{"from":"10000.000001","to":"10000.000001"},"evidence":"verified"},"then":"not Reject"`,
		"the last second of a day": `"given":{"kind":"transaction","chain":"ETH","time":{"zone":"Europe/Zurich","from":"19:59","to":"20:00"}},"then":"Reject"`,
		"a denied address":         `"given":{"kind":"transaction","chain":"ETH","recipient":"denied"},"then":"not Reject"`,
		"one digit beside a list":  `"given":{"kind":"transaction","chain":"ETH","recipient":"unlisted","input":{"/tx/to":"0x5aaeb6053f3e94c9b9a09f33669435e7ef1beae0"}},"then":"not Reject"`,
	} {
		for _, seed := range []uint64{1, 2} {
			shared := *must[*prop.Tester](t)(shipped())
			shared.Seed, shared.Cases = seed, 2000
			p := properties(t, `{"name":"p",`+text+`}`)
			r := must[prop.Result](t)(shared.Try(t.Context(), 0, &p[0]))
			if r.Counterexample == nil || r.Systematic < r.Cases {
				t.Errorf("%s: found %v after %d requests, %d of them systematic", name, r.Counterexample != nil, r.Cases, r.Systematic)
			}
			if r.Counterexample != nil && strings.TrimSpace(string(r.Counterexample.Requests[0].Body)) == "" {
				t.Errorf("%s: no request", name)
			}
		}
	}
}
