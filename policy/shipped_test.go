package policy_test

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/rego"
	"github.com/countersign-mpc/countersign/wire"
)

// TestShippedPolicyCoverage holds rego/ to its tests: each of its lines but one in twenty has to be run by one.
func TestShippedPolicyCoverage(t *testing.T) {
	e := demoEngine(t)
	report, err := e.Test(t.Context())
	must(t, err)
	fmt.Printf("rego/: %d tests, coverage %.1f %%\n", report.Passed, report.Coverage)
	if len(report.Failures) > 0 || report.Coverage < 95 {
		t.Errorf("coverage %.1f %%, failures %q, not covered %q", report.Coverage, report.Failures, report.Missed)
	}
}

func TestDefaultDataApprovesNothing(t *testing.T) {
	s, err := policy.Load(rego.FS(), "")
	must(t, err)
	e, err := policy.New(t.Context(), policy.Config{Source: s, Timeout: unhurried})
	must(t, err)
	wantAction(t, decide(t, e, transfer(e, "1")), policy.Reject, "address.listed")
	wantAction(t, decide(t, e, input(e, keygen("sinoA", "sinoB", "sinoC"))), policy.Reject, "keygen.parties")
	wantAction(t, decide(t, e, input(e, parsed(nil))), policy.Reject, "raw.key")
	wantAction(t, decide(t, e, signed(t, e, "Sign in, nonce 17")), policy.Reject, "message.content")
	wantAction(t, decide(t, e, signed(t, e, permitOf(t, nil))), policy.Reject, "message.content")
	for _, change := range []func(*wire.TxInfo){
		func(*wire.TxInfo) {},
		func(i *wire.TxInfo) { i.RuneDetails = []wire.RuneDetail{hello()} },
		func(i *wire.TxInfo) { i.BRC20Details = []wire.BRC20Detail{ordi()} },
	} {
		info := payment()
		change(info)
		if d := decide(t, e, completed(t, e, info, bitcoin(), nil)); d.Action != policy.Reject {
			t.Errorf("got %s for %+v", d.Action, info)
		}
	}
}

func TestDecisions(t *testing.T) {
	e := demoEngine(t)
	change := func(f func(*policy.Input)) policy.Input {
		in := transfer(e, "1500000000")
		f(&in)
		return in
	}
	for name, c := range map[string]struct {
		in     policy.Input
		action policy.Action
		rule   string
	}{
		"keygen of listed parties": {input(e, keygen("sinoA", "sinoB", "sinoC")), policy.Approve, "hours.open"},
		"keygen with a stranger":   {input(e, keygen("sinoA", "sinoB", "sinoX")), policy.Reject, "keygen.parties"},
		"transfer within limits":   {transfer(e, "1500000000"), policy.Approve, "address.listed"},
		"transfer at the tier":     {transfer(e, "5000000000"), policy.Approve, "address.listed"},
		"transfer above the tier":  {transfer(e, "5000000001"), policy.Wait, "approval.required"},
		"transfer at the limit":    {transfer(e, "10000000000"), policy.Wait, "approval.required"},
		"transfer over the limit":  {transfer(e, "10000000001"), policy.Reject, "limit.per_transaction"},
		"amount with a point":      {transfer(e, "1500000000.0"), policy.Reject, "tx.invalid"},
		"a digest alone":           {input(e, parsed(nil)), policy.Reject, "raw.key"},
		"an unknown request type": {change(func(in *policy.Input) { in.Request.RequestType = "steal" }),
			policy.Reject, "request.type"},
		"a malformed body": {change(func(in *policy.Input) {
			in.Problems = []policy.Problem{{Rule: policy.RuleRequestMalformed, Field: "/x", Message: "no"}}
		}), policy.Reject, "request.malformed"},
		"unverifiable evidence": {change(func(in *policy.Input) {
			in.Evidence = policy.Evidence{Status: policy.EvidenceUnverifiable, Code: "no-raw-tx", Reason: "no rawTx"}
		}), policy.Reject, "evidence.unverifiable"},
		"no evidence": {change(func(in *policy.Input) { in.Evidence = policy.Evidence{} }), policy.Reject, "evidence.unverifiable"},
		"a large transfer that is not what is claimed": {func() policy.Input {
			in := transfer(e, "6000000000")
			in.Evidence = policy.Evidence{Status: policy.EvidenceMismatch}
			return in
		}(), policy.Reject, "evidence.mismatch"},
	} {
		t.Run(name, func(t *testing.T) { wantAction(t, decide(t, e, c.in), c.action, c.rule) })
	}
}

