package evidence_test

import (
	"bytes"
	"math/big"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/evidence"
	"github.com/ethereum/go-ethereum/common"
)

// The tuples of Multicall3 and of smart accounts, with the names that go-ethereum gives their fields.
type (
	targetCall struct {
		Target   common.Address
		CallData []byte
	}
	targetCall3 struct {
		Target       common.Address
		AllowFailure bool
		CallData     []byte
	}
	targetCall3Value struct {
		Target       common.Address
		AllowFailure bool
		Value        *big.Int
		CallData     []byte
	}
	accountCall struct {
		Target common.Address
		Value  *big.Int
		Data   []byte
	}
)

// batchCases have what gives power or makes calls in forms beside ERC-20, Permit2 and a Safe's own. The selectors are those of the
// published contracts: OpenZeppelin 1.12, USDC 2.2, Safe 1.4.1, Multicall3, and the accounts of ERC-4337's reference.
func batchCases() map[string]callCase {
	a, b, c := *address(alice), *address(bob), *address(carol)
	send := unhex(transferData)
	other := evidence.Asset{Kind: "erc20", Contract: carol}
	moved := `{"asset":"erc20","contract":"` + carol + `","from":"` + token + `","to":"` + alice + `","amount":"1500000000"}`
	coins := `{"asset":"native","from":"` + token + `","to":"` + alice + `","amount":"5"}`
	drawn := `{"asset":"erc20","contract":"` + token + `","from":"` + alice + `","to":"` + bob + `","amount":"5"}`
	const authorized = "(address,address,uint256,uint256,uint256,bytes32,"
	byModule := []any{c, n(0), send, uint8(0)}
	out := map[string]callCase{
		"increaseApproval": {selector: "d73dd623", signature: "increaseApproval(address,uint256)", args: []any{a, n(5)}, code: evidence.CodeNotTransfer,
			approves: []string{approvalJSON("erc20", sum, "false", "increase")}},
		"increaseApproval without limit": {selector: "d73dd623", signature: "increaseApproval(address,uint256)", args: []any{a, power(256)}, code: evidence.CodeNotTransfer,
			approves: []string{approvalJSON("erc20", `"amount":"`+power(256).String()+`",`, "true", "increase")}},
		"decreaseApproval": {selector: "66188463", signature: "decreaseApproval(address,uint256)", args: []any{a, n(5)}, code: evidence.CodeNotTransfer,
			approves: []string{strings.TrimSuffix(approvalJSON("erc20", sum, "false", "decrease"), "}") + `,"revoke":true}`}},
		"ERC-7597 permit": {selector: "9fd5a6cf", signature: "permit(address,address,uint256,uint256,bytes)", code: evidence.CodeNotTransfer,
			args:     []any{b, a, power(256), n(1800000000), []byte{1, 2}},
			approves: []string{strings.TrimSuffix(approvalJSON("permit", `"amount":"`+power(256).String()+`",`, "true", "set"), "}") + `,"deadline":"1800000000"}`}},
		"approveHash": {selector: "d4d9bdcd", signature: "approveHash(bytes32)", args: []any{[32]byte{7}}, code: evidence.CodeNotTransfer, open: true,
			approves: []string{`{"kind":"hash","owner":"` + token + `","spender":"","unlimited":true,"change":"set"}`}},
		"a module's call":              {selector: "468721a7", signature: "execTransactionFromModule(address,uint256,bytes,uint8)", args: byModule, asset: other, moves: []string{moved}},
		"a module's call, with answer": {selector: "5229073f", signature: "execTransactionFromModuleReturnData(address,uint256,bytes,uint8)", args: byModule, asset: other, moves: []string{moved}},
		"a module's DELEGATECALL": {selector: "468721a7", signature: "execTransactionFromModule(address,uint256,bytes,uint8)", args: []any{c, n(0), send, uint8(1)}, asset: other,
			code: evidence.CodeDelegateCall, open: true},
		"execute with an operation": {selector: "51945447", signature: "execute(address,uint256,bytes,uint8)", args: byModule, asset: other, moves: []string{moved}},
		"execute":                   {selector: "b61d27f6", signature: "execute(address,uint256,bytes)", args: []any{c, n(0), send}, asset: other, moves: []string{moved}},
		"execute, coins":            {selector: "b61d27f6", signature: "execute(address,uint256,bytes)", args: []any{a, n(5), []byte{}}, asset: evidence.Asset{Kind: "native"}, moves: []string{coins}},
		"executeBatch of calls":     {selector: "18dfb3c7", signature: "executeBatch(address[],bytes[])", args: []any{[]common.Address{c}, [][]byte{send}}, asset: other, moves: []string{moved}},
		"executeBatch with values": {selector: "47e1da2a", signature: "executeBatch(address[],uint256[],bytes[])", code: evidence.CodeNotTransfer, moves: []string{coins, moved},
			args: []any{[]common.Address{a, c}, []*big.Int{n(5), n(0)}, [][]byte{{}, send}}},
		"executeBatch without values": {selector: "47e1da2a", signature: "executeBatch(address[],uint256[],bytes[])", asset: other, moves: []string{moved},
			args: []any{[]common.Address{c}, []*big.Int{}, [][]byte{send}}},
		"executeBatch of tuples": {selector: "34fcd5be", signature: "executeBatch((address,uint256,bytes)[])", code: evidence.CodeNotTransfer, moves: []string{coins, moved},
			args: []any{[]accountCall{{a, n(5), nil}, {c, n(0), send}}}},
		"aggregate":            {selector: "252dba42", signature: "aggregate((address,bytes)[])", args: []any{[]targetCall{{c, send}}}, asset: other, moves: []string{moved}},
		"aggregate of nothing": {selector: "252dba42", signature: "aggregate((address,bytes)[])", args: []any{[]targetCall{}}, asset: other, code: evidence.CodeNotTransfer, open: true},
		"tryAggregate":         {selector: "bce38bd7", signature: "tryAggregate(bool,(address,bytes)[])", args: []any{true, []targetCall{{c, send}}}, asset: other, moves: []string{moved}},
		"blockAndAggregate":    {selector: "c3077fa9", signature: "blockAndAggregate((address,bytes)[])", args: []any{[]targetCall{{c, send}}}, asset: other, moves: []string{moved}},
		"tryBlockAndAggregate": {selector: "399542e9", signature: "tryBlockAndAggregate(bool,(address,bytes)[])", args: []any{false, []targetCall{{c, send}}}, asset: other, moves: []string{moved}},
		"aggregate3": {selector: "82ad56cb", signature: "aggregate3((address,bool,bytes)[])", args: []any{[]targetCall3{{c, true, send}, {c, false, unhex("12345678")}}}, asset: other,
			moves: []string{moved}, code: evidence.CodeUnknownCall, open: true},
		"aggregate3Value": {selector: "174dea71", signature: "aggregate3Value((address,bool,uint256,bytes)[])", code: evidence.CodeNotTransfer, moves: []string{coins, moved},
			args: []any{[]targetCall3Value{{a, true, n(5), nil}, {c, false, n(0), send}}}},
	}
	for name, selectors := range map[string][2]string{"transferWithAuthorization": {"e3ee160e", "cf092995"}, "receiveWithAuthorization": {"ef55bec6", "88b7ab63"}} {
		args := []any{a, b, n(5), n(0), n(1800000000), [32]byte{3}}
		out[name] = callCase{selector: selectors[0], signature: name + authorized + "uint8,bytes32,bytes32)", asset: asToken("erc20", 0), moves: []string{drawn}, code: evidence.CodeDiffers,
			args: append(args[:6:6], uint8(27), [32]byte{1}, [32]byte{2})}
		out[name+" with a signature in one"] = callCase{selector: selectors[1], signature: name + authorized + "bytes)", asset: asToken("erc20", 0), moves: []string{drawn}, code: evidence.CodeDiffers,
			args: append(args[:6:6], []byte{1, 2})}
	}
	return out
}

