package node

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/countersign-mpc/countersign/node/asking"
	"github.com/countersign-mpc/countersign/wire"
)

// approvalLife is how old an Approve reply may be when its session starts; an older one is asked for again.
const approvalLife = 10 * time.Minute

// Guard asks the callback servers of this node. *asking.Asker is one.
type Guard interface {
	// Check returns what the servers decided; an error is no decision. progress hears of every try.
	Check(ctx context.Context, q asking.Question, progress func(asking.Try)) (asking.Answer, error)
	// Report delivers a finished signature; nil says that it was acknowledged.
	Report(ctx context.Context, q asking.Question) error
	// WantsOutcome tells whether any server is told how approved requests end.
	WantsOutcome() bool
	// Outcome delivers how an approved request ended; nil says that it was acknowledged, or that no server wants to know.
	Outcome(ctx context.Context, q asking.Question) error
}

// renewAsk makes a new question for a request: a fresh callback_id and the body that goes with it. It must be stored
// before it is sent.
func (p *party) renewAsk(rec *requestRecord) error {
	id, err := wire.NewCallbackID(rand.Reader)
	if err != nil {
		return fmt.Errorf("make callback_id: %w", err)
	}
	check := &wire.Check{CallbackID: id, RequestType: rec.Terms.Type, ExtraInfo: rec.extraInfo()}
	check.RequestDetail.TxInfo = rec.TxInfo
	if rec.Terms.IsKeygen() {
		check.RequestDetail.T, check.RequestDetail.N = rec.Terms.T, rec.Terms.N
		check.RequestDetail.Cryptography = rec.Terms.Cryptography
		for _, party := range rec.Terms.Parties {
			check.RequestDetail.PartyIDs = append(check.RequestDetail.PartyIDs, string(party))
		}
	} else if err := p.signDetail(&check.RequestDetail, rec); err != nil {
		return err
	}
	body, signature, err := wire.SealCheck(p.identity, check)
	if err != nil {
		return fmt.Errorf("make callback body: %w", err)
	}
	rec.Ask = &askRecord{CallbackID: id, Body: body, Signature: signature}
	rec.State, rec.Reason = StateAsking, ""
	return nil
}

func (p *party) signDetail(d *wire.RequestDetail, rec *requestRecord) error {
	key, share, err := p.held(rec.KeyID)
	if err != nil {
		return err
	}
	defer share.Wipe()
	d.T, d.N = share.Threshold(), len(key.Parties)
	d.Cryptography = share.Algorithm().String()
	d.SignType, d.Path, d.Message = rec.SignType, rec.Terms.Path, rec.Message
	d.PublicKey = hex.EncodeToString(share.PublicKey())
	return nil
}

