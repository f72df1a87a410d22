package evidence_test

import (
	"bytes"
	"errors"
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

// pack encodes a call with go-ethereum's ABI package.
func pack(t testing.TB, c *evidence.Call) []byte {
	t.Helper()
	contract := mustT(abi.JSON(strings.NewReader(erc20ABI)))(t)
	name, _, _ := strings.Cut(c.Method, "(")
	args := []any{common.Address(c.To), c.Amount}
	if c.From != nil {
		args = append([]any{common.Address(*c.From)}, args...)
	}
	return mustT(contract.Pack(name, args...))(t)
}

func genCall() *rapid.Generator[*evidence.Call] {
	return rapid.Custom(func(t *rapid.T) *evidence.Call {
		c := &evidence.Call{
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

func sameCall(a, b *evidence.Call) bool {
	return a.Method == b.Method && a.To == b.To && a.Amount.Cmp(b.Amount) == 0 &&
		(a.From == nil) == (b.From == nil) && (a.From == nil || *a.From == *b.From)
}

func TestDecodeCallProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		want := genCall().Draw(rt, "call")
		got, err := evidence.DecodeCall(pack(t, want))
		if err != nil || !sameCall(got, want) {
			rt.Fatalf("decoded %+v, %v; want %+v", got, err, want)
		}
	})
}

func TestDecodeCallRefuses(t *testing.T) {
	transfer := unhex(transferData)
	dirty := bytes.Clone(transfer)
	dirty[4] = 1
	dirtyFrom := pack(t, &evidence.Call{Method: evidence.MethodTransferFrom, From: new([20]byte), Amount: new(big.Int)})
	dirtyFrom[4+11] = 1
	for name, c := range map[string]struct {
		data    []byte
		unknown bool
	}{
		"empty":                {nil, true},
		"three bytes":          {transfer[:3], true},
		"another method":       {append([]byte{1, 2, 3, 4}, transfer[4:]...), true},
		"selector alone":       {transfer[:4], false},
		"a byte short":         {transfer[:len(transfer)-1], false},
		"a byte over":          {append(bytes.Clone(transfer), 0), false},
		"a word over":          {append(bytes.Clone(transfer), make([]byte, 32)...), false},
		"dirty address":        {dirty, false},
		"dirty from":           {dirtyFrom, false},
		"transferFrom, 2 args": {append(unhex("23b872dd"), transfer[4:]...), false},
	} {
		call, err := evidence.DecodeCall(c.data)
		if err == nil || call != nil || errors.Is(err, evidence.ErrUnknownMethod) != c.unknown {
			t.Errorf("%s: %+v, %v; unknown method: want %v", name, call, err, c.unknown)
		}
	}
}

func FuzzDecodeCall(f *testing.F) {
	f.Add(unhex(transferData))
	f.Add(append(unhex("095ea7b3"), unhex(transferData)[4:]...))
	f.Add(append(append(unhex("23b872dd"), make([]byte, 32)...), unhex(transferData)[4:]...))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		call, err := evidence.DecodeCall(data)
		if err != nil {
			return
		}
		if got := pack(t, call); !bytes.Equal(got, data) {
			t.Fatalf("%x packs again as %x", data, got)
		}
	})
}
