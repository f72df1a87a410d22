package node

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/wire"
)

// sender is the link as a party sees it.
type sender interface {
	Send(*linkv1.Frame) error
}

// party is the node while it is unsealed: its identity, its records, what it asks for and the sessions it runs. Frames
// come one at a time; asking, reporting and each session have a goroutine of their own.
type party struct {
	id        wire.NodeID
	identity  *ecdsa.PrivateKey
	records   records
	settings  Settings
	protocols Protocols
	link      sender
	clock     func() time.Time
	log       *slog.Logger
	metrics   *Metrics
	tendEvery time.Duration
	limits    Limits
	turns     *turns
	recent    *recentSessions
	sooner    chan struct{}   // tells tend that something expires
	ctx       context.Context // ends when the node is sealed or stopped
	wg        sync.WaitGroup  // of everything that runs under ctx

	mu       sync.Mutex           // guards the fields below, every request in them, and what session.go says of sessions
	pruned   time.Time            // when the store was last pruned
	requests map[string]*request  // by sino_id: those for which something goes on
	sessions map[string]*session  // by session id: those that run
	due      map[string]time.Time // by sino_id: when an approved request expires about which no final word is said yet
	joined   uint64               // sessions so far
	bytes    int                  // delivered to the sessions that run
	idle     chan struct{}        // not nil: nothing new is begun; closed once no session runs

	couriers *couriers
	epochs   epochs
}

// request is a request for which something goes on: it is asked for, it has a seat in an offered session, or a session of
// it runs. All others are in the store only. A record is never changed: the changed one takes its place.
type request struct {
	record  *requestRecord
	seat    *seat         // in the session that was offered last and is not joined yet
	running *session      // the session that runs for it; there is never a second one
	next    *linkv1.Begin // of seat's session, if it came while running was still winding up
	asking  bool          // a goroutine asks for it
	asked   time.Time     // when that began
}

// seat is this node's place in an offered session.
type seat struct {
	session string
	since   time.Time
	token   string
	parties []manifest.Party
	self    byte
}

// session is the id of the session that a request is in: the one that runs, else the one in which it has its seat, else the one
// that was joined last. Empty: there is none.
func (r *request) session() string {
	switch {
	case r.running != nil:
		return r.running.id
	case r.seat != nil:
		return r.seat.session
	case len(r.record.Sessions) > 0:
		return r.record.Sessions[len(r.record.Sessions)-1]
	}
	return ""
}

// about is the log of a request: it names the request in each line, and the session that it is in. The caller holds mu.
func (p *party) about(r *request) *slog.Logger {
	log := p.log.With("sino_id", r.record.SinoID)
	if id := r.session(); id != "" {
		log = log.With("session_id", id)
	}
	return log
}

// start resumes what a restart or a seal interrupted: questions without an answer, reports and outcomes without
// acknowledgement. What is approved waits in the store for the next offer, or for its end.
func (p *party) start() error {
	var open []*requestRecord
	p.mu.Lock()
	defer p.mu.Unlock()
	err := each(p.records, bucketRequest, func(rec *requestRecord) error {
		if rec.State == StateAsking || rec.State == StateWaiting {
			open = append(open, rec)
		}
		p.watch(rec)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read requests: %w", err)
	}
	if err := p.prune(); err != nil {
		return err
	}
	for _, rec := range open {
		r := &request{record: rec}
		p.requests[rec.SinoID] = r
		p.ask(r)
	}
	p.conclude()
	if err := p.deliverStored(); err != nil {
		return err
	}
	if err := p.openRounds(); err != nil {
		return fmt.Errorf("read keys: %w", err)
	}
	p.wg.Go(p.tend)
	return nil
}

// stop waits until everything that runs has ended; ctx must have ended.
func (p *party) stop() { p.wg.Wait() }

// Connected tells the other parties of each key what this one has stored, in case they have not heard it.
func (p *party) Connected() {
	p.metrics.connected()
	if err := p.confirmAll(); err != nil {
		p.log.Error("confirmations could not be sent", "error", err)
	}
	p.askEpochs()
}

// Frame takes one frame of the coordinator. Nothing in it is trusted: what is malformed or unknown is logged and dropped.
func (p *party) Frame(f *linkv1.Frame) {
	p.trace("frame from the coordinator", f)
	switch body := f.Body.(type) {
	case *linkv1.Frame_Offer:
		p.offer(body.Offer)
	case *linkv1.Frame_Begin:
		p.begin(body.Begin)
	case *linkv1.Frame_Contribution:
		p.deliver(body.Contribution.GetSessionId(), body.Contribution, 0)
	case *linkv1.Frame_Envelope:
		p.deliver(body.Envelope.GetSessionId(), body.Envelope, len(body.Envelope.GetSealed()))
	case *linkv1.Frame_End:
		p.end(body.End)
	case *linkv1.Frame_Confirmation:
		if err := p.confirmed(body.Confirmation); err != nil {
			p.log.Warn("confirmation refused", "key_id", excerpt(body.Confirmation.KeyId), "party", body.Confirmation.Index, "error", err)
		}
	case *linkv1.Frame_EpochQuestion:
		if err := p.epochQuestion(body.EpochQuestion); err != nil {
			p.log.Warn("question about a share refused", "key_id", excerpt(body.EpochQuestion.KeyId), "party", body.EpochQuestion.Index, "error", err)
		}
	case *linkv1.Frame_EpochStatement:
		if err := p.epochStatement(body.EpochStatement); err != nil {
			p.log.Warn("statement about a restored share refused", "key_id", excerpt(body.EpochStatement.KeyId), "party", body.EpochStatement.Index, "error", err)
		}
	default:
		p.log.Warn("the coordinator sent a frame that a node does not take", frameAttrs(f)...)
	}
}

func (p *party) send(f *linkv1.Frame) {
	p.trace("frame for the coordinator", f)
	if err := p.link.Send(f); err != nil {
		p.log.Error("a frame for the coordinator is lost", append(frameAttrs(f), "error", err)...)
	}
}

func (p *party) report(r *manifest.Report) {
	if r == nil {
		return
	}
	p.send(&linkv1.Frame{Body: &linkv1.Frame_Report{Report: &linkv1.Report{
		SessionId: r.SessionID, Completed: r.Completed, Reason: r.Reason, Culprit: uint32(r.Culprit), PublicKey: r.PublicKey,
		ChainCode: r.ChainCode, Digest: r.Digest, Result: r.Result, RecoveryId: uint32(r.RecoveryID), DerivedKey: r.DerivedKey,
		Released: r.Released, Encrypted: r.Encrypted, ReportSignature: r.Signature,
	}}})
}

// end stops a session that the coordinator has ended, and forgets the seat in it.
func (p *party) end(e *linkv1.End) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r := p.seated(e.SessionId); r != nil {
		r.seat, r.next = nil, nil
		p.letGo(r)
	}
	s := p.sessions[e.SessionId]
	if s == nil || e.State == "completed" {
		return
	}
	s.stop(&signing.Abort{Reason: "the coordinator ended the session: " + excerpt(e.Reason)})
}

