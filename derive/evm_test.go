package derive_test

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/countersign-mpc/countersign/derive"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"golang.org/x/crypto/sha3"
)

// The examples of EIP-55.
var checksummed = []string{
	"0x52908400098527886E0F7030069857D2E4169EE7",
	"0x8617E340B3D01FA5F11F306F4090FD50E238070D",
	"0xde709f2102306220921060314715629080e2fb77",
	"0x27b1fdb04752bbc536007a920d24acb045561c26",
	"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
	"0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
	"0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
	"0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
}

func TestChecksum(t *testing.T) {
	for _, want := range checksummed {
		for _, in := range []string{want, strings.ToLower(want), "0x" + strings.ToUpper(want[2:])} {
			a, err := derive.ParseEVMAddress(in)
			if err != nil {
				t.Fatalf("ParseEVMAddress(%s): %v", in, err)
			}
			if got := derive.FormatEVMAddress(a); got != want {
				t.Errorf("%s: formatted %s, want %s", in, got, want)
			}
		}
	}
}

// TestSpellingsAreTheirOwn: addresses that share a place in memory are each written with their own checksum, at once and again.
func TestSpellingsAreTheirOwn(t *testing.T) {
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := range 2000 {
				var address [20]byte
				binary.BigEndian.PutUint64(address[:], uint64((i*7+worker)%500)<<40)
				if got, want := derive.FormatEVMAddress(address), spelled(address); got != want {
					t.Errorf("%x is written %s, want %s", address, got, want)
				}
			}
		})
	}
	wg.Wait()
}

// spelled is EIP-55 by its text: a digit is a capital where the hash of the lower-case digits has a nibble of 8 or more.
func spelled(address [20]byte) string {
	h := sha3.NewLegacyKeccak256()
	fmt.Fprintf(h, "%x", address)
	nibbles := hex.EncodeToString(h.Sum(nil))
	out := []byte(fmt.Sprintf("0x%x", address))
	for i := range out[2:] {
		if nibbles[i] >= '8' {
			out[2+i] = strings.ToUpper(string(out[2+i]))[0]
		}
	}
	return string(out)
}

func TestParseEVMAddressRefuses(t *testing.T) {
	good := checksummed[4]
	for _, in := range []string{
		"", "0x", good[2:], "0X" + good[2:], good + "00", good[:41], good[:41] + "g", " " + good, good + " ",
		strings.Replace(good, "A", "a", 1), strings.Replace(good, "b", "B", 1), // one digit in the wrong case
		strings.Replace(good, "0x5a", "0x6a", 1), // one digit mistyped
	} {
		if a, err := derive.ParseEVMAddress(in); err == nil || a != [20]byte{} {
			t.Errorf("ParseEVMAddress(%q) = %x, %v", in, a, err)
		}
	}
}

// TestCasesOfAddresses: the checksum counts where letters of both cases are, and only there.
func TestCasesOfAddresses(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for n := range 5000 {
		var address [20]byte
		for i := range address {
			address[i] = byte(r.Uint32()) & byte(r.Uint32()>>8) & byte(r.Uint32()>>16) // some with few letters
		}
		digits := []byte(hex.EncodeToString(address[:]))
		for i := range digits {
			if n%3 == 1 || n%3 == 2 && r.IntN(8) == 0 {
				digits[i] = strings.ToUpper(string(digits[i]))[0]
			}
		}
		written := "0x" + string(digits)
		mixed := strings.ContainsAny(written[2:], "abcdef") && strings.ContainsAny(written[2:], "ABCDEF")
		got, err := derive.ParseEVMAddress(written)
		if want := !mixed || written == spelled(address); (err == nil) != want || want && got != address {
			t.Fatalf("%s is %x, %v", written, got, err)
		}
	}
}

func FuzzParseEVMAddress(f *testing.F) {
	for _, s := range append([]string{"", "0x", "0xzz"}, checksummed...) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := derive.ParseEVMAddress(s)
		if err != nil {
			return
		}
		formatted := derive.FormatEVMAddress(a)
		if !strings.EqualFold(formatted, s) {
			t.Fatalf("%q reads as %s", s, formatted)
		}
		if again, err := derive.ParseEVMAddress(formatted); err != nil || again != a {
			t.Fatalf("%q: its own form %s does not read back: %v", s, formatted, err)
		}
	})
}

// TestEVMAddress uses published key and address pairs: private key 1, and the key of EIP-155's example.
func TestEVMAddress(t *testing.T) {
	for private, want := range map[string]string{
		"0000000000000000000000000000000000000000000000000000000000000001": "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf",
		"4646464646464646464646464646464646464646464646464646464646464646": "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F",
	} {
		key := secp256k1.PrivKeyFromBytes(must(hex.DecodeString(private))).PubKey()
		if got, err := derive.EVMAddress(key.SerializeCompressed()); err != nil || got != want {
			t.Errorf("address of %s: %s, %v; want %s", private, got, err, want)
		}
		if _, err := derive.EVMAddress(key.SerializeUncompressed()); err == nil {
			t.Error("an uncompressed key is accepted")
		}
	}
}
