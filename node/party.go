package node

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/keystore"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/wire"
)

// maxOpenRequests bounds the requests that are asked for or in a session at one time.
const maxOpenRequests = 256

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
	ctx       context.Context // ends when the node is sealed or stopped
	wg        sync.WaitGroup  // of everything that runs under ctx

	mu       sync.Mutex            // guards the fields below and every request in them
	requests map[string]*request   // by sino_id: those that are not final
	sessions map[string]*session   // by session id: those that run
	offered  map[string]*offerSeat // by session id: offers that were answered and have not begun
}

// request is a request that is not final yet.
type request struct {
	record  *requestRecord
	session string // of the latest offer: where answers go
	asking  bool   // a goroutine asks for it
}

// offerSeat is this node's place in an offered session.
type offerSeat struct {
	sinoID  string
	token   string
	parties []manifest.Party
	self    byte
}

// start resumes what a restart or a seal interrupted: questions without an answer, and reports without acknowledgement.
func (p *party) start() error {
	var open []*requestRecord
	err := each(p.records, bucketRequest, func(rec *requestRecord) error {
		if !rec.State.final() {
			open = append(open, rec)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read requests: %w", err)
	}
	if err := p.dropNonces(); err != nil {
		return err
	}
	p.mu.Lock()
	for _, rec := range open {
		r := &request{record: rec}
		p.requests[rec.SinoID] = r
		if rec.State == StateAsking || rec.State == StateWaiting {
			p.ask(r)
		}
	}
	p.mu.Unlock()
	return p.resumeReports()
}

// dropNonces forgets nonces whose signatures have expired.
func (p *party) dropNonces() error {
	now := p.clock()
	err := p.records.store.Update(func(tx *keystore.Tx) error {
		var old []string
		err := tx.ForEach(bucketNonce, "", func(key string, data []byte) error {
			rec := new(nonceRecord)
			if err := decode(bucketNonce, key, data, rec); err != nil {
				return err
			}
			if rec.Expires.Before(now.Add(-time.Hour)) {
				old = append(old, key)
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, key := range old {
			if err := tx.Delete(bucketNonce, key); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("drop expired nonces: %w", err)
	}
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
}

// Frame takes one frame of the coordinator. Nothing in it is trusted: what is malformed or unknown is logged and dropped.
func (p *party) Frame(f *linkv1.Frame) {
	switch body := f.Body.(type) {
	case *linkv1.Frame_Offer:
		p.offer(body.Offer)
	case *linkv1.Frame_Begin:
		p.begin(body.Begin)
	case *linkv1.Frame_Contribution:
		p.deliver(body.Contribution.GetSessionId(), body.Contribution)
	case *linkv1.Frame_Envelope:
		p.deliver(body.Envelope.GetSessionId(), body.Envelope)
	case *linkv1.Frame_End:
		p.end(body.End)
	case *linkv1.Frame_Confirmation:
		if err := p.confirmed(body.Confirmation); err != nil {
			p.log.Warn("confirmation refused", "key_id", excerpt(body.Confirmation.KeyId), "party", body.Confirmation.Index, "error", err)
		}
	default:
		p.log.Warn("the coordinator sent a frame that a node does not take", "frame", fmt.Sprintf("%T", body))
	}
}

// offer takes a seat in a session, or says why not. It asks the callback if that has not been done for the request.
func (p *party) offer(frame *linkv1.Offer) {
	o, err := readOffer(frame)
	if err != nil {
		p.log.Warn("offer refused", "session_id", excerpt(frame.SessionId), "error", err)
		p.answer(frame.SessionId, linkv1.Answer_REFUSED, err.Error(), nil)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sessions[o.session] != nil {
		return // delivered again
	}
	r, err := p.open(o)
	if err != nil {
		p.log.Warn("offer refused", "session_id", o.session, "sino_id", o.sinoID, "error", err)
		p.metrics.request(o.terms.Type, StateRefused)
		p.answer(o.session, linkv1.Answer_REFUSED, err.Error(), nil)
		return
	}
	r.session = o.session
	seat := &offerSeat{sinoID: o.sinoID, token: o.token, parties: o.parties}
	for _, q := range o.parties {
		if q.NodeID == p.id {
			seat.self = q.Index
		}
	}
	p.offered[o.session] = seat
	p.tell(r)
}

// open finds the request of an offer, or takes it on: checks first, then the record with the callback body, then asking.
// The caller holds mu.
func (p *party) open(o offer) (*request, error) {
	r := p.requests[o.sinoID]
	if r == nil {
		rec, err := p.records.request(o.sinoID)
		if err != nil {
			return nil, err
		}
		if rec != nil {
			r = &request{record: rec} // final: kept in the store only
		}
	}
	if r != nil {
		if !r.record.sameAs(o.terms, o.auth) {
			return nil, fmt.Errorf("request %s was offered before with other content", o.sinoID)
		}
		return r, p.recheck(o)
	}
	p.sweep()
	if len(p.requests) >= maxOpenRequests {
		return nil, fmt.Errorf("this node works on %d requests already: try again later", len(p.requests))
	}
	rec, err := p.accept(o)
	if err != nil {
		return nil, err
	}
	if rec.TxInfo, err = requesterInfo(o); err != nil {
		return nil, err
	}
	r = &request{record: rec}
	guard, err := p.settings.Guard()
	if err != nil {
		return nil, err
	}
	if guard == nil {
		rec.State = StateApproved
	} else if err := p.renewAsk(rec); err != nil {
		return nil, err
	}
	if err := p.records.saveRequest(rec, takeNonce(rec)); err != nil {
		if errors.Is(err, errNonceUsed) {
			return nil, errNonceUsed
		}
		return nil, err
	}
	p.requests[o.sinoID] = r
	p.metrics.request(o.terms.Type, rec.State)
	p.log.Info("request taken on", "sino_id", o.sinoID, "request_id", excerpt(o.terms.RequestID), "type", o.terms.Type, "state", rec.State)
	if guard != nil {
		p.ask(r)
	}
	return r, nil
}

// sweep ends approved requests that expired before a session came of them, and forgets seats in sessions of requests that
// are over. A request that is asked for ends by itself. The caller holds mu.
func (p *party) sweep() {
	now := p.clock()
	running := make(map[string]bool, len(p.sessions))
	for _, s := range p.sessions {
		running[s.request.record.SinoID] = true
	}
	for id, r := range p.requests {
		if r.record.Expires.Before(now) && !r.asking && !running[id] {
			p.settle(r, StateRefused, "the request expired")
		}
	}
	for id, seat := range p.offered {
		if p.requests[seat.sinoID] == nil {
			delete(p.offered, id)
		}
	}
}

// recheck checks the seats of another session of a request that was accepted before.
func (p *party) recheck(o offer) error {
	if o.terms.IsKeygen() {
		if !p.isParty(o.parties) || len(o.parties) != o.terms.N {
			return errors.New("the session's parties are not those of the request")
		}
		return p.checkPeers(o.parties)
	}
	key, err := p.records.key(o.keyID)
	if err != nil {
		return err
	}
	return p.checkSigners(o, key)
}

// tell answers the latest offer of a request with its state. The caller holds mu.
func (p *party) tell(r *request) {
	rec := r.record
	switch rec.State {
	case StateAsking:
		p.answer(r.session, linkv1.Answer_ASKING, rec.Reason, rec)
	case StateWaiting:
		p.answer(r.session, linkv1.Answer_WAITING, rec.Reason, rec)
	case StateApproved:
		p.answer(r.session, linkv1.Answer_APPROVED, "", rec)
	case StateRejected:
		p.answer(r.session, linkv1.Answer_REJECTED, rec.Reason, rec)
	case StateRefused:
		p.answer(r.session, linkv1.Answer_REFUSED, rec.Reason, rec)
	case StateDone:
		p.answer(r.session, linkv1.Answer_DONE, "", rec)
		p.report(rec.Report)
	}
}

func (p *party) answer(session string, state linkv1.Answer_State, reason string, rec *requestRecord) {
	a := &linkv1.Answer{SessionId: session, State: state, Reason: reason}
	if rec != nil {
		a.Guarded = rec.Ask != nil
		if rec.Ask != nil {
			a.CallbackId = rec.Ask.CallbackID
		}
		a.Recipient = rec.Recipient
	}
	p.send(&linkv1.Frame{Body: &linkv1.Frame_Answer{Answer: a}})
}

func (p *party) send(f *linkv1.Frame) {
	if err := p.link.Send(f); err != nil {
		p.log.Error("a frame for the coordinator is lost", "frame", fmt.Sprintf("%T", f.Body), "error", err)
	}
}

func (p *party) report(r *manifest.Report) {
	if r == nil {
		return
	}
	p.send(&linkv1.Frame{Body: &linkv1.Frame_Report{Report: &linkv1.Report{
		SessionId: r.SessionID, Completed: r.Completed, Reason: r.Reason, Culprit: uint32(r.Culprit), PublicKey: r.PublicKey,
		ChainCode: r.ChainCode, Digest: r.Digest, Result: r.Result, RecoveryId: uint32(r.RecoveryID), DerivedKey: r.DerivedKey,
		ReportSignature: r.Signature,
	}}})
}

// end stops a session that the coordinator has ended, and forgets the seat in it.
func (p *party) end(e *linkv1.End) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.offered, e.SessionId)
	s := p.sessions[e.SessionId]
	if s == nil || e.State == "completed" {
		return
	}
	s.stop(&signing.Abort{Reason: "the coordinator ended the session: " + excerpt(e.Reason)})
}

// deliver hands a frame to the session that it belongs to.
func (p *party) deliver(session string, frame any) {
	p.mu.Lock()
	s := p.sessions[session]
	p.mu.Unlock()
	if s == nil {
		return // over, or never begun here
	}
	select {
	case s.inbox <- frame:
	default:
		s.stop(&signing.Abort{Reason: "more messages came than a session has"})
	}
}

// share decodes a key's share; the caller wipes it.
func (p *party) share(key *keyRecord) (*signing.Share, error) {
	share, err := signing.ParseShare(key.Share)
	if err != nil {
		return nil, fmt.Errorf("share of key %s: %w", key.KeyID, err)
	}
	return share, nil
}

// excerpt cuts text from outside for a log or a reason.
func excerpt(s string) string {
	const most = 200
	if len(s) > most {
		s = s[:most] + "…"
	}
	return s
}
