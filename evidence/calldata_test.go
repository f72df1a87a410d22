package evidence_test

import (
	"bytes"
	"encoding/hex"
	"math/big"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/evidence"
	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"pgregory.net/rapid"
)

const erc20ABI = `[
 {"type":"function","name":"transfer","inputs":[{"name":"to","type":"address"},{"name":"value","type":"uint256"}]},
 {"type":"function","name":"transferFrom","inputs":[{"name":"from","type":"address"},{"name":"to","type":"address"},{"name":"value","type":"uint256"}]},
 {"type":"function","name":"approve","inputs":[{"name":"spender","type":"address"},{"name":"value","type":"uint256"}]}]`

// erc20Call is a call of ERC-20's transfer, transferFrom or approve. From is nil but for transferFrom; To is approve's spender.
type erc20Call struct {
	Method string
	From   *[20]byte
	To     [20]byte
	Amount *big.Int
}

// readERC20 reads calldata without an ABI: a selector, and words that are all there is; nil for everything else.
func readERC20(data []byte) *erc20Call {
	if len(data) < 4 {
		return nil
	}
	method := map[string]string{"a9059cbb": evidence.MethodTransfer, "23b872dd": evidence.MethodTransferFrom, "095ea7b3": evidence.MethodApprove}[hexString(data[:4])]
	words := map[string]int{evidence.MethodTransfer: 2, evidence.MethodTransferFrom: 3, evidence.MethodApprove: 2}[method]
	args := data[4:]
	if method == "" || len(args) != words*32 {
		return nil
	}
	call := &erc20Call{Method: method, Amount: new(big.Int).SetBytes(args[len(args)-32:])}
	for i := range words - 1 {
		word := args[i*32 : (i+1)*32]
		if [12]byte(word) != [12]byte{} {
			return nil
		}
		if address := [20]byte(word[12:]); i < words-2 {
			call.From = &address
		} else {
			call.To = address
		}
	}
	return call
}

// pack encodes a call with go-ethereum's ABI package.
func pack(t testing.TB, c *erc20Call) []byte {
	t.Helper()
	contract := mustT(abi.JSON(strings.NewReader(erc20ABI)))(t)
	name, _, _ := strings.Cut(c.Method, "(")
	args := []any{common.Address(c.To), c.Amount}
	if c.From != nil {
		args = append([]any{common.Address(*c.From)}, args...)
	}
	return mustT(contract.Pack(name, args...))(t)
}

func genCall() *rapid.Generator[*erc20Call] {
	return rapid.Custom(func(t *rapid.T) *erc20Call {
		c := &erc20Call{
			Method: rapid.SampledFrom([]string{evidence.MethodTransfer, evidence.MethodTransferFrom, evidence.MethodApprove}).Draw(t, "method"),
			To:     genAddress().Draw(t, "to"), Amount: genAmount().Draw(t, "amount"),
		}
		if c.Method == evidence.MethodTransferFrom {
			from := [20]byte(genAddress().Draw(t, "from"))
			c.From = &from
		}
		return c
	})
}

// sameCall: an account's Call, which is taken from its first step, is what readERC20 reads, and there is none of what it does not
// read. Of a token with an id there is none at all.
func sameCall(t interface{ Fatalf(string, ...any) }, d *evidence.Decoded, data []byte) {
	want := readERC20(data)
	if d == nil || d.Call == nil || want == nil {
		if d != nil && d.Call != nil {
			t.Fatalf("%x is no call of ERC-20: %+v", data, d.Call)
		}
		return
	}
	fields := evidence.CallFields{
		Method: want.Method, Selector: "0x" + hexString(data[:4]), Contract: d.Calls[0].Contract, From: evidence.FormatAddress(want.From),
		To: evidence.FormatAddress(&want.To), Amount: want.Amount.String(),
	}
	if *d.Call != fields {
		t.Fatalf("%x is %+v, and the account says %+v", data, fields, *d.Call)
	}
}

// accountOf is what calldata alone says, of a token that nobody knows.
func accountOf(data []byte) *evidence.Decoded {
	return evidence.Check(evidence.Claim{Family: evidence.FamilyEVM, InputData: "0x" + hex.EncodeToString(data)}).Decoded
}

func TestERC20Calls(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := genCall().Draw(rt, "call")
		data := pack(t, c)
		d := accountOf(data)
		if d == nil || d.Call == nil || readERC20(data) == nil {
			rt.Fatalf("%+v is not read", c)
		}
		sameCall(rt, d, data)
	})
}

func TestERC20CallsRefused(t *testing.T) {
	transfer := unhex(transferData)
	dirty := bytes.Clone(transfer)
	dirty[4] = 1
	dirtyFrom := pack(t, &erc20Call{Method: evidence.MethodTransferFrom, From: new([20]byte), Amount: new(big.Int)})
	dirtyFrom[4+11] = 1
	for name, data := range map[string][]byte{
		"empty":                nil,
		"three bytes":          transfer[:3],
		"another method":       append([]byte{1, 2, 3, 4}, transfer[4:]...),
		"selector alone":       transfer[:4],
		"a byte short":         transfer[:len(transfer)-1],
		"a byte over":          append(bytes.Clone(transfer), 0),
		"a word over":          append(bytes.Clone(transfer), make([]byte, 32)...),
		"dirty address":        dirty,
		"dirty from":           dirtyFrom,
		"transferFrom, 2 args": append(unhex("23b872dd"), transfer[4:]...),
	} {
		if d := accountOf(data); d != nil && d.Call != nil || readERC20(data) != nil {
			t.Errorf("%s is read: %+v", name, d)
		}
	}
}

func FuzzERC20Calls(f *testing.F) {
	f.Add(unhex(transferData))
	f.Add(append(unhex("095ea7b3"), unhex(transferData)[4:]...))
	f.Add(append(append(unhex("23b872dd"), make([]byte, 32)...), unhex(transferData)[4:]...))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<14 {
			return
		}
		d := accountOf(data)
		sameCall(t, d, data)
		if (d != nil && d.Call != nil) != (readERC20(data) != nil) {
			t.Fatalf("%x: %+v", data, d)
		}
	})
}