// deliver hands a frame of so many bytes to the session that it belongs to. Nothing of it is authenticated yet: it may be
// junk of the coordinator's, so that what is too much costs the session that has taken most.
func (p *party) deliver(session string, frame any, size int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.sessions[session]
	if s == nil || s.full {
		return // over, or never begun here
	}
	s.frames, s.bytes, p.bytes = s.frames+1, s.bytes+size, p.bytes+size
	for p.bytes > p.limits.bytes {
		p.overflow(p.largest(), fmt.Sprintf("the sessions that run at this node have taken %d MB of messages, and this one most", p.limits.bytes>>20))
	}
	if s.full {
		return
	}
	if s.frames <= maxSessionFrames && s.bytes <= maxSessionBytes {
		select {
		case s.inbox <- frame:
			return
		default:
		}
	}
	p.overflow(s, "more messages came than a session has")
}

// largest is the session that has taken most bytes. The caller holds mu.
func (p *party) largest() *session {
	var most *session
	for _, s := range p.sessions {
		if most == nil || s.bytes > most.bytes {
			most = s
		}
	}
	return most
}

// overflow ends a session that has taken too much: it takes no more, and what waits for it is let go at once, as it may be
// long until its turn to notice. The caller holds mu.
func (p *party) overflow(s *session, reason string) {
	s.stop(&signing.Abort{Reason: reason})
	p.bytes -= s.bytes
	s.full, s.bytes = true, 0
	for {
		select {
		case <-s.inbox:
		default:
			return
		}
	}
}

// share takes the share out of a key's record; the caller wipes it.
func (p *party) share(key *keyRecord) (*signing.Share, error) {
	defer key.wipe()
	share, err := signing.ParseShare(key.Share)
	if err != nil {
		return nil, fmt.Errorf("share of key %s: %w", key.KeyID, err)
	}
	return share, nil
}

// held reads a key that is held here, with its share, which the caller wipes.
func (p *party) held(keyID string) (*keyRecord, *signing.Share, error) {
	key, err := p.records.key(keyID)
	if err != nil {
		return nil, nil, err
	}
	if key == nil {
		return nil, nil, fmt.Errorf("this node holds no share of key %s", keyID)
	}
	share, err := p.share(key)
	return key, share, err
}

// LevelTrace is the level of a node's log at which each frame of the link is told: what it is and of which session.
const LevelTrace = slog.LevelDebug - 4

func (p *party) trace(text string, f *linkv1.Frame) {
	if !p.log.Enabled(p.ctx, LevelTrace) {
		return
	}
	p.log.Log(p.ctx, LevelTrace, text, frameAttrs(f)...)
}

// frameAttrs say for a log what a frame is, and of which session, if it is of one.
func frameAttrs(f *linkv1.Frame) []any {
	attrs := []any{"frame", strings.TrimPrefix(fmt.Sprintf("%T", f.GetBody()), "*linkv1.Frame_")}
	session := cmp.Or(f.GetOffer().GetSessionId(), f.GetAnswer().GetSessionId(), f.GetBegin().GetSessionId(), f.GetJoin().GetSessionId(),
		f.GetContribution().GetSessionId(), f.GetEnvelope().GetSessionId(), f.GetReport().GetSessionId(), f.GetEnd().GetSessionId())
	if session != "" {
		attrs = append(attrs, "session_id", excerpt(session))
	}
	return attrs
}

const (
	maxExcerpt = 200 // bytes of text from outside in a log or an error
	maxTold    = 600 // bytes of a reason that is told to the coordinator; a callback's has up to 512
)

// excerpt cuts text from outside for a log or a reason.
func excerpt(s string) string { return clip(s, maxExcerpt) }

// clip cuts text to some bytes and keeps it valid UTF-8: a frame with any other text could never be sent.
func clip(s string, most int) string {
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
