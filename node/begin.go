package node

import (
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/signing"
)

// maxSessionLife bounds a session whatever deadline the coordinator names.
const maxSessionLife = 15 * time.Minute

// begin joins a session: all parties hold an Approve reply. An approval that has grown old is asked for again first.
func (p *party) begin(b *linkv1.Begin) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sessions[b.SessionId] != nil {
		return // delivered again
	}
	seat := p.offered[b.SessionId]
	if seat == nil {
		p.log.Warn("begin of a session that was not offered here", "session_id", excerpt(b.SessionId))
		return
	}
	r := p.requests[seat.sinoID]
	if r == nil || r.session != b.SessionId {
		return // the request has been decided otherwise meanwhile; the coordinator has been told
	}
	if err := p.join(r, seat, b); err != nil {
		p.log.Warn("session not joined", "session_id", b.SessionId, "sino_id", seat.sinoID, "error", err)
		p.fail(b.SessionId, &signing.Abort{Reason: err.Error()})
	}
}

// join builds the manifest from this node's own view and sends its contribution. The caller holds mu.
func (p *party) join(r *request, seat *offerSeat, b *linkv1.Begin) error {
	now := p.clock()
	rec := r.record
	switch {
	case !rec.Expires.After(now):
		return errors.New("the request has expired")
	case rec.State != StateApproved:
		p.tell(r) // not approved (any more): the coordinator asked to begin too early
		return nil
	case rec.Ask != nil && now.Sub(rec.Ask.AnsweredAt) > approvalLife:
		if err := p.renewAsk(rec); err != nil {
			return err
		}
		if err := p.records.saveRequest(rec, nil); err != nil {
			return err
		}
		p.tell(r)
		p.ask(r)
		return nil
	}
	m, err := p.manifest(rec, seat, b.Statements)
	if err != nil {
		return err
	}
	deadline := time.Unix(b.Deadline, 0)
	if latest := now.Add(maxSessionLife); deadline.After(latest) {
		deadline = latest
	}
	if !deadline.After(now) {
		return errors.New("the session's time is over already")
	}
	s, err := p.newSession(b.SessionId, r, m, seat.self)
	if err != nil {
		return err
	}
	delete(p.offered, b.SessionId)
	p.sessions[b.SessionId] = s
	p.send(&linkv1.Frame{Body: &linkv1.Frame_Join{Join: &linkv1.Join{SessionId: b.SessionId, JoinToken: seat.token}}})
	p.send(&linkv1.Frame{Body: &linkv1.Frame_Contribution{Contribution: contributionFrame(s.own)}})
	p.wg.Go(func() { p.runSession(s, deadline) })
	return nil
}

// manifest is what this node believes the session to be about: the request as it arrived here, its own record of the key,
// and what the parties said of themselves. Its own statement must be there as it was made.
func (p *party) manifest(rec *requestRecord, seat *offerSeat, statements []*linkv1.Statement) (manifest.Manifest, error) {
	m := manifest.Manifest{Type: rec.Terms.Type, KeyID: rec.KeyID, Path: rec.Terms.Path, Digest: rec.Digest}
	if rec.Authorization != nil {
		m.RequesterSignature = rec.Authorization.Signature
	}
	parties, err := p.statements(rec, seat, statements)
	if err != nil {
		return m, err
	}
	m.Parties = parties
	if rec.Terms.IsKeygen() {
		m.Epoch, m.T, m.Cryptography = 1, rec.Terms.T, rec.Terms.Cryptography
		if m.Recipient, err = manifest.ResultRecipient(parties); err != nil {
			return m, err
		}
		if manifest.UnguardedQuorum(parties, m.T) && !p.settings.AllowUnguardedQuorum() {
			return m, fmt.Errorf("%d of the %d parties could sign without asking any callback server: guard more nodes, or set callback.allow-unguarded-quorum", m.T, len(parties))
		}
		return m, m.Validate()
	}
	key, err := p.records.key(rec.KeyID)
	if err != nil {
		return m, err
	}
	if key == nil || key.State != KeyActive {
		return m, fmt.Errorf("the share of key %s is not active here", rec.KeyID)
	}
	share, err := p.share(key)
	if err != nil {
		return m, err
	}
	defer share.Wipe()
	m.Epoch, m.T, m.Cryptography, m.Recipient = key.Epoch, share.Threshold(), share.Algorithm().String(), key.Recipient
	return m, m.Validate()
}

