package bip445

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/countersign-mpc/countersign/signing/frost/internal/group"
	"github.com/countersign-mpc/countersign/signing/frost/internal/schnorr"
)

// Signers is the Signers Context of BIP 445: who signs, for which key.
type Signers struct {
	N, T         int
	IDs          []uint32 // x coordinates of the shares, less 1
	PublicShares [][]byte // of each of IDs, 33 bytes
	PublicKey    []byte   // the threshold public key before tweaks, 33 bytes
}

// Session is the Session Context of BIP 445: all that signers agree on for one signature.
type Session struct {
	Signers
	AggregateNonce []byte // of NonceAgg, 66 bytes
	// Tweaks are added to the key in their order, 32 bytes each; XOnly says of each whether the key's x-only form is
	// tweaked (BIP341) or the plain key (BIP32).
	Tweaks  [][]byte
	XOnly   []bool
	Message []byte
}

// TweakedKey is the Tweak Context of BIP 445.
type TweakedKey struct {
	Q *Element // the tweaked key
	// Q is the threshold key, negated if negated is set, plus sum times the generator.
	negated bool
	sum     *Scalar
}

// Tweak applies tweaks to a public key (33 bytes).
func Tweak(publicKey []byte, tweaks [][]byte, xonly []bool) (TweakedKey, error) {
	q, err := curve.Element(publicKey)
	if err != nil {
		return TweakedKey{}, fmt.Errorf("threshold public key: %w", err)
	}
	if len(tweaks) != len(xonly) {
		return TweakedKey{}, fmt.Errorf("%d tweaks with %d modes", len(tweaks), len(xonly))
	}
	key := TweakedKey{Q: q, sum: curve.Integer(0)}
	for i, encoded := range tweaks {
		t, err := curve.Scalar(encoded)
		if err != nil {
			return TweakedKey{}, fmt.Errorf("tweak %d: %w", i, err)
		}
		if xonly[i] && !key.Q.HasEvenY() {
			key = TweakedKey{Q: key.Q.Negate(), negated: !key.negated, sum: key.sum.Negate()}
		}
		key.Q, key.sum = key.Q.Add(curve.Base(t)), key.sum.Add(t)
		if key.Q.IsIdentity() {
			return TweakedKey{}, fmt.Errorf("tweak %d makes the key the point at infinity", i)
		}
	}
	return key, nil
}

// Values validates the session and computes what all signers need of it (BIP 445, GetSessionValues). A *Fault is about
// the aggregate nonce; every other error about the rest of the session.
func (s Session) Values() (*Values, error) {
	signers, err := s.Signers.interpolate()
	if err != nil {
		return nil, fmt.Errorf("signers: %w", err)
	}
	key, err := Tweak(s.PublicKey, s.Tweaks, s.XOnly)
	if err != nil {
		return nil, err
	}
	b := curve.Reduce(taggedHash("BIP0445/noncecoef", s.serializeIDs(), s.AggregateNonce, key.Q.XBytes(), s.Message))
	r, err := finalNonce(s.AggregateNonce, b)
	if err != nil {
		return nil, err
	}
	e := curve.Reduce(taggedHash("BIP0340/challenge", r.XBytes(), key.Q.XBytes(), s.Message))
	if b.IsZero() || e.IsZero() {
		return nil, errors.New("a hash is zero modulo the group order: sign with other nonces")
	}
	for i := range signers {
		signers[i].Factor = b
	}
	v := &Values{
		Group: curve, Signers: signers, Nonce: [32]byte(r.XBytes()), Challenge: e,
		NegateNonces: !r.HasEvenY(), NegateShares: key.Q.HasEvenY() == key.negated, Tweak: key.sum,
	}
	if !key.Q.HasEvenY() {
		v.Tweak = key.sum.Negate()
	}
	return v, nil
}

// finalNonce is R of BIP340: the aggregate nonce, bound. Were it the point at infinity it becomes the generator, so that
// the dishonest signer that must be there is found by its share.
func finalNonce(aggregate []byte, b *Scalar) (*Element, error) {
	if len(aggregate) != NonceLength {
		return nil, &Fault{-1, "aggregate nonce", fmt.Errorf("%d bytes, not %d", len(aggregate), NonceLength)}
	}
	hiding, err := curve.ElementOrIdentity(aggregate[:NonceLength/2])
	if err != nil {
		return nil, &Fault{-1, "aggregate nonce", err}
	}
	binding, err := curve.ElementOrIdentity(aggregate[NonceLength/2:])
	if err != nil {
		return nil, &Fault{-1, "aggregate nonce", err}
	}
	r := hiding.Add(binding.Mul(b))
	if r.IsIdentity() {
		r = curve.Base(curve.Integer(1))
	}
	return r, nil
}

// interpolate validates the signers (BIP 445, ValidateSignersCtx) and returns them with their Lagrange coefficients.
func (s Signers) interpolate() ([]schnorr.Signer[*Scalar, *Element], error) {
	u := len(s.IDs)
	switch {
	case s.T < 1 || s.T > s.N:
		return nil, fmt.Errorf("threshold %d of %d: it is 1 to n", s.T, s.N)
	case u < s.T || u > s.N:
		return nil, fmt.Errorf("%d signers: %d to %d can sign", u, s.T, s.N)
	case len(s.PublicShares) != u:
		return nil, fmt.Errorf("%d public shares of %d signers", len(s.PublicShares), u)
	}
	xs := make([]uint32, u)
	for i, id := range s.IDs {
		if uint64(id) >= uint64(s.N) {
			return nil, fmt.Errorf("identifier %d: of %d participants the last is %d", id, s.N, s.N-1)
		}
		xs[i] = id + 1
	}
	signers := make([]schnorr.Signer[*Scalar, *Element], u)
	sum := curve.Identity()
	for i, x := range xs {
		public, err := curve.Element(s.PublicShares[i])
		if err != nil {
			return nil, fmt.Errorf("public share of identifier %d: %w", s.IDs[i], err)
		}
		lambda, err := group.Lagrange(curve, xs, x)
		if err != nil {
			return nil, err
		}
		sum = sum.Add(public.Mul(lambda))
		signers[i] = schnorr.Signer[*Scalar, *Element]{X: x, PublicShare: public, Lambda: lambda}
	}
	if !bytes.Equal(sum.Bytes(), s.PublicKey) {
		return nil, errors.New("the public shares do not stand for the threshold public key")
	}
	return signers, nil
}

// serializeIDs writes the identifiers in ascending order, 4 bytes each.
func (s Signers) serializeIDs() []byte {
	var out []byte
	for _, id := range slices.Sorted(slices.Values(s.IDs)) {
		out = binary.BigEndian.AppendUint32(out, id)
	}
	return out
}
