package evidence

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"

	"github.com/btcsuite/btcd/txscript"
)

// Runestone is the message of the runes protocol that a Bitcoin transaction carries. The protocol has no specification
// but its reference implementation, ord (crates/ordinals); the comments below name what they follow there.
type Runestone struct {
	Edicts []Edict `json:"edicts"`
	// Etching says that a new rune is made, Mint which one is minted; empty for none.
	Etching bool   `json:"etching"`
	Mint    string `json:"mint,omitempty"`
	// Pointers are the outputs that runes without an edict go to. With none they go to the first output that is no
	// OP_RETURN; with more than one the chain chooses when the transaction is mined.
	Pointers []uint32 `json:"pointers,omitempty"`
	// Cenotaph says why the message is malformed; empty if it is not. A cenotaph burns all runes of the inputs.
	Cenotaph string `json:"cenotaph,omitempty"`
	// Output is the index of the output that holds the message.
	Output int `json:"output"`
}

// Edict moves an amount of a rune to an output. Amount zero means all that is left of the rune; an Output that is the
// number of outputs means each output that is no OP_RETURN.
type Edict struct {
	RuneID string   `json:"rune_id"` // "block:tx"; "0:0" is the rune that the same transaction etches
	Amount *big.Int `json:"amount"`  // in the rune's smallest unit, below 2^128
	Output uint32   `json:"output"`
}

// Tags and flags of the message (ord, runestone/tag.rs and flag.rs). An unknown even tag makes a cenotaph, an odd one is
// skipped.
const (
	runeTagBody    = 0
	runeTagFlags   = 2
	runeTagMint    = 20
	runeTagPointer = 22

	runeFlagEtching = 0
	runeFlagTerms   = 1
	runeFlagTurbo   = 2
)

// runeEtchingTags are the even tags that mean something in an etching.
var runeEtchingTags = []uint64{4, 6, 8, 10, 12, 14, 16, 18}

// maxRunePayload bounds the bytes of a message. Scripts of a transaction that nodes relay are far shorter.
const maxRunePayload = 64 << 10

// FindRunestone decodes the runestone in the output scripts of a transaction, in their order. It returns nil if there is
// none. What is malformed is no error but a cenotaph, since that is what it means on the chain. A message that is longer
// than 64 KiB is said to be a cenotaph too.
func FindRunestone(scripts [][]byte) *Runestone {
	for i, script := range scripts {
		payload, found, err := runePayload(script)
		if !found {
			continue
		}
		r := &Runestone{Output: i}
		if err == nil {
			err = r.read(payload, len(scripts))
		}
		if err != nil {
			*r = Runestone{Output: i, Cenotaph: err.Error()}
		}
		return r
	}
	return nil
}

// runePayload is the data of an output that begins with OP_RETURN OP_13.
func runePayload(script []byte) (payload []byte, found bool, err error) {
	if len(script) < 2 || script[0] != txscript.OP_RETURN || script[1] != txscript.OP_13 {
		return nil, false, nil
	}
	tokens := txscript.MakeScriptTokenizer(0, script[2:])
	for tokens.Next() {
		if tokens.Opcode() > txscript.OP_PUSHDATA4 {
			return nil, true, fmt.Errorf("opcode %#x in the message, where only data may be", tokens.Opcode())
		}
		if payload = append(payload, tokens.Data()...); len(payload) > maxRunePayload {
			return nil, true, fmt.Errorf("the message is longer than %d bytes", maxRunePayload)
		}
	}
	if tokens.Err() != nil {
		return nil, true, errors.New("the message's script is cut off")
	}
	return payload, true, nil
}

// read takes a message's integers: pairs of tag and value, then behind the tag of the body four for each edict.
func (r *Runestone) read(payload []byte, outputs int) error {
	integers, err := runeIntegers(payload)
	if err != nil {
		return err
	}
	fields := make(map[uint64][]*big.Int)
	for len(integers) > 0 {
		tag := integers[0]
		integers = integers[1:]
		if tag.Sign() == 0 {
			if err := r.readEdicts(integers, outputs); err != nil {
				return err
			}
			break
		}
		if len(integers) == 0 {
			return fmt.Errorf("tag %s has no value", tag)
		}
		if !tag.IsUint64() {
			if tag.Bit(0) == 0 {
				return fmt.Errorf("the even tag %s is unknown", tag)
			}
		} else {
			fields[tag.Uint64()] = append(fields[tag.Uint64()], integers[0])
		}
		integers = integers[1:]
	}
	return r.readFields(fields, outputs)
}

