// Package schnorr is what the two specifications of FROST have in common: nonces that can be used once, the equation of
// a signature share, its verification, and the sum of the shares (RFC 9591, 5.1 to 5.4; BIP 445, Sign, PartialSigVerify
// and PartialSigAgg). What they do not share, binding factors, challenges and tweaks, is in packages bip445 and
// rfc9591, which fill in Values.
//
// It knows no messages and no sessions. A Nonce belongs to one goroutine; Values are not changed once made.
package schnorr

import (
	"errors"
	"fmt"

	"github.com/countersign-mpc/countersign/signing/frost/internal/group"
)

// ErrNonceUsed is wrapped where a nonce is asked to sign again.
var ErrNonceUsed = errors.New("the nonce has been used")

// Nonce is a signer's secret for one signature. Two shares made with one nonce give the key share away, so that making
// the first takes it out.
type Nonce[S group.Scalar[S]] struct {
	hiding, binding S
	ready           bool
}

// NewNonce makes a nonce of two secret scalars, which belong to it from now on. Neither may be zero.
func NewNonce[S group.Scalar[S]](hiding, binding S) (*Nonce[S], error) {
	if hiding.IsZero() || binding.IsZero() {
		return nil, errors.New("a nonce is zero: draw another")
	}
	return &Nonce[S]{hiding: hiding, binding: binding, ready: true}, nil
}

// take empties the nonce and returns what it held.
func (n *Nonce[S]) take() (hiding, binding S, err error) {
	if !n.ready {
		return hiding, binding, ErrNonceUsed
	}
	hiding, binding = n.hiding, n.binding
	*n = Nonce[S]{}
	return hiding, binding, nil
}

// Wipe overwrites and empties the nonce.
func (n *Nonce[S]) Wipe() {
	if hiding, binding, err := n.take(); err == nil {
		hiding.Wipe()
		binding.Wipe()
	}
}

// Commitment is the public half of a nonce.
type Commitment[S group.Scalar[S], E group.Element[E, S]] struct{ Hiding, Binding E }

// Commit returns the commitment to a nonce (RFC 9591, 5.1). It fails once the nonce has been used.
func Commit[S group.Scalar[S], E group.Element[E, S]](g group.Group[S, E], n *Nonce[S]) (Commitment[S, E], error) {
	if !n.ready {
		return Commitment[S, E]{}, fmt.Errorf("commit to a nonce: %w", ErrNonceUsed)
	}
	return Commitment[S, E]{Hiding: g.Base(n.hiding), Binding: g.Base(n.binding)}, nil
}

// Bytes encodes a commitment: hiding, then binding element.
func (c Commitment[S, E]) Bytes() []byte { return append(c.Hiding.Bytes(), c.Binding.Bytes()...) }

// ParseCommitment decodes what Bytes made. Both halves must be canonical elements and not the identity; errors wrap
// group.ErrElement.
func ParseCommitment[S group.Scalar[S], E group.Element[E, S]](g group.Group[S, E], encoded []byte) (c Commitment[S, E], err error) {
	half := len(encoded) / 2
	if c.Hiding, err = g.Element(encoded[:half]); err != nil {
		return c, fmt.Errorf("hiding commitment: %w", err)
	}
	if c.Binding, err = g.Element(encoded[half:]); err != nil {
		return c, fmt.Errorf("binding commitment: %w", err)
	}
	return c, nil
}

// Signer is what is public about a signer of one signature.
type Signer[S group.Scalar[S], E group.Element[E, S]] struct {
	X           uint32 // the x coordinate of its share
	PublicShare E
	Factor      S // its binding factor: rho of RFC 9591, b of BIP 445
	Lambda      S // its Lagrange coefficient among the signers
}

