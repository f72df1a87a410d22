package evidence_test

import (
	"bytes"
	"encoding/hex"
	"math"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/evidence"
)

// spelled are ways to write hex, right and wrong.
func spelled(r *rand.Rand, digits string) []string {
	out := []string{
		digits, "0x" + digits, "0X" + digits, "0x0x" + digits, strings.ToUpper(digits), "0x" + strings.ToUpper(digits), digits + "0", "0x" + digits + "00", " " + digits, digits + "\n", "",
		"0x",
	}
	if len(digits) > 1 {
		at := r.IntN(len(digits))
		out = append(out, digits[1:], "0x"+digits[2:], digits[:at]+"g"+digits[at+1:], "0x"+digits[:at]+"K"+digits[at+1:], digits[:at]+"7"+digits[at+1:],
			"0x"+digits[:at]+strings.ToUpper(digits[at:]))
	}
	return out
}

// TestSpellings: what is claimed in hex is compared, without being kept, as it would be read.
func TestSpellings(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for n := range 600 {
		data := make([]byte, n)
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		for _, text := range spelled(r, hex.EncodeToString(data)) {
			read, err := evidence.ParseCalldata(text)
			if got, want := evidence.IsHexOf(text, data), err == nil && bytes.Equal(read, data); got != want {
				t.Fatalf("%q is %x: %v, want %v", text, data, got, want)
			}
			if got, want := evidence.BytesAs(text, data), evidence.FormatBytes(data); got != want || want != "0x"+hex.EncodeToString(data) {
				t.Fatalf("beside %q it is written %q, want %q", text, got, want)
			}
			digest, digestErr := evidence.ParseDigest(text)
			if got, want := evidence.DigestAs(text, &digest), evidence.FormatDigest(digest); got != want || want != hex.EncodeToString(digest[:]) {
				t.Fatalf("beside %q the digest is written %q, want %q", text, got, want)
			}
			if want := err == nil && len(read) == 32; (digestErr == nil) != want || want && !bytes.Equal(digest[:], read) || !want && digest != [32]byte{} {
				t.Fatalf("%q is the digest %x, %v", text, digest, digestErr)
			}
			if digestErr == nil && !evidence.IsDigest(text, digest) || evidence.IsDigest(text, [32]byte{1}) {
				t.Fatalf("%q is not %x, or is another digest", text, digest)
			}
		}
	}
	for range 300 {
		var address [20]byte
		for i := range address {
			address[i] = byte(r.Uint32()) & byte(r.Uint32()>>8) // some without letters, or nearly so
		}
		written := evidence.FormatAddress(&address)
		for _, text := range append(spelled(r, hex.EncodeToString(address[:])), written, written[:41]+"x", strings.ToLower(written), "0x"+strings.ToUpper(written[2:])) {
			if got, want := evidence.IsAddress(text, written), evidence.SameAddress(text, written); got != want {
				t.Fatalf("%q is %s: %v, want %v", text, written, got, want)
			}
			if evidence.IsAddress(text, "") {
				t.Fatalf("%q is an address that is not known", text)
			}
		}
	}
}

// TestIsInt: a number is compared with what was written as if it were written too.
func TestIsInt(t *testing.T) {
	word := new(big.Int).SetUint64(math.MaxUint64)
	numbers := []*big.Int{new(big.Int), big.NewInt(9), big.NewInt(10), big.NewInt(-10), word, new(big.Int).Add(word, big.NewInt(1)), new(big.Int).Lsh(word, 192)}
	for _, n := range numbers {
		for _, text := range []string{"", "0", "00", "+9", "09", "9 ", "-10", "18446744073709551616", "184467440737095516150"} {
			if got, want := evidence.IsInt(n, text), evidence.FormatInt(n) == text; got != want {
				t.Errorf("%s is %q: %v", n, text, got)
			}
		}
		for _, m := range numbers {
			if got, want := evidence.IsInt(n, evidence.FormatInt(m)), n.Cmp(m) == 0; got != want {
				t.Errorf("%s is %s: %v", n, m, got)
			}
		}
	}
}
