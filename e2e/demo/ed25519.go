package main

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"

	"github.com/countersign-mpc/countersign/e2e/cluster"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/wire"
)

// solanaPath is where the demo's second Solana account lies.
const solanaPath = "m/44/501/0/0"

func (d *demo) ed25519Keygen(ctx context.Context, s *Step) (err error) {
	if d.ed, err = d.keygen(ctx, s, "demo-keygen-ed25519", wire.EdDSAEd25519, 3); err != nil {
		return err
	}
	s.Address = d.ed.PublicKey
	return d.c.Learn(ctx, cluster.Key{PublicKey: d.ed.PublicKey, ChainCode: d.ed.ChainCode, Raw: true})
}

// solana signs a message of Solana with the key at a path. crypto/ed25519 verifies it.
func (d *demo) solana(path string) func(context.Context, *Step) error {
	return func(ctx context.Context, s *Step) error {
		return d.solanaBy(ctx, s, d.ed, path, 5_000_000)
	}
}

func (d *demo) solanaBy(ctx context.Context, s *Step, k key, path string, lamports uint64, signers ...string) error {
	child, err := d.c.API().Child(ctx, k.KeyID, path)
	if err != nil {
		return err
	}
	public, err := unhex("the key at "+path, child.DerivedKey, ed25519.PublicKeySize)
	if err != nil {
		return err
	}
	if path == "m" && child.DerivedKey != k.PublicKey {
		return errors.New("the root path has another key than the root")
	}
	message := cluster.SolanaMessage([32]byte(public), [32]byte{1: 7}, lamports, [32]byte{2: 8})
	signature, err := d.sign(ctx, s, k, manifest.Terms{Type: wire.TypeSign, RequestID: d.id(s), KeyID: k.KeyID, Path: path,
		SignType: wire.SignTypeRaw, Message: hex.EncodeToString(message)}, signers...)
	if err != nil {
		return err
	}
	if !ed25519.Verify(public, message, signature) {
		return errors.New("crypto/ed25519 does not verify the signature")
	}
	s.VerifiedBy = "crypto/ed25519"
	return s.decidedBy("raw.key")
}
