package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/countersign-mpc/countersign/e2e/cluster"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/wire"
)

const signIn = "Sign in to example.com"

func (d *demo) permitTerms(s *Step, spender, value string) manifest.Terms {
	return d.messageTerms(s, d.key, cluster.Permit(d.from, spender, value, int(d.nonce)))
}

func (d *demo) messageTerms(s *Step, k key, message string) manifest.Terms {
	return manifest.Terms{Type: wire.TypeSign, RequestID: d.id(s), KeyID: k.KeyID, Path: cluster.Path, SignType: wire.SignTypeMessage, Message: message}
}

func (d *demo) permit(ctx context.Context, s *Step) error {
	return d.message(ctx, s, d.permitTerms(s, cluster.Spender, "750000000"), "message.permit")
}

// permitForStranger and permitTooLarge are refused: another spender, a value over the limit.
func (d *demo) permitForStranger(ctx context.Context, s *Step) error {
	return d.rejectedBy(ctx, s, d.key, d.permitTerms(s, cluster.Stranger, "1"), "message.permit.spender")
}

func (d *demo) permitTooLarge(ctx context.Context, s *Step) error {
	return d.rejectedBy(ctx, s, d.key, d.permitTerms(s, cluster.Spender, "5000000000"), "message.permit.max")
}

func (d *demo) mail(ctx context.Context, s *Step) error {
	return d.message(ctx, s, d.messageTerms(s, d.key, cluster.Mail()), "message.content")
}

func (d *demo) text(ctx context.Context, s *Step) error {
	return d.message(ctx, s, d.messageTerms(s, d.key, signIn), "message.content")
}

// message has a message signed that a rule has allowed; go-ethereum computes the digest itself and recovers the address.
func (d *demo) message(ctx context.Context, s *Step, terms manifest.Terms, rule string) error {
	signature, err := d.sign(ctx, s, d.key, terms)
	if err != nil {
		return err
	}
	digest, err := cluster.MessageDigest(terms.Message)
	if err != nil {
		return err
	}
	if got := hex.EncodeToString(digest); got != s.Digest {
		return fmt.Errorf("digest %s was signed, go-ethereum's is %s", s.Digest, got)
	}
	if err := s.decidedBy(rule); err != nil {
		return err
	}
	return d.recovers(s, digest, append(signature, byte(s.RecoveryID)), d.from)
}

// recovers has go-ethereum recover the signer of a digest.
func (d *demo) recovers(s *Step, digest, signature []byte, want string) error {
	signer, err := cluster.MessageSigner(digest, signature)
	if err != nil {
		return err
	}
	if signer != want {
		return fmt.Errorf("go-ethereum recovers signer %s, the key's address is %s", signer, want)
	}
	s.Address, s.VerifiedBy = signer, "go-ethereum recovers "+signer
	return nil
}

// rejectedBy asks for a signature that the policy must reject by a rule.
func (d *demo) rejectedBy(ctx context.Context, s *Step, k key, terms manifest.Terms, rule string) error {
	s.RequestType, s.SignType, s.Algorithm, s.Path, s.PublicKey, s.Message = terms.Type, terms.SignType, k.cryptography, terms.Path, k.PublicKey, terms.Message
	return d.rejected(ctx, s, terms, rule)
}

// rawTerms asks for a signature of a digest that says nothing about itself.
func (d *demo) rawTerms(s *Step, k key, signType string) (manifest.Terms, error) {
	digest, err := cluster.MessageDigest("raw data of " + s.Name)
	return manifest.Terms{Type: wire.TypeSign, RequestID: d.id(s), KeyID: k.KeyID, Path: cluster.Path, SignType: signType, Message: hex.EncodeToString(digest)}, err
}

// rawForbidden asks for raw data, and for a digest alone, of a key that may sign neither.
func (d *demo) rawForbidden(signType string) func(context.Context, *Step) error {
	return func(ctx context.Context, s *Step) error {
		terms, err := d.rawTerms(s, d.key, signType)
		if err != nil {
			return err
		}
		return d.rejectedBy(ctx, s, d.key, terms, "raw.")
	}
}

// rawAllowed lets the key sign raw data for the requester, in data.json.
func (d *demo) rawAllowed(ctx context.Context, s *Step) error {
	found := false
	for i := range d.c.Keys {
		if d.c.Keys[i].PublicKey == d.key.PublicKey {
			d.c.Keys[i].Raw, found = true, true
		}
	}
	if !found {
		return errors.New("the policy does not know the key")
	}
	if err := d.c.Reload(ctx); err != nil {
		return err
	}
	terms, err := d.rawTerms(s, d.key, wire.SignTypeRaw)
	if err != nil {
		return err
	}
	signature, err := d.sign(ctx, s, d.key, terms)
	if err != nil {
		return err
	}
	if err := s.decidedBy("raw.key"); err != nil {
		return err
	}
	digest, err := unhex("the digest", terms.Message, 32)
	if err != nil {
		return err
	}
	return d.recovers(s, digest, append(signature, byte(s.RecoveryID)), d.from)
}
