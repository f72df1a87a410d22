package node

import (
	"context"
	"crypto/ecdh"
	"errors"
	"fmt"
	"log/slog"
	"time"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/transport"
)

// session is one run of one protocol at this node. Its goroutine owns everything but inbox, stopped, and what party.mu
// guards.
type session struct {
	id            string
	log           *slog.Logger // names session and request in each line
	number        uint64       // in the order in which sessions are joined
	joined        time.Time
	request       *request
	record        *requestRecord // of the request, when the session was joined
	manifest      manifest.Manifest
	self          byte
	own           manifest.Contribution
	ephemeral     *ecdh.PrivateKey
	contributions map[byte]manifest.Contribution
	early         []*linkv1.Envelope // came before the last contribution
	channel       *transport.Channel
	protocol      signing.Session
	target        target         // signing: the key that signs
	message       []byte         // signing: what is signed
	recipient     manifest.Party // signing: who alone learns the signature; the zero Party: all do
	signature     []byte         // signing: SHA-256 of the signature, once it is there
	bound         time.Time      // when the last contribution had come, by the system's clock
	inbox         chan any       // *linkv1.Contribution and *linkv1.Envelope
	stopped       chan *signing.Abort

	began         time.Time                     // as bound, by the node's clock; guarded by party.mu
	frames, bytes int                           // delivered so far; guarded by party.mu
	full          bool                          // too much came, and it takes no more; guarded by party.mu
	words         map[byte]*linkv1.Confirmation // keygen: what other parties confirm that have finished before this one; guarded by party.mu
}

// stop ends the session from outside; only the first reason counts.
func (s *session) stop(why *signing.Abort) {
	select {
	case s.stopped <- why:
	default:
	}
}

// runSession drives one session to its result or its abort, reports it, and begins the next session of the request if the
// coordinator has asked for that meanwhile.
func (p *party) runSession(s *session, deadline time.Time) {
	started := time.Now()
	ctx, cancel := context.WithTimeout(p.ctx, deadline.Sub(p.clock()))
	defer cancel()
	err := p.drive(ctx, s)
	p.metrics.sessionStages(s, started, time.Now())
	if err == nil {
		computed := time.Now()
		err = p.finish(s)
		p.metrics.stage(s.manifest.Type, stageResult, time.Since(computed))
	}
	p.metrics.session(s.manifest.Type, err == nil, time.Since(started))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended(s, err)
	if err != nil {
		p.lost(s.request)
	}
	p.leave(s)
	next := s.request.next
	s.request.next = nil
	if next != nil && p.ctx.Err() == nil {
		p.beginSeat(next)
	}
	p.letGo(s.request)
	p.quiet()
}

// ended reports a session that came to no result here.
func (p *party) ended(s *session, err error) {
	switch {
	case err == nil:
		s.log.Info("session completed", "type", s.manifest.Type)
		p.recent.add(s.info(p.clock(), s.result(), nil))
		return
	case p.ctx.Err() != nil:
		s.log.Warn("session lost: the node is being sealed or stopped")
		p.recent.add(s.info(p.clock(), sessionFailed, &signing.Abort{Reason: "the node was sealed or stopped"}))
		return // the coordinator learns it from the next instance
	}
	var abort *signing.Abort
	if !errors.As(err, &abort) {
		abort = &signing.Abort{Reason: "this node could not go on", Err: err}
	}
	s.log.Warn("session aborted", "culprit", byte(abort.Culprit), "round", abort.Round, "error", abort)
	p.recent.add(s.info(p.clock(), sessionFailed, abort))
	p.fail(s.id, abort)
}

// drive feeds the session until its protocol is done.
func (p *party) drive(ctx context.Context, s *session) error {
	for {
		if s.protocol != nil && s.protocol.Done() {
			return nil
		}
		frame, err := s.next(ctx)
		if err != nil {
			return err
		}
		if err := p.take(ctx, s, frame); err != nil {
			return err
		}
	}
}

// next waits for a frame. A session that is over takes none of those that still wait: they might release the share.
func (s *session) next(ctx context.Context) (any, error) {
	if err := s.over(ctx); err != nil {
		return nil, err
	}
	select {
	case <-ctx.Done():
		return nil, timeIsOver(ctx)
	case why := <-s.stopped:
		return nil, why
	case frame := <-s.inbox:
		return frame, nil
	}
}

func (p *party) take(ctx context.Context, s *session, frame any) error {
	switch f := frame.(type) {
	case *linkv1.Contribution:
		return p.contribution(ctx, s, f)
	case *linkv1.Envelope:
		if s.channel == nil {
			s.early = append(s.early, f)
			return nil
		}
		return p.inTurn(ctx, s, func() error { return p.envelope(s, f) })
	default:
		return fmt.Errorf("a %T is no frame of a session", frame)
	}
}

