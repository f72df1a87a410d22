package evidence_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/evidence"
)

// typed is a message of a type that is written as encodeType writes it, in the domain of the token's contract.
func typed(t testing.TB, encodedType, message string) string {
	t.Helper()
	types := map[string][]map[string]string{
		"EIP712Domain": {{"name": "chainId", "type": "uint256"}, {"name": "verifyingContract", "type": "address"}},
	}
	primary := ""
	for _, found := range regexp.MustCompile(`(\w+)\(([^)]*)\)`).FindAllStringSubmatch(encodedType, -1) {
		if primary == "" {
			primary = found[1]
		}
		types[found[1]] = []map[string]string{}
		for _, field := range strings.Split(found[2], ",") {
			kind, name, _ := strings.Cut(field, " ")
			types[found[1]] = append(types[found[1]], map[string]string{"name": name, "type": kind})
		}
	}
	return asJSON(t, map[string]any{
		"types": types, "primaryType": primary, "domain": map[string]any{"chainId": 1, "verifyingContract": token}, "message": json.RawMessage(message),
	})
}

const (
	detailsType     = "PermitDetails(address token,uint160 amount,uint48 expiration,uint48 nonce)"
	permissionsType = "TokenPermissions(address token,uint256 amount)"
	fields3009      = "(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
	transferFields  = "(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline"
	transfersFields = "(TokenPermissions[] permitted,address spender,uint256 nonce,uint256 deadline"
	safeTxType      = "SafeTx(address to,uint256 value,bytes data,uint8 operation,uint256 safeTxGas,uint256 baseGas,uint256 gasPrice,address gasToken,address refundReceiver,uint256 nonce)"
)

func TestTypedPermits(t *testing.T) {
	max160, max256, zero32 := power(160).String(), power(256).String(), "0x"+strings.Repeat("00", 32)
	details := `{"token":"` + carol + `","amount":"` + max160 + `","expiration":1900000000,"nonce":0}`
	permitted := `{"token":"` + carol + `","amount":"5"}`
	single := `{"details":` + details + `,"spender":"` + alice + `","sigDeadline":1800000000}`
	transfer := func(permitted, more string) string {
		return `{"permitted":` + permitted + `,"spender":"` + alice + `","nonce":0,"deadline":1800000000` + more + `}`
	}
	authorization := `{"from":"` + bob + `","to":"` + alice + `","value":5,"validAfter":0,"validBefore":1800000000,"nonce":"` + zero32 + `"}`
	approval := func(kind, token, owner, rest string) string {
		if owner != "" {
			owner = `"owner":"` + owner + `",`
		}
		return `{"kind":"` + kind + `","token":"` + token + `",` + owner + `"spender":"` + alice + `",` + rest + `}`
	}
	const deadline = `,"deadline":"1800000000"`
	five := `"amount":"5","unlimited":false,"change":"set"`
	allowance := approval("permit2", carol, "", `"amount":"`+max160+`","unlimited":true,"change":"set"`+deadline+`,"expires":"1900000000"`)
	signed := approval("permit2", carol, "", five+deadline)
	for name, c := range map[string]struct{ kind, message, want string }{
		"ERC-2612": {"Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)",
			`{"owner":"` + bob + `","spender":"` + alice + `","value":"` + max256 + `","nonce":0,"deadline":1800000000}`,
			approval("permit", token, bob, `"amount":"`+max256+`","unlimited":true,"change":"set"`+deadline)},
		"DAI": {"Permit(address holder,address spender,uint256 nonce,uint256 expiry,bool allowed)",
			`{"holder":"` + bob + `","spender":"` + alice + `","nonce":0,"expiry":0,"allowed":true}`,
			approval("permit", token, bob, `"amount":"`+max256+`","unlimited":true,"change":"set"`)},
		"DAI, taken back": {"Permit(address holder,address spender,uint256 nonce,uint256 expiry,bool allowed)",
			`{"holder":"` + bob + `","spender":"` + alice + `","nonce":0,"expiry":1800000000,"allowed":false}`,
			approval("permit", token, bob, `"amount":"0","unlimited":false,"change":"set","revoke":true`+deadline)},
		"ERC-3009":             {"TransferWithAuthorization" + fields3009, authorization, approval("permit", token, bob, five+deadline)},
		"ERC-3009, to receive": {"ReceiveWithAuthorization" + fields3009, authorization, approval("permit", token, bob, five+deadline)},
		"Permit2":              {"PermitSingle(PermitDetails details,address spender,uint256 sigDeadline)" + detailsType, single, allowance},
		"Permit2 of several": {"PermitBatch(PermitDetails[] details,address spender,uint256 sigDeadline)" + detailsType,
			strings.Replace(single, details, "["+details+","+details+"]", 1), allowance + "," + allowance},
		"Permit2 transfer":            {"PermitTransferFrom" + transferFields + ")" + permissionsType, transfer(permitted, ""), signed},
		"Permit2 transfer of several": {"PermitBatchTransferFrom" + transfersFields + ")" + permissionsType, transfer("["+permitted+"]", ""), signed},
		"Permit2 with a witness": {"PermitWitnessTransferFrom" + transferFields + ",Order witness)Order(uint8 x)" + permissionsType,
			transfer(permitted, `,"witness":{"x":1}`), signed},
		"Permit2 with a witness of several": {"PermitBatchWitnessTransferFrom" + transfersFields + ",Order witness)Order(uint8 x)" + permissionsType,
			transfer("["+permitted+","+permitted+"]", `,"witness":{"x":1}`), signed + "," + signed},
		"none":               {"Note(string text)", `{"text":"x"}`, ""},
		"another order":      {"Permit(address spender,address owner,uint256 value,uint256 nonce,uint256 deadline)", `{"owner":"` + bob + `","spender":"` + alice + `","value":1,"nonce":0,"deadline":1}`, ""},
		"another token type": {"PermitTransferFrom" + transferFields + ")TokenPermissions(address token,uint128 amount)", transfer(permitted, ""), ""},
		"a witness of another token type": {"PermitWitnessTransferFrom" + transferFields + ",Order witness)Order(uint8 x)TokenPermissions(address token,uint128 amount)",
			transfer(permitted, `,"witness":{"x":1}`), ""},
	} {
		f := evidence.CheckMessage(typed(t, c.kind, c.message))
		if f.Status != evidence.Verified {
			t.Errorf("%s: %s (%s)", name, f.Status, f.Reason)
			continue
		}
		if got := asJSON(t, f.Decoded.Approvals); got != "["+c.want+"]" {
			t.Errorf("%s: approvals %s,\nwant [%s]", name, got, c.want)
		}
		if f.Decoded.Calls != nil || f.Decoded.Movements != nil || f.Decoded.Complete {
			t.Errorf("%s: calls %v, movements %v", name, f.Decoded.Calls, f.Decoded.Movements)
		}
	}
	if f := evidence.CheckMessage("hello"); f.Decoded.Approvals != nil {
		t.Errorf("text has approvals %v", f.Decoded.Approvals)
	}
}

