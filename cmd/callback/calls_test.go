package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/evidence"
	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/wire"
)

// An approver sees every contract, spender, recipient and amount of every kind of call that is decoded.
func TestEveryKindOfCallIsShown(t *testing.T) {
	var vectors []struct {
		Name string `json:"name"`
		evidence.Decoded
	}
	if err := json.Unmarshal(must[[]byte](t)(os.ReadFile("../../testdata/evm/calls.json")), &vectors); err != nil {
		t.Fatal(err)
	}
	for _, v := range vectors {
		var out bytes.Buffer
		printer{&out}.effects(&v.Decoded)
		text := out.String()
		wants := map[string]string{}
		for _, step := range v.Calls {
			wants["contract"], wants["selector or method"] = step.Contract, step.Method
			if step.Method != "" {
				wants["selector or method"], _, _ = strings.Cut(step.Method, "(")
			}
			shows(t, v.Name, text, wants)
			if step.Delegate && !strings.Contains(text, "DELEGATECALL") {
				t.Errorf("%s: a DELEGATECALL is not shown\n%s", v.Name, text)
			}
		}
		for _, m := range v.Movements {
			shows(t, v.Name, text, map[string]string{"recipient": m.To, "amount": m.Amount, "token": m.Contract, "id": m.TokenID, "either": m.AmountOrID})
		}
		for _, a := range v.Approvals {
			wants := map[string]string{"spender": a.Spender, "token": a.Token, "id": a.TokenID, "either": a.AmountOrID}
			if a.Unlimited {
				wants["extent"] = "WITHOUT LIMIT"
				if a.Kind == evidence.ApproveAll {
					wants["extent"] = "ALL tokens"
				}
			} else if a.TokenID == "" {
				wants["amount"] = a.Amount
			}
			shows(t, v.Name, text, wants)
		}
		if strings.Contains(text, "NOT ALL") == v.Complete {
			t.Errorf("%s: complete is %v\n%s", v.Name, v.Complete, text)
		}
	}
}

func shows(t *testing.T, name, text string, wants map[string]string) {
	t.Helper()
	for what, want := range wants {
		if want != "" && !strings.Contains(text, want) {
			t.Errorf("%s: %s %s is not shown\n%s", name, what, want, text)
		}
	}
}

// viewOf is the approval of a request as a server shows it.
func viewOf(t *testing.T, in policy.Input) *callback.ApprovalView {
	t.Helper()
	parsed := must[*wire.Parsed](t)(callback.RequestOf(&in))
	view := &callback.ApprovalView{Request: must[[]byte](t)(in.Canonical())}
	view.IntentHash = must[ledger.Hash](t)(callback.IntentHash(parsed))
	for _, d := range must[[][]byte](t)(callback.PaymentDigests(parsed)) {
		view.Digests = append(view.Digests, d)
	}
	view.Expires = time.Unix(1_800_000_000, 0)
	return view
}

// The transaction is decoded on the approver's machine, whatever the server says of it.
func TestTransactionIsDecodedHere(t *testing.T) {
	var check wire.Check
	if err := json.Unmarshal(must[[]byte](t)(os.ReadFile("testdata/walkthrough/new-large.json")), &check); err != nil {
		t.Fatal(err)
	}
	d := check.RequestDetail
	text := printed(t, viewOf(t, policy.Input{
		Request: policy.Request{CallbackID: "cb", RequestType: check.RequestType, Cryptography: d.Cryptography, SignType: d.SignType, PublicKey: d.PublicKey, Path: d.Path, Message: d.Message},
		TxInfo:  d.TxInfo, Now: policy.NowAt(time.Unix(1_700_000_000, 0)),
	}))
	for _, line := range []string{
		"chain id 1, nonce 0, to 0xdAC17F958D2ee523a2206206994597C13D831ec7, value 0 wei",
		"call of 0xdAC17F958D2ee523a2206206994597C13D831ec7: transfer(", "2500000000 of erc20 0xdAC17F958D2ee523a2206206994597C13D831ec7 from ",
		" to 0x742d35Cc6634C0532925a3b844Bc454e4438f44e\n",
	} {
		if !strings.Contains(text, line) {
			t.Errorf("it does not show %q\n%s", line, text)
		}
	}
}

// What typed data gives is told beside its text.
func TestPermitIsShown(t *testing.T) {
	const permit = `{"types":{"EIP712Domain":[{"name":"name","type":"string"},{"name":"version","type":"string"},{"name":"chainId","type":"uint256"},{"name":"verifyingContract","type":"address"}],` +
		`"Permit":[{"name":"owner","type":"address"},{"name":"spender","type":"address"},{"name":"value","type":"uint256"},{"name":"nonce","type":"uint256"},{"name":"deadline","type":"uint256"}]},` +
		`"primaryType":"Permit","domain":{"name":"USDT","version":"1","chainId":"1","verifyingContract":"0xdAC17F958D2ee523a2206206994597C13D831ec7"},` +
		`"message":{"owner":"0x742d35Cc6634C0532925a3b844Bc454e4438f44e","spender":"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed","value":"115792089237316195423570985008687907853269984665640564039457584007913129639935","nonce":"0","deadline":"1900000000"}}`
	text := printed(t, viewOf(t, policy.Input{Request: policy.Request{
		CallbackID: "cb", RequestType: wire.TypeSign, Cryptography: wire.ECDSASecp256k1, SignType: wire.SignTypeMessage, Path: "m", Message: permit,
		PublicKey: "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
	}, Now: policy.NowAt(time.Unix(1_700_000_000, 0))}))
	want := "WITHOUT LIMIT over 0xdAC17F958D2ee523a2206206994597C13D831ec7, spender 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed (permit), to be used until 2030-03-17T17:46:40Z\n"
	if !strings.Contains(text, want) {
		t.Errorf("it does not show %q\n%s", want, text)
	}
}

// What tx_info says beside a message is shown, since a vote stands for it too, and is not taken for what is signed.
func TestClaimBesideAMessageIsShown(t *testing.T) {
	in := policy.Input{Request: policy.Request{
		CallbackID: "cb", RequestType: wire.TypeSign, Cryptography: wire.ECDSASecp256k1, SignType: wire.SignTypeMessage, Path: "m", Message: "Sign in, nonce 17",
		PublicKey: "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
	}, Now: policy.NowAt(time.Unix(1_700_000_000, 0))}
	const beside = "beside it      tx_info says the following, which what is signed does not prove\n"
	if text := printed(t, viewOf(t, in)); strings.Contains(text, "beside it") {
		t.Errorf("there is none\n%s", text)
	}
	in.TxInfo = []byte(`{"amount":"5","assetId":"ETH","chainSymbol":"ETH","walletId":"treasury"}`)
	text := printed(t, viewOf(t, in))
	for _, want := range []string{beside, "claim: amount  5 ETH\n", "claim: wallet  treasury\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not show %q\n%s", want, text)
		}
	}
}
