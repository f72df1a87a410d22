package policy_test

import (
	"encoding/json"
	"testing"

	"github.com/countersign-mpc/countersign/evidence"
	"github.com/countersign-mpc/countersign/policy"
)

// The contracts of the manual's section on calls.
const (
	weth = "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2"
	usdc = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"
)

// calling is a call that tx_info declares: one ether to a contract, of which evidence decoded such an account.
func calling(t testing.TB, e *policy.Engine, contract string, change func(*policy.Input, *evidence.Decoded)) policy.Input {
	t.Helper()
	info := claim("1000000000000000000")
	info.AssetID, info.To = "ETH", contract
	in := e.NewInput(parsed(info))
	in.Now = policy.NowAt(testTime)
	in.Evidence = policy.Evidence{Status: policy.EvidenceUnverifiable, Code: "not-a-transfer", Codes: []string{"not-a-transfer"}, Reason: "a call"}
	account := evidence.Decoded{
		Kind:        evidence.KindEVMTransaction,
		Transaction: &evidence.Transaction{To: contract, Value: info.Amount, GasLimit: "50000", MaxFeePerGas: "100000000000", MaxFee: "5000000000000000"},
		Calls:       []evidence.Step{{Contract: contract, Selector: "0xd0e30db0", Method: "deposit()"}},
		Movements:   []evidence.Movement{{Asset: evidence.AssetNative, To: contract, Amount: info.Amount}},
	}
	if change != nil {
		change(&in, &account)
	}
	decoded, err := json.Marshal(account)
	must(t, err)
	in.Evidence.Decoded = decoded
	e.Complete(&in)
	return in
}

func callsData() object {
	data := demoData()
	set(data, "limits.ETH.ETH", []object{{"max": "10"}})
	set(data, "contracts.ETH", object{
		weth: object{"name": "WETH", "methods": []string{"deposit()"}},
		usdt: object{"name": "USDT", "methods": []string{"0x095ea7b3"}},
	})
	return set(data, "allowances.ETH.USDT_ETH", object{"spenders": object{recipient: "exchange"}, "max": "1000"})
}

// TestCalls: a call is approved by the lists only where it is what tx_info declares, and nothing else is unknown of it.
func TestCalls(t *testing.T) {
	e := newEngine(t, callsData())
	for name, c := range map[string]struct {
		change func(*policy.Input, *evidence.Decoded)
		action policy.Action
		rule   string
	}{
		"a listed call": {func(*policy.Input, *evidence.Decoded) {}, policy.Approve, "address.listed"},
		"an unknown method that is listed": {func(in *policy.Input, _ *evidence.Decoded) {
			in.Evidence.Code, in.Evidence.Codes = "unknown-call", []string{"unknown-call", "not-a-transfer"}
		}, policy.Approve, "address.listed"},
		"another method":   {func(_ *policy.Input, d *evidence.Decoded) { d.Calls[0].Selector = "0x2e1a7d4d" }, policy.Reject, "call.method"},
		"another contract": {func(_ *policy.Input, d *evidence.Decoded) { d.Calls[0].Contract = usdc }, policy.Reject, "call.method"},
		"no address":       {func(_ *policy.Input, d *evidence.Decoded) { d.Calls[0].Contract = "0x12" }, policy.Reject, "call.method"},
		"a call in it": {func(_ *policy.Input, d *evidence.Decoded) {
			d.Calls = append(d.Calls, evidence.Step{Depth: 1, Contract: usdc, Selector: "0xd0e30db0"})
		}, policy.Reject, "call.method"},
		"a delegate call": {func(_ *policy.Input, d *evidence.Decoded) { d.Calls[0].Delegate = true }, policy.Reject, "call.method"},
		"tokens that move": {func(_ *policy.Input, d *evidence.Decoded) {
			d.Movements = append(d.Movements, evidence.Movement{Asset: evidence.AssetERC20, Contract: usdt, To: recipient, Amount: "1"})
		}, policy.Reject, "call.movement"},
		"another reason beside": {func(in *policy.Input, _ *evidence.Decoded) {
			in.Evidence.Codes = append(in.Evidence.Codes, "delegatecall")
		}, policy.Reject, "address.listed"},
		"no reasons":     {func(in *policy.Input, _ *evidence.Decoded) { in.Evidence.Codes = nil }, policy.Reject, "evidence.unverifiable"},
		"no transaction": {func(_ *policy.Input, d *evidence.Decoded) { d.Transaction = nil }, policy.Reject, "evidence.unverifiable"},
		"other coins":    {func(_ *policy.Input, d *evidence.Decoded) { d.Transaction.Value = "0" }, policy.Reject, "evidence.unverifiable"},
		"another callee": {func(_ *policy.Input, d *evidence.Decoded) { d.Transaction.To = usdc }, policy.Reject, "evidence.unverifiable"},
		"blobs":          {func(_ *policy.Input, d *evidence.Decoded) { d.Transaction.Blobs = 1 }, policy.Reject, "evidence.unverifiable"},
		"a delegation": {func(_ *policy.Input, d *evidence.Decoded) {
			d.Transaction.Authorizations = []evidence.Authorization{{}}
		}, policy.Reject, "evidence.unverifiable"},
		"a token's claim": {func(in *policy.Input, _ *evidence.Decoded) { in.Tx.Asset = "USDT_ETH" }, policy.Reject, "evidence.unverifiable"},
		"a mismatch":      {func(in *policy.Input, _ *evidence.Decoded) { in.Evidence.Status = policy.EvidenceMismatch }, policy.Reject, "evidence.mismatch"},
		"nothing decoded": {func(_ *policy.Input, d *evidence.Decoded) { d.Calls = nil }, policy.Reject, "evidence.unverifiable"},
	} {
		t.Run(name, func(t *testing.T) {
			d := decide(t, e, calling(t, e, weth, c.change))
			if c.rule == "address.listed" && c.action == policy.Reject { // which of several comes first does not matter
				c.rule = d.Rule()
			}
			found := d.Action == policy.Approve
			for _, r := range d.Reasons {
				found = found || r.RuleID == c.rule && r.Severity == c.action
			}
			if d.Action != c.action || !found {
				t.Errorf("got %s by %s (%s), want %s by %s", d.Action, d.Rule(), d.ErrorText(), c.action, c.rule)
			}
		})
	}
}

