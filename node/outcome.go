package node

import (
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/countersign-mpc/countersign/keystore"
	"github.com/countersign-mpc/countersign/wire"
)

// The final word about a question is stored in the transaction after which it cannot become untrue: not-signed with the
// state, or with the next question, after which the share cannot be released under the old one; signed with the signature.
// A request whose share went out and that has no result at this node is unknown for ever.

// finalWords makes the final words that are due once rec has taken the place of old, and notes them in rec.
func (p *party) finalWords(old, rec *requestRecord) ([]*reportRecord, error) {
	var words []*reportRecord
	say := func(ask *askRecord, word string) error {
		w, err := p.outcome(rec, ask.CallbackID, word)
		if err == nil && w != nil {
			words = append(words, w)
		}
		return err
	}
	if old.Ask.owes() && (rec.Ask == nil || rec.Ask.CallbackID != old.Ask.CallbackID) {
		if err := say(old.Ask, old.unused()); err != nil {
			return nil, err
		}
	}
	if !rec.Ask.owes() {
		return words, nil
	}
	word := rec.finalWord()
	if word == "" {
		return words, nil
	}
	ask := *rec.Ask
	ask.Outcome, rec.Ask = word, &ask
	return words, say(&ask, word)
}

// finalWord is what there is to say of a request's question in its state; empty: nothing yet. There must be a question.
func (r *requestRecord) finalWord() string {
	switch r.State {
	case StateDone:
		return wire.OutcomeSigned
	case StateReleased:
		return wire.OutcomeUnknown
	case StateRejected, StateRefused:
		return r.unused()
	case StateApproved:
		if r.lost {
			return wire.OutcomeUnknown
		}
	}
	return ""
}

// unused is the word about a request's question under which nothing can be signed here from now on.
func (r *requestRecord) unused() string {
	if r.Released || r.Ask.Restored {
		return wire.OutcomeUnknown
	}
	return wire.OutcomeNotSigned
}