// statements reads what the parties said of themselves, in the order of the session's parties.
func (p *party) statements(rec *requestRecord, seat *offerSeat, statements []*linkv1.Statement) ([]manifest.Party, error) {
	if len(statements) != len(seat.parties) {
		return nil, fmt.Errorf("%d statements came of %d parties", len(statements), len(seat.parties))
	}
	out := make([]manifest.Party, len(seat.parties))
	for i, party := range seat.parties {
		s := statements[i]
		if s.Index != uint32(party.Index) || s.NodeId != string(party.NodeID) {
			return nil, fmt.Errorf("statement %d is not of party %d", i+1, party.Index)
		}
		out[i] = manifest.Party{Index: party.Index, NodeID: party.NodeID, Guarded: s.Guarded}
		if rec.Terms.IsKeygen() {
			out[i].Recipient = s.Recipient
		}
		if party.NodeID != p.id {
			continue
		}
		if s.Guarded != (rec.Ask != nil) || out[i].Recipient != rec.Recipient {
			return nil, errors.New("the coordinator passes on a statement of this node that this node did not make")
		}
	}
	return out, nil
}

func (p *party) newSession(id string, r *request, m manifest.Manifest, self byte) (*session, error) {
	ephemeral, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make ephemeral key: %w", err)
	}
	own := manifest.Contribution{SessionID: id, Index: self, ManifestHash: m.Hash()}
	copy(own.Ephemeral[:], ephemeral.PublicKey().Bytes())
	if _, err := rand.Read(own.Random[:]); err != nil {
		return nil, fmt.Errorf("make contribution: %w", err)
	}
	if err := own.Sign(p.identity); err != nil {
		return nil, err
	}
	s := &session{id: id, request: r, manifest: m, self: self, own: own, ephemeral: ephemeral,
		contributions: map[byte]manifest.Contribution{self: own}, inbox: make(chan any, inboxSize), stopped: make(chan *signing.Abort, 1)}
	return s, nil
}

func contributionFrame(c manifest.Contribution) *linkv1.Contribution {
	return &linkv1.Contribution{SessionId: c.SessionID, Index: uint32(c.Index), ManifestHash: c.ManifestHash[:],
		Random: c.Random[:], Ephemeral: c.Ephemeral[:], Signature: c.Signature}
}

func readContribution(f *linkv1.Contribution) (manifest.Contribution, error) {
	c := manifest.Contribution{SessionID: f.SessionId, Index: byte(f.Index), Signature: f.Signature}
	if f.Index == 0 || f.Index > manifest.MaxParties || len(f.ManifestHash) != 32 || len(f.Random) != 32 || len(f.Ephemeral) != 32 || len(f.Signature) > 80 {
		return c, errors.New("a contribution is not well formed")
	}
	copy(c.ManifestHash[:], f.ManifestHash)
	copy(c.Random[:], f.Random)
	copy(c.Ephemeral[:], f.Ephemeral)
	return c, nil
}

// fail reports a session that ended without a result at this node.
func (p *party) fail(session string, abort *signing.Abort) {
	report := manifest.Report{SessionID: session, Reason: excerpt(abortText(abort)), Culprit: byte(abort.Culprit)}
	if err := report.Sign(p.identity); err != nil {
		p.log.Error("failure could not be reported", "session_id", session, "error", err)
		return
	}
	p.report(&report)
}

func abortText(a *signing.Abort) string {
	if a.Err != nil {
		return a.Reason + ": " + a.Err.Error()
	}
	return a.Reason
}
