package node

import (
	"errors"
	"fmt"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/keystore"
)

// maxSessions bounds the sessions of one request that this node joins.
const maxSessions = 32

// offer takes a seat in a session, or says why not. It asks the callback if that has not been done for the request.
func (p *party) offer(frame *linkv1.Offer) {
	o, err := readOffer(frame)
	if err != nil {
		p.log.Warn("offer refused", "session_id", excerpt(frame.GetSessionId()), "error", err)
		p.answer(frame.GetSessionId(), linkv1.Answer_REFUSED, reasonOf(err), nil)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sessions[o.session] != nil {
		return // delivered again
	}
	if p.idle != nil {
		p.log.Info("offer not answered: the node is stopping", "session_id", o.session, "sino_id", o.sinoID)
		return // the coordinator offers it to the next instance
	}
	if other := p.seated(o.session); other != nil && other.record.SinoID != o.sinoID {
		p.log.Warn("offer of a session that was offered for another request", "session_id", o.session, "sino_id", o.sinoID)
		return
	}
	r, err := p.open(o)
	if err != nil {
		p.log.Warn("offer refused", "session_id", o.session, "sino_id", o.sinoID, "error", err)
		p.metrics.request(o.terms.Type, StateRefused)
		p.answer(o.session, linkv1.Answer_REFUSED, reasonOf(err), nil)
		return
	}
	r.seat, r.next = &seat{session: o.session, since: p.clock(), token: o.token, parties: o.parties}, nil
	for _, q := range o.parties {
		if q.NodeID == p.id {
			r.seat.self = q.Index
		}
	}
	p.tell(r)
	if !r.record.joinable() {
		r.seat = nil
		p.letGo(r)
	}
}

// open finds the request of an offer, or takes it on. The caller holds mu.
func (p *party) open(o offer) (*request, error) {
	r := p.requests[o.sinoID]
	if r == nil {
		rec, err := p.records.request(o.sinoID)
		if err != nil {
			return nil, err
		}
		if rec == nil {
			return p.takeOn(o)
		}
		r = &request{record: rec}
	}
	if !r.record.sameAs(o) {
		return nil, fmt.Errorf("request %s was offered before with other content", o.sinoID)
	}
	if !r.record.joinable() {
		return r, nil
	}
	if r.idle() && !r.record.Expires.After(p.clock()) {
		p.settle(r, expired)
		return r, nil
	}
	if err := p.recheck(o, r.record.SignType); err != nil {
		return nil, err
	}
	if len(r.record.Sessions) >= maxSessions {
		return nil, errTooManySessions
	}
	if p.requests[o.sinoID] == nil {
		if err := p.admit(); err != nil {
			return nil, err
		}
		p.requests[o.sinoID] = r
	}
	return r, nil
}

// takeOn begins a request: checks first, then the record with the callback body, then asking. The caller holds mu.
func (p *party) takeOn(o offer) (*request, error) {
	if err := p.admit(); err != nil {
		return nil, err
	}
	rec, err := p.accept(o)
	if err != nil {
		return nil, err
	}
	if rec.TxInfo, err = requesterInfo(o); err != nil {
		return nil, err
	}
	guard, err := p.settings.Guard()
	if err != nil {
		return nil, err
	}
	if guard == nil {
		if err := p.mayBeUnguarded(rec); err != nil {
			return nil, err
		}
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
	r := &request{record: rec}
	p.requests[rec.SinoID] = r
	p.metrics.request(rec.Terms.Type, rec.State)
	p.log.Info("request taken on", "session_id", o.session, "sino_id", rec.SinoID, "request_id", excerpt(rec.Terms.RequestID), "type", rec.Terms.Type, "state", rec.State)
	if guard != nil {
		p.ask(r)
	}
	return r, nil
}

// admit makes sure that there is room for one more request. The caller holds mu.
func (p *party) admit() error {
	p.sweep()
	if p.clock().Sub(p.pruned) > pruneEvery {
		if err := p.prune(); err != nil {
			return err
		}
	}
	if len(p.requests) >= p.limits.Requests {
		return fmt.Errorf("this node works on %d requests already (limits.requests): try again later", len(p.requests))
	}
	return nil
}

// sweep ends requests that expired while they waited for a session to begin. One that is asked for ends by itself. The
// caller holds mu.
func (p *party) sweep() {
	now := p.clock()
	for _, r := range p.requests {
		if r.idle() && !r.record.Expires.After(now) {
			p.settle(r, expired)
		}
	}
}

func expired(rec *requestRecord) { rec.State, rec.Reason = StateRefused, "the request expired" }

// idle tells whether nothing goes on for a request at this moment; it may have a seat.
func (r *request) idle() bool { return !r.asking && r.running == nil }

// letGo leaves a request to the store where nothing goes on for it: the next offer reads it again. The caller holds mu.
func (p *party) letGo(r *request) {
	if r.idle() && r.seat == nil && p.requests[r.record.SinoID] == r {
		delete(p.requests, r.record.SinoID)
	}
}

// seated finds the request that has its seat in a session. The caller holds mu.
func (p *party) seated(session string) *request {
	for _, r := range p.requests {
		if r.seat != nil && r.seat.session == session {
			return r
		}
	}
	return nil
}

// recheck looks again at what may have changed since a request was accepted: who may ask, whom this node works with, and
// the seats of this session.
func (p *party) recheck(o offer, signType string) error {
	if err := p.checkRequester(o); err != nil {
		return err
	}
	if o.terms.IsKeygen() {
		return p.checkKeygenParties(o)
	}
	if err := p.checkSigners(o); err != nil {
		return err
	}
	key, err := p.records.key(o.keyID)
	if err != nil {
		return err
	}
	defer key.wipe()
	return key.checkRecipient(signType, o.parties)
}

// again is the offer in which a request has its seat, to be checked once more.
func (r *request) again() offer {
	return offer{session: r.seat.session, sinoID: r.record.SinoID, keyID: r.record.KeyID, terms: r.record.Terms, auth: r.record.Authorization,
		parties: r.seat.parties, expires: r.record.Expires}
}

// change stores a request's record with the changes of f, together with extra if it is not nil, and puts it in the place
// of the old one. With an error nothing has changed. The caller holds mu.
func (p *party) change(r *request, f func(*requestRecord), extra func(*keystore.Tx) error) error {
	rec := *r.record
	f(&rec)
	words, err := p.finalWords(r.record, &rec)
	if err != nil {
		return err
	}
	if err := p.records.saveRequest(&rec, stored(&rec, words, extra)); err != nil {
		return err
	}
	rec.signature, rec.lost = nil, false
	r.record = &rec
	p.said(r, words)
	return nil
}

// settle stores a request's new state and tells the coordinator. What cannot be stored is not approved. The caller holds mu.
func (p *party) settle(r *request, f func(*requestRecord)) {
	if err := p.change(r, f, nil); err != nil {
		p.about(r).Error("a request's state could not be stored: it is refused", "error", err)
		rec := *r.record
		rec.State, rec.Reason = StateRefused, "this node could not store what became of the request: see its log"
		r.record = &rec
	}
	p.metrics.request(r.record.Terms.Type, r.record.State)
	p.tell(r)
	if r.record.State.final() {
		r.seat, r.next = nil, nil
		delete(p.requests, r.record.SinoID)
	}
}

// tell answers the latest offer of a request with its state. The caller holds mu.
func (p *party) tell(r *request) {
	if r.seat == nil {
		return // the next offer is answered
	}
	rec, session := r.record, r.seat.session
	switch rec.State {
	case StateAsking:
		p.answer(session, linkv1.Answer_ASKING, rec.Reason, rec)
	case StateWaiting:
		p.answer(session, linkv1.Answer_WAITING, rec.Reason, rec)
	case StateApproved:
		if rec.Released {
			p.answer(session, linkv1.Answer_DONE, "this node has used its share for the request and has no result", rec)
			return
		}
		p.answer(session, linkv1.Answer_APPROVED, "", rec)
	case StateRejected:
		p.answer(session, linkv1.Answer_REJECTED, rec.Reason, rec)
	case StateRefused:
		p.answer(session, linkv1.Answer_REFUSED, rec.Reason, rec)
	case StateDone:
		p.answer(session, linkv1.Answer_DONE, "", rec)
		p.report(rec.Report)
	case StateReleased:
		p.answer(session, linkv1.Answer_DONE, "this node has given its share to the recipient of the signature, which alone learns it", rec)
		p.report(rec.Report)
	}
}

func (p *party) answer(session string, state linkv1.Answer_State, reason string, rec *requestRecord) {
	a := &linkv1.Answer{SessionId: clip(session, maxExcerpt), State: state, Reason: clip(reason, maxTold)}
	if rec != nil {
		a.Guarded = rec.Ask != nil
		if rec.Ask != nil {
			a.CallbackId = rec.Ask.CallbackID
		}
		a.Recipient = rec.Recipient
	}
	p.send(&linkv1.Frame{Body: &linkv1.Frame_Answer{Answer: a}})
}

// errTooManySessions ends requests of which no session comes to a result.
var errTooManySessions = fmt.Errorf("this node has joined %d sessions of the request: submit it anew under another request_id", maxSessions)

// joinable tells whether a session of the request can still be joined here: there is no answer that ends it, no result, and
// the share has not been used for it.
func (r *requestRecord) joinable() bool { return !r.State.final() && !r.Released }

// sameAs tells whether an offer asks for the same thing as this record.
func (r *requestRecord) sameAs(o offer) bool {
	if r.Content != o.terms.ContentHash() || r.KeyID != o.keyID || (r.Authorization == nil) != (o.auth == nil) {
		return false
	}
	return o.auth == nil || (o.auth.KeyID == r.Authorization.KeyID && o.auth.Nonce == r.Authorization.Nonce)
}
