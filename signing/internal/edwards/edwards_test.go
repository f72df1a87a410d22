package edwards_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"math/big"
	"strings"
	"testing"

	"filippo.io/edwards25519"
	"github.com/countersign-mpc/countersign/signing/internal/edwards"
)

// order is the group order L, RFC 8032, section 5.1.
var order, _ = new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)

// prime is the field's prime.
var prime = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))

func mustHex(t testing.TB, s string) []byte {
	t.Helper()
	data, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestPointsOfRealKeys(t *testing.T) {
	for i := range byte(20) {
		public := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{i}, 32)).Public().(ed25519.PublicKey)
		p, err := edwards.ParsePoint(public)
		if err != nil {
			t.Fatal(err)
		}
		x, y := edwards.Affine(p)
		// -x² + y² = 1 + d x² y², with d = -121665/121666.
		d := new(big.Int).ModInverse(big.NewInt(121666), prime)
		d.Mul(d, big.NewInt(-121665))
		x2, y2 := new(big.Int).Mul(x, x), new(big.Int).Mul(y, y)
		left := new(big.Int).Sub(y2, x2)
		right := new(big.Int).Mul(d, new(big.Int).Mul(x2, y2))
		right.Add(right, big.NewInt(1))
		if left.Sub(left, right).Mod(left, prime).Sign() != 0 {
			t.Fatal("coordinates that are not on the curve")
		}
		again, err := edwards.PointOfAffine(x, y)
		if err != nil || again.Equal(p) != 1 {
			t.Fatalf("another point after a round trip: %v", err)
		}
		if _, err := edwards.PointOfAffine(new(big.Int).Sub(prime, x), y); err != nil {
			t.Errorf("the negated point: %v", err)
		}
		for name, wrong := range map[string][2]*big.Int{
			"another x":   {new(big.Int).Add(x, big.NewInt(2)), y},
			"x over p":    {new(big.Int).Add(x, prime), y},
			"negative x":  {new(big.Int).Neg(x), y},
			"negative y":  {x, new(big.Int).Neg(y)},
			"no x":        {nil, y},
			"swapped":     {y, x},
			"33 bytes":    {x, new(big.Int).Lsh(y, 8)},
			"all zeroes":  {new(big.Int), new(big.Int)},
			"identity":    {new(big.Int), big.NewInt(1)},
			"order two":   {new(big.Int), new(big.Int).Sub(prime, big.NewInt(1))},
			"y is p plus": {new(big.Int), new(big.Int).Add(prime, big.NewInt(1))},
		} {
			if _, err := edwards.PointOfAffine(wrong[0], wrong[1]); err == nil {
				t.Errorf("%s: accepted", name)
			}
		}
	}
}

// TestPointsOutsideTheSubgroup goes through all eight points of small order, alone and added to a good one.
func TestPointsOutsideTheSubgroup(t *testing.T) {
	small, err := new(edwards25519.Point).SetBytes(mustHex(t, "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"))
	if err != nil {
		t.Fatal(err)
	}
	sum := edwards25519.NewIdentityPoint()
	for i := range 8 {
		if _, err := edwards.ParsePoint(sum.Bytes()); err == nil {
			t.Errorf("small point %d: accepted", i)
		}
		mixed := new(edwards25519.Point).Add(edwards25519.NewGeneratorPoint(), sum)
		if _, err := edwards.ParsePoint(mixed.Bytes()); (err == nil) != (i == 0) {
			t.Errorf("base point plus small point %d: %v", i, err)
		}
		x, y := edwards.Affine(mixed)
		if _, err := edwards.PointOfAffine(x, y); (err == nil) != (i == 0) {
			t.Errorf("coordinates of base point plus small point %d: %v", i, err)
		}
		sum.Add(sum, small)
	}
	if sum.Equal(edwards25519.NewIdentityPoint()) != 1 {
		t.Fatal("the point is not of order 8: the test tests nothing")
	}
}

// TestOneEncoding goes through all encodings that the curve's own package reads and would not write: y of p to 2^255-1, and
// x = 0 with a sign.
func TestOneEncoding(t *testing.T) {
	read := 0
	refuse := func(data []byte) {
		if _, err := new(edwards25519.Point).SetBytes(data); err == nil {
			read++
		}
		if _, err := edwards.ParsePoint(data); err == nil || !strings.Contains(err.Error(), "one encoding") {
			t.Errorf("%x: %v", data, err)
		}
	}
	for low := 0xed; low <= 0xff; low++ {
		for _, top := range []byte{0x7f, 0xff} {
			data := bytes.Repeat([]byte{0xff}, 32)
			data[0], data[31] = byte(low), top
			refuse(data)
		}
	}
	signed := edwards25519.NewIdentityPoint().Bytes()
	signed[31] |= 0x80
	refuse(signed)
	if read < 5 {
		t.Errorf("only %d of them are read by the curve's package: the test tests little", read)
	}
}

func TestScalars(t *testing.T) {
	little := func(n *big.Int) []byte {
		out := n.FillBytes(make([]byte, 32))
		for i := range 16 {
			out[i], out[31-i] = out[31-i], out[i]
		}
		return out
	}
	last := new(big.Int).Sub(order, big.NewInt(1))
	for _, n := range []*big.Int{big.NewInt(1), big.NewInt(9), last} {
		s, err := edwards.ParseScalar(little(n))
		if err != nil || edwards.Int(s).Cmp(n) != 0 {
			t.Fatalf("%v: %v", n, err)
		}
		again, err := edwards.ScalarOfInt(n)
		if err != nil || again.Equal(s) != 1 {
			t.Fatalf("%v: %v", n, err)
		}
	}
	if edwards.Scalar(9).Equal(edwards.Scalar(9)) != 1 || edwards.Int(edwards.Scalar(255)).Int64() != 255 {
		t.Error("small numbers are not themselves")
	}
	for name, n := range map[string]*big.Int{
		"none": nil, "zero": new(big.Int), "negative": big.NewInt(-1), "the order": order, "over the order": new(big.Int).Add(order, big.NewInt(1)),
		"256 bits": new(big.Int).Lsh(big.NewInt(1), 255), "257 bits": new(big.Int).Lsh(big.NewInt(1), 256),
	} {
		if _, err := edwards.ScalarOfInt(n); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for name, data := range map[string][]byte{"empty": {}, "short": make([]byte, 31), "long": make([]byte, 33), "zero": make([]byte, 32), "order": little(order)} {
		if _, err := edwards.ParseScalar(data); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func FuzzParsePoint(f *testing.F) {
	f.Add(edwards25519.NewGeneratorPoint().Bytes())
	f.Add(edwards25519.NewIdentityPoint().Bytes())
	f.Add(mustHex(f, "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := edwards.ParsePoint(data)
		if err != nil {
			return
		}
		if !bytes.Equal(p.Bytes(), data) {
			t.Fatal("another encoding")
		}
		x, y := edwards.Affine(p)
		if again, err := edwards.PointOfAffine(x, y); err != nil || again.Equal(p) != 1 {
			t.Fatalf("another point after a round trip: %v", err)
		}
	})
}