// ask starts the goroutine that asks the callback about a request until it has an answer. The caller holds mu.
func (p *party) ask(r *request) {
	if r.asking {
		return
	}
	r.asking, r.asked = true, time.Now()
	p.wg.Go(func() {
		err := p.askUntilDecided(r)
		if err == nil {
			return
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		r.asking = false
		if p.ctx.Err() != nil {
			return // it goes on after the next start
		}
		p.about(r).Warn("request refused", "error", err)
		p.settle(r, func(rec *requestRecord) { rec.State, rec.Reason = StateRefused, reasonOf(err) })
	})
}

// askUntilDecided asks, waits where it is told to, and asks again with a fresh callback_id, until the answer is Approve or
// Reject. It returns nil then, and an error where no decision can be had.
func (p *party) askUntilDecided(r *request) error {
	for {
		p.mu.Lock()
		rec := r.record
		p.mu.Unlock()
		if rec.Ask.Action == wire.Wait {
			if err := p.pauseUntil(rec.Ask.AnsweredAt.Add(rec.Ask.Wait), rec.Expires); err != nil {
				return err
			}
			if err := p.again(r); err != nil {
				return err
			}
			continue
		}
		answer, err := p.check(r, rec)
		if err != nil {
			return err
		}
		decided, err := p.answered(r, answer)
		if err != nil || decided {
			return err
		}
	}
}

// check asks once, with the retries that the configuration allows. The settings are read anew: a key file may have come
// meanwhile.
func (p *party) check(r *request, rec *requestRecord) (asking.Answer, error) {
	guard, err := p.settings.Guard()
	if err != nil {
		return asking.Answer{}, err
	}
	if guard == nil {
		return asking.Answer{}, errors.New("the callback server was taken out of the configuration while a request was waiting for it")
	}
	ctx, cancel := context.WithTimeout(p.ctx, rec.Expires.Sub(p.clock()))
	defer cancel()
	question := asking.Question{Body: rec.Ask.Body, Signature: rec.Ask.Signature, Asked: rec.asked()}
	answer, err := guard.Check(ctx, question, func(try asking.Try) { p.tried(r, try) })
	if err != nil && p.ctx.Err() == nil && ctx.Err() != nil {
		return asking.Answer{}, errors.New("the request expired before the callback answered")
	}
	return answer, err
}

// tried counts a try, and tells the coordinator why the callback has not answered yet.
func (p *party) tried(r *request, try asking.Try) {
	p.metrics.tried(try)
	if try.Err == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.about(r).Warn("callback gave no answer that counts", "callback_id", r.record.Ask.CallbackID, "server", try.Server, "try", try.Number, "error", try.Err)
	if r.record.State != StateAsking {
		return
	}
	rec := *r.record
	rec.Reason = clip(try.Told(), maxTold)
	r.record = &rec
	p.tell(r)
}

// answered stores what the callback said. It reports whether that ends the asking.
func (p *party) answered(r *request, answer asking.Answer) (decided bool, err error) {
	state := StateRefused
	switch answer.Action {
	case wire.Approve:
		state = StateApproved
	case wire.Wait:
		state = StateWaiting
	case wire.Reject:
		state = StateRejected
	default:
		return false, fmt.Errorf("the callback's answer has an action that is not known: %q", excerpt(string(answer.Action)))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.about(r).Info("callback answered", "callback_id", r.record.Ask.CallbackID, "action", string(answer.Action))
	p.settle(r, func(rec *requestRecord) {
		ask := *rec.Ask
		ask.Approved = answer.Approved || answer.Action == wire.Approve
		ask.Action, ask.Reason, ask.Wait, ask.AnsweredAt = answer.Action, answer.Reason, answer.Wait, p.clock().Add(-answer.Age)
		rec.Ask, rec.State, rec.Reason = &ask, state, answer.Reason
	})
	r.asking = r.record.State == StateWaiting
	if !r.asking {
		p.metrics.stage(r.record.Terms.Type, stageApproval, time.Since(r.asked))
	}
	p.letGo(r)
	return !r.asking, nil
}

// again makes and stores a fresh question after a wait.
func (p *party) again(r *request) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.askAnew(r); err != nil {
		return err
	}
	p.tell(r)
	return nil
}

// askAnew puts a fresh question, stored, in the place of the one that was answered. The caller holds mu, and asks it.
func (p *party) askAnew(r *request) error {
	fresh := *r.record
	if err := p.renewAsk(&fresh); err != nil {
		return err
	}
	return p.change(r, func(rec *requestRecord) { *rec = fresh }, nil)
}

// pauseUntil waits for a moment, or for the end of the request.
func (p *party) pauseUntil(moment, expires time.Time) error {
	if expires.Before(moment) {
		moment = expires
	}
	timer := time.NewTimer(max(moment.Sub(p.clock()), 0))
	defer timer.Stop()
	select {
	case <-p.ctx.Done():
		return p.ctx.Err()
	case <-timer.C:
	}
	if !p.clock().Before(expires) {
		return errors.New("the request expired while the callback said Wait")
	}
	return nil
}

// signatureReport makes the report of a finished signature of sign_type 2 or 3, in the form in which it is reported; nil
// where none is due.
func (p *party) signatureReport(rec *requestRecord, signature []byte) (*reportRecord, error) {
	if rec.Ask == nil || (rec.SignType != wire.SignTypeMessage && rec.SignType != wire.SignTypeRaw) {
		return nil, nil
	}
	check := &wire.Check{CallbackID: rec.Ask.CallbackID, ExtraInfo: rec.extraInfo()}
	check.RequestDetail.Message, check.RequestDetail.Signature = rec.Message, hex.EncodeToString(signature)
	body, seal, err := wire.SealCheck(p.identity, check)
	if err != nil {
		return nil, fmt.Errorf("make signature report: %w", err)
	}
	return &reportRecord{Version: recordVersion, CallbackID: rec.Ask.CallbackID, Asked: check.Asked(), Body: body, Signature: seal}, nil
}
