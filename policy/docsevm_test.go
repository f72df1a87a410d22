package policy_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/evidence"
	"github.com/countersign-mpc/countersign/policy"
)

// TestManualExamplesOfCosts holds the tables of docs/POLICY.md, "Costs, hours and contracts", against the engine.
func TestManualExamplesOfCosts(t *testing.T) {
	holdTables(t, "Costs, hours and contracts", 25, map[string]example{
		"difference in evidence.decoded.transaction":  exampleOfCosts,
		"difference in evidence.decoded.calls[0]":     exampleOfCall,
		"difference in evidence.decoded.approvals[0]": exampleOfAllowance,
		"time": exampleOfHours,
	})
}

func exampleOfCall(t *testing.T, e *policy.Engine, difference json.RawMessage) policy.Input {
	return calling(t, e, weth, func(_ *policy.Input, d *evidence.Decoded) { d.Calls[0] = differing(t, d.Calls[0], difference) })
}

func exampleOfAllowance(t *testing.T, e *policy.Engine, difference json.RawMessage) policy.Input {
	a := evidence.Approval{Kind: evidence.ApproveERC20, Token: usdt, Spender: recipient, Amount: "1000000000", Change: "set"}
	return approving(t, e, differing(t, a, difference))
}

// officeHours are hours in Zurich.
func officeHours(opening object) object {
	return object{"zone": "Europe/Zurich", "outside": "wait", "open": []object{opening}}
}

func exampleOfHours(t *testing.T, e *policy.Engine, difference json.RawMessage) policy.Input {
	var text string
	must(t, json.Unmarshal(difference, &text))
	now, err := time.Parse(time.RFC3339, text)
	must(t, err)
	in := exampleOfCosts(t, e, json.RawMessage("{}"))
	in.Now = policy.NowAt(now)
	return in
}

// TestWaitForHours: a node is told how long it is until they open, up to an hour.
func TestWaitForHours(t *testing.T) {
	e := newEngine(t, set(demoData(), "hours.office", officeHours(object{"days": []string{"monday", "friday"}, "from": "09:30", "to": "24:00"})))
	in := transfer(e, "1")
	for ahead, want := range map[time.Duration]int{time.Second: 1, time.Minute: 60, time.Hour: 3600, 2 * time.Hour: 3600} {
		in.Now = policy.NowAt(testTime.Add(30*time.Minute - ahead)) // a Friday, 09:00 in Zurich
		d := decide(t, e, in)
		wantAction(t, d, policy.Wait, "hours.open")
		if d.WaitSeconds != want || d.Requirement != nil {
			t.Errorf("%s ahead: got a wait of %d s for %v, want %d s", ahead, d.WaitSeconds, d.Requirement, want)
		}
	}
	in.Now = policy.NowAt(testTime.Add(30 * time.Minute))
	if d := decide(t, e, in); d.Action != policy.Approve {
		t.Errorf("got %s by %s: %s", d.Action, d.Rule(), d.ErrorText())
	}
}

func exampleOfCosts(t *testing.T, e *policy.Engine, difference json.RawMessage) policy.Input {
	tx := differing(t, evidence.Transaction{GasLimit: "21000", MaxFeePerGas: "100000000000", MaxFee: "2100000000000000"}, difference)
	return payingGas(t, e, policy.EvidenceVerified, &tx)
}