// approving is a declared call of USDT's approve, of which evidence decoded such an approval.
func approving(t testing.TB, e *policy.Engine, a evidence.Approval) policy.Input {
	t.Helper()
	return calling(t, e, usdt, func(_ *policy.Input, d *evidence.Decoded) {
		d.Calls[0].Selector, d.Calls[0].Method = "0x095ea7b3", "approve(address,uint256)"
		d.Approvals = []evidence.Approval{a}
	})
}

func TestAllowances(t *testing.T) {
	e := newEngine(t, callsData())
	for name, c := range map[string]struct {
		approval evidence.Approval
		action   policy.Action
	}{
		"erc20":           {evidence.Approval{Kind: evidence.ApproveERC20, Amount: "1000000000"}, policy.Approve},
		"by its contract": {evidence.Approval{Kind: evidence.ApproveToken, AmountOrID: "1000000000"}, policy.Approve},
		"permit2":         {evidence.Approval{Kind: evidence.ApprovePermit2, Amount: "1000000000", Expires: "1"}, policy.Approve},
		"too much":        {evidence.Approval{Kind: evidence.ApproveERC20, Amount: "1000000001"}, policy.Reject},
		"too much, token": {evidence.Approval{Kind: evidence.ApproveToken, AmountOrID: "1000000001"}, policy.Reject},
		"unlimited":       {evidence.Approval{Kind: evidence.ApproveERC20, Amount: maxUint256, Unlimited: true}, policy.Reject},
		"unlimited flag":  {evidence.Approval{Kind: evidence.ApproveERC20, Amount: "1", Unlimited: true}, policy.Reject},
		"increase":        {evidence.Approval{Kind: evidence.ApproveERC20, Amount: "1", Change: "increase"}, policy.Reject},
		"decrease":        {evidence.Approval{Kind: evidence.ApproveERC20, Amount: "1", Change: "decrease", Revoke: true}, policy.Approve},
		"revoke":          {evidence.Approval{Kind: evidence.ApproveERC20, Amount: "0", Spender: burned, Revoke: true}, policy.Reject}, // denied
		"revoke, token":   {evidence.Approval{Kind: evidence.ApproveToken, AmountOrID: "0", Spender: sender}, policy.Approve},
		"another spender": {evidence.Approval{Kind: evidence.ApproveERC20, Amount: "1", Spender: sender}, policy.Reject},
		"another token":   {evidence.Approval{Kind: evidence.ApproveERC20, Amount: "1", Token: usdc}, policy.Reject},
		"no token":        {evidence.Approval{Kind: evidence.ApproveERC20, Amount: "1", Token: "0x"}, policy.Reject},
		"no amount":       {evidence.Approval{Kind: evidence.ApproveERC20}, policy.Reject},
		"all":             {evidence.Approval{Kind: evidence.ApproveAll, Unlimited: true}, policy.Reject},
		"a hash":          {evidence.Approval{Kind: evidence.ApproveHash, Unlimited: true}, policy.Reject},
		"all taken back":  {evidence.Approval{Kind: evidence.ApproveAll, Revoke: true}, policy.Approve},
	} {
		t.Run(name, func(t *testing.T) {
			a := c.approval
			for member, otherwise := range map[*string]string{&a.Token: usdt, &a.Spender: recipient, &a.Change: "set"} {
				if *member == "" {
					*member = otherwise
				}
			}
			if d := decide(t, e, approving(t, e, a)); d.Action != c.action {
				t.Errorf("got %s by %s: %s", d.Action, d.Rule(), d.ErrorText())
			}
		})
	}
}

