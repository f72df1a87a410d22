package node

import (
	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/cmp"
)

// Protocols starts the threshold protocols. CMP is the one of this version; tests put a cheap protocol in its place.
type Protocols interface {
	// Keygen starts making a key among parties, of which threshold will be needed to sign.
	Keygen(binding manifest.Binding, self signing.PartyID, parties []signing.PartyID, threshold int) (signing.KeygenSession, error)
	// Sign starts a signature of digest under the key that derived names; signers are exactly the threshold.
	Sign(binding manifest.Binding, share *signing.Share, signers []signing.PartyID, derived derive.Derived, digest [32]byte) (signing.SignSession, error)
}

// CMP is threshold ECDSA by package signing/cmp.
type CMP struct{}

var _ Protocols = CMP{}

// Keygen implements Protocols.
func (CMP) Keygen(binding manifest.Binding, self signing.PartyID, parties []signing.PartyID, threshold int) (signing.KeygenSession, error) {
	return cmp.NewKeygen(cmp.KeygenConfig{Binding: binding, Self: self, Parties: parties, Threshold: threshold})
}

// Sign implements Protocols.
func (CMP) Sign(binding manifest.Binding, share *signing.Share, signers []signing.PartyID, derived derive.Derived, digest [32]byte) (signing.SignSession, error) {
	return cmp.NewSign(cmp.SignConfig{Binding: binding, Share: share, Signers: signers, Tweak: derived.Tweak,
		PublicKey: [33]byte(derived.PublicKey), Digest: digest})
}
