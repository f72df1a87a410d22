package evidence_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/evidence"
	"pgregory.net/rapid"
)

// sameByGeth: what is read without go-ethereum, is read so by it, and nothing is that it refuses. It returns whether a payload was
// read so.
func sameByGeth(t interface{ Fatalf(string, ...any) }, payload []byte) bool {
	plain := evidence.PlainEVM(payload)
	if plain == nil {
		return false
	}
	want, err := evidence.EVMByGeth(payload)
	if err != nil {
		t.Fatalf("%x is read as %+v, and go-ethereum refuses it: %v", payload, plain, err)
	}
	if got, want := written(plain), written(want); got != want {
		t.Fatalf("%x is read as\n%s\nand by go-ethereum as\n%s", payload, got, want)
	}
	return true
}

func written(tx *evidence.EVM) string {
	return fmt.Sprintf("%d %v %d %x %v %x %d %v %v %v %d %d %v %x", tx.Type, tx.ChainID, tx.Nonce, tx.To, tx.Value, tx.Data, tx.Gas,
		tx.Price, tx.TipCap, tx.MaxFee, tx.AccessList, tx.Blobs, tx.Authorizations, tx.Digest)
}

// TestPlainEVM: every transaction that is as most are is read without go-ethereum, and no other.
func TestPlainEVM(t *testing.T) {
	for name, s := range specs() {
		want := s.to != nil && (s.kind == 0 && s.protected || s.kind == 2 && len(s.accesses) == 0)
		if got := sameByGeth(t, s.payload(t)); got != want {
			t.Errorf("%s: read without go-ethereum: %v, want %v", name, got, want)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		s := genSpec().Draw(rt, "tx")
		want := s.to != nil && (s.kind == 0 && s.protected || s.kind == 2 && len(s.accesses) == 0)
		if got := sameByGeth(rt, s.payload(t)); got != want {
			rt.Fatalf("read without go-ethereum: %v, want %v", got, want)
		}
	})
}

// TestPlainEVMOfOddElements: lists of elements that are nearly those of a transaction are read by both ways alike, or not at all.
func TestPlainEVMOfOddElements(t *testing.T) {
	element := rapid.SampledFrom([]string{
		"80", "01", "7f", "8180", "00", "8100", "817f", "820001", "820100", "88ffffffffffffffff", "887fffffffffffffdb", "887fffffffffffffdc",
		"89010000000000000000", "a0" + strings.Repeat("ff", 32), "a1" + strings.Repeat("ff", 33), "94" + strings.Repeat("aa", 20),
		"93" + strings.Repeat("aa", 19), "95" + strings.Repeat("aa", 21), "c0", "c101", "c180", "b8", "b801", "bf",
	})
	plain := map[uint8][]string{
		0: {"80", "01", "825208", "94" + strings.Repeat("aa", 20), "01", "80", "01", "80", "80"},
		2: {"01", "80", "01", "02", "825208", "94" + strings.Repeat("aa", 20), "01", "80", "c0"},
	}
	read := 0
	rapid.Check(t, func(rt *rapid.T) {
		kind := rapid.SampledFrom([]uint8{0, 2}).Draw(rt, "type")
		list := append([]string{}, plain[kind]...)
		for range rapid.IntRange(0, 2).Draw(rt, "odd") {
			list[rapid.IntRange(0, len(list)-1).Draw(rt, "at")] = element.Draw(rt, "element")
		}
		if rapid.IntRange(0, 9).Draw(rt, "length") == 0 {
			list = append(list, element.Draw(rt, "more"))[rapid.IntRange(0, 1).Draw(rt, "from"):]
		}
		content := unhex(strings.Join(list, ""))
		payload := append(rlpList(len(content)), content...)
		if kind == 2 {
			payload = append([]byte{2}, payload...)
		}
		if rapid.IntRange(0, 9).Draw(rt, "cut") == 0 {
			payload = payload[:rapid.IntRange(1, len(payload)).Draw(rt, "to")]
		}
		if sameByGeth(rt, payload) {
			read++
		}
	})
	if read == 0 {
		t.Error("none was read without go-ethereum")
	}
}

// rlpList is the head of a list of so many bytes, less than 256.
func rlpList(length int) []byte {
	if length < 56 {
		return []byte{0xc0 + byte(length)}
	}
	return []byte{0xf8, byte(length)}
}
