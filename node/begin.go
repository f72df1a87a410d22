package node

import (
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/keystore"
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
	p.beginSeat(b)
}

// beginSeat begins the session in which a request has its seat. While an earlier session of the request still runs it is
// stopped first: there are never two at once. The caller holds mu.
func (p *party) beginSeat(b *linkv1.Begin) {
	if p.idle != nil {
		p.log.Info("session not begun: the node is stopping", "session_id", excerpt(b.SessionId))
		return // it has not joined: the coordinator tells the next instance again
	}
	r := p.seated(b.SessionId)
	if r == nil {
		p.log.Warn("begin of a session in which this node has no seat", "session_id", excerpt(b.SessionId))
		return // never offered, or a later offer or a decision has come since; the coordinator was told
	}
	if r.running != nil {
		r.next = b
		r.running.stop(&signing.Abort{Reason: "the coordinator has begun another session of the request"})
		return
	}
	if err := p.join(r, b); err != nil {
		p.about(r).Warn("session not joined", "error", err)
		abort := &signing.Abort{Reason: "this node does not join the session", Err: err}
		p.recent.add(r.offered().ended(p.clock(), abort))
		p.fail(b.SessionId, abort)
		r.seat = nil
		p.letGo(r)
	}
}

// join builds the manifest from this node's own view and sends its contribution. The caller holds mu.
func (p *party) join(r *request, b *linkv1.Begin) error {
	now := p.clock()
	switch {
	case !r.record.Expires.After(now):
		return errors.New("the request has expired")
	case !r.record.joinable():
		return errors.New("this node has used its share for the request already")
	case r.record.State != StateApproved:
		p.tell(r) // not approved (any more): the coordinator asked to begin too early
		return nil
	}
	if len(p.sessions) >= p.limits.Sessions {
		return fmt.Errorf("this node runs %d sessions already (limits.sessions): try again later", len(p.sessions))
	}
	if err := p.recheck(r.again(), r.record.SignType); err != nil {
		return err
	}
	stale, err := p.approvalIsStale(r.record, now)
	if err != nil {
		return err
	}
	if stale {
		return p.approveAgain(r)
	}
	m, err := p.manifest(r.record, r.seat, b.Statements)
	if err != nil {
		return err
	}
	deadline := time.Unix(b.Deadline, 0)
	for _, latest := range []time.Time{now.Add(maxSessionLife), r.record.Expires} {
		if deadline.After(latest) {
			deadline = latest
		}
	}
	if !deadline.After(now) {
		return errors.New("the session's time is over already")
	}
	s, err := p.newSession(r, m)
	if err != nil {
		return err
	}
	// A contribution is signed, and two different ones to one session look like fraud: this is durable before the first leaves.
	err = p.change(r, func(rec *requestRecord) { rec.Sessions = append(slices.Clone(rec.Sessions), s.id) }, joinOnce(s.id, r.record.SinoID, now))
	if err != nil {
		return err
	}
	token := r.seat.token
	p.joined++
	s.record, s.number, s.joined = r.record, p.joined, now
	r.seat, r.running, p.sessions[s.id] = nil, s, s
	p.send(&linkv1.Frame{Body: &linkv1.Frame_Join{Join: &linkv1.Join{SessionId: s.id, JoinToken: token}}})
	p.send(&linkv1.Frame{Body: &linkv1.Frame_Contribution{Contribution: contributionFrame(s.own)}})
	p.wg.Go(func() { p.runSession(s, deadline) })
	return nil
}

var errJoinedBefore = errors.New("this node has joined the session before, and has lost it")

// joinOnce notes that this node contributes to a session. It fails if the node has done so before, for whatever request.
func joinOnce(session, sinoID string, now time.Time) func(*keystore.Tx) error {
	return func(tx *keystore.Tx) error {
		found, err := get(tx, bucketSession, session, new(sessionRecord))
		if err == nil && found {
			err = errJoinedBefore
		}
		if err != nil {
			return err
		}
		return put(tx, bucketSession, session, sessionRecord{Version: recordVersion, SinoID: sinoID, Joined: now})
	}
}