// markRequests marks the requests of a restored store about which a final word is due: it is never not-signed.
func markRequests(tx *keystore.Tx) error {
	var open []*requestRecord
	err := tx.ForEach(bucketRequest, "", func(id string, data []byte) error {
		rec := new(requestRecord)
		err := decode(bucketRequest, id, data, rec)
		if err == nil && rec.Ask.owes() {
			open = append(open, rec)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("read restored requests: %w", err)
	}
	for _, rec := range open {
		rec.Ask.Restored = true
		if err := put(tx, bucketRequest, rec.SinoID, rec); err != nil {
			return fmt.Errorf("mark restored request %s: %w", rec.SinoID, err)
		}
	}
	return nil
}

// outcome makes the report of a final word; nil where no server wants it.
func (p *party) outcome(rec *requestRecord, callbackID, word string) (*reportRecord, error) {
	guard, err := p.settings.Guard()
	if err == nil && guard != nil && !guard.WantsOutcome() {
		return nil, nil
	}
	check := &wire.Check{CallbackID: callbackID, RequestType: wire.TypeOutcome, ExtraInfo: rec.extraInfo()}
	check.RequestDetail.Message = word
	if word == wire.OutcomeSigned {
		check.RequestDetail.Signature = hex.EncodeToString(rec.signature)
	}
	body, seal, err := wire.SealCheck(p.identity, check)
	if err != nil {
		return nil, fmt.Errorf("make outcome report: %w", err)
	}
	return &reportRecord{Version: recordVersion, CallbackID: callbackID, Asked: check.Asked(), Body: body, Signature: seal, word: word}, nil
}

var errReleasedBefore = errors.New("the store says that the share was released for the request, and this node's memory does not: restart the node")

// stored puts final words beside the record of their request. What the store says of a released share is never undone.
func stored(rec *requestRecord, words []*reportRecord, extra func(*keystore.Tx) error) func(*keystore.Tx) error {
	return func(tx *keystore.Tx) error {
		if extra != nil {
			if err := extra(tx); err != nil {
				return err
			}
		}
		before := new(requestRecord)
		if _, err := get(tx, bucketRequest, rec.SinoID, before); err != nil {
			return err
		}
		if before.Released && !rec.Released {
			return errReleasedBefore
		}
		for _, w := range words {
			if err := put(tx, bucketOutcome, w.CallbackID, w); err != nil {
				return err
			}
		}
		return nil
	}
}

// mayRelease refuses to note that the share is released where the store does not hold the request under the approval with
// which the session was joined: a final word may have been said about that.
func mayRelease(joined *requestRecord) func(*keystore.Tx) error {
	return func(tx *keystore.Tx) error {
		now := new(requestRecord)
		found, err := get(tx, bucketRequest, joined.SinoID, now)
		switch {
		case err != nil:
			return err
		case !found || now.State != StateApproved || (now.Ask == nil) != (joined.Ask == nil):
			return errors.New("the request is not approved any more: the share is not used for it")
		case now.Ask != nil && (now.Ask.CallbackID != joined.Ask.CallbackID || now.Ask.Outcome != ""):
			return errors.New("the session was joined under another approval: the share is not used under it")
		}
		return nil
	}
}

// said notes that final words are stored, and delivers them. The caller holds mu.
func (p *party) said(r *request, words []*reportRecord) {
	p.watch(r.record)
	for _, w := range words {
		p.metrics.outcome(w.word)
		p.about(r).Info("outcome stored", "outcome", w.word, "callback_id", w.CallbackID)
		p.carry(bucketOutcome, w.CallbackID)
	}
}

// watch notes when a request's end must be looked for, because nothing else will. The caller holds mu.
func (p *party) watch(rec *requestRecord) {
	if rec.State != StateApproved || !rec.Ask.owes() {
		delete(p.due, rec.SinoID)
		return
	}
	p.due[rec.SinoID] = rec.Expires
	select {
	case p.sooner <- struct{}{}:
	default:
	}
}

// nextLook is how long nothing needs to be looked for: until the next approved request expires, and no longer than tendEvery.
func (p *party) nextLook() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, next := p.clock(), p.tendEvery
	for _, expires := range p.due {
		if left := expires.Sub(now); left > 0 { // else it is not over for another reason, which tendEvery is for
			next = min(next, left)
		}
	}
	return next
}

// lost says the final word about a request whose share went out in a session that came to no result here. The caller holds
// mu.
func (p *party) lost(r *request) {
	if r.record.State != StateApproved || !r.record.Released || !r.record.Ask.owes() {
		return
	}
	if err := p.change(r, func(rec *requestRecord) { rec.lost = true }, nil); err != nil {
		p.about(r).Error("it could not be stored that a request's outcome is unknown: it is tried again", "error", err)
	}
}

// tend looks after what is due, until the node is sealed or stopped.
func (p *party) tend() {
	timer := time.NewTimer(p.nextLook())
	defer timer.Stop()
	for {
		select {
		case <-p.ctx.Done():
			return
		case <-p.sooner:
			timer.Reset(p.nextLook())
			continue
		case <-timer.C:
		}
		p.mu.Lock()
		p.conclude()
		p.mu.Unlock()
		p.askEpochs()
		if err := p.deliverStored(); err != nil {
			p.log.Error("stored reports could not be read", "error", err)
		}
		timer.Reset(p.nextLook())
	}
}

// conclude ends the approved requests that have expired, and says the word about those whose share went out in a session
// that is lost. One that is asked for or runs ends by itself. The caller holds mu.
func (p *party) conclude() {
	now := p.clock()
	for sino, expires := range p.due {
		r := p.requests[sino]
		if r == nil {
			rec, err := p.records.request(sino)
			if err != nil || rec == nil {
				p.log.Error("an approved request cannot be read", "sino_id", sino, "error", err)
				continue
			}
			r = &request{record: rec}
		}
		switch {
		case !r.idle() || r.record.State != StateApproved:
		case r.record.Released:
			p.lost(r)
		case !expires.After(now):
			p.settle(r, expired)
		}
	}
}