// TestSafeTx: what an owner of a Safe signs is followed as if the Safe had executed it.
func TestSafeTx(t *testing.T) {
	message := func(to string, value, data, operation, gasPrice string) string {
		return `{"to":"` + to + `","value":` + value + `,"data":"` + data + `","operation":` + operation + `,"safeTxGas":0,"baseGas":0,"gasPrice":` + gasPrice +
			`,"gasToken":"` + carol + `","refundReceiver":"` + carol + `","nonce":7}`
	}
	transfer := `{"asset":"erc20","contract":"` + carol + `","from":"` + token + `","to":"` + alice + `","amount":"1500000000"}`
	coins := `{"asset":"native","from":"` + token + `","to":"` + alice + `","amount":"5"}`
	approval := `{"kind":"token","token":"` + carol + `","owner":"` + token + `","spender":"` + alice + `","amount_or_token_id":"1500000000","unlimited":false,"change":"set"}`
	for name, c := range map[string]struct {
		message              string
		movements, approvals string
		complete             bool
	}{
		"token":           {message(carol, "0", "0x"+transferData, "0", "0"), transfer, "", true},
		"coins":           {message(alice, "5", "0x", "0", "0"), coins, "", true},
		"approval":        {message(carol, "0", "0x095ea7b3"+transferData[8:], "0", "0"), "", approval, true},
		"pays for gas":    {message(alice, "5", "0x", "0", "1"), coins, "", false},
		"runs code":       {message(carol, "0", "0x"+transferData, "1", "0"), "", "", false},
		"no operation":    {message(alice, "5", "0x", "2", "0"), coins, "", false},
		"unknown call":    {message(carol, "0", "0x12345678", "0", "0"), "", "", false},
		"runs MultiSend":  {message(carol, "0", "0x8d80ff0a"+hexOf(t, packedCall{0, *address(alice), n(5), nil}), "1", "0"), coins, "", false},
		"malformed calls": {message(carol, "0", "0x"+transferData+"00", "0", "0"), "", "", false},
	} {
		f := evidence.CheckMessage(typed(t, safeTxType, c.message))
		d := f.Decoded
		if f.Status != evidence.Verified || asJSON(t, d.Movements) != "["+c.movements+"]" || asJSON(t, d.Approvals) != "["+c.approvals+"]" || d.Complete != c.complete {
			t.Errorf("%s: %s (%s), movements %s, approvals %s, complete %v", name, f.Status, f.Reason, asJSON(t, d.Movements), asJSON(t, d.Approvals), d.Complete)
		}
		if len(d.Calls) == 0 || d.Calls[0].From != token || d.Calls[0].Depth != 0 || d.Calls[0].Delegate != strings.HasPrefix(name, "runs") {
			t.Errorf("%s: calls %s", name, asJSON(t, d.Calls))
		}
	}
}

// hexOf is the argument of multiSend.
func hexOf(t testing.TB, calls ...packedCall) string {
	t.Helper()
	return strings.TrimPrefix(hexString(multiSend(t, calls...)), "8d80ff0a")
}
