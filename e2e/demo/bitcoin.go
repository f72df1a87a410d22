package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"

	"github.com/countersign-mpc/countersign/e2e/bitcoin"
	"github.com/countersign-mpc/countersign/e2e/cluster"
)

const engine = "btcd's script engine"

func (d *demo) taproot(tree bool) func(context.Context, *Step) error {
	return func(ctx context.Context, s *Step) error {
		return d.spend(ctx, s, cluster.TaprootPath, func(key *btcec.PublicKey) (cluster.Spend, error) {
			return cluster.TaprootSpend(key, tree)
		})
	}
}

func (d *demo) runeTransfer(ctx context.Context, s *Step) error {
	if err := d.spend(ctx, s, cluster.TaprootPath, func(key *btcec.PublicKey) (cluster.Spend, error) { return cluster.RuneSpend(key, 150_00) }); err != nil {
		return err
	}
	return s.decidedBy("runes.limit.max")
}

func (d *demo) runeOverLimit(ctx context.Context, s *Step) error {
	return d.forbidden(ctx, s, "runes.limit.max", func(key *btcec.PublicKey) (cluster.Spend, error) { return cluster.RuneSpend(key, 600_00) })
}

func (d *demo) brc20(ctx context.Context, s *Step) error {
	if err := d.spend(ctx, s, cluster.TaprootPath, func(key *btcec.PublicKey) (cluster.Spend, error) { return cluster.InscriptionSpend(key, "1000") }); err != nil {
		return err
	}
	return s.decidedBy("brc20.limit.max")
}

func (d *demo) brc20OverLimit(ctx context.Context, s *Step) error {
	return d.forbidden(ctx, s, "brc20.limit.max", func(key *btcec.PublicKey) (cluster.Spend, error) { return cluster.InscriptionSpend(key, "6000") })
}

// build makes a payment of the key at a path.
func (d *demo) build(ctx context.Context, s *Step, path string, build func(*btcec.PublicKey) (cluster.Spend, error)) (cluster.Spend, error) {
	key, err := d.c.API().Secp256k1Child(ctx, d.key.Request, path)
	if err != nil {
		return cluster.Spend{}, err
	}
	spend, err := build(key)
	if err != nil {
		return cluster.Spend{}, err
	}
	spend.RequestID, spend.KeyID, spend.Path = d.id(s), d.key.KeyID, path
	if s.Address, err = spend.Payment.Coins[0].Address(); err != nil {
		return spend, err
	}
	shown, err := d.c.API().Child(ctx, d.key.KeyID, path)
	if err == nil && len(spend.Payment.Coins[0].Leaves) == 0 && s.Address != shown.Bitcoin.P2TR && s.Address != shown.Bitcoin.P2WPKH {
		err = fmt.Errorf("btcutil's address is %s, the coordinator shows %+v", s.Address, shown.Bitcoin)
	}
	return spend, err
}

// spend has the one input of a payment signed, finishes it and runs it through btcd's script engine.
func (d *demo) spend(ctx context.Context, s *Step, path string, build func(*btcec.PublicKey) (cluster.Spend, error)) error {
	spend, err := d.build(ctx, s, path, build)
	if err != nil {
		return err
	}
	terms, err := spend.Terms(0)
	if err != nil {
		return err
	}
	signature, err := d.sign(ctx, s, d.key, terms)
	if err != nil {
		return err
	}
	s.TapScriptRoot = terms.TapScriptRoot
	if err := d.finish(s, spend.Payment, 0, signature); err != nil {
		return err
	}
	return d.accepted(s, spend.Payment)
}

// finish puts a signature into an input, if it is of btcd's digest.
func (d *demo) finish(s *Step, p *bitcoin.Payment, input int, signature []byte) error {
	digest, err := p.Digest(input)
	if err != nil {
		return err
	}
	if got := hex.EncodeToString(digest); got != s.Digest {
		return fmt.Errorf("digest %s was signed, btcd's is %s", s.Digest, got)
	}
	return p.Finish(input, signature)
}

func (d *demo) accepted(s *Step, p *bitcoin.Payment) error {
	if err := p.Accept(); err != nil {
		return fmt.Errorf("btcd's script engine: %w", err)
	}
	s.TransactionID, s.VerifiedBy = p.ID(), engine
	return nil
}

// forbidden asks for a payment that policy must reject by a rule.
func (d *demo) forbidden(ctx context.Context, s *Step, rule string, build func(*btcec.PublicKey) (cluster.Spend, error)) error {
	spend, err := d.build(ctx, s, cluster.TaprootPath, build)
	if err != nil {
		return err
	}
	terms, err := spend.Terms(0)
	if err != nil {
		return err
	}
	s.SignType, s.Path, s.PublicKey, s.RequestType, s.Algorithm = terms.SignType, terms.Path, d.key.PublicKey, terms.Type, d.key.cryptography
	return d.rejected(ctx, s, terms, rule)
}

// threeInputs pays from three P2WPKH coins: a request for each input, and one approval for all of them.
func (d *demo) threeInputs(ctx context.Context, s *Step) error {
	spend, err := d.build(ctx, s, cluster.SegwitPath, func(key *btcec.PublicKey) (cluster.Spend, error) {
		return cluster.ThreeSpend(key, 250_000)
	})
	if err != nil {
		return err
	}
	requests := make([]string, len(spend.Payment.Coins))
	for i := range requests {
		terms, err := spend.Terms(i)
		if err != nil {
			return err
		}
		if requests[i], err = d.order(ctx, s, d.key, terms); err != nil {
			return err
		}
	}
	for _, sinoID := range requests {
		if _, err := d.c.API().Await(ctx, sinoID, "the Wait", func(r cluster.Request) bool { return answerOf(r, "a") == "waiting" }); err != nil {
			return err
		}
	}
	if err := d.approve(ctx, "alice", "bob"); err != nil {
		return err
	}
	for i, sinoID := range requests {
		signature, err := d.signature(ctx, s, sinoID)
		if err != nil {
			return err
		}
		if err := d.finish(s, spend.Payment, i, signature); err != nil {
			return err
		}
	}
	if err := d.accepted(s, spend.Payment); err != nil {
		return err
	}
	if s.Rule != "approval.required" {
		return errors.New("the payment was approved without the approvers")
	}
	s.VerifiedBy += ", three inputs, after alice and bob approved once"
	return nil
}