// TestNoContractsNoCalls: without a list the default stays: what is no transfer is unverifiable, and rejected.
func TestNoContractsNoCalls(t *testing.T) {
	data := callsData()
	delete(data, "contracts")
	e := newEngine(t, data)
	d := decide(t, e, calling(t, e, weth, nil))
	wantAction(t, d, policy.Reject, "evidence.unverifiable")
}

func TestSelectors(t *testing.T) {
	methods := func(list ...string) object {
		return set(demoData(), "contracts.ETH", object{weth: object{"methods": list}})
	}
	for _, good := range []string{
		"deposit()", "0xd0e30db0", "approve(address,uint256)", "_a$1(bytes32[2][],string,function)",
		"exactInputSingle((address,address,uint24,address,uint256,uint256,uint256,uint160))", "f((uint8,(bool,bytes)[])[3],int256)",
	} {
		_, err := parse(t, methods(good))
		must(t, err)
	}
	for _, bad := range []string{
		"", "deposit", "0xD0E30DB0", "0xd0e3", "approve(address, uint256)", "approve(address,uint)", "approve(address spender,uint256)",
		"f(uint256", "f(uint256,)", "f(,)", "f(bytes33)", "f(tuple)", "f(adress)", "f(uint256))", "(f)(address)",
	} {
		_, err := parse(t, methods(bad))
		wantError(t, err, "at /contracts/ETH/"+weth+"/methods/0")
	}
	_, err := parse(t, methods("deposit()", "0xd0e30db0"))
	wantError(t, err, "at /contracts/ETH/"+weth+"/methods/1", "deposit()")
}

// TestPowers: a method that is known to give power which no rule sees is allowed only by the list that is for it.
func TestPowers(t *testing.T) {
	contract := func(c object) error {
		_, err := parse(t, set(demoData(), "contracts.ETH", object{weth: c}))
		return err
	}
	const module, own = "enableModule(address)", "deposit()"
	place := "at /contracts/ETH/" + weth
	wantError(t, contract(object{"methods": []string{own, module}}), place+"/methods: \""+module+"\" lets a contract act as the Safe", "under powers")
	wantError(t, contract(object{"methods": []string{"0x610b5925"}}), place+"/methods: \"0x610b5925\" lets a contract act as the Safe")
	wantError(t, contract(object{"methods": []string{own}, "powers": []string{"withdraw(uint256)"}}), place+"/powers: \"withdraw(uint256)\"", "under methods")
	wantError(t, contract(object{"methods": []string{}}), place+"/methods: is empty")
	wantError(t, contract(object{"methods": []string{}, "powers": []string{"enableModule(adress)"}}), place+"/powers/0")
	must(t, contract(object{"methods": []string{own}, "powers": []string{module}}))
	for signature := range policy.UnjudgedPowers {
		must(t, contract(object{"methods": []string{}, "powers": []string{signature}}))
	}

	data := set(callsData(), "contracts.ETH", object{weth: object{"methods": []string{}, "powers": []string{module}}})
	e := newEngine(t, data)
	call := func(selector string) policy.Decision {
		return decide(t, e, calling(t, e, weth, func(_ *policy.Input, d *evidence.Decoded) { d.Calls[0].Selector, d.Calls[0].Method = selector, "" }))
	}
	wantAction(t, call("0x610b5925"), policy.Approve, "address.listed")
	wantAction(t, call("0xd0e30db0"), policy.Reject, "call.method")
}
