package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/countersign-mpc/countersign/keystore"
	"github.com/countersign-mpc/countersign/node/asking"
	"github.com/countersign-mpc/countersign/wire"
)

const (
	reportFirstPause = time.Second
	reportMaxPause   = time.Hour
	reportDaily      = 24 * time.Hour
	maxCouriers      = 512 // records of a bucket that are being delivered; the others wait in the store
	maxPosts         = 16  // of a bucket, at one time
)

// couriers deliver stored reports. A courier keeps the record's place only.
type couriers struct {
	mu    sync.Mutex // guards out
	out   map[string]map[string]bool
	posts map[string]chan struct{}
}

func newCouriers() *couriers {
	c := &couriers{out: make(map[string]map[string]bool), posts: make(map[string]chan struct{})}
	for _, bucket := range []string{bucketReport, bucketOutcome} {
		c.out[bucket], c.posts[bucket] = make(map[string]bool), make(chan struct{}, maxPosts)
	}
	return c
}

// take tells whether a courier may set out.
func (c *couriers) take(bucket, key string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.out[bucket][key] || len(c.out[bucket]) >= maxCouriers {
		return false
	}
	c.out[bucket][key] = true
	return true
}

func (c *couriers) done(bucket, key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.out[bucket], key)
}

// deliverStored delivers every stored report and outcome that no server has acknowledged yet, as far as there are couriers.
func (p *party) deliverStored() error {
	for _, bucket := range []string{bucketReport, bucketOutcome} {
		err := each(p.records, bucket, func(rec *reportRecord) error {
			p.carry(bucket, rec.CallbackID)
			return nil
		})
		if err != nil {
			return fmt.Errorf("read what is to be reported: %w", err)
		}
	}
	return nil
}

// carry tries until a stored report is acknowledged; the record outlives this process.
func (p *party) carry(bucket, key string) {
	if !p.couriers.take(bucket, key) {
		return
	}
	p.wg.Go(func() {
		defer p.couriers.done(bucket, key)
		for pause := reportFirstPause; ; pause = min(2*pause, reportMaxPause) {
			rec, err := p.tryDeliver(bucket, key)
			if err == nil || p.ctx.Err() != nil {
				return
			}
			var reply *wire.ReplyError
			if errors.As(err, &reply) && reply.DecryptFailed() {
				pause = reportDaily
			}
			p.aboutReport(rec).Warn("a report is not acknowledged yet", "kind", bucket, "callback_id", key, "error", err, "again_in", pause)
			timer := time.NewTimer(pause)
			select {
			case <-p.ctx.Done():
				timer.Stop()
				return
			case <-timer.C:
			}
		}
	})
}

// aboutReport is the log of the request that a stored report is about; nil: it could not be read.
func (p *party) aboutReport(report *reportRecord) *slog.Logger {
	if report == nil {
		return p.log
	}
	rec, err := p.records.request(report.Asked.ExtraInfo.SinoID)
	if err != nil || rec == nil { // it may be forgotten before its report
		return p.log.With("sino_id", report.Asked.ExtraInfo.SinoID)
	}
	return p.about(&request{record: rec})
}

// tryDeliver sends a stored report once, and forgets it if it was acknowledged. It gives the report, if it could be read.
func (p *party) tryDeliver(bucket, key string) (*reportRecord, error) {
	select {
	case p.couriers.posts[bucket] <- struct{}{}:
		defer func() { <-p.couriers.posts[bucket] }()
	case <-p.ctx.Done():
		return nil, p.ctx.Err()
	}
	rec, found := new(reportRecord), false
	err := p.records.view(func(tx *keystore.Tx) (err error) {
		found, err = get(tx, bucket, key, rec)
		return err
	})
	if err != nil || !found {
		return nil, err
	}
	guard, err := p.settings.Guard()
	if err != nil {
		return rec, err
	}
	if guard == nil {
		return rec, errors.New("the callback server was taken out of the configuration while a report was waiting for it")
	}
	began := time.Now()
	err = sendTo(guard, bucket)(p.ctx, asking.Question{Body: rec.Body, Signature: rec.Signature, Asked: rec.Asked})
	p.metrics.delivered(bucket, err == nil, time.Since(began))
	if err != nil {
		return rec, err
	}
	if err := p.records.update(func(tx *keystore.Tx) error { return tx.Delete(bucket, key) }); err != nil {
		return rec, fmt.Errorf("forget acknowledged report: %w", err)
	}
	return nil, nil
}

func sendTo(guard Guard, bucket string) func(context.Context, asking.Question) error {
	if bucket == bucketOutcome {
		return guard.Outcome
	}
	return guard.Report
}
