package e2e_test

import (
	"context"
	"encoding/hex"
	"fmt"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/e2e/cluster"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/frost"
	"github.com/countersign-mpc/countersign/wire"
)

// honest is the plan of an outsider that keeps to the protocol, to get a share that it can be hostile with.
const honest = "honest"

// honestSign starts FROST over the terms' raw data, by all parties.
func (r *hostileRun) honestSign(binding manifest.Binding, share *signing.Share, signers []signing.PartyID) (signing.Session, error) {
	message, err := hex.DecodeString(r.terms.Message)
	if err != nil {
		return nil, err
	}
	path, err := derive.ParsePath(r.terms.Path)
	if err != nil {
		return nil, err
	}
	chain := share.ChainCode()
	derived, err := derive.Ed25519Child(share.PublicKey(), chain[:], path)
	if err != nil {
		return nil, err
	}
	return frost.NewSign(frost.SignConfig{Binding: binding, Share: share, Signers: signers, Scheme: derive.SchemeEd25519, Derived: derived, Message: message})
}

// flush sends what an honest protocol has to send.
func (o *outsider) flush(run *hostileRun) (out []*linkv1.Frame, err error) {
	for _, m := range run.protocol.Outgoing() {
		envelopes, err := run.channel.Seal(m)
		if err != nil {
			return out, err
		}
		for _, e := range envelopes {
			out = append(out, &linkv1.Frame{Body: &linkv1.Frame_Envelope{Envelope: e}})
		}
	}
	return out, nil
}

// envelope feeds an honest protocol, and ends it where it is done.
func (o *outsider) envelope(e *linkv1.Envelope) ([]*linkv1.Frame, error) {
	run := o.runs[e.SessionId]
	if run == nil || run.protocol == nil || run.protocol.Done() {
		return nil, nil
	}
	messages, err := run.channel.Open(e)
	if err != nil {
		return nil, err
	}
	var out []*linkv1.Frame
	for _, m := range messages {
		if err := run.protocol.Accept(m); err != nil {
			return out, err
		}
		sent, err := o.flush(run)
		if err != nil {
			return out, err
		}
		out = append(out, sent...)
	}
	if !run.protocol.Done() {
		return out, nil
	}
	ended, err := o.finish(e.SessionId, run)
	return append(out, ended...), err
}

// finish reports what came of an honest session: a share, which is confirmed, or a signature.
func (o *outsider) finish(session string, run *hostileRun) ([]*linkv1.Frame, error) {
	report := manifest.Report{SessionID: session, Completed: true}
	var out []*linkv1.Frame
	switch protocol := run.protocol.(type) {
	case signing.KeygenSession:
		share, err := protocol.Share()
		if err != nil {
			return nil, err
		}
		echo, err := run.channel.Echo()
		if err != nil {
			return nil, err
		}
		m, chain := run.manifest, share.ChainCode()
		statement := manifest.ShareStatement{KeyID: m.KeyID, Epoch: m.Epoch, Cryptography: m.Cryptography, T: m.T, Parties: m.Parties,
			Binding: run.channel.Binding(), Public: share.PublicStatement(), Echo: echo}
		o.share, o.word = share, manifest.Confirmation{KeyID: m.KeyID, Epoch: m.Epoch, Index: run.self, StatementHash: statement.Hash()}
		report.PublicKey, report.ChainCode = share.PublicKey(), chain[:]
		word, err := o.confirm(false)
		if err != nil {
			return nil, err
		}
		out = append(out, word)
	case signing.SignSession:
		signature, err := protocol.Signature()
		if err != nil {
			return nil, err
		}
		child, err := childOf(o.share, run.terms.Path)
		if err != nil {
			return nil, err
		}
		report.PublicKey, report.DerivedKey, report.Digest, report.Result = o.share.PublicKey(), child, run.manifest.Digest, signature.Bytes[:]
	}
	if err := report.Sign(o.key); err != nil {
		return nil, err
	}
	out = append(out, &linkv1.Frame{Body: &linkv1.Frame_Report{Report: &linkv1.Report{SessionId: session, Completed: true, PublicKey: report.PublicKey,
		ChainCode: report.ChainCode, Digest: report.Digest, Result: report.Result, DerivedKey: report.DerivedKey, ReportSignature: report.Signature}}})
	active, err := o.activate(len(run.manifest.Parties))
	return append(out, active...), err
}

func childOf(share *signing.Share, path string) ([]byte, error) {
	parsed, err := derive.ParsePath(path)
	if err != nil {
		return nil, err
	}
	chain := share.ChainCode()
	derived, err := derive.Ed25519Child(share.PublicKey(), chain[:], parsed)
	return derived.PublicKey, err
}

// confirm is the outsider's word about its share.
func (o *outsider) confirm(active bool) (*linkv1.Frame, error) {
	c := o.word
	c.Active = active
	err := c.Sign(o.key)
	return &linkv1.Frame{Body: &linkv1.Frame_Confirmation{Confirmation: &linkv1.Confirmation{KeyId: c.KeyID, Epoch: c.Epoch, Index: uint32(c.Index),
		StatementHash: c.StatementHash[:], Active: c.Active, Signature: c.Signature}}}, err
}

// confirmation notes that another party has confirmed the key.
func (o *outsider) confirmation(c *linkv1.Confirmation) ([]*linkv1.Frame, error) {
	o.heard[c.Index] = true
	return o.activate(3)
}

// activate says that the share is used, once the outsider and all others have confirmed it.
func (o *outsider) activate(parties int) ([]*linkv1.Frame, error) {
	if o.word.KeyID == "" || len(o.heard) != parties-1 {
		return nil, nil
	}
	f, err := o.confirm(true)
	return []*linkv1.Frame{f}, err
}

const sharedKey = "with d" // name of the key that party d has helped to make

// shareWithD makes a key of Ed25519 of a, b and d, in which d is honest, and a signature with it.
func (w *world) shareWithD(ctx context.Context, _ []string) error {
	o, err := join(ctx, w.c, "d", honest, nil, nil)
	if err != nil {
		return err
	}
	defer o.stop()
	terms := w.keygenTerms("key-with-d", "d")
	terms.Cryptography = wire.EdDSAEd25519
	if err := w.submit(ctx, terms.RequestID, terms); err != nil {
		return err
	}
	made, err := w.c.API().Await(ctx, w.sino[terms.RequestID], "the keygen with party d", func(r cluster.Request) bool { return r.State == "completed" })
	if err != nil {
		return err
	}
	w.keys[sharedKey] = made
	if err := w.c.Learn(ctx, cluster.Key{PublicKey: made.PublicKey, ChainCode: made.ChainCode, Raw: true}); err != nil {
		return err
	}
	sign := w.sharedTerms("signed-with-d")
	w.asked[sign.RequestID] = asked{key: made, terms: sign}
	if err := w.submit(ctx, sign.RequestID, sign); err != nil {
		return err
	}
	if err := w.await(ctx, []string{sign.RequestID, "completed"}); err != nil {
		return err
	}
	o.stop()
	if w.share = o.share; o.err != nil {
		return fmt.Errorf("party d: %w", o.err)
	}
	return w.good(ctx, []string{sign.RequestID})
}

// sharedTerms asks for raw data to be signed with the key that party d has helped to make.
func (w *world) sharedTerms(id string) manifest.Terms {
	return manifest.Terms{Type: wire.TypeSign, RequestID: id, KeyID: w.keys[sharedKey].KeyID, Path: "m/7", SignType: wire.SignTypeRaw,
		Message: hex.EncodeToString([]byte("raw data of " + id))}
}
