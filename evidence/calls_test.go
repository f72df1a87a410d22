package evidence_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"maps"
	"math/big"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/countersign-mpc/countersign/evidence"
	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
)

// known are the methods of methods.json by signature, as go-ethereum reads them.
func known(t testing.TB) map[string]abi.Method {
	t.Helper()
	return mustT(readMethods())(t)
}

var readMethods = sync.OnceValues(func() (map[string]abi.Method, error) {
	content, err := os.ReadFile("methods.json")
	if err != nil {
		return nil, err
	}
	return methodsOf(content)
})

// methodsOf reads a JSON ABI with go-ethereum.
func methodsOf(content []byte) (map[string]abi.Method, error) {
	parsed, err := abi.JSON(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	out := map[string]abi.Method{}
	for _, m := range parsed.Methods {
		out[m.Sig] = m
	}
	return out, nil
}

// packed is a call of a known method, encoded by go-ethereum.
func packed(t testing.TB, signature string, args ...any) []byte {
	t.Helper()
	m, ok := known(t)[signature]
	if !ok {
		t.Fatalf("no method %s", signature)
	}
	return slices.Concat(m.ID, mustT(m.Inputs.Pack(args...))(t))
}

// The tuples of Permit2, with the names that go-ethereum gives their fields.
type (
	permitDetails struct {
		Token                     common.Address
		Amount, Expiration, Nonce *big.Int
	}
	permitSingle struct {
		Details     permitDetails
		Spender     common.Address
		SigDeadline *big.Int
	}
	permitBatch struct {
		Details     []permitDetails
		Spender     common.Address
		SigDeadline *big.Int
	}
	tokenPermissions struct {
		Token  common.Address
		Amount *big.Int
	}
	permitTransfer struct {
		Permitted       tokenPermissions
		Nonce, Deadline *big.Int
	}
	permitTransfers struct {
		Permitted       []tokenPermissions
		Nonce, Deadline *big.Int
	}
	transferDetails struct {
		To              common.Address
		RequestedAmount *big.Int
	}
	allowanceTransfer struct {
		From, To common.Address
		Amount   *big.Int
		Token    common.Address
	}
)

const (
	carol  = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"
	safe   = "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB"
	sender = "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb"
)

func n(v int64) *big.Int { return big.NewInt(v) }

// power is 2^bits - 1.
func power(bits uint) *big.Int { return new(big.Int).Sub(new(big.Int).Lsh(n(1), bits), n(1)) }

// callCase is one call by bob of the token contract, and what it does.
type callCase struct {
	selector, signature string
	args                []any
	asset               evidence.Asset // claimed; none: the native coin
	value               int64
	moves               []string // JSON
	approves            []string // JSON
	code                evidence.Code
	open                bool
}

// asToken claims the called token by a standard.
func asToken(kind evidence.AssetKind, id int64) evidence.Asset {
	a := evidence.Asset{Kind: kind, Contract: token}
	if id > 0 {
		a.TokenID = n(id)
	}
	return a
}

// callCases have every method whose effect is known. The selectors are those that the standards and the published
// contracts name.
func callCases() map[string]callCase {
	out := tokenCases()
	maps.Copy(out, permitCases())
	maps.Copy(out, wrapperCases())
	maps.Copy(out, batchCases())
	return out
}

// approvalJSON is an approval of alice by bob; the amount ends in a comma.
func approvalJSON(kind, amount, unlimited, change string) string {
	return `{"kind":"` + kind + `","token":"` + token + `","owner":"` + bob + `","spender":"` + alice + `",` + amount + `"unlimited":` + unlimited + `,"change":"` + change + `"}`
}

const (
	erc20Move = `{"asset":"erc20","contract":"` + token + `","from":"` + bob + `","to":"` + alice + `","amount":"5"}`
	sum       = `"amount":"5",`
)

func tokenCases() map[string]callCase {
	a, b := *address(alice), *address(bob)
	nft := `{"asset":"erc721","contract":"` + token + `","token_id":"5","from":"` + bob + `","to":"` + alice + `","amount":"1"}`
	multi := func(id, amount string) string {
		return `{"asset":"erc1155","contract":"` + token + `","token_id":"` + id + `","from":"` + bob + `","to":"` + alice + `","amount":"` + amount + `"}`
	}
	return map[string]callCase{
		"ERC-20 transfer":     {selector: "a9059cbb", signature: evidence.MethodTransfer, args: []any{a, n(5)}, asset: asToken("erc20", 0), moves: []string{erc20Move}},
		"ERC-20 transferFrom": {selector: "23b872dd", signature: evidence.MethodTransferFrom, args: []any{b, a, n(5)}, asset: asToken("erc20", 0), moves: []string{erc20Move}, code: evidence.CodeDiffers},
		"ERC-20 approve":      {selector: "095ea7b3", signature: evidence.MethodApprove, args: []any{a, n(5)}, asset: asToken("erc20", 0), approves: []string{approvalJSON("erc20", sum, "false", "set")}, code: evidence.CodeDiffers},
		"some approve": {selector: "095ea7b3", signature: evidence.MethodApprove, args: []any{a, power(256)}, code: evidence.CodeNotTransfer,
			approves: []string{approvalJSON("token", `"amount_or_token_id":"`+power(256).String()+`",`, "true", "set")}},
		"some transferFrom": {selector: "23b872dd", signature: evidence.MethodTransferFrom, args: []any{b, a, n(5)}, code: evidence.CodeDiffers,
			moves: []string{`{"asset":"token","contract":"` + token + `","from":"` + bob + `","to":"` + alice + `","amount_or_token_id":"5"}`}},
		"increaseAllowance": {selector: "39509351", signature: "increaseAllowance(address,uint256)", args: []any{a, n(5)}, code: evidence.CodeNotTransfer,
			approves: []string{approvalJSON("erc20", sum, "false", "increase")}},
		"increaseAllowance without limit": {selector: "39509351", signature: "increaseAllowance(address,uint256)", args: []any{a, new(big.Int).Lsh(n(1), 255)}, code: evidence.CodeNotTransfer,
			approves: []string{approvalJSON("erc20", `"amount":"`+new(big.Int).Lsh(n(1), 255).String()+`",`, "true", "increase")}},
		"decreaseAllowance": {selector: "a457c2d7", signature: "decreaseAllowance(address,uint256)", args: []any{a, power(256)}, code: evidence.CodeNotTransfer,
			approves: []string{strings.TrimSuffix(approvalJSON("erc20", `"amount":"`+power(256).String()+`",`, "false", "decrease"), "}") + `,"revoke":true}`}},
		"ERC-721 transferFrom": {selector: "23b872dd", signature: evidence.MethodTransferFrom, args: []any{b, a, n(5)}, asset: asToken("erc721", 5), moves: []string{nft}},
		"ERC-721 approve": {selector: "095ea7b3", signature: evidence.MethodApprove, args: []any{a, n(5)}, asset: asToken("erc721", 5), code: evidence.CodeDiffers,
			approves: []string{approvalJSON("erc721", `"amount":"1",`, "false", "set")}},
		"ERC-721 transfer, which it does not have": {selector: "a9059cbb", signature: evidence.MethodTransfer, args: []any{a, n(5)}, asset: asToken("erc721", 5), code: evidence.CodeDiffers,
			moves: []string{`{"asset":"token","contract":"` + token + `","from":"` + bob + `","to":"` + alice + `","amount_or_token_id":"5"}`}},
		"safeTransferFrom":             {selector: "42842e0e", signature: "safeTransferFrom(address,address,uint256)", args: []any{b, a, n(5)}, asset: asToken("erc721", 5), moves: []string{nft}},
		"safeTransferFrom, empty data": {selector: "b88d4fde", signature: "safeTransferFrom(address,address,uint256,bytes)", args: []any{b, a, n(5), []byte{}}, asset: asToken("erc721", 5), moves: []string{nft}},
		"safeTransferFrom, data": {selector: "b88d4fde", signature: "safeTransferFrom(address,address,uint256,bytes)", args: []any{b, a, n(5), []byte{1}}, asset: asToken("erc721", 5), moves: []string{nft},
			code: evidence.CodeNotTransfer, open: true},
		"setApprovalForAll": {selector: "a22cb465", signature: "setApprovalForAll(address,bool)", args: []any{a, true}, code: evidence.CodeNotTransfer, approves: []string{approvalJSON("all", "", "true", "set")}},
		"setApprovalForAll, taken back": {selector: "a22cb465", signature: "setApprovalForAll(address,bool)", args: []any{a, false}, code: evidence.CodeNotTransfer,
			approves: []string{strings.TrimSuffix(approvalJSON("all", "", "false", "set"), "}") + `,"revoke":true}`}},
		"ERC-1155": {selector: "f242432a", signature: "safeTransferFrom(address,address,uint256,uint256,bytes)", args: []any{b, a, n(7), n(5), []byte{}}, asset: asToken("erc1155", 7),
			moves: []string{multi("7", "5")}},
		"ERC-1155 batch of one": {selector: "2eb2c2d6", signature: "safeBatchTransferFrom(address,address,uint256[],uint256[],bytes)", asset: asToken("erc1155", 7),
			args: []any{b, a, []*big.Int{n(7)}, []*big.Int{n(5)}, []byte{}}, moves: []string{multi("7", "5")}},
		"ERC-1155 batch": {selector: "2eb2c2d6", signature: "safeBatchTransferFrom(address,address,uint256[],uint256[],bytes)", code: evidence.CodeNotTransfer,
			args: []any{b, a, []*big.Int{n(7), n(8)}, []*big.Int{n(5), n(6)}, []byte{}}, moves: []string{multi("7", "5"), multi("8", "6")}},
		"ERC-1155 batch of different lengths": {selector: "2eb2c2d6", signature: "safeBatchTransferFrom(address,address,uint256[],uint256[],bytes)", code: evidence.CodeUndecodable, open: true,
			args: []any{b, a, []*big.Int{n(7), n(8)}, []*big.Int{n(5)}, []byte{}}},
		"ERC-1155 batch of nothing": {selector: "2eb2c2d6", signature: "safeBatchTransferFrom(address,address,uint256[],uint256[],bytes)", code: evidence.CodeNotTransfer, open: true,
			args: []any{b, a, []*big.Int{}, []*big.Int{}, []byte{}}},
	}
}

func permitCases() map[string]callCase {
	a, b, c := *address(alice), *address(bob), *address(carol)
	details := permitDetails{c, power(160), n(1900000000), n(3)}
	drawn := `{"asset":"erc20","contract":"` + carol + `","from":"` + bob + `","to":"` + alice + `","amount":"5"}`
	permit2 := `{"kind":"permit2","token":"` + carol + `","owner":"` + bob + `","spender":"` + alice + `","amount":"` + power(160).String() +
		`","unlimited":true,"change":"set","deadline":"1800000000","expires":"1900000000"}`
	return map[string]callCase{
		"permit": {selector: "d505accf", signature: "permit(address,address,uint256,uint256,uint8,bytes32,bytes32)", code: evidence.CodeNotTransfer,
			args:     []any{b, a, n(5), n(1800000000), uint8(27), [32]byte{1}, [32]byte{2}},
			approves: []string{strings.TrimSuffix(approvalJSON("permit", sum, "false", "set"), "}") + `,"deadline":"1800000000"}`}},
		"DAI permit": {selector: "8fcbaf0c", signature: "permit(address,address,uint256,uint256,bool,uint8,bytes32,bytes32)", code: evidence.CodeNotTransfer,
			args:     []any{b, a, n(1), n(0), true, uint8(27), [32]byte{1}, [32]byte{2}},
			approves: []string{approvalJSON("permit", `"amount":"`+power(256).String()+`",`, "true", "set")}},
		"DAI permit, taken back": {selector: "8fcbaf0c", signature: "permit(address,address,uint256,uint256,bool,uint8,bytes32,bytes32)", code: evidence.CodeNotTransfer,
			args:     []any{b, a, n(1), n(9), false, uint8(27), [32]byte{1}, [32]byte{2}},
			approves: []string{strings.TrimSuffix(approvalJSON("permit", `"amount":"0",`, "false", "set"), "}") + `,"revoke":true,"deadline":"9"}`}},
		"Permit2 approve": {selector: "87517c45", signature: "approve(address,address,uint160,uint48)", args: []any{c, a, power(160), n(1900000000)}, code: evidence.CodeNotTransfer,
			approves: []string{strings.Replace(permit2, `"deadline":"1800000000",`, "", 1)}},
		"Permit2 permit": {selector: "2b67b570", signature: "permit(address,((address,uint160,uint48,uint48),address,uint256),bytes)", code: evidence.CodeNotTransfer,
			args: []any{b, permitSingle{details, a, n(1800000000)}, []byte{1, 2}}, approves: []string{permit2}},
		"Permit2 permit of several": {selector: "2a2d80d1", signature: "permit(address,((address,uint160,uint48,uint48)[],address,uint256),bytes)", code: evidence.CodeNotTransfer,
			args: []any{b, permitBatch{[]permitDetails{details, details}, a, n(1800000000)}, []byte{1, 2}}, approves: []string{permit2, permit2}},
		"Permit2 transferFrom": {selector: "36c78516", signature: "transferFrom(address,address,uint160,address)", args: []any{b, a, n(5), c}, code: evidence.CodeNotTransfer, moves: []string{drawn}},
		"Permit2 transferFrom of several": {selector: "0d58b1db", signature: "transferFrom((address,address,uint160,address)[])", code: evidence.CodeNotTransfer,
			args: []any{[]allowanceTransfer{{b, a, n(5), c}, {b, a, n(5), c}}}, moves: []string{drawn, drawn}},
		"Permit2 permitTransferFrom": {selector: "30f28b7a", signature: "permitTransferFrom(((address,uint256),uint256,uint256),(address,uint256),address,bytes)", code: evidence.CodeNotTransfer,
			args: []any{permitTransfer{tokenPermissions{c, n(9)}, n(1), n(2)}, transferDetails{a, n(5)}, b, []byte{1}}, moves: []string{drawn}},
		"Permit2 permitTransferFrom of several": {selector: "edd9444b", signature: "permitTransferFrom(((address,uint256)[],uint256,uint256),(address,uint256)[],address,bytes)", code: evidence.CodeNotTransfer,
			args: []any{permitTransfers{[]tokenPermissions{{c, n(9)}, {c, n(8)}}, n(1), n(2)}, []transferDetails{{a, n(5)}, {a, n(5)}}, b, []byte{1}}, moves: []string{drawn, drawn}},
		"Permit2 permitTransferFrom of different lengths": {selector: "edd9444b", signature: "permitTransferFrom(((address,uint256)[],uint256,uint256),(address,uint256)[],address,bytes)",
			code: evidence.CodeUndecodable, open: true, args: []any{permitTransfers{[]tokenPermissions{{c, n(9)}}, n(1), n(2)}, []transferDetails{{a, n(5)}, {a, n(5)}}, b, []byte{1}}},
		"Permit2 permitWitnessTransferFrom": {selector: "137c29fe", signature: "permitWitnessTransferFrom(((address,uint256),uint256,uint256),(address,uint256),address,bytes32,string,bytes)",
			code: evidence.CodeNotTransfer, args: []any{permitTransfer{tokenPermissions{c, n(9)}, n(1), n(2)}, transferDetails{a, n(5)}, b, [32]byte{7}, "Order witness)", []byte{1}}, moves: []string{drawn}},
		"Permit2 permitWitnessTransferFrom of several": {selector: "fe8ec1a7", signature: "permitWitnessTransferFrom(((address,uint256)[],uint256,uint256),(address,uint256)[],address,bytes32,string,bytes)",
			code: evidence.CodeNotTransfer, moves: []string{drawn},
			args: []any{permitTransfers{[]tokenPermissions{{c, n(9)}}, n(1), n(2)}, []transferDetails{{a, n(5)}}, b, [32]byte{7}, "Order witness)", []byte{1}}},
	}
}

func wrapperCases() map[string]callCase {
	c := *address(carol)
	return map[string]callCase{
		"deposit": {selector: "d0e30db0", signature: "deposit()", value: 5, code: evidence.CodeNotTransfer, open: true,
			moves: []string{`{"asset":"native","from":"` + bob + `","to":"` + token + `","amount":"5"}`}},
		"WETH deposit": {selector: "d0e30db0", signature: "deposit()", value: 5, asset: asToken("erc20", 0), code: evidence.CodeDiffers,
			moves: []string{`{"asset":"native","from":"` + bob + `","to":"` + token + `","amount":"5"}`,
				`{"asset":"erc20","contract":"` + token + `","from":"0x0000000000000000000000000000000000000000","to":"` + bob + `","amount":"5"}`}},
		"withdraw": {selector: "2e1a7d4d", signature: "withdraw(uint256)", args: []any{n(5)}, code: evidence.CodeNotTransfer, open: true},
		"WETH withdraw": {selector: "2e1a7d4d", signature: "withdraw(uint256)", args: []any{n(5)}, asset: asToken("erc20", 0), code: evidence.CodeDiffers,
			moves: []string{`{"asset":"erc20","contract":"` + token + `","from":"` + bob + `","to":"0x0000000000000000000000000000000000000000","amount":"5"}`,
				`{"asset":"native","from":"` + token + `","to":"` + bob + `","amount":"5"}`}},
		"multicall": {selector: "ac9650d8", signature: "multicall(bytes[])", args: []any{[][]byte{unhex(transferData[:72] + strings.Repeat("0", 63) + "5")}}, asset: asToken("erc20", 0),
			moves: []string{erc20Move}},
		"multicall with a deadline": {selector: "5ae401dc", signature: "multicall(uint256,bytes[])", args: []any{n(9), [][]byte{unhex(transferData[:72] + strings.Repeat("0", 63) + "5")}},
			asset: asToken("erc20", 0), moves: []string{erc20Move}},
		"multicall with a block": {selector: "1f0464d1", signature: "multicall(bytes32,bytes[])", args: []any{[32]byte{9}, [][]byte{unhex(transferData[:72] + strings.Repeat("0", 63) + "5")}},
			asset: asToken("erc20", 0), moves: []string{erc20Move}},
		"execTransaction": {selector: "6a761202", signature: safeExec, asset: evidence.Asset{Kind: "erc20", Contract: carol},
			args:  []any{c, n(0), unhex(transferData), uint8(0), n(1), n(2), n(0), c, c, []byte{1}},
			moves: []string{`{"asset":"erc20","contract":"` + carol + `","from":"` + token + `","to":"` + alice + `","amount":"1500000000"}`}},
		"multiSend": {selector: "8d80ff0a", signature: "multiSend(bytes)", args: []any{packedCalls(packedCall{0, c, n(0), unhex(transferData)})},
			asset: evidence.Asset{Kind: "erc20", Contract: carol},
			moves: []string{`{"asset":"erc20","contract":"` + carol + `","from":"` + token + `","to":"` + alice + `","amount":"1500000000"}`}},
	}
}

const safeExec = "execTransaction(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,bytes)"

// packedCall is one of MultiSend's calls.
type packedCall struct {
	operation byte
	to        common.Address
	value     *big.Int
	data      []byte
}

// packedCalls writes them as abi.encodePacked(operation, to, value, length, data) does.
func packedCalls(calls ...packedCall) []byte {
	var out []byte
	for _, c := range calls {
		out = slices.Concat(out, []byte{c.operation}, c.to[:], common.LeftPadBytes(c.value.Bytes(), 32), common.LeftPadBytes(n(int64(len(c.data))).Bytes(), 32), c.data)
	}
	return out
}

// claimed is a claim about a call by bob of a contract: what is asked for is the first movement, if there is one.
func claimed(t testing.TB, contract string, value *big.Int, data []byte, asset evidence.Asset) evidence.Claim {
	t.Helper()
	s := specs()["eip1559-erc20-transfer"]
	s.to, s.data, s.value = address(contract), data, value
	c := claimOf(t, s)
	if asset.Kind != "" {
		c.Asset, c.To, c.Amount = asset, alice, n(5)
	}
	return c
}

func (c callCase) claim(t testing.TB) evidence.Claim {
	t.Helper()
	claim := claimed(t, token, n(c.value), packed(t, c.signature, c.args...), c.asset)
	if len(c.moves) == 1 && c.asset.Kind != "" {
		var m evidence.Movement
		if err := json.Unmarshal([]byte(c.moves[0]), &m); err != nil {
			t.Fatal(err)
		}
		claim.To = m.To
		claim.Amount, _ = new(big.Int).SetString(m.Amount, 10)
	}
	return claim
}

func asJSON(t testing.TB, v any) string { return string(mustT(json.Marshal(v))(t)) }

func TestEveryMethod(t *testing.T) {
	seen := map[string]bool{}
	for name, c := range callCases() {
		t.Run(name, func(t *testing.T) {
			seen[c.signature] = true
			claim := c.claim(t)
			f := evidence.Check(claim)
			d := f.Decoded
			if got, want := asJSON(t, d.Movements), "["+strings.Join(c.moves, ",")+"]"; got != want {
				t.Errorf("movements %s,\nwant %s", got, want)
			}
			want := "[" + strings.Join(c.approves, ",") + "]"
			if c.signature == evidence.MethodApprove && c.asset.Kind == "erc721" {
				want = strings.Replace(want, `"owner"`, `"token_id":"5","owner"`, 1)
			}
			if got := asJSON(t, d.Approvals); got != want {
				t.Errorf("approvals %s,\nwant %s", got, want)
			}
			if f.Code != c.code || (f.Status == evidence.Verified) != (c.code == "") {
				t.Errorf("%s %s %v (%s), want code %q", f.Status, f.Code, f.Differences, f.Reason, c.code)
			}
			if d.Complete == c.open {
				t.Errorf("complete is %v", d.Complete)
			}
			first := d.Calls[0]
			if first.Method != c.signature || first.Selector != "0x"+c.selector || first.Contract != token || first.From != bob || first.Depth != 0 {
				t.Errorf("the first call is %+v", first)
			}
			if got := encoded(t, nil, d.Calls); !bytes.Equal(got, unhex(claim.InputData[2:])) {
				t.Errorf("the calls encode as %x, want %s", got, claim.InputData)
			}
			if (f.Status == evidence.Verified) != (d.Transfer != nil && f.Code == "") {
				t.Errorf("%s with transfer %+v", f.Status, d.Transfer)
			}
		})
	}
	for signature := range known(t) {
		if !seen[signature] {
			t.Errorf("method %s is not tested", signature)
		}
	}
}

// TestEveryByte changes each byte of each call: what is decoded is then another call, which encodes to just those bytes,
// or it is not decoded. No byte is read over.
func TestEveryByte(t *testing.T) {
	for name, c := range callCases() {
		claim := c.claim(t)
		data := unhex(claim.InputData[2:])
		claim.RawTx = ""
		original := asJSON(t, evidence.Check(claim).Decoded.Calls)
		try := func(what string, changed []byte) {
			if len(changed) == 0 {
				return // no call at all
			}
			claim.InputData = "0x" + hex.EncodeToString(changed)
			f := evidence.Check(claim)
			if got := asJSON(t, f.Decoded.Calls); got == original {
				t.Errorf("%s, %s: read as if nothing had changed", name, what)
			}
			if f.Decoded.Calls[0].Args == nil {
				if f.Decoded.Complete || f.Status == evidence.Verified || f.Decoded.Calls[0].Code == "" {
					t.Errorf("%s, %s: not decoded, and yet %s", name, what, f.Status)
				}
			} else if got := encoded(t, nil, f.Decoded.Calls); !bytes.Equal(got, changed) {
				t.Errorf("%s, %s: encodes again as %x, want %x", name, what, got, changed)
			}
		}
		for i := range data {
			for _, bit := range []byte{1, 0x80} {
				changed := bytes.Clone(data)
				changed[i] ^= bit
				try("byte "+n(int64(i)).String(), changed)
			}
		}
		try("a byte over", append(bytes.Clone(data), 0))
		try("a word over", append(bytes.Clone(data), make([]byte, 32)...))
		try("a byte short", data[:len(data)-1])
		try("a word short", data[:max(0, len(data)-32)])
	}
}