// readFields takes the known fields. What is left with an even tag, a second value of a field that has one for example,
// makes a cenotaph.
func (r *Runestone) readFields(fields map[uint64][]*big.Int, outputs int) error {
	flags := new(big.Int)
	if v := fields[runeTagFlags]; len(v) > 0 {
		flags, fields[runeTagFlags] = v[0], v[1:]
	}
	r.Etching = flags.Bit(runeFlagEtching) == 1
	known := uint(1 << runeFlagEtching)
	if r.Etching {
		known |= 1<<runeFlagTerms | 1<<runeFlagTurbo
	}
	if flags.Cmp(new(big.Int).SetUint64(uint64(known))) > 0 || flags.Uint64()&^uint64(known) != 0 {
		return fmt.Errorf("flags %s are unknown", flags)
	}
	if v := fields[runeTagMint]; len(v) >= 2 {
		id, err := newRuneID(v[0], v[1])
		if err != nil {
			return fmt.Errorf("mint: %w", err)
		}
		r.Mint, fields[runeTagMint] = id.String(), v[2:]
	}
	for _, v := range fields[runeTagPointer] {
		if !v.IsUint64() || v.Uint64() >= uint64(outputs) {
			return fmt.Errorf("pointer to output %s of %d", v, outputs)
		}
		r.Pointers = append(r.Pointers, uint32(v.Uint64()))
	}
	delete(fields, runeTagPointer)
	for tag, values := range fields {
		if tag%2 == 0 && len(values) > 0 && !(r.Etching && slices.Contains(runeEtchingTags, tag)) {
			return fmt.Errorf("the even tag %d is unknown or has too many values", tag)
		}
	}
	return nil
}

// readEdicts takes the body: rune id as difference to the one before, amount, output.
func (r *Runestone) readEdicts(integers []*big.Int, outputs int) error {
	var id runeID
	for ; len(integers) >= 4; integers = integers[4:] {
		next, err := id.next(integers[0], integers[1])
		if err != nil {
			return fmt.Errorf("edict %d: %w", len(r.Edicts), err)
		}
		id = next
		output := integers[3]
		if !output.IsUint64() || output.Uint64() > uint64(outputs) {
			return fmt.Errorf("edict %d: output %s of %d", len(r.Edicts), output, outputs)
		}
		r.Edicts = append(r.Edicts, Edict{RuneID: id.String(), Amount: integers[2], Output: uint32(output.Uint64())})
	}
	if len(integers) != 0 {
		return fmt.Errorf("%d integers are left behind the last edict", len(integers))
	}
	return nil
}

// runeID is the block and the index in it of the transaction that etched a rune.
type runeID struct {
	block uint64
	tx    uint32
}

func (id runeID) String() string { return fmt.Sprintf("%d:%d", id.block, id.tx) }

func newRuneID(block, tx *big.Int) (runeID, error) {
	if !block.IsUint64() || !tx.IsUint64() || tx.Uint64() > math.MaxUint32 || (block.Sign() == 0 && tx.Sign() != 0) {
		return runeID{}, fmt.Errorf("%s:%s is no rune id", block, tx)
	}
	return runeID{block.Uint64(), uint32(tx.Uint64())}, nil
}

// next adds a difference: within one block the transaction index counts on, in another it starts anew.
func (id runeID) next(block, tx *big.Int) (runeID, error) {
	b := new(big.Int).Add(new(big.Int).SetUint64(id.block), block)
	t := tx
	if block.Sign() == 0 {
		t = new(big.Int).Add(big.NewInt(int64(id.tx)), tx)
	}
	return newRuneID(b, t)
}

// runeIntegers reads LEB128 integers of at most 128 bits (ord, varint.rs).
func runeIntegers(payload []byte) ([]*big.Int, error) {
	var out []*big.Int
	for len(payload) > 0 {
		v := new(big.Int)
		n := 0
		for ; ; n++ {
			if n == len(payload) {
				return nil, errors.New("the last integer is cut off")
			}
			b := payload[n]
			if n > 18 || (n == 18 && b&0x7c != 0) {
				return nil, errors.New("an integer has more than 128 bits")
			}
			v.Or(v, new(big.Int).Lsh(big.NewInt(int64(b&0x7f)), uint(7*n)))
			if b&0x80 == 0 {
				break
			}
		}
		out = append(out, v)
		payload = payload[n+1:]
	}
	return out, nil
}
