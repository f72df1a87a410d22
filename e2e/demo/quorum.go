package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/countersign-mpc/countersign/e2e/cluster"
	"github.com/countersign-mpc/countersign/wire"
)

// pairs are the parties that can sign with a 2-of-3 key, each with the one that is down meanwhile.
var pairs = []struct {
	signers []string
	down    string
}{{[]string{"a", "b"}, "c"}, {[]string{"a", "c"}, "b"}, {[]string{"b", "c"}, "a"}}

func (d *demo) keygenTwo(ctx context.Context, s *Step) (err error) {
	if d.two, err = d.keygen(ctx, s, "demo-keygen-2of3", wire.ECDSASecp256k1, 2); err != nil {
		return err
	}
	s.Address, err = d.c.API().Address(ctx, d.two.KeyID, cluster.Path)
	d.twoFrom = s.Address
	return err
}

func (d *demo) keygenTwoEd25519(ctx context.Context, s *Step) (err error) {
	if d.twoEd, err = d.keygen(ctx, s, "demo-keygen-2of3-ed25519", wire.EdDSAEd25519, 2); err != nil {
		return err
	}
	s.Address = d.twoEd.PublicKey
	return d.c.Learn(ctx, cluster.Key{PublicKey: d.twoEd.PublicKey, ChainCode: d.twoEd.ChainCode, Raw: true})
}

// pairECDSA has two nodes sign a transfer while the third is down; pairEd25519 has them sign a message too, and starts the third
// again.
func (d *demo) pairECDSA(pair int) func(context.Context, *Step) error {
	return func(ctx context.Context, s *Step) error {
		d.c.Stop(pairs[pair].down)
		p := cluster.Payment{RequestID: d.id(s), KeyID: d.two.KeyID, From: d.twoFrom, To: cluster.Supplier, Amount: cluster.USDTUnits(10), Nonce: uint64(pair)}
		terms, err := p.Terms()
		if err != nil {
			return err
		}
		signature, err := d.sign(ctx, s, d.two, terms, pairs[pair].signers...)
		if err != nil {
			return err
		}
		sender, err := p.Sender(append(signature, byte(s.RecoveryID)))
		if err != nil {
			return err
		}
		if sender != d.twoFrom {
			return fmt.Errorf("go-ethereum recovers sender %s, the key's address is %s", sender, d.twoFrom)
		}
		s.Address, s.VerifiedBy = sender, "go-ethereum recovers "+sender
		return nil
	}
}

func (d *demo) pairEd25519(pair int) func(context.Context, *Step) error {
	return func(ctx context.Context, s *Step) error {
		if err := d.solanaBy(ctx, s, d.twoEd, solanaPath, uint64(1000+pair), pairs[pair].signers...); err != nil {
			return err
		}
		if err := d.c.Start(ctx, pairs[pair].down); err != nil {
			return err
		}
		return d.c.Unseal(ctx, pairs[pair].down)
	}
}

// oneAlone: one party of a 2-of-3 key can neither be named as the only signer, nor sign when it is the only one there.
func (d *demo) oneAlone(ctx context.Context, s *Step) error {
	p := cluster.Payment{RequestID: d.id(s), KeyID: d.two.KeyID, From: d.twoFrom, To: cluster.Supplier, Amount: cluster.USDTUnits(10), Nonce: 3}
	terms, err := p.Terms()
	if err != nil {
		return err
	}
	if _, err = d.order(ctx, s, d.two, terms, "a"); err == nil || !strings.Contains(err.Error(), "needs 2") {
		return fmt.Errorf("one signer was named, and the coordinator says %v", err)
	}
	d.c.Stop("b")
	d.c.Stop("c")
	before, err := d.traffic(ctx)
	if err != nil {
		return err
	}
	auth, err := d.c.API().Authorize(terms)
	if err != nil {
		return err
	}
	r, err := d.c.API().SubmitOrder(ctx, cluster.Order{Terms: terms, Authorization: &auth, ExpiresIn: 10 * time.Second})
	if err != nil {
		return err
	}
	ended, err := d.c.API().Await(ctx, r.SinoID, "the request to expire", func(r cluster.Request) bool { return r.State == "expired" })
	if err != nil {
		return err
	}
	if ended.Signature != "" {
		return errors.New("one party has signed alone")
	}
	if err := d.silent(ctx, before, 0); err != nil {
		return err
	}
	s.Decision, s.Rule, s.Error, s.VerifiedBy = "refused", "two signers are needed", ended.Error, "no protocol message was routed"
	for _, name := range []string{"b", "c"} {
		if err := d.c.Start(ctx, name); err != nil {
			return err
		}
		if err := d.c.Unseal(ctx, name); err != nil {
			return err
		}
	}
	return nil
}
