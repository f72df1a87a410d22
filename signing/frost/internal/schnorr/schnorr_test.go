package schnorr_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/signing/frost/internal/group"
	"github.com/countersign-mpc/countersign/signing/frost/internal/schnorr"
)

var curve group.Edwards25519

type (
	scalar  = *group.EdwardsScalar
	element = *group.EdwardsElement
)

func nonce(t *testing.T) *schnorr.Nonce[scalar] {
	t.Helper()
	n, err := schnorr.NewNonce(curve.Integer(5), curve.Integer(7))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// values are of one signer at x = 2 with the secret 11.
func values() *schnorr.Values[scalar, element] {
	return &schnorr.Values[scalar, element]{
		Group: curve, Challenge: curve.Integer(13), Tweak: curve.Integer(3),
		Signers: []schnorr.Signer[scalar, element]{
			{X: 2, PublicShare: curve.Base(curve.Integer(11)), Factor: curve.Integer(17), Lambda: curve.Integer(19)},
		},
	}
}

// TestShareEquation computes a share by hand: every sign that BIP340 may ask for.
func TestShareEquation(t *testing.T) {
	for _, negateNonces := range []bool{false, true} {
		for _, negateShares := range []bool{false, true} {
			v := values()
			v.NegateNonces, v.NegateShares = negateNonces, negateShares
			k, d := curve.Integer(5+17*7), curve.Integer(13*19*11)
			if negateNonces {
				k = k.Negate()
			}
			if negateShares {
				d = d.Negate()
			}
			share, err := v.Share(2, nonce(t), curve.Integer(11))
			if err != nil || string(share.Bytes()) != string(k.Add(d).Bytes()) {
				t.Fatalf("share %x, %v", share.Bytes(), err)
			}
			c, err := schnorr.Commit(curve, nonce(t))
			if err != nil || v.Verify(2, c, share) != nil {
				t.Fatal("the share does not verify")
			}
			if err := v.Verify(2, c, share.Add(curve.Integer(1))); err == nil {
				t.Error("another share verifies")
			}
			c.Hiding, c.Binding = c.Binding, c.Hiding
			if err := v.Verify(2, c, share); err == nil {
				t.Error("the share verifies with another commitment")
			}
		}
	}
}

// TestNonceSignsOnce makes shares, or fails to, with a nonce that then must not make another.
func TestNonceSignsOnce(t *testing.T) {
	v := values()
	why := map[string]string{
		"no signer": "is no signer", "another's secret": "does not belong", "no secret": "does not belong", "wiped": "wiped",
	}
	for what, attempt := range map[string]func(n *schnorr.Nonce[scalar]) error{
		"a share": func(n *schnorr.Nonce[scalar]) error {
			_, err := v.Share(2, n, curve.Integer(11))
			return err
		},
		"no signer": func(n *schnorr.Nonce[scalar]) error {
			_, err := v.Share(3, n, curve.Integer(11))
			return err
		},
		"another's secret": func(n *schnorr.Nonce[scalar]) error {
			_, err := v.Share(2, n, curve.Integer(12))
			return err
		},
		"no secret": func(n *schnorr.Nonce[scalar]) error {
			_, err := v.Share(2, n, curve.Integer(0))
			return err
		},
		"wiped": func(n *schnorr.Nonce[scalar]) error { n.Wipe(); n.Wipe(); return errors.New("wiped") },
	} {
		n := nonce(t)
		if err := attempt(n); (err == nil) != (what == "a share") || (err != nil && !strings.Contains(err.Error(), why[what])) {
			t.Fatalf("%s: %v", what, err)
		}
		if _, err := v.Share(2, n, curve.Integer(11)); !errors.Is(err, schnorr.ErrNonceUsed) {
			t.Errorf("%s: a nonce signs twice: %v", what, err)
		}
		if _, err := schnorr.Commit(curve, n); !errors.Is(err, schnorr.ErrNonceUsed) {
			t.Errorf("%s: a used nonce commits: %v", what, err)
		}
	}
}

func TestZeroNonces(t *testing.T) {
	for _, pair := range [][2]uint32{{0, 1}, {1, 0}, {0, 0}} {
		if _, err := schnorr.NewNonce(curve.Integer(pair[0]), curve.Integer(pair[1])); err == nil {
			t.Errorf("nonce %v", pair)
		}
	}
}

// TestNonceMemory looks at the scalars that a nonce was made of, once it is used or wiped.
func TestNonceMemory(t *testing.T) {
	for what, use := range map[string]func(n *schnorr.Nonce[scalar]){
		"wiped": func(n *schnorr.Nonce[scalar]) { n.Wipe() },
		"used": func(n *schnorr.Nonce[scalar]) {
			if _, err := values().Share(2, n, curve.Integer(11)); err != nil {
				t.Fatal(err)
			}
		},
		"used in vain": func(n *schnorr.Nonce[scalar]) { _, _ = values().Share(1, n, curve.Integer(11)) },
	} {
		hiding, binding := curve.Integer(5), curve.Integer(7)
		n, err := schnorr.NewNonce(hiding, binding)
		if err != nil {
			t.Fatal(err)
		}
		use(n)
		if !hiding.IsZero() || !binding.IsZero() {
			t.Errorf("%s: the nonce is still in memory", what)
		}
	}
}

// TestWrongSigningKey lets the machine miscalculate: the values are not those that the nonce and the secret belong to.
func TestWrongSigningKey(t *testing.T) {
	v := values()
	v.Group = miscalculating{}
	if _, err := v.Share(2, nonce(t), curve.Integer(11)); err == nil || !strings.Contains(err.Error(), "miscalculated") {
		t.Errorf("a wrong share leaves: %v", err)
	}
}

// miscalculating is wrong about the base times large numbers.
type miscalculating struct{ group.Edwards25519 }

func (m miscalculating) Base(s scalar) element {
	if b := s.Bytes(); b[1] != 0 {
		return m.Edwards25519.Base(s.Add(curve.Integer(1)))
	}
	return m.Edwards25519.Base(s)
}

func TestSum(t *testing.T) {
	v := values()
	v.Nonce = [32]byte{1, 2, 3}
	signature, err := v.Sum([]scalar{curve.Integer(100)})
	if err != nil || [32]byte(signature[:32]) != v.Nonce || string(signature[32:]) != string(curve.Integer(100+13*3).Bytes()) {
		t.Errorf("signature %x, %v", signature, err)
	}
	for _, shares := range [][]scalar{nil, {curve.Integer(1), curve.Integer(2)}} {
		if _, err := v.Sum(shares); err == nil {
			t.Errorf("adds %d shares of one signer", len(shares))
		}
	}
}
