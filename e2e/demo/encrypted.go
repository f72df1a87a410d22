package main

import (
	"context"
	"encoding/hex"
	"fmt"

	"github.com/countersign-mpc/countersign/e2e/cluster"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/wire"
)

// encryptedKeygen makes a key whose results of sign_type 2 and 3 node a alone learns and encrypts to the callback.
func (d *demo) encryptedKeygen(ctx context.Context, s *Step) (err error) {
	if err := d.c.Encrypt(ctx, true); err != nil {
		return err
	}
	if d.secret, err = d.keygen(ctx, s, "demo-keygen-encrypted", wire.ECDSASecp256k1, 3); err != nil {
		return err
	}
	if d.secretFrom, err = d.c.API().Address(ctx, d.secret.KeyID, cluster.Path); err != nil {
		return err
	}
	s.Address = d.secretFrom
	if err := d.c.Encrypt(ctx, false); err != nil { // for the keys that are made after this one
		return err
	}
	return d.c.Learn(ctx, cluster.Key{PublicKey: d.secret.PublicKey, ChainCode: d.secret.ChainCode, Raw: true, Messages: true})
}

// encryptedText has a message signed that the callback alone gets to read the signature of.
func (d *demo) encryptedText(ctx context.Context, s *Step) error {
	terms := d.messageTerms(s, d.secret, signIn)
	digest, err := cluster.MessageDigest(terms.Message)
	if err != nil {
		return err
	}
	sinoID, err := d.order(ctx, s, d.secret, terms)
	if err != nil {
		return err
	}
	if err := d.opened(ctx, s, sinoID, terms, digest); err != nil {
		return err
	}
	return s.decidedBy("message.content")
}

// encryptedRaw is the same for raw data, with the callback down while the nodes sign, and node a killed before the callback is
// there again.
func (d *demo) encryptedRaw(ctx context.Context, s *Step) error {
	terms, err := d.rawTerms(s, d.secret, wire.SignTypeRaw)
	if err != nil {
		return err
	}
	digest, err := unhex("the digest", terms.Message, 32)
	if err != nil {
		return err
	}
	sinoID, err := d.order(ctx, s, d.secret, terms)
	if err != nil {
		return err
	}
	if _, err := d.c.API().Await(ctx, sinoID, "the protocol to run", func(r cluster.Request) bool { return r.State == "in_progress" }); err != nil {
		return err
	}
	d.c.Kill("callback")
	if _, err := d.c.API().Await(ctx, sinoID, "the signature", completed); err != nil {
		return err
	}
	d.c.Kill(cluster.Encryptor)
	if err := d.c.Start(ctx, "callback"); err != nil {
		return err
	}
	if ids, err := d.c.Results(ctx, terms.RequestID); err != nil || len(ids) != 0 {
		return fmt.Errorf("the callback has the results %v (%v) before node a is there again to report one", ids, err)
	}
	if err := d.c.Start(ctx, cluster.Encryptor); err != nil {
		return err
	}
	if err := d.c.Unseal(ctx, cluster.Encryptor); err != nil {
		return err
	}
	if err := d.opened(ctx, s, sinoID, terms, digest); err != nil {
		return err
	}
	s.Error = "first: the callback was down from signing on, and node a killed with the report undelivered"
	return s.decidedBy("raw.key")
}

// opened checks that the coordinator has nothing but ciphertext and the other nodes nothing at all, and takes the signature from
// the callback, which has decrypted it.
func (d *demo) opened(ctx context.Context, s *Step, sinoID string, terms manifest.Terms, digest []byte) error {
	r, err := d.c.API().Await(ctx, sinoID, "the result", completed)
	if err != nil {
		return err
	}
	if err := d.decided(ctx, s, sinoID, "Approve"); err != nil {
		return err
	}
	result, err := d.c.Result(ctx, terms.RequestID)
	if err != nil {
		return err
	}
	ciphertext, err := hex.DecodeString(r.Signature)
	if err != nil || !r.Encrypted || len(ciphertext) != len(result.Signature)/2+65+16+32 {
		return fmt.Errorf("the coordinator holds %q (encrypted: %t) in place of ciphertext", r.Signature, r.Encrypted)
	}
	for _, p := range r.Parties {
		if p.Released != (p.Name != cluster.Encryptor) {
			return fmt.Errorf("party %s says released: %t", p.Name, p.Released)
		}
	}
	if result.Status != "verified" || result.Message != terms.Message {
		return fmt.Errorf("the callback's result is %s, of message %q", result.Status, result.Message)
	}
	s.Digest, s.DerivedKey, s.Scheme, s.VerifyingKey, s.Encrypted = r.Digest, r.DerivedKey, r.Scheme, r.VerifyingKey, r.Signature
	if s.Digest != hex.EncodeToString(digest) {
		return fmt.Errorf("digest %s was signed, go-ethereum's is %x", s.Digest, digest)
	}
	signature, err := hex.DecodeString(result.Signature)
	if err != nil {
		return err
	}
	s.Signature = result.Signature
	if err := d.c.LiesOpen(signature, "callback.db"); err != nil {
		return err
	}
	if len(signature) == 64 { // r ‖ s alone, for raw data: the address is one of two
		return d.recoversEither(s, digest, signature)
	}
	return d.recovers(s, digest, signature, d.secretFrom)
}

func (d *demo) recoversEither(s *Step, digest, signature []byte) error {
	if d.recovers(s, digest, append(signature, 0), d.secretFrom) == nil {
		return nil
	}
	return d.recovers(s, digest, append(signature, 1), d.secretFrom)
}
