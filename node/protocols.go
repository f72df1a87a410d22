package node

import (
	"fmt"

	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/cmp"
	"github.com/countersign-mpc/countersign/signing/eddsa"
	"github.com/countersign-mpc/countersign/signing/frost"
	"github.com/countersign-mpc/countersign/wire"
)

// KeygenRun is what one run of a keygen is started with.
type KeygenRun struct {
	Binding      manifest.Binding
	Cryptography string // wire.ECDSASecp256k1 or wire.EdDSAEd25519
	Self         signing.PartyID
	Parties      []signing.PartyID
	Threshold    int // signers that will be needed
}

// SignRun is what one run of a signing is started with. The protocol keeps its own copy of the share.
type SignRun struct {
	Binding       manifest.Binding
	Share         *signing.Share
	Signers       []signing.PartyID // exactly the threshold
	Scheme        derive.Scheme     // one that the share's algorithm can serve
	Derived       derive.Derived    // the key that signs
	TapScriptRoot []byte            // taproot: 32 bytes, or nothing; else nothing
	Message       []byte            // 32 bytes, or for Ed25519 the whole message
	Recipient     signing.PartyID   // the one signer that learns the signature; 0: all do
}

// Protocols starts the threshold protocols. Threshold holds those of this version; tests put cheap ones in their place.
type Protocols interface {
	Keygen(KeygenRun) (signing.KeygenSession, error)
	Sign(SignRun) (signing.SignSession, error)
}

// Threshold is CMP for the keys of secp256k1 and their ECDSA signatures, FROST for their BIP340 and Taproot signatures and
// for those of Ed25519, and the keygen of package eddsa for keys of Ed25519.
type Threshold struct{}

var _ Protocols = Threshold{}

// Keygen implements Protocols.
func (Threshold) Keygen(r KeygenRun) (signing.KeygenSession, error) {
	switch r.Cryptography {
	case wire.ECDSASecp256k1:
		return cmp.NewKeygen(cmp.KeygenConfig{Binding: r.Binding, Self: r.Self, Parties: r.Parties, Threshold: r.Threshold})
	case wire.EdDSAEd25519:
		return eddsa.NewKeygen(eddsa.KeygenConfig{Binding: r.Binding, Self: r.Self, Parties: r.Parties, Threshold: r.Threshold})
	}
	return nil, fmt.Errorf("no protocol makes keys of %q", r.Cryptography)
}

// Sign implements Protocols.
func (Threshold) Sign(r SignRun) (signing.SignSession, error) {
	if r.Scheme == derive.SchemeECDSA {
		c, err := r.ecdsa()
		if err != nil {
			return nil, err
		}
		return cmp.NewSign(c)
	}
	return frost.NewSign(frost.SignConfig{Binding: r.Binding, Share: r.Share, Signers: r.Signers, Scheme: r.Scheme, Derived: r.Derived,
		TapScriptRoot: r.TapScriptRoot, Message: r.Message, Recipient: r.Recipient})
}

// ecdsa puts the run into the sizes that ECDSA has.
func (r SignRun) ecdsa() (cmp.SignConfig, error) {
	if len(r.Derived.PublicKey) != 33 || len(r.Message) != 32 {
		return cmp.SignConfig{}, fmt.Errorf("ECDSA signs 32 bytes with a key of 33, not %d with one of %d", len(r.Message), len(r.Derived.PublicKey))
	}
	return cmp.SignConfig{Binding: r.Binding, Share: r.Share, Signers: r.Signers, Tweak: r.Derived.Tweak,
		PublicKey: [33]byte(r.Derived.PublicKey), Digest: [32]byte(r.Message), Recipient: r.Recipient}, nil
}
