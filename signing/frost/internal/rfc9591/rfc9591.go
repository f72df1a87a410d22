// Package rfc9591 is what RFC 9591 (FROST) asks of a signer with the ciphersuite FROST(Ed25519, SHA-512) beyond package
// schnorr: nonce generation (4.1), binding factors (4.4), group commitment (4.5) and challenge (4.6), with one addition:
// the signing key may be above the shared key by a public tweak, whose part of the signature is added when the shares
// are summed. Names follow the RFC where they can.
//
// Functions are safe for concurrent use.
package rfc9591

import (
	"bytes"
	"cmp"
	"crypto/sha512"
	"errors"
	"fmt"
	"slices"

	"github.com/countersign-mpc/countersign/signing/frost/internal/group"
	"github.com/countersign-mpc/countersign/signing/frost/internal/schnorr"
)

const (
	// CommitmentLength is the length of an encoded commitment, in bytes.
	CommitmentLength = 64

	contextString = "FROST-ED25519-SHA512-v1" // 6.1
)

// curve is the group of all functions here.
var curve group.Edwards25519

// The types of package schnorr over edwards25519.
type (
	Scalar     = group.EdwardsScalar
	Element    = group.EdwardsElement
	Nonce      = schnorr.Nonce[*Scalar]
	Commitment = schnorr.Commitment[*Scalar, *Element]
	Values     = schnorr.Values[*Scalar, *Element]
)

// NonceGenerate makes one half of a nonce from 32 bytes that must be random, fresh and secret, and the signer's secret
// (4.1, nonce_generate).
func NonceGenerate(random [32]byte, secret *Scalar) *Scalar {
	encoded := secret.Bytes()
	defer clear(encoded)
	return hashToScalar("nonce", random[:], encoded)
}

// ParseCommitment decodes a commitment: hiding, then binding element.
func ParseCommitment(encoded []byte) (Commitment, error) {
	if len(encoded) != CommitmentLength {
		return Commitment{}, fmt.Errorf("%d bytes: a commitment has %d", len(encoded), CommitmentLength)
	}
	return schnorr.ParseCommitment(curve, encoded)
}

// Signer is a signer of a session.
type Signer struct {
	ID          uint32 // its identifier: the x coordinate of its share
	PublicShare []byte // 32 bytes
	Commitment  Commitment
}

// Session is all that signers agree on for one signature.
type Session struct {
	PublicKey []byte // that the shares stand for, 32 bytes
	Tweak     []byte // what the signing key is above it: a scalar of 32 bytes, little-endian; zero for none
	Signers   []Signer
	Message   []byte
}

// Values validates the session and computes what all signers need of it. The public shares must stand for the public
// key.
func (s Session) Values() (*Values, error) {
	signers := slices.SortedFunc(slices.Values(s.Signers), func(a, b Signer) int { return cmp.Compare(a.ID, b.ID) })
	out, err := interpolate(signers, s.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("signers: %w", err)
	}
	tweak, err := curve.Scalar(s.Tweak)
	if err != nil {
		return nil, fmt.Errorf("tweak: %w", err)
	}
	public, err := curve.Element(s.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	key := public.Add(curve.Base(tweak))
	if key.IsIdentity() {
		return nil, errors.New("the tweak makes the key the identity")
	}
	groupCommitment := curve.Identity()
	for i, input := range BindingFactorInputs(key.Bytes(), signers, s.Message) {
		out[i].Factor = hashToScalar("rho", input)
		c := signers[i].Commitment
		groupCommitment = groupCommitment.Add(c.Hiding).Add(c.Binding.Mul(out[i].Factor))
	}
	if groupCommitment.IsIdentity() {
		return nil, errors.New("the commitments add up to nothing: one signer has not made its own by the rules")
	}
	v := &Values{Group: curve, Signers: out, Nonce: [32]byte(groupCommitment.Bytes()), Tweak: tweak}
	challenge := sha512.New() // H2 has no context string, so that signatures are those of RFC 8032
	challenge.Write(v.Nonce[:])
	challenge.Write(key.Bytes())
	challenge.Write(s.Message)
	v.Challenge = curve.Reduce([64]byte(challenge.Sum(nil)))
	return v, nil
}

// interpolate returns the signers with their Lagrange coefficients, once it is sure that they stand for the key.
func interpolate(signers []Signer, publicKey []byte) ([]schnorr.Signer[*Scalar, *Element], error) {
	var ids []uint32
	for _, s := range signers {
		ids = append(ids, s.ID)
	}
	out := make([]schnorr.Signer[*Scalar, *Element], len(signers))
	sum := curve.Identity()
	for i, s := range signers {
		public, err := curve.Element(s.PublicShare)
		if err != nil {
			return nil, fmt.Errorf("public share of identifier %d: %w", s.ID, err)
		}
		lambda, err := group.Lagrange(curve, ids, s.ID)
		if err != nil {
			return nil, err
		}
		sum = sum.Add(public.Mul(lambda))
		out[i] = schnorr.Signer[*Scalar, *Element]{X: s.ID, PublicShare: public, Lambda: lambda}
	}
	if !bytes.Equal(sum.Bytes(), publicKey) {
		return nil, errors.New("the public shares do not stand for the public key")
	}
	return out, nil
}

// BindingFactorInputs returns what is hashed into the binding factor of each signer (4.4). Signers are in ascending
// order.
func BindingFactorInputs(publicKey []byte, signers []Signer, message []byte) [][]byte {
	var list []byte // 4.3, encode_group_commitment_list
	for _, s := range signers {
		list = append(list, curve.Integer(s.ID).Bytes()...)
		list = append(list, s.Commitment.Bytes()...)
	}
	messageHash, listHash := hash("msg", message), hash("com", list)
	var out [][]byte
	for _, s := range signers {
		out = append(out, slices.Concat(publicKey, messageHash[:], listHash[:], curve.Integer(s.ID).Bytes()))
	}
	return out
}

// hash is H4 ("msg") and H5 ("com") of 6.1.
func hash(tag string, data ...[]byte) (sum [64]byte) {
	h := sha512.New()
	h.Write([]byte(contextString + tag))
	for _, d := range data {
		h.Write(d)
	}
	h.Sum(sum[:0])
	return sum
}

// hashToScalar is H1 ("rho") and H3 ("nonce") of 6.1.
func hashToScalar(tag string, data ...[]byte) *Scalar {
	sum := hash(tag, data...)
	defer clear(sum[:])
	return curve.Reduce(sum)
}
