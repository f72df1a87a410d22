package group_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/countersign-mpc/countersign/signing/frost/internal/group"
	"pgregory.net/rapid"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// order is the group order less 1, as it is encoded.
const (
	secpLast    = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364140"
	edwardsLast = "ecd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010"
)

// testLaws checks the laws of a group of prime order whose last scalar and generator are as encoded.
func testLaws[S group.Scalar[S], E group.Element[E, S]](t *testing.T, g group.Group[S, E], last, generator string) {
	minusOne, err := g.Scalar(unhex(t, last))
	if err != nil {
		t.Fatal(err)
	}
	if !minusOne.Add(g.Integer(1)).IsZero() || !bytes.Equal(g.Integer(1).Negate().Bytes(), minusOne.Bytes()) {
		t.Error("the order is another")
	}
	base := g.Base(g.Integer(1))
	if hex.EncodeToString(base.Bytes()) != generator {
		t.Errorf("the generator is %x", base.Bytes())
	}
	if !g.Base(minusOne).Add(base).IsIdentity() || !g.Base(g.Integer(0)).IsIdentity() || !base.Mul(g.Integer(0)).IsIdentity() {
		t.Error("the order is not that of the generator")
	}
	if !g.Identity().IsIdentity() || !g.Identity().Negate().IsIdentity() || base.IsIdentity() {
		t.Error("the identity is another")
	}
	if !g.Identity().Add(base).Equal(base) || !base.Add(g.Identity()).Equal(base) || !base.Add(base).Equal(g.Base(g.Integer(2))) {
		t.Error("adding the identity, or doubling, goes wrong")
	}
	if _, err := g.Element(g.Identity().Bytes()); !errors.Is(err, group.ErrElement) {
		t.Errorf("the identity is decoded: %v", err)
	}
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) S {
			b := rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, name)
			b[0], b[31] = b[0]&0x0f, b[31]&0x0f // below the order in either byte order
			s, err := g.Scalar(b)
			if err != nil || !bytes.Equal(s.Bytes(), b) {
				t.Fatalf("scalar %x: %v", b, err)
			}
			return s
		}
		a, b := draw("a"), draw("b")
		same := func(what string, x, y S) {
			if !bytes.Equal(x.Bytes(), y.Bytes()) {
				t.Errorf("%s: %x and %x", what, x.Bytes(), y.Bytes())
			}
		}
		same("a+b", a.Add(b), b.Add(a))
		same("ab", a.Mul(b), b.Mul(a))
		same("-(-a)", a, a.Negate().Negate())
		same("a(b+1)", a.Mul(b.Add(g.Integer(1))), a.Mul(b).Add(a))
		if !a.Add(a.Negate()).IsZero() {
			t.Error("a-a is not 0")
		}
		if !a.IsZero() {
			same("a/a", g.Integer(1), a.Mul(a.Invert()))
		}
		p, q := g.Base(a), g.Base(b)
		for what, pair := range map[string][2]E{
			"aG+bG":   {p.Add(q), g.Base(a.Add(b))},
			"b(aG)":   {p.Mul(b), g.Base(a.Mul(b))},
			"a(bG)":   {q.Mul(a), g.Base(a.Mul(b))},
			"-(aG)":   {p.Negate(), g.Base(a.Negate())},
			"aG+aG":   {p.Add(p), g.Base(a.Add(a))},
			"aG-aG":   {p.Add(p.Negate()), g.Identity()},
			"a again": {p, g.Base(a)}, // masked or not
		} {
			if !pair[0].Equal(pair[1]) || !bytes.Equal(pair[0].Bytes(), pair[1].Bytes()) {
				t.Errorf("%s: %x and %x", what, pair[0].Bytes(), pair[1].Bytes())
			}
		}
		if !p.IsIdentity() {
			back, err := g.Element(p.Bytes())
			if err != nil || !back.Equal(p) {
				t.Errorf("decode %x: %v", p.Bytes(), err)
			}
		}
		a.Wipe()
		if !a.IsZero() {
			t.Error("a wiped scalar is not 0")
		}
	})
}

func TestSecp256k1(t *testing.T) {
	testLaws(t, group.Secp256k1{}, secpLast, "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")
}

func TestEdwards25519(t *testing.T) {
	testLaws(t, group.Edwards25519{}, edwardsLast, "5866666666666666666666666666666666666666666666666666666666666666")
}

// testRefusals demands that bytes are refused as a scalar or an element.
func testRefusals[S group.Scalar[S], E group.Element[E, S]](t *testing.T, g group.Group[S, E], scalars, elements map[string]string) {
	for what, s := range scalars {
		if _, err := g.Scalar(unhex(t, s)); !errors.Is(err, group.ErrScalar) {
			t.Errorf("scalar, %s: %v", what, err)
		}
	}
	for what, s := range elements {
		if _, err := g.Element(unhex(t, s)); !errors.Is(err, group.ErrElement) {
			t.Errorf("element, %s: %v", what, err)
		}
	}
}

const zeroes = "0000000000000000000000000000000000000000000000000000000000000000"

