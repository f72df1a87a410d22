package policy_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/evidence"
	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/wire"
)

// signed is the input of a request to sign a message, with the evidence that package evidence finds.
func signed(t testing.TB, e *policy.Engine, message string) policy.Input {
	t.Helper()
	return signedWith(t, e, message, nil)
}

// signedWith is signed of a request with tx_info.
func signedWith(t testing.TB, e *policy.Engine, message string, info *wire.TxInfo) policy.Input {
	t.Helper()
	p := parsed(info)
	p.Check.RequestDetail.SignType, p.Check.RequestDetail.Message = wire.SignTypeMessage, message
	found := evidence.CheckMessage(message)
	decoded, err := json.Marshal(found.Decoded)
	must(t, err)
	in := e.NewInput(p)
	in.Now = policy.NowAt(testTime)
	in.Evidence = policy.Evidence{Status: policy.EvidenceStatus(found.Status), Code: string(found.Code), Reason: found.Reason, Decoded: decoded}
	e.Complete(&in)
	return in
}

// typedData writes a document of typed data.
func typedData(t testing.TB, types object, primary string, domain, message object) string {
	t.Helper()
	var fields []object
	for _, f := range []struct{ name, kind string }{{"name", "string"}, {"version", "string"}, {"chainId", "uint256"}, {"verifyingContract", "address"}} {
		if _, there := domain[f.name]; there {
			fields = append(fields, object{"name": f.name, "type": f.kind})
		}
	}
	all := object{"EIP712Domain": fields}
	for name, members := range types {
		var list []object
		for _, member := range strings.Split(members.(string), ",") {
			kind, field, _ := strings.Cut(member, " ")
			list = append(list, object{"name": field, "type": kind})
		}
		all[name] = list
	}
	b, err := json.Marshal(object{"types": all, "primaryType": primary, "domain": domain, "message": message})
	must(t, err)
	return string(b)
}

var (
	tether     = object{"name": "Tether USD", "version": "1", "chainId": 1, "verifyingContract": usdt}
	permitType = object{"Permit": "address owner,address spender,uint256 value,uint256 nonce,uint256 deadline"}
)

// permitOf is an ERC-2612 permit.
func permitOf(t testing.TB, change object) string {
	t.Helper()
	message := object{"owner": sender, "spender": router, "value": "1000000000", "nonce": "0", "deadline": fmt.Sprint(testTime.Unix() + 3600)}
	for k, v := range change {
		message[k] = v
	}
	return typedData(t, permitType, "Permit", tether, message)
}

func TestMessages(t *testing.T) {
	e := newEngine(t, bitcoinData())
	mail := typedData(t, object{"Mail": "string contents"}, "Mail", object{"name": "Ether Mail"}, object{"contents": "Hello"})
	for name, c := range map[string]struct {
		message string
		action  policy.Action
		rule    string
	}{
		"text of the form":         {"Sign in, nonce 17", policy.Approve, "evidence.verified"},
		"text of another form":     {"Sign in, nonce", policy.Reject, "message.content"},
		"more than the form":       {"Sign in, nonce 17\nand pay", policy.Reject, "message.content"},
		"bytes":                    {"0x5369676e", policy.Reject, "message.content"},
		"no bytes":                 {"0x", policy.Reject, "message.content"},
		"mail":                     {mail, policy.Approve, "evidence.verified"},
		"mail of another domain":   {strings.Replace(mail, "Ether Mail", "Ether mail", 1), policy.Reject, "message.content"},
		"another type":             {strings.ReplaceAll(mail, `"Mail"`, `"Mall"`), policy.Reject, "message.content"},
		"no typed data":            {permitOf(t, object{"value": "x"}), policy.Reject, "evidence.unverifiable"},
		"permit":                   {permitOf(t, nil), policy.Approve, "evidence.verified"},
		"permit of nothing":        {permitOf(t, object{"value": "0"}), policy.Approve, "evidence.verified"},
		"permit over the limit":    {permitOf(t, object{"value": "1000000001"}), policy.Reject, "message.permit.max"},
		"permit without limit":     {permitOf(t, object{"value": maxUint256}), policy.Reject, "message.permit.unlimited"},
		"permit of 2^96-1":         {permitOf(t, object{"value": "79228162514264337593543950335"}), policy.Reject, "message.permit.unlimited"},
		"permit in hex":            {permitOf(t, object{"value": "0x3b9aca01"}), policy.Reject, "message.permit.max"},
		"permit to another":        {permitOf(t, object{"spender": burned}), policy.Reject, "message.permit.denied"},
		"permit for too long":      {permitOf(t, object{"deadline": fmt.Sprint(testTime.Unix() + 3601)}), policy.Reject, "message.permit.deadline"},
		"permit for ever":          {permitOf(t, object{"deadline": maxUint256}), policy.Reject, "message.permit.deadline"},
		"permit of another domain": {strings.Replace(permitOf(t, nil), `"version":"1"`, `"version":"2"`, 1), policy.Reject, "message.content"},
		"permit on another chain":  {strings.Replace(permitOf(t, nil), `"chainId":1`, `"chainId":10`, 1), policy.Reject, "message.content"},
		"permit with more fields": {typedData(t, object{"Permit": permitType["Permit"].(string) + ",uint256 bonus"}, "Permit", tether,
			object{"owner": sender, "spender": router, "value": "1", "nonce": "0", "deadline": "0", "bonus": "1"}), policy.Reject, "message.permit"},
	} {
		t.Run(name, func(t *testing.T) { wantAction(t, decide(t, e, signed(t, e, c.message)), c.action, c.rule) })
	}
}

