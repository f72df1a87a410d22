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

// Where the demo's Bitcoin addresses lie.
const (
	taprootPath = "m/86/0/0/0/0"
	segwitPath  = "m/84/0/0/0/0"
)

const engine = "btcd's script engine"

// bitcoinKeys tells the policy which addresses and script trees are the key's own, as a security team would.
func (d *demo) bitcoinKeys(ctx context.Context) error {
	taproot, err := d.child(ctx, d.key, taprootPath)
	if err != nil {
		return err
	}
	known := cluster.Key{PublicKey: d.key.PublicKey, ChainCode: d.key.ChainCode, Messages: true, ScriptPaths: true,
		ScriptRoots: make(map[string]string), Own: make(map[string]string)}
	own := bitcoin.Coin{Kind: bitcoin.KeyPath, Key: taproot}
	address, err := own.Address()
	if err != nil {
		return err
	}
	known.Own[address] = "taproot"
	for name, build := range map[string]func() (*bitcoin.Payment, error){
		"time lock":   func() (*bitcoin.Payment, error) { return bitcoin.PayTaproot(taproot, true) },
		"runes":       func() (*bitcoin.Payment, error) { return bitcoin.PayRune(taproot, 1) },
		"inscription": func() (*bitcoin.Payment, error) { return bitcoin.InscribeBRC20(taproot, "1") },
	} {
		p, err := build()
		if err != nil {
			return err
		}
		if address, err = p.Coins[0].Address(); err != nil {
			return err
		}
		known.Own[address] = name
		if p.Coins[0].Kind == bitcoin.KeyPath {
			known.ScriptRoots[hex.EncodeToString(p.Coins[0].Root())] = name
		}
	}
	return d.c.Learn(ctx, known)
}

func (d *demo) taproot(tree bool) func(context.Context, *Step) error {
	return func(ctx context.Context, s *Step) error {
		return d.spend(ctx, s, taprootPath, func(key *btcec.PublicKey) (cluster.Spend, error) {
			p, err := bitcoin.PayTaproot(key, tree)
			return cluster.Spend{Payment: p, To: bitcoin.Recipient, Amount: 100_000}, err
		})
	}
}

// rune moves an amount of the demo's rune, in hundredths.
func (d *demo) rune(key *btcec.PublicKey, hundredths uint64) (cluster.Spend, error) {
	p, err := bitcoin.PayRune(key, hundredths)
	if err != nil {
		return cluster.Spend{}, err
	}
	from, err := p.Coins[0].Address()
	details := map[string]any{"fromAddress": from, "toAddress": bitcoin.Recipient, "runeName": bitcoin.Rune.Name, "runeId": bitcoin.Rune.ID,
		"runeSpacedName": bitcoin.Rune.Spaced, "runeAmount": fmt.Sprintf("%d.%02d", hundredths/100, hundredths%100), "runeSymbol": bitcoin.Rune.Symbol,
		"runeDivisibility": bitcoin.Rune.Divisibility}
	return cluster.Spend{Payment: p, To: bitcoin.Recipient, Amount: p.Outputs[1].Value, Details: map[string]any{"runeDetails": []any{details}}}, err
}

func (d *demo) runeTransfer(ctx context.Context, s *Step) error {
	return d.spend(ctx, s, taprootPath, func(key *btcec.PublicKey) (cluster.Spend, error) { return d.rune(key, 150_00) })
}

func (d *demo) runeOverLimit(ctx context.Context, s *Step) error {
	return d.forbidden(ctx, s, "runes.limit.max", func(key *btcec.PublicKey) (cluster.Spend, error) { return d.rune(key, 600_00) })
}

// inscription makes an amount of the demo's BRC-20 ticker transferable.
func (d *demo) inscription(key *btcec.PublicKey, amount string) (cluster.Spend, error) {
	p, err := bitcoin.InscribeBRC20(key, amount)
	if err != nil {
		return cluster.Spend{}, err
	}
	own := p.Outputs[0].Address
	details := map[string]any{"method": "transfer", "ticker": bitcoin.Ticker, "quantity": amount, "step": 2, "from": own, "to": bitcoin.Recipient}
	return cluster.Spend{Payment: p, To: own, Amount: p.Outputs[0].Value, Details: map[string]any{"brc20Details": []any{details}}}, nil
}

func (d *demo) brc20(ctx context.Context, s *Step) error {
	return d.spend(ctx, s, taprootPath, func(key *btcec.PublicKey) (cluster.Spend, error) { return d.inscription(key, "1000") })
}

func (d *demo) brc20OverLimit(ctx context.Context, s *Step) error {
	return d.forbidden(ctx, s, "brc20.limit.max", func(key *btcec.PublicKey) (cluster.Spend, error) { return d.inscription(key, "6000") })
}

// build makes a payment of the key at a path.
func (d *demo) build(ctx context.Context, s *Step, path string, build func(*btcec.PublicKey) (cluster.Spend, error)) (cluster.Spend, error) {
	key, err := d.child(ctx, d.key, path)
	if err != nil {
		return cluster.Spend{}, err
	}
	spend, err := build(key)
	if err != nil {
		return cluster.Spend{}, err
	}
	spend.RequestID, spend.KeyID, spend.Path = d.id(s), d.key.KeyID, path
	s.Address, err = spend.Payment.Coins[0].Address()
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
	spend, err := d.build(ctx, s, taprootPath, build)
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
	const value = 250_000
	spend, err := d.build(ctx, s, segwitPath, func(key *btcec.PublicKey) (cluster.Spend, error) {
		p, err := bitcoin.PayThree(key, value)
		return cluster.Spend{Payment: p, To: bitcoin.Recipient, Amount: value}, err
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
