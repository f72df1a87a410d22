package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/countersign-mpc/countersign/e2e/cluster"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/wire"
)

// key is a key that the demo has made.
type key struct {
	cluster.Request // the finished keygen
	cryptography    string
}

// keygen asks for a key of t of the three nodes and waits until all hold active shares of it.
func (d *demo) keygen(ctx context.Context, s *Step, id, cryptography string, t int) (key, error) {
	s.RequestType, s.Algorithm = wire.TypeKeygen, cryptography
	terms := manifest.Terms{Type: wire.TypeKeygen, RequestID: id, T: t, N: len(cluster.NodeNames), Cryptography: cryptography}
	for _, name := range cluster.NodeNames {
		terms.Parties = append(terms.Parties, d.c.Nodes[name].NodeID)
	}
	r, err := d.c.API().Submit(ctx, terms)
	if err != nil {
		return key{}, err
	}
	made, err := d.c.API().Await(ctx, r.SinoID, "the keygen", completed)
	if err != nil {
		return key{}, err
	}
	if err := d.decided(ctx, s, r.SinoID, "Approve"); err != nil {
		return key{}, err
	}
	if err := s.decidedBy("keygen.parties"); err != nil {
		return key{}, err
	}
	s.PublicKey, s.VerifiedBy = made.PublicKey, "three nodes hold active shares of one public key"
	return key{made, cryptography}, d.held(ctx, made.PublicKey)
}

func completed(r cluster.Request) bool { return r.State == "completed" }

// order submits a request signed by the requester and notes in the step what it is about.
func (d *demo) order(ctx context.Context, s *Step, k key, terms manifest.Terms, signers ...string) (string, error) {
	s.RequestType, s.SignType, s.Algorithm, s.Path, s.PublicKey = terms.Type, terms.SignType, k.cryptography, terms.Path, k.PublicKey
	s.Message, s.Signers = terms.Message, append([]string{}, signers...)
	auth, err := d.c.API().Authorize(terms)
	if err != nil {
		return "", err
	}
	o := cluster.Order{Terms: terms, Authorization: &auth}
	for _, name := range signers {
		o.Signers = append(o.Signers, d.c.Nodes[name].NodeID)
	}
	r, err := d.c.API().SubmitOrder(ctx, o)
	return r.SinoID, err
}

// signature waits for the signature of a request, and that the callback has approved it.
func (d *demo) signature(ctx context.Context, s *Step, sinoID string) ([]byte, error) {
	r, err := d.c.API().Await(ctx, sinoID, "the signature", completed)
	if err != nil {
		return nil, err
	}
	s.Signature, s.RecoveryID, s.DerivedKey, s.Digest, s.Scheme, s.VerifyingKey = r.Signature, r.RecoveryID, r.DerivedKey, r.Digest, r.Scheme, r.VerifyingKey
	if r.PublicKey != s.PublicKey {
		return nil, fmt.Errorf("key %s has signed in place of %s", r.PublicKey, s.PublicKey)
	}
	signature, err := hex.DecodeString(r.Signature)
	if err != nil || len(signature) != 64 {
		return nil, fmt.Errorf("the signature is %q", r.Signature)
	}
	return signature, d.decided(ctx, s, sinoID, "Approve")
}

// sign is order and signature.
func (d *demo) sign(ctx context.Context, s *Step, k key, terms manifest.Terms, signers ...string) ([]byte, error) {
	sinoID, err := d.order(ctx, s, k, terms, signers...)
	if err != nil {
		return nil, err
	}
	return d.signature(ctx, s, sinoID)
}

// decidedBy checks that a rule had a say in the decision, and shows it.
func (s *Step) decidedBy(rule string) error {
	if !slices.Contains(s.Rules, rule) {
		return fmt.Errorf("rule %s had no say in the decision; %v had", rule, s.Rules)
	}
	s.Rule = rule
	return nil
}

// silent checks for a moment that nothing of a protocol is sent.
func (d *demo) silent(ctx context.Context, before float64, moment time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(moment):
	}
	after, err := d.traffic(ctx)
	if err == nil && after != before {
		err = fmt.Errorf("%v protocol messages and sessions were counted where there must be none", after-before)
	}
	return err
}

// unhex reads what the coordinator shows as hex, of a length.
func unhex(what, text string, length int) ([]byte, error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != length {
		return nil, fmt.Errorf("%s is %q, want %d bytes in hex", what, text, length)
	}
	return bytes.Clone(b), nil
}