const maxUint256 = "115792089237316195423570985008687907853269984665640564039457584007913129639935"

// TestPermitForms reads each form that gives power over tokens.
func TestPermitForms(t *testing.T) {
	e := newEngine(t, bitcoinData())
	permit2 := object{"name": "Permit2", "chainId": 1, "verifyingContract": burned}
	details := object{"token": usdt, "amount": "5", "expiration": "7", "nonce": "0"}
	other := object{"token": recipient, "amount": "1461501637330902918203684832716283019655932542975", "expiration": "0", "nonce": "0"}
	detailsType := "address token,uint160 amount,uint48 expiration,uint48 nonce"
	want := policy.Permit{
		Chain: "ETH", Asset: "USDT_ETH", Token: strings.ToLower(usdt), Spender: strings.ToLower(router), ValueBase: "5", Deadline: "7",
	}
	with := func(change func(*policy.Permit)) policy.Permit {
		p := want
		change(&p)
		return p
	}
	for name, c := range map[string]struct {
		types   object
		primary string
		domain  object
		message object
		want    []policy.Permit
	}{
		"ERC-2612": {permitType, "Permit", tether, object{"owner": sender, "spender": router, "value": "5", "nonce": "0", "deadline": "7"}, []policy.Permit{want}},
		"DAI": {object{"Permit": "address holder,address spender,uint256 nonce,uint256 expiry,bool allowed"}, "Permit", tether,
			object{"holder": sender, "spender": router, "nonce": "0", "expiry": "7", "allowed": true},
			[]policy.Permit{with(func(p *policy.Permit) { p.ValueBase, p.Unlimited = maxUint256, true })}},
		"DAI for ever": {object{"Permit": "address holder,address spender,uint256 nonce,uint256 expiry,bool allowed"}, "Permit", tether,
			object{"holder": sender, "spender": router, "nonce": "0", "expiry": "0", "allowed": true},
			[]policy.Permit{with(func(p *policy.Permit) { p.ValueBase, p.Unlimited, p.Deadline = maxUint256, true, maxUint256 })}},
		"DAI taken back": {object{"Permit": "address holder,address spender,uint256 nonce,uint256 expiry,bool allowed"}, "Permit", tether,
			object{"holder": sender, "spender": router, "nonce": "0", "expiry": "7", "allowed": false},
			[]policy.Permit{with(func(p *policy.Permit) { p.ValueBase = "0" })}},
		"ERC-3009": {object{"TransferWithAuthorization": "address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce"},
			"TransferWithAuthorization", tether,
			object{"from": sender, "to": router, "value": "5", "validAfter": "0", "validBefore": "7", "nonce": "0x" + strings.Repeat("00", 32)}, []policy.Permit{want}},
		"Permit2, one": {object{"PermitSingle": "PermitDetails details,address spender,uint256 sigDeadline", "PermitDetails": detailsType},
			"PermitSingle", permit2, object{"details": details, "spender": router, "sigDeadline": "6"}, []policy.Permit{want}},
		"Permit2, many": {object{"PermitBatch": "PermitDetails[] details,address spender,uint256 sigDeadline", "PermitDetails": detailsType},
			"PermitBatch", permit2, object{"details": []object{details, other}, "spender": router, "sigDeadline": "7"},
			[]policy.Permit{want, with(func(p *policy.Permit) {
				p.Chain, p.Asset, p.Token, p.Unlimited = "", "", strings.ToLower(recipient), true
				p.ValueBase = "1461501637330902918203684832716283019655932542975"
			})}},
		"Permit2, none": {object{"PermitBatch": "PermitDetails[] details,address spender,uint256 sigDeadline", "PermitDetails": detailsType},
			"PermitBatch", permit2, object{"details": []object{}, "spender": router, "sigDeadline": "7"}, nil},
		"Permit2, one token twice": {object{"PermitBatch": "PermitDetails[] details,address spender,uint256 sigDeadline", "PermitDetails": detailsType},
			"PermitBatch", permit2, object{"details": []object{details, details}, "spender": router, "sigDeadline": "7"}, nil},
		"Permit2 transfer": {object{"PermitTransferFrom": "TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline", "TokenPermissions": "address token,uint256 amount"},
			"PermitTransferFrom", permit2, object{"permitted": object{"token": usdt, "amount": "5"}, "spender": router, "nonce": "0", "deadline": "7"}, []policy.Permit{want}},
		"Permit2 with a witness": {object{
			"PermitWitnessTransferFrom": "TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline,uint256 witness", "TokenPermissions": "address token,uint256 amount"},
			"PermitWitnessTransferFrom", permit2, object{"permitted": object{"token": usdt, "amount": "5"}, "spender": router, "nonce": "0", "deadline": "7", "witness": "0"}, nil},
		"a spender elsewhere": {object{"Loan": "address spender,uint256 value"}, "Loan", tether, object{"spender": router, "value": "1"}, nil},
		"an operator":         {object{"Rights": "Who who", "Who": "address operator"}, "Rights", tether, object{"who": object{"operator": router}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			in := signed(t, e, typedData(t, c.types, c.primary, c.domain, c.message))
			if in.Message == nil || !in.Message.Grants || in.Message.PrimaryType != c.primary {
				t.Fatalf("evidence %+v, message %+v", in.Evidence, in.Message)
			}
			if fmt.Sprint(in.Message.Permits) != fmt.Sprint(c.want) {
				t.Errorf("got %+v, want %+v", in.Message.Permits, c.want)
			}
		})
	}
}

