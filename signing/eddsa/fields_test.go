package eddsa_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"testing"

	"filippo.io/edwards25519"
	"github.com/countersign-mpc/countersign/signing"
)

// field is a part of a frame: all of them, one after the other, are the frame.
type field struct {
	name string
	size int
	kind fieldKind
}

type fieldKind int

const (
	fixed  fieldKind = iota // has one value
	hashed                  // any bytes, compared with something
	nonzero
	point
	scalar
)

// fieldsOf lists the fields of each message of a keygen with t = 2, as docs/FORMATS.md does.
var fieldsOf = map[slot][]field{
	commitSlot: {
		{"magic", 4, fixed}, {"version", 1, fixed}, {"round", 2, fixed}, {"flags", 1, fixed}, {"session", 32, hashed},
		{"polynomial", 32, nonzero}, {"chain commitment", 32, hashed},
	},
	openSlot: {
		{"magic", 4, fixed}, {"version", 1, fixed}, {"round", 2, fixed}, {"flags", 1, fixed}, {"session", 32, hashed}, {"echo", 32, hashed},
		{"blind", 32, nonzero}, {"coefficient 0", 32, point}, {"coefficient 1", 32, point},
		{"proof point", 32, point}, {"proof scalar", 32, scalar}, {"chain part", 32, hashed},
	},
	shareSlot: {
		{"magic", 4, fixed}, {"version", 1, fixed}, {"round", 2, fixed}, {"flags", 1, fixed}, {"session", 32, hashed}, {"echo", 32, hashed},
		{"share", 32, scalar},
	},
}

// order is the group order L, little-endian.
var order, _ = hex.DecodeString("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")

// broken lists the ways in which a field is broken: what stands in its place. mine is its right value; others is what
// party 3, and party 2 in another session, have there.
func broken(kind fieldKind, mine []byte, others map[string][]byte) map[string][]byte {
	ones := bytes.Repeat([]byte{0xff}, len(mine))
	flipped := bytes.Clone(mine)
	flipped[len(flipped)-1] ^= 1
	out := map[string][]byte{
		"missing": {}, "truncated": mine[:len(mine)-1], "too long": append(bytes.Clone(mine), 0), "twice": append(bytes.Clone(mine), mine...),
		"a bit": flipped, "zero": make([]byte, len(mine)), "all ones": ones,
	}
	if kind == fixed {
		return out
	}
	for name, value := range others {
		out[name] = value
	}
	switch kind {
	case point:
		p, _ := new(edwards25519.Point).SetBytes(mine)
		small, _ := new(edwards25519.Point).SetBytes(append([]byte{0xec}, append(bytes.Repeat([]byte{0xff}, 30), 0x7f)...)) // of order 2
		out["identity"] = edwards25519.NewIdentityPoint().Bytes()
		out["of small order"] = small.Bytes()
		out["with torsion"] = new(edwards25519.Point).Add(p, small).Bytes()
		out["off the curve"] = append([]byte{2}, make([]byte, 31)...)
		out["y over p"] = append([]byte{0xee}, append(bytes.Repeat([]byte{0xff}, 30), 0x7f)...)
		out["negated"] = new(edwards25519.Point).Negate(p).Bytes()
		out["base point"] = edwards25519.NewGeneratorPoint().Bytes()
	case scalar:
		s, _ := edwards25519.NewScalar().SetCanonicalBytes(mine)
		out["negated"] = edwards25519.NewScalar().Negate(s).Bytes()
		out["the order"] = order
		out["plus the order"] = plus(mine, order)
		out["one"] = append([]byte{1}, make([]byte, 31)...)
		out["big-endian"] = slices.Clone(mine)
		slices.Reverse(out["big-endian"])
	}
	return out
}

// plus adds little-endian numbers of 32 bytes.
func plus(a, b []byte) []byte {
	out, carry := make([]byte, 32), 0
	for i := range out {
		sum := int(a[i]) + int(b[i]) + carry
		out[i], carry = byte(sum), sum>>8
	}
	return out
}

// TestEveryFieldBroken breaks every field of every message of party 2 in every way. Each ends in an abort with a reason,
// before the library sees it, and blames party 2 for all but what may be due to what others told it: session and echo.
func TestEveryFieldBroken(t *testing.T) {
	p, elsewhere := newPeers(t, t.Name()), newPeers(t, "another session")
	if v := p.recorded(t); !errors.Is(v.run(nil), errReached) {
		t.Fatal("what is not broken does not reach the library")
	}
	cases := 0
	for s, fields := range fieldsOf {
		at := 0
		for _, f := range fields {
			start, end := at, at+f.size
			at = end
			sample := p.recorded(t)
			mine := sample.message(2, s).Data
			others := map[string][]byte{"party 3's": sample.message(3, s).Data[start:end], "another session's": elsewhere.recorded(t).message(2, s).Data[start:end]}
			for how, value := range broken(f.kind, mine[start:end], others) {
				cases++
				v := p.recorded(t)
				same := false
				err := v.run(func(now slot, m *signing.Message) {
					if now != s {
						return
					}
					changed := slices.Concat(m.Data[:start], value, m.Data[end:])
					same = bytes.Equal(changed, m.Data)
					m.Data = changed
				})
				if same {
					if f.name != "session" && f.name != "echo" && f.name != "flags" { // which parties have in common, or are 0
						t.Errorf("%s %s of %v: nothing was changed", f.name, how, s)
					}
					continue
				}
				culprit := signing.PartyID(2)
				if (f.name == "session" || f.name == "echo") && len(value) == f.size {
					culprit = 0
				}
				t.Run(fmt.Sprintf("round %d broadcast %t %s %s", s.round, s.broadcast, f.name, how), func(t *testing.T) {
					mustAbort(t, v.Keygen, err, culprit, "")
					if errors.Is(err, errReached) || (s.round == 1 && v.sees > 0 && f.kind == fixed) {
						t.Fatal("the library saw it")
					}
				})
			}
		}
		if at != len(p.recorded(t).message(2, s).Data) {
			t.Errorf("the fields of %v are %d bytes, the frame has %d", s, at, len(p.recorded(t).message(2, s).Data))
		}
	}
	if cases < 200 {
		t.Errorf("only %d cases", cases)
	}
}