func TestSecp256k1Refusals(t *testing.T) {
	x := "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
	y := "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8"
	testRefusals(t, group.Secp256k1{},
		map[string]string{
			"none": "", "31 bytes": zeroes[2:], "33 bytes": zeroes + "00",
			"the order": "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
			"2^256-1":   "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		},
		map[string]string{
			"none": "", "x only": x, "uncompressed": "04" + x + y, "hybrid": "06" + x + y, "a byte more": "02" + x + "00",
			"infinity": "00" + zeroes, "SEC 1's infinity": "00", "no point": "02" + zeroes[:62] + "05",
			"the field's order": "02fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f",
			"beyond the field":  "02fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc30",
			"no tag":            "05" + x,
		})
	g := group.Secp256k1{}
	if e, err := g.ElementOrIdentity(make([]byte, 33)); err != nil || !e.IsIdentity() || !bytes.Equal(e.Bytes(), make([]byte, 33)) {
		t.Errorf("33 zero bytes: %v", err)
	}
	for _, bad := range [][]byte{nil, make([]byte, 32), make([]byte, 34), unhex(t, "01"+zeroes)} {
		if _, err := g.ElementOrIdentity(bad); !errors.Is(err, group.ErrElement) {
			t.Errorf("%x: %v", bad, err)
		}
	}
	even := g.Base(g.Integer(1))
	if !even.HasEvenY() || even.Negate().HasEvenY() || hex.EncodeToString(even.XBytes()) != x || !bytes.Equal(even.Negate().XBytes(), even.XBytes()) {
		t.Error("the generator's y is even, that of its negative odd, and their x is the same")
	}
}

func TestEdwards25519Refusals(t *testing.T) {
	testRefusals(t, group.Edwards25519{},
		map[string]string{
			"none": "", "31 bytes": zeroes[2:], "33 bytes": zeroes + "00",
			"the order": "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010",
			"2^256-1":   "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		},
		map[string]string{
			"none": "", "31 bytes": zeroes[2:], "33 bytes": zeroes + "00", "no point": "02" + zeroes[2:],
			"the identity":               "01" + zeroes[2:],
			"the identity, signed":       "01" + zeroes[4:] + "80",
			"the identity, y = p+1":      "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
			"order 2":                    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
			"order 4":                    zeroes,
			"order 4, signed":            zeroes[2:] + "80",
			"order 4, y = p":             "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
			"order 8":                    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
			"order 8, the other":         "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
			"order 8 times the prime":    "da99e28ba529cdde35a25fba9059e78ecaee239f99755b9b1aa4f65df00803e2",
			"a y beyond the field, y=p+": "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		})
}

// TestReduce reduces hashes that are at and beyond the order.
func TestReduce(t *testing.T) {
	if s := (group.Secp256k1{}).Reduce([32]byte(unhex(t, "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364143"))); !bytes.Equal(s.Bytes(), group.Secp256k1{}.Integer(2).Bytes()) {
		t.Errorf("order+2 is %x", s.Bytes())
	}
	wide := [64]byte(append(unhex(t, "efd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010"), make([]byte, 32)...))
	if s := (group.Edwards25519{}).Reduce(wide); !bytes.Equal(s.Bytes(), group.Edwards25519{}.Integer(2).Bytes()) {
		t.Errorf("order+2 is %x", s.Bytes())
	}
}

// testLagrange interpolates a random polynomial at 0.
func testLagrange[S group.Scalar[S], E group.Element[E, S]](t *testing.T, g group.Group[S, E]) {
	rapid.Check(t, func(t *rapid.T) {
		xs := rapid.SliceOfNDistinct(rapid.Uint32Range(1, 300), 1, 6, rapid.ID).Draw(t, "xs")
		coefficients := rapid.SliceOfN(rapid.Uint32(), len(xs), len(xs)).Draw(t, "coefficients")
		sum := g.Integer(0)
		for _, x := range xs {
			value := g.Integer(0)
			for i := len(coefficients) - 1; i >= 0; i-- {
				value = value.Mul(g.Integer(x)).Add(g.Integer(coefficients[i]))
			}
			lambda, err := group.Lagrange(g, xs, x)
			if err != nil {
				t.Fatal(err)
			}
			sum = sum.Add(lambda.Mul(value))
		}
		if !bytes.Equal(sum.Bytes(), g.Integer(coefficients[0]).Bytes()) {
			t.Errorf("%x at 0, not %d", sum.Bytes(), coefficients[0])
		}
	})
	for _, bad := range [][]uint32{nil, {2}, {1, 1}, {0, 1}, {1, 2, 2}} {
		if _, err := group.Lagrange(g, bad, 1); err == nil {
			t.Errorf("interpolates at 1 of %v", bad)
		}
	}
}

func TestLagrange(t *testing.T) {
	testLagrange(t, group.Secp256k1{})
	testLagrange(t, group.Edwards25519{})
}

// fuzz demands that what decodes has that one encoding.
func fuzz[S group.Scalar[S], E group.Element[E, S]](f *testing.F, g group.Group[S, E], seeds ...string) {
	for _, seed := range seeds {
		f.Add(unhex(f, seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if e, err := g.Element(data); err == nil && (!bytes.Equal(e.Bytes(), data) || e.IsIdentity()) {
			t.Errorf("element %x of %x", e.Bytes(), data)
		}
		if s, err := g.Scalar(data); err == nil && !bytes.Equal(s.Bytes(), data) {
			t.Errorf("scalar %x of %x", s.Bytes(), data)
		}
	})
}

func FuzzSecp256k1(f *testing.F) {
	fuzz(f, group.Secp256k1{}, "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798", "00"+zeroes, secpLast)
}

func FuzzEdwards25519(f *testing.F) {
	fuzz(f, group.Edwards25519{}, "5866666666666666666666666666666666666666666666666666666666666666", "01"+zeroes[2:], edwardsLast)
}