// approvalIsStale tells whether an approval must be asked for (again) before a session starts: it is old, the clock says
// that it is from the future, or it came when no callback server was configured and now one is.
func (p *party) approvalIsStale(rec *requestRecord, now time.Time) (bool, error) {
	if rec.Ask == nil {
		guard, err := p.settings.Guard()
		if err == nil && guard == nil {
			err = p.mayBeUnguarded(rec)
		}
		return guard != nil, err
	}
	age := now.Sub(rec.Ask.AnsweredAt)
	return age < 0 || age > approvalLife, nil
}

// mayBeUnguarded refuses to sign unasked with a key for which this node has stated at keygen that it asks: the other parties
// made the key on that word.
func (p *party) mayBeUnguarded(rec *requestRecord) error {
	if rec.Terms.IsKeygen() || p.settings.AllowUnguardedQuorum() {
		return nil
	}
	key, err := p.records.key(rec.KeyID)
	if err != nil || key == nil {
		return err
	}
	defer key.wipe()
	if own, ok := partyOf(key.Parties, key.Index); ok && own.Guarded {
		return fmt.Errorf("key %s was made with this node guarded, and no callback server is configured any more: configure one, or set callback.allow-unguarded-quorum", rec.KeyID)
	}
	return nil
}

// approveAgain asks anew; the session begins when the coordinator hears of the answer and sends Begin again.
func (p *party) approveAgain(r *request) error {
	if err := p.askAnew(r); err != nil {
		return err
	}
	p.tell(r)
	p.ask(r)
	return nil
}

// manifest is what this node believes the session to be about: the request as it arrived here, its own record of the key,
// and what the parties said of themselves. Its own statement must be there as it was made.
func (p *party) manifest(rec *requestRecord, seat *seat, statements []*linkv1.Statement) (manifest.Manifest, error) {
	m := manifest.Manifest{Type: rec.Terms.Type, Terms: rec.Content, KeyID: rec.KeyID, Path: rec.Terms.Path, Digest: rec.Digest,
		TapScriptRoot: rec.Terms.TapScriptRoot}
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
		if m.Recipient, err = keygenRecipient(parties); err != nil {
			return m, err
		}
		if manifest.UnguardedQuorum(parties, m.T) && !p.settings.AllowUnguardedQuorum() {
			return m, fmt.Errorf("%d of the %d parties could sign without asking any callback server: guard more nodes, or set callback.allow-unguarded-quorum", m.T, len(parties))
		}
		return m, m.Validate()
	}
	key, share, err := p.held(rec.KeyID)
	if err != nil {
		return m, err
	}
	defer share.Wipe()
	if err := key.unusable(); err != nil {
		return m, err
	}
	m.Epoch, m.T, m.Cryptography = key.Epoch, share.Threshold(), share.Algorithm().String()
	m.Recipient = key.recipient(rec.SignType).Recipient
	return m, m.Validate()
}

// statements reads what the parties said of themselves, in the order of the session's parties.
func (p *party) statements(rec *requestRecord, seat *seat, statements []*linkv1.Statement) ([]manifest.Party, error) {
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

// newSession makes this node's contribution to the session in which r has its seat.
func (p *party) newSession(r *request, m manifest.Manifest) (*session, error) {
	id, self := r.seat.session, r.seat.self
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
	s := &session{id: id, log: p.log.With("session_id", id, "sino_id", r.record.SinoID), request: r, manifest: m, self: self, own: own, ephemeral: ephemeral,
		contributions: map[byte]manifest.Contribution{self: own}, words: make(map[byte]*linkv1.Confirmation), inbox: make(chan any, inboxSize), stopped: make(chan *signing.Abort, 1)}
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
	report := manifest.Report{SessionID: session, Reason: clip(reasonOfAbort(abort), maxTold), Culprit: byte(abort.Culprit)}
	if err := report.Sign(p.identity); err != nil {
		p.log.Error("failure could not be reported", "session_id", session, "error", err)
		return
	}
	p.report(&report)
}

// abortText is the whole end of a session, for operators.
func abortText(a *signing.Abort) string {
	if a.Err != nil {
		return a.Reason + ": " + a.Err.Error()
	}
	return a.Reason
}