// TestMessageTakesVerifiedEvidence gives a message under a status or an account that vouches for none.
func TestMessageTakesVerifiedEvidence(t *testing.T) {
	e := newEngine(t, bitcoinData())
	in := signed(t, e, "Sign in, nonce 17")
	for name, change := range map[string]func(*policy.Input){
		"mismatch":     func(in *policy.Input) { in.Evidence.Status = policy.EvidenceMismatch },
		"unverifiable": func(in *policy.Input) { in.Evidence.Status = policy.EvidenceUnverifiable },
		"no account":   func(in *policy.Input) { in.Evidence.Decoded = nil },
		"null":         func(in *policy.Input) { in.Evidence.Decoded = json.RawMessage("null") },
		"no JSON":      func(in *policy.Input) { in.Evidence.Decoded = json.RawMessage("{") },
		"another kind": func(in *policy.Input) {
			in.Evidence.Decoded = json.RawMessage(`{"kind":"raw","text":"Sign in, nonce 17"}`)
		},
		"no document": func(in *policy.Input) { in.Evidence.Decoded = json.RawMessage(`{"kind":"eip712"}`) },
	} {
		t.Run(name, func(t *testing.T) {
			got := in
			got.Message = nil
			change(&got)
			e.Complete(&got)
			if got.Message != nil {
				t.Errorf("got %+v", got.Message)
			}
			if d, _ := e.Evaluate(t.Context(), got); d.Action != policy.Reject {
				t.Errorf("got %s", d.Action)
			}
		})
	}
}

// FuzzMessage holds that no account of a message breaks the engine, and that nothing in one becomes an amount that is no
// integer.
func FuzzMessage(f *testing.F) {
	e := newEngine(f, bitcoinData())
	for _, message := range []string{"Sign in, nonce 17", "0x00", permitOf(f, nil)} {
		f.Add([]byte(signed(f, e, message).Evidence.Decoded))
	}
	f.Add([]byte(`{"kind":"eip712","typed_data":{"primary_type":"PermitBatch","encoded_type":"` +
		`PermitBatch(PermitDetails[] details,address spender,uint256 sigDeadline)PermitDetails(address token,uint160 amount,uint48 expiration,uint48 nonce)` +
		`","domain":{},"message":{"details":[{"amount":"1e5"},null,7]}}}`))
	f.Fuzz(func(t *testing.T, decoded []byte) {
		if !json.Valid(decoded) {
			return
		}
		p := parsed(nil)
		p.Check.RequestDetail.SignType = wire.SignTypeMessage
		in := e.NewInput(p)
		in.Now = policy.NowAt(testTime)
		in.Evidence = policy.Evidence{Status: policy.EvidenceVerified, Decoded: decoded}
		e.Complete(&in)
		if in.Message == nil {
			return
		}
		in.Evidence.Decoded = nil
		if _, err := in.Canonical(); err != nil {
			t.Fatalf("%+v: %v", in.Message, err)
		}
	})
}
