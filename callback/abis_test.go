package callback_test

import (
	"encoding/json"
	"testing"
	"testing/fstest"

	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/evidence"
	"github.com/countersign-mpc/countersign/wire"
)

// TestOwnContracts: a call of a contract whose ABI is known is shown to the policy by name, and is no more allowed than
// one that is not.
func TestOwnContracts(t *testing.T) {
	abis := must[*evidence.ABIs](t)(evidence.LoadABIs(fstest.MapFS{"1/" + usdt + ".json": {Data: []byte(
		`[{"type":"function","name":"mint","inputs":[{"name":"to","type":"address"},{"name":"amount","type":"uint256"}]}]`)}}))
	mint := "0x40c10f19" + "000000000000000000000000" + recipient[2:] + "0000000000000000000000000000000000000000000000000000000000000007"
	for name, c := range map[string]struct {
		keys *callback.Keys
		says string
		args string
	}{
		"known":     {(*callback.Keys)(nil).WithABIs(abis), "not-a-transfer", `{"amount":"7","to":"` + recipient + `"}`},
		"not known": {nil, "unknown-call", "null"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, options{cfg: func(cfg *callback.Config) { cfg.Keys = c.keys }})
			d, _ := w.ask(payment{callbackID: "cb-1", amount: 5, claim: func(info map[string]any) {
				delete(info, "rawTx")
				info["inputdata"] = mint
			}}.check(t))
			want(t, d, wire.Reject, "evidence.unverifiable: "+c.says)
			var decoded struct {
				Calls []struct{ Args map[string]string }
			}
			ok(t, json.Unmarshal(w.decision1("callback_id=cb-1").input(t).Evidence.Decoded, &decoded))
			if len(decoded.Calls) != 1 || string(must[[]byte](t)(json.Marshal(decoded.Calls[0].Args))) != c.args {
				t.Errorf("the calls are %+v", decoded.Calls)
			}
		})
	}
}