// TestPowerInBatches: power that a batch gives is seen, whoever wraps it, and so is code that it runs as somebody else.
func TestPowerInBatches(t *testing.T) {
	denied := *address(carol)
	unlimited := packed(t, "increaseApproval(address,uint256)", denied, power(256))
	for name, data := range map[string][]byte{
		"by Multicall3":  packed(t, "aggregate3((address,bool,bytes)[])", []targetCall3{{*address(token), true, unlimited}}),
		"by an account":  packed(t, "execute(address,uint256,bytes)", *address(token), n(0), unlimited),
		"by a module":    packed(t, "execTransactionFromModule(address,uint256,bytes,uint8)", *address(token), n(0), unlimited, uint8(0)),
		"by two of them": packed(t, "executeBatch(address[],bytes[])", []common.Address{*address(safe)}, [][]byte{exec(t, token, n(0), unlimited, 0, 0)}),
	} {
		d := evidence.Check(claimed(t, sender, n(0), data, evidence.Asset{Kind: "native"})).Decoded
		if len(d.Approvals) != 1 || !d.Approvals[0].Unlimited || d.Approvals[0].Spender != carol || d.Approvals[0].Token != token {
			t.Errorf("%s: approvals %s", name, asJSON(t, d.Approvals))
		}
		if !bytes.Equal(encoded(t, nil, d.Calls), data) {
			t.Errorf("%s: encodes otherwise again", name)
		}
	}
	code := packed(t, "execTransactionFromModule(address,uint256,bytes,uint8)", denied, n(0), unlimited, uint8(1))
	d := evidence.Check(claimed(t, sender, n(0), packed(t, "aggregate((address,bytes)[])", []targetCall{{*address(safe), code}}), evidence.Asset{Kind: "native"})).Decoded
	if last := d.Calls[len(d.Calls)-1]; !last.Delegate || last.From != safe || last.Code != evidence.CodeDelegateCall || d.Complete {
		t.Errorf("a DELEGATECALL in a batch: %+v", last)
	}
}

// TestBrokenBatches: a batch that its contract would refuse, or whose meaning is not known, is not read as anything.
func TestBrokenBatches(t *testing.T) {
	a, c := *address(alice), *address(carol)
	send := unhex(transferData)
	const lists, values = "executeBatch(address[],bytes[])", "executeBatch(address[],uint256[],bytes[])"
	for name, data := range map[string][]byte{
		"an operation of no kind": packed(t, "execTransactionFromModuleReturnData(address,uint256,bytes,uint8)", c, n(0), send, uint8(2)),
		"more recipients":         packed(t, lists, []common.Address{c, c}, [][]byte{send}),
		"more calldata":           packed(t, lists, []common.Address{c}, [][]byte{send, send}),
		"too few values":          packed(t, values, []common.Address{a, c}, []*big.Int{n(5)}, [][]byte{{}, send}),
		"too many values":         packed(t, values, []common.Address{c}, []*big.Int{n(0), n(5)}, [][]byte{send}),
	} {
		f := evidence.Check(claimed(t, token, n(0), data, evidence.Asset{Kind: "erc20", Contract: carol}))
		if f.Code != evidence.CodeUndecodable || f.Decoded.Complete || len(f.Decoded.Movements) > 0 || len(f.Decoded.Calls) != 1 {
			t.Errorf("%s: %s, %s", name, f.Code, asJSON(t, f.Decoded))
		}
	}
}
