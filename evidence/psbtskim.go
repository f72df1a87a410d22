package evidence

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
)

// Bounds on a PSBT, checked before the library decodes it: it reserves memory for counts that it has not yet seen the
// bytes of. A larger transaction than maxUnsignedTx is not relayed (Bitcoin Core's policy: 400,000 weight units).
const (
	// MaxPSBT is the length of a PSBT in bytes, before base64.
	MaxPSBT       = 512 << 10
	maxUnsignedTx = 100_000
	maxInputs     = 500
	maxOutputs    = 2500
	maxPairs      = 8192 // key-value pairs in all maps together
)

// psbtStart is the base64 of the magic bytes "psbt" 0xff, as far as it does not depend on what follows.
const psbtStart = "cHNidP"

// PSBT key types that are looked at before the library sees them (BIP174, BIP370).
const (
	psbtGlobalTx      = 0x00
	psbtGlobalVersion = 0xfb
	psbtInNonWitness  = 0x00
	psbtInWitness     = 0x01
)

// psbtMap is one map of a PSBT: values by their key, the key's type byte included.
type psbtMap map[string][]byte

// decodePSBT reads base64 in its one form (RFC 4648, section 4: padded, no line breaks).
func decodePSBT(s string) ([]byte, error) {
	if !strings.HasPrefix(s, psbtStart) {
		return nil, fmt.Errorf("rawTx is no PSBT in base64: it would start with %s8", psbtStart)
	}
	if len(s) > base64.StdEncoding.EncodedLen(MaxPSBT) {
		return nil, fmt.Errorf("PSBT has %d characters: at most %d bytes are allowed", len(s), MaxPSBT)
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || base64.StdEncoding.EncodeToString(raw) != s {
		return nil, errors.New("PSBT is not in plain base64 with padding and without line breaks")
	}
	return raw, nil
}

// skimPSBT holds a PSBT against the bounds and against what the library does not check: every key once in its map, all
// lengths within the bytes, nothing behind the last map or behind a transaction or an output inside a value.
func skimPSBT(raw []byte) error {
	if len(raw) > MaxPSBT {
		return fmt.Errorf("%d bytes: at most %d are allowed", len(raw), MaxPSBT)
	}
	if string(raw[:min(len(raw), 5)]) != "psbt\xff" {
		return errors.New("it does not start with the magic bytes of a PSBT")
	}
	r := &skimmer{rest: raw[5:]}
	pairs := 0
	global, err := r.psbtMap(&pairs)
	if err != nil {
		return fmt.Errorf("global map: %w", err)
	}
	inputs, outputs, err := checkGlobal(global)
	if err != nil {
		return fmt.Errorf("global map: %w", err)
	}
	if raw[5] != 1 || raw[6] != psbtGlobalTx {
		return errors.New("global map: its first key must be the unsigned transaction")
	}
	for i := range inputs + outputs {
		m, err := r.psbtMap(&pairs)
		if err == nil && i < inputs {
			err = checkInputMap(m)
		} else if err == nil {
			err = m.without(0x03, 0x04)
		}
		if err != nil {
			return fmt.Errorf("map %d after the global one: %w", i+1, err)
		}
	}
	if len(r.rest) > 0 {
		return fmt.Errorf("%d bytes follow the last map", len(r.rest))
	}
	return nil
}

// checkGlobal gives the numbers of inputs and outputs of the unsigned transaction.
func checkGlobal(m psbtMap) (inputs, outputs int, err error) {
	if version, ok := m[string([]byte{psbtGlobalVersion})]; ok {
		if len(version) != 4 || binary.LittleEndian.Uint32(version) != 0 {
			return 0, 0, fmt.Errorf("%w: its version is given as %x", errPSBTVersion, version)
		}
	}
	tx, ok := m[string([]byte{psbtGlobalTx})]
	if !ok {
		return 0, 0, fmt.Errorf("%w: there is no unsigned transaction", errPSBTVersion)
	}
	if err := m.without(0x02, 0x03, 0x04, 0x05, 0x06); err != nil {
		return 0, 0, err
	}
	if len(tx) > maxUnsignedTx {
		return 0, 0, fmt.Errorf("unsigned transaction of %d bytes: at most %d are allowed", len(tx), maxUnsignedTx)
	}
	inputs, outputs, err = skimTx(tx, false)
	switch {
	case err != nil:
		return 0, 0, fmt.Errorf("unsigned transaction: %w", err)
	case inputs < 1 || inputs > maxInputs || outputs < 1 || outputs > maxOutputs:
		return 0, 0, fmt.Errorf("unsigned transaction of %d inputs and %d outputs: 1 to %d and 1 to %d are allowed",
			inputs, outputs, maxInputs, maxOutputs)
	}
	return inputs, outputs, nil
}

var errPSBTVersion = errors.New("only version 0 (BIP174) is read, not version 2 (BIP370): convert it")

func checkInputMap(m psbtMap) error {
	if err := m.without(0x0e, 0x0f, 0x10, 0x11, 0x12); err != nil {
		return err
	}
	if tx, ok := m[string([]byte{psbtInNonWitness})]; ok {
		if _, _, err := skimTx(tx, true); err != nil {
			return fmt.Errorf("non_witness_utxo: %w", err)
		}
	}
	if out, ok := m[string([]byte{psbtInWitness})]; ok {
		// The library takes one byte for the script's length, whatever it says.
		if len(out) < 9 || out[8] >= 0xfd || int(out[8]) != len(out)-9 || len(out) < 10 {
			return errors.New("witness_utxo is not an amount and a script of 1 to 252 bytes")
		}
	}
	return nil
}

// without refuses keys of version 2: a reader of that version could see another transaction.
func (m psbtMap) without(types ...byte) error {
	for key := range m {
		for _, t := range types {
			if key[0] == t {
				return fmt.Errorf("%w: it has a key of type %#02x", errPSBTVersion, t)
			}
		}
	}
	return nil
}

// skimTx counts the inputs and outputs of a transaction, all of whose lengths must fit its bytes exactly.
func skimTx(raw []byte, witness bool) (inputs, outputs int, err error) {
	r := &skimmer{rest: raw}
	r.skip(4)
	segwit := witness && len(r.rest) >= 2 && r.rest[0] == 0 && r.rest[1] == 1
	if segwit {
		r.skip(2)
	}
	for n := r.count(41); n > 0 && r.err == nil; n-- {
		r.skip(36)
		r.skip(r.varint())
		r.skip(4)
		inputs++
	}
	for n := r.count(9); n > 0 && r.err == nil; n-- {
		r.skip(8)
		r.skip(r.varint())
		outputs++
	}
	for n := inputs; segwit && n > 0 && r.err == nil; n-- {
		for items := r.count(1); items > 0 && r.err == nil; items-- {
			r.skip(r.varint())
		}
	}
	r.skip(4)
	if r.err != nil {
		return 0, 0, r.err
	}
	if len(r.rest) > 0 {
		return 0, 0, fmt.Errorf("%d bytes follow it", len(r.rest))
	}
	return inputs, outputs, nil
}

// skimmer walks over bytes. After its first error it stays where it is.
type skimmer struct {
	rest []byte
	err  error
}

func (r *skimmer) skip(n uint64) []byte {
	if r.err == nil && n > uint64(len(r.rest)) {
		r.err = errors.New("it is cut off")
	}
	if r.err != nil {
		return nil
	}
	out := r.rest[:n]
	r.rest = r.rest[n:]
	return out
}

// varint reads a compact size in its shortest form.
func (r *skimmer) varint() uint64 {
	first := r.skip(1)
	if r.err != nil {
		return 0
	}
	if first[0] < 0xfd {
		return uint64(first[0])
	}
	size := 2 << (first[0] - 0xfd)
	var wide [8]byte
	copy(wide[:], r.skip(uint64(size)))
	n := binary.LittleEndian.Uint64(wide[:])
	least := [...]uint64{0xfd, math.MaxUint16 + 1, math.MaxUint32 + 1}[first[0]-0xfd]
	if r.err == nil && n < least {
		r.err = errors.New("a length is not in its shortest form")
	}
	return n
}

// count reads how many things of at least that many bytes follow.
func (r *skimmer) count(least uint64) int {
	n := r.varint()
	if r.err == nil && n > uint64(len(r.rest))/least {
		r.err = errors.New("it is cut off")
	}
	if r.err != nil {
		return 0
	}
	return int(n)
}

func (r *skimmer) psbtMap(pairs *int) (psbtMap, error) {
	m := psbtMap{}
	for {
		length := r.varint()
		if r.err == nil && length == 0 {
			return m, nil
		}
		key := r.skip(length)
		value := r.skip(r.varint())
		if r.err != nil {
			return nil, r.err
		}
		if *pairs++; *pairs > maxPairs {
			return nil, fmt.Errorf("more than %d keys", maxPairs)
		}
		if _, twice := m[string(key)]; twice {
			return nil, fmt.Errorf("key %s is there twice", excerpt(fmt.Sprintf("%x", key)))
		}
		m[string(key)] = value
	}
}
