package callback_test

import (
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/wire"
)

// TestDigits: digits are told as by package strings, whatever stands among them.
func TestDigits(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	const decimal = "0123456789"
	alphabets := []string{decimal, decimal + "abcdef", decimal + "abcdefABCDEF", decimal + "g /:@G`\x00\x80\xff"}
	texts := []string{""}
	for c := range 256 {
		texts = append(texts, string([]byte{byte(c)}), "0"+string([]byte{byte(c)})+"f")
	}
	for range 3000 {
		from, text := alphabets[r.IntN(len(alphabets))], make([]byte, r.IntN(70))
		for i := range text {
			text[i] = from[r.IntN(len(from))]
		}
		texts = append(texts, string(text))
	}
	for _, text := range texts {
		only := func(of string) bool { return strings.Trim(text, of) == "" }
		want := [3]bool{only(decimal), only(decimal + "abcdef"), only(decimal + "abcdefABCDEF")}
		if got := [3]bool{callback.IsDecimal(text), callback.IsLowerHex(text), callback.IsHex(text)}; got != want {
			t.Fatalf("%q is decimal, lower-case hex, hex: %v, want %v", text, got, want)
		}
	}
}

// TestCryptographyOf: a public key is told as if it were decoded.
func TestCryptographyOf(t *testing.T) {
	for n := range 140 {
		digits := strings.Repeat("aF0", 50)[:n]
		for _, text := range []string{digits, strings.ToLower(digits), strings.Replace(digits, "0", "g", 1), digits + "\xff"} {
			want := ""
			if raw, err := hex.DecodeString(text); err == nil {
				want = map[int]string{33: wire.ECDSASecp256k1, 32: wire.EdDSAEd25519}[len(raw)]
			}
			if got := callback.CryptographyOf(text); got != want {
				t.Fatalf("%q is of %q, want %q", text, got, want)
			}
		}
	}
}