// Values are the public numbers of one signature, the same at every signer.
type Values[S group.Scalar[S], E group.Element[E, S]] struct {
	Group     group.Group[S, E]
	Signers   []Signer[S, E]
	Nonce     [32]byte // R as the signature holds it
	Challenge S
	// NegateNonces and NegateShares say that BIP340's even y coordinates ask for the negated nonces and shares.
	NegateNonces, NegateShares bool
	// Tweak is what the signing key is above the key that the shares stand for.
	Tweak S
}

// signer finds a signer by the x coordinate of its share.
func (v *Values[S, E]) signer(x uint32) (Signer[S, E], error) {
	for _, s := range v.Signers {
		if s.X == x {
			return s, nil
		}
	}
	return Signer[S, E]{}, fmt.Errorf("the party at x = %d is no signer of this signature", x)
}

// Share computes the signature share of the signer at x and checks it as the others will, so that a fault of the
// machine does not leave it. It takes the nonce before it computes anything: a second call with it fails, also after an
// error.
func (v *Values[S, E]) Share(x uint32, nonce *Nonce[S], secret S) (S, error) {
	var none S
	hiding, binding, err := nonce.take()
	if err != nil {
		return none, fmt.Errorf("make signature share: %w", err)
	}
	defer hiding.Wipe()
	defer binding.Wipe()
	own, err := v.signer(x)
	if err != nil {
		return none, fmt.Errorf("make signature share: %w", err)
	}
	if secret.IsZero() || !v.Group.Base(secret).Equal(own.PublicShare) {
		return none, errors.New("make signature share: the secret does not belong to the own public share")
	}
	commitment := Commitment[S, E]{Hiding: v.Group.Base(hiding), Binding: v.Group.Base(binding)}
	bound := binding.Mul(own.Factor)
	k := hiding.Add(bound)
	d := secret.Mul(own.Lambda.Mul(v.Challenge))
	signedK, signedD := signed(k, v.NegateNonces), signed(d, v.NegateShares)
	defer wipe(bound, k, d, signedK, signedD)
	share := signedK.Add(signedD)
	if err := v.Verify(x, commitment, share); err != nil {
		share.Wipe()
		return none, fmt.Errorf("make signature share: the machine has miscalculated: %w", err)
	}
	return share, nil
}

// Verify checks the signature share of the signer at x against its commitment and public share. An error means that the
// share is wrong (or that x is no signer).
func (v *Values[S, E]) Verify(x uint32, c Commitment[S, E], share S) error {
	signer, err := v.signer(x)
	if err != nil {
		return fmt.Errorf("verify signature share: %w", err)
	}
	k := c.Hiding.Add(c.Binding.Mul(signer.Factor))
	d := signer.PublicShare.Mul(signer.Lambda.Mul(v.Challenge))
	if v.NegateNonces {
		k = k.Negate()
	}
	if v.NegateShares {
		d = d.Negate()
	}
	if !v.Group.Base(share).Equal(k.Add(d)) {
		return fmt.Errorf("the signature share of the party at x = %d does not verify", x)
	}
	return nil
}

// Sum adds the shares of all signers and the tweak's part to the signature, R ‖ s (BIP340, or RFC 8032). The shares must
// have been verified; the caller verifies the signature.
func (v *Values[S, E]) Sum(shares []S) ([64]byte, error) {
	var signature [64]byte
	if len(shares) != len(v.Signers) {
		return signature, fmt.Errorf("%d signature shares of %d signers", len(shares), len(v.Signers))
	}
	s := v.Challenge.Mul(v.Tweak)
	for _, share := range shares {
		s = s.Add(share)
	}
	copy(signature[:32], v.Nonce[:])
	copy(signature[32:], s.Bytes())
	return signature, nil
}

// signed returns s or its negative. Which of them is public.
func signed[S group.Scalar[S]](s S, negate bool) S {
	if negate {
		return s.Negate()
	}
	return s
}

func wipe[S group.Scalar[S]](secrets ...S) {
	for _, s := range secrets {
		s.Wipe()
	}
}