func TestMismatchNamesTheField(t *testing.T) {
	e := demoEngine(t)
	in := transfer(e, "1500000000")
	in.Evidence = policy.Evidence{
		Status: policy.EvidenceMismatch, Code: "differs",
		Differences: []policy.Difference{{Field: "to", Claimed: recipient, Signed: burned}},
	}
	d := decide(t, e, in)
	wantAction(t, d, policy.Reject, "evidence.mismatch")
	want := fmt.Sprintf(`evidence.mismatch: to: "%s" is claimed, "%s" is signed`, recipient, burned)
	if d.ErrorText() != want {
		t.Errorf("got %q, want %q", d.ErrorText(), want)
	}
}

func TestApprovalByQuorum(t *testing.T) {
	e := demoEngine(t)
	in := transfer(e, "6000000000")
	d := decide(t, e, in)
	wantAction(t, d, policy.Wait, "approval.required")
	if d.WaitSeconds != 5 || d.Requirement == nil {
		t.Fatalf("got wait %d and requirement %v", d.WaitSeconds, d.Requirement)
	}
	group, _ := e.Group("treasury")
	want := policy.Requirement{
		RuleID: "approval.required", Group: "treasury", GroupRevision: group.Revision,
		Keys: []string{"alice", "bob", "carol"}, Threshold: 2, ExpirySeconds: 3600,
	}
	if fmt.Sprint(*d.Requirement) != fmt.Sprint(want) {
		t.Errorf("got requirement %+v, want %+v", *d.Requirement, want)
	}
	approve := func(names ...string) policy.Decision {
		in.Approvals = []policy.Approval{{
			Requirement: *d.Requirement, ApprovedBy: names, ExpiresUnix: testTime.Unix() + 1,
		}}
		return decide(t, e, in)
	}
	wantAction(t, approve("alice"), policy.Wait, "approval.required")
	wantAction(t, approve("alice", "mallory"), policy.Wait, "approval.required")
	wantAction(t, approve("alice", "bob"), policy.Approve, "address.listed")
	in.Now = policy.NowAt(testTime.Add(2 * time.Second))
	wantAction(t, decide(t, e, in), policy.Wait, "approval.required")
}

// TestApprovalIsVoidWhenTheGroupChanges replaces one approver's key under the same name.
func TestApprovalIsVoidWhenTheGroupChanges(t *testing.T) {
	before := demoEngine(t)
	in := transfer(before, "6000000000")
	in.Approvals = []policy.Approval{{
		Requirement: *decide(t, before, in).Requirement, ApprovedBy: []string{"alice", "carol"}, ExpiresUnix: testTime.Unix() + 1,
	}}
	wantAction(t, decide(t, before, in), policy.Approve, "address.listed")
	data := demoData()
	data["approvers"].(object)["alice"] = object{"public_key": ed25519Key('z')}
	after := newEngine(t, data)
	wantAction(t, decide(t, after, in), policy.Wait, "approval.required")
}

func TestRequesterThatMayNotApproveItself(t *testing.T) {
	data := demoData()
	limit := data["limits"].(object)["ETH"].(object)["USDT_ETH"].([]object)[0]
	limit["approvals"].([]object)[0]["not_requester"] = true
	e := newEngine(t, data)
	group, _ := e.Group("treasury")
	in := transfer(e, "6000000000")
	wantAction(t, decide(t, e, in), policy.Reject, "approval.requester_unknown")
	// bob asks: under an id of his, by his name, by his key.
	for _, keyID := range []string{opsKey, "bob", group.Approvers[1].KeyID} {
		in.Requester = &policy.Requester{KeyID: keyID}
		in.Approvals = nil
		d := decide(t, e, in)
		wantAction(t, d, policy.Wait, "approval.required")
		in.Approvals = []policy.Approval{{Requirement: *d.Requirement, ApprovedBy: []string{"alice", "bob"}, ExpiresUnix: testTime.Unix() + 1}}
		wantAction(t, decide(t, e, in), policy.Wait, "approval.required")
		in.Approvals[0].ApprovedBy = []string{"alice", "carol"}
		wantAction(t, decide(t, e, in), policy.Approve, "address.listed")
	}
}

