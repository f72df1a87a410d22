package evidence

import (
	"math/big"
	"math/bits"
	"sync"

	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rlp"
)

// plainTx is a transaction with what it points to, in one piece of memory.
type plainTx struct {
	EVM
	to      [20]byte
	numbers [5]big.Int
	words   [5]big.Word // for numbers of one word
	given   int         // numbers that are in use
}

// number reads a number of as many bytes as an EVM's may have.
func (t *plainTx) number(bytes []byte) *big.Int {
	n := &t.numbers[t.given]
	n.SetBits(t.words[t.given : t.given : t.given+1]) // it goes elsewhere where it needs more room
	t.given++
	return n.SetBytes(bytes)
}

// plainEVM reads the payloads that most transactions have: legacy with EIP-155's chain id, and EIP-1559 with an empty access list,
// both to a recipient. They are elements of an RLP list that have one encoding each, so that nothing need be encoded again to
// tell that the payload means what was read. Nil is every other payload, and each that is to be refused: EVMTransaction's other
// way reads those and says why. Data is part of the payload.
func plainEVM(payload []byte) *EVM {
	t := &plainTx{}
	list := payload
	if payload[0] == types.DynamicFeeTxType {
		t.Type, list = payload[0], payload[1:]
	}
	content, rest, err := rlp.SplitList(list)
	if err != nil || len(rest) > 0 {
		return nil
	}
	r := elements{rest: content}
	var chainID []byte
	if t.Type == types.DynamicFeeTxType {
		chainID = r.number()
		t.Nonce, t.TipCap, t.Price = r.uint64(), t.number(r.number()), t.number(r.number())
	} else {
		t.Nonce, t.Price = r.uint64(), t.number(r.number())
	}
	t.Gas = r.uint64()
	to := r.text()
	t.Value, t.Data = t.number(r.number()), r.text()
	if t.Type == types.DynamicFeeTxType {
		r.empty(rlp.List) // access list
	} else {
		chainID = r.number()
		r.empty(rlp.String) // r and s, of which EIP-155 makes 0
		r.empty(rlp.String)
	}
	if r.failed || len(r.rest) > 0 || len(to) != len(t.to) {
		return nil
	}
	t.ChainID = t.number(chainID)
	if t.ChainID.Sign() == 0 || !t.ChainID.IsUint64() || t.ChainID.Uint64() > maxChainID {
		return nil
	}
	t.to = [20]byte(to)
	t.To = &t.to
	t.MaxFee = t.cost()
	hasher, _ := hashers.Get().(crypto.KeccakState)
	defer hashers.Put(hasher)
	hasher.Reset()
	hasher.Write(payload)
	hasher.Read(t.Digest[:]) // which is on the heap, where a result of crypto.Keccak256Hash would be once more
	return &t.EVM
}

// hashers are Keccak-256 states that nobody uses.
var hashers = sync.Pool{New: func() any { return crypto.NewKeccakState() }}

// cost is the most that the gas may cost.
func (t *plainTx) cost() *big.Int {
	n := t.number(nil)
	if t.Price.IsUint64() {
		if high, low := bits.Mul64(t.Price.Uint64(), t.Gas); high == 0 {
			return n.SetUint64(low)
		}
	}
	return n.Mul(t.Price, new(big.Int).SetUint64(t.Gas))
}

// elements reads the elements of an RLP list; what it reads after it has failed is good for nothing.
type elements struct {
	rest   []byte
	failed bool
}

// text is an element that is bytes.
func (r *elements) text() []byte {
	content, rest, err := rlp.SplitString(r.rest)
	r.rest, r.failed = rest, r.failed || err != nil
	return content
}

// number is a number of at most 256 bits, without zeros before it.
func (r *elements) number() []byte {
	content := r.text()
	if len(content) > wordLength || len(content) > 0 && content[0] == 0 {
		r.failed = true
		return nil
	}
	return content
}

func (r *elements) uint64() uint64 {
	n, rest, err := rlp.SplitUint64(r.rest)
	r.rest, r.failed = rest, r.failed || err != nil
	return n
}

// empty is an element with nothing in it.
func (r *elements) empty(kind rlp.Kind) {
	found, content, rest, err := rlp.Split(r.rest)
	r.rest, r.failed = rest, r.failed || err != nil || found != kind || len(content) > 0
}