// contribution collects the parties' parts of the binding; with the last one the protocol starts.
func (p *party) contribution(ctx context.Context, s *session, f *linkv1.Contribution) error {
	c, err := readContribution(f)
	if err != nil {
		return &signing.Abort{Reason: err.Error()}
	}
	from, ok := s.manifest.Party(c.Index)
	if !ok {
		return &signing.Abort{Reason: fmt.Sprintf("a contribution of party %d, which is not in this session", c.Index)}
	}
	if err := c.Verify(from.NodeID); err != nil {
		return &signing.Abort{Reason: err.Error()}
	}
	if old, ok := s.contributions[c.Index]; ok {
		if old.Ephemeral != c.Ephemeral || old.Random != c.Random || old.ManifestHash != c.ManifestHash {
			return &signing.Abort{Culprit: signing.PartyID(c.Index), Reason: "two different contributions of one party, both signed by it"}
		}
		return nil
	}
	s.contributions[c.Index] = c
	if len(s.contributions) < len(s.manifest.Parties) {
		return nil
	}
	if err := p.inTurn(ctx, s, func() error { return p.startProtocol(s) }); err != nil {
		return err
	}
	early := s.early
	s.early = nil
	for _, e := range early {
		if err := p.inTurn(ctx, s, func() error { return p.envelope(s, e) }); err != nil {
			return err
		}
	}
	return nil
}

// startProtocol binds the session to what all parties have contributed, and says the protocol's first messages.
func (p *party) startProtocol(s *session) error {
	all := make([]manifest.Contribution, 0, len(s.contributions))
	for _, c := range s.contributions {
		all = append(all, c)
	}
	channel, err := transport.NewChannel(transport.ChannelConfig{
		SessionID: s.id, Manifest: s.manifest, Self: s.self, Identity: p.identity, Ephemeral: s.ephemeral, Contributions: all,
	})
	if err != nil {
		return &signing.Abort{Reason: "the session could not be bound", Err: err}
	}
	p.bound(s, channel)
	s.log.Info("session starts", "type", s.manifest.Type, "parties", len(s.manifest.Parties))
	if s.protocol, err = p.protocol(s); err != nil {
		return err
	}
	return p.flush(s)
}

// bound notes that a session has its channel.
func (p *party) bound(s *session, channel *transport.Channel) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.channel, s.ephemeral, s.bound, s.began = channel, nil, time.Now(), p.clock()
}

// protocol starts the protocol that the manifest names.
func (p *party) protocol(s *session) (signing.Session, error) {
	parties := make([]signing.PartyID, len(s.manifest.Parties))
	for i, q := range s.manifest.Parties {
		parties[i] = signing.PartyID(q.Index)
	}
	if s.record.Terms.IsKeygen() {
		return p.protocols.Keygen(KeygenRun{Binding: s.channel.Binding(), Cryptography: s.manifest.Cryptography, Self: signing.PartyID(s.self),
			Parties: parties, Threshold: s.manifest.T})
	}
	key, share, err := p.held(s.manifest.KeyID)
	if err != nil {
		return nil, err
	}
	defer share.Wipe() // the protocol keeps its own copy
	if s.target, err = targetOf(share, s.record.Terms); err != nil {
		return nil, err
	}
	if s.message, err = s.record.message(s.target.cryptography); err != nil {
		return nil, err
	}
	s.recipient = key.recipient(s.record.SignType)
	return p.protocols.Sign(SignRun{Binding: s.channel.Binding(), Share: share, Signers: parties, Scheme: s.target.scheme, Derived: s.target.derived,
		TapScriptRoot: s.target.scriptRoot, Message: s.message, Recipient: signing.PartyID(s.recipient.Index)})
}

// envelope opens one envelope and feeds what it releases.
func (p *party) envelope(s *session, e *linkv1.Envelope) error {
	messages, err := s.channel.Open(e)
	if err != nil {
		return err
	}
	for _, m := range messages {
		if err := s.protocol.Accept(m); err != nil {
			return err
		}
		if err := p.flush(s); err != nil {
			return err
		}
	}
	return nil
}

// flush sends what the protocol has to send. Before the last message that depends on the share leaves, that it leaves is
// on the disk.
func (p *party) flush(s *session) error {
	for _, m := range s.protocol.Outgoing() {
		if m.ReleasesShare {
			if err := p.released(s); err != nil {
				return err
			}
		}
		envelopes, err := s.channel.Seal(m)
		if err != nil {
			return err
		}
		for _, e := range envelopes {
			frame := &linkv1.Frame{Body: &linkv1.Frame_Envelope{Envelope: e}}
			p.trace("frame for the coordinator", frame)
			if err := p.link.Send(frame); err != nil {
				return fmt.Errorf("send message of round %d: %w", m.Round, err)
			}
		}
	}
	return nil
}

// released makes it durable that this node's share goes into a signature.
func (p *party) released(s *session) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.request.record.Released {
		return nil
	}
	if !s.request.record.Expires.After(p.clock()) {
		return &signing.Abort{Reason: "the request has expired: the share is not used for it any more"}
	}
	return p.change(s.request, func(rec *requestRecord) { rec.Released = true }, mayRelease(s.record))
}