// TestLimitIsExact draws amounts around the thresholds, with limits and decimals drawn as well, and holds the decision
// against integer arithmetic.
func TestLimitIsExact(t *testing.T) {
	data := demoData()
	limit := data["limits"].(object)["ETH"].(object)["USDT_ETH"]
	all := []int{0, 6, 18, 30}
	for _, decimals := range all {
		id, contract := fmt.Sprintf("TOK%d", decimals), fmt.Sprintf("0x%040x", decimals)
		set(data, "chains.ETH.assets."+id, object{"kind": "erc20", "contract": contract, "decimals": decimals})
		set(data, "limits.ETH."+id, limit)
	}
	e := newEngine(t, data)
	rapid.Check(t, func(r *rapid.T) {
		decimals := rapid.SampledFrom(all).Draw(r, "decimals")
		amount, want := nearThreshold(r, decimals, 0)
		info := claim(amount.String())
		info.AssetID = fmt.Sprintf("TOK%d", decimals)
		in := input(e, parsed(info))
		in.Evidence = policy.Evidence{Status: policy.EvidenceVerified}
		d, err := e.Evaluate(t.Context(), in)
		if err != nil {
			r.Fatal(err)
		}
		if d.Action != want {
			r.Fatalf("%s with %d decimals: got %s, want %s", amount, decimals, d.Action, want)
		}
	})
}

// nearThreshold draws an amount near the least that there is, a tier of 5000 coins or a limit of 10000, and says what has to be decided of
// it.
func nearThreshold(r *rapid.T, decimals int, least int64) (*big.Int, policy.Action) {
	unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(decimals)), nil)
	above, most := new(big.Int).Mul(big.NewInt(5000), unit), new(big.Int).Mul(big.NewInt(10000), unit)
	at := rapid.SampledFrom([]*big.Int{big.NewInt(least), above, most}).Draw(r, "threshold")
	amount := new(big.Int).Add(at, big.NewInt(rapid.Int64Range(-3, 3).Draw(r, "offset")))
	switch {
	case amount.Cmp(most) > 0:
		return amount, policy.Reject
	case amount.Cmp(above) > 0:
		return amount, policy.Wait
	case amount.Cmp(big.NewInt(least)) < 0:
		return big.NewInt(least), policy.Approve
	}
	return amount, policy.Approve
}

// TestHostileNames puts into every text field what would break a log line, a format string or a reply.
func TestHostileNames(t *testing.T) {
	e := demoEngine(t)
	for _, hostile := range []string{
		"a\nb: Approve", "\u202eevil", "%s%d%!", `"}],"action":"Approve"`, strings.Repeat("x", 100_000), "\x00\x1b[31m", "é😀\u2028",
		"../../etc", "USDT_ETH ", "usdt_eth", "__proto__", "10000.0", "-1", "1e3", "+1", "0x10", "٣",
	} {
		for name, set := range map[string]func(*wire.Parsed){
			"request type": func(p *wire.Parsed) { p.Check.RequestType = hostile },
			"sign type":    func(p *wire.Parsed) { p.Check.RequestDetail.SignType = hostile },
			"chain":        func(p *wire.Parsed) { p.TxInfo.ChainSymbol = hostile },
			"asset":        func(p *wire.Parsed) { p.TxInfo.AssetID = hostile },
			"to":           func(p *wire.Parsed) { p.TxInfo.To = hostile },
			"from":         func(p *wire.Parsed) { p.TxInfo.From = hostile },
			"amount":       func(p *wire.Parsed) { p.TxInfo.Amount = hostile },
			"flat amount":  func(p *wire.Parsed) { p.Check.RequestDetail.Amount = hostile },
			"unknown": func(p *wire.Parsed) {
				p.UnknownFields = []wire.UnknownField{{Pointer: hostile, Value: json.RawMessage("1")}}
			},
		} {
			p := parsed(claim("1500000000"))
			set(p)
			d, err := e.Evaluate(t.Context(), input(e, p))
			if d.Action != policy.Reject {
				t.Errorf("%s %.20q: got %s, want Reject (%v)", name, hostile, d.Action, err)
			}
			text := d.ErrorText()
			if text == "" || len(text) > policy.MaxErrorText || strings.ContainsAny(text, "\n\r\x00\x1b\u2028\u202e") {
				t.Errorf("%s %.20q: error text %.80q is not one printable line", name, hostile, text)
			}
		}
	}
}

// TestVectors gives the vendor's own bodies to the default policy: each gets a decision, and none an approval.
func TestVectors(t *testing.T) {
	e := demoEngine(t)
	for _, v := range vectors(t) {
		p, err := wire.ParseCheck(wire.Path(v.Path), []byte(v.Body))
		must(t, err)
		in := e.NewInput(p)
		in.Now = policy.NowAt(testTime)
		if d := decide(t, e, in); d.Action != policy.Reject {
			t.Errorf("%s: got %s, want Reject", v.Name, d.Action)
		}
	}
}
