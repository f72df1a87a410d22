package coordinator

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/countersign-mpc/countersign/manifest"
)

// UntilFinal makes Wait wait until the request is over.
const UntilFinal = math.MaxUint64

// watch is who waits for a change of one request.
type watch struct {
	changed chan struct{} // closed at the next change
	waiters int
}

// changed wakes who waits for a request. The caller holds c.mu.
func (c *Coordinator) changed(sinoID string) {
	if w := c.watchers[sinoID]; w != nil {
		close(w.changed)
		delete(c.watchers, sinoID)
	}
}

// Request reads a request of an account by its sino id or by the requester's own id.
func (c *Coordinator) Request(ctx context.Context, account, id string) (Status, error) {
	var status Status
	err := c.view(ctx, func(s *step) (err error) {
		status, err = s.statusOf(account, id)
		return err
	})
	return status, err
}

func (s *step) statusOf(account, id string) (Status, error) {
	notFound := refuse(CodeNotFound, "there is no request %s in this account", clip(id, 64))
	if id == "" || len(id) > MaxStoreKey/2 {
		return Status{}, notFound
	}
	req, err := s.requestOf(account, id)
	if err != nil {
		return Status{}, err
	}
	if req == nil {
		if req, err = get[Request](s, TableRequests, id); err != nil {
			return Status{}, err
		}
	}
	if req == nil || req.Account != account {
		return Status{}, notFound
	}
	return s.status(req)
}

func (s *step) status(req *Request) (Status, error) {
	out := Status{Request: *req}
	for _, id := range req.Sessions {
		sess, err := must[Session](s, TableSessions, id)
		if err != nil {
			return Status{}, err
		}
		out.Sessions = append(out.Sessions, *sess)
	}
	key, err := must[Key](s, TableKeys, req.KeyID)
	if err != nil {
		return Status{}, err
	}
	out.Key = *key
	return out, nil
}

// Terms reads what a request of an account asks for, by its sino id or by the requester's own id.
func (c *Coordinator) Terms(ctx context.Context, account, id string) (terms manifest.Terms, err error) {
	err = c.view(ctx, func(s *step) error {
		status, err := s.statusOf(account, id)
		if err != nil {
			return err
		}
		rec, err := must[termsRecord](s, TableTerms, status.Request.SinoID)
		if err == nil {
			terms = rec.Terms
		}
		return err
	})
	return terms, err
}

// Session reads a session of an account, with its request.
func (c *Coordinator) Session(ctx context.Context, account, id string) (Session, Status, error) {
	var sess Session
	var status Status
	err := c.view(ctx, func(s *step) error {
		r, err := s.find(id)
		if err != nil {
			return err
		}
		if r == nil || r.sess.Account != account {
			return refuse(CodeNotFound, "there is no session %s in this account", clip(id, 64))
		}
		sess = *r.sess
		status, err = s.status(r.req)
		return err
	})
	return sess, status, err
}

// Wait waits until a request has changed since a revision, is over, or ctx ends, and reads it then. It does not wait where
// more callers wait already than Limits.Waiters.
func (c *Coordinator) Wait(ctx context.Context, account, id string, since uint64) (Status, error) {
	read := context.WithoutCancel(ctx)
	status, err := c.Request(read, account, id)
	if err != nil || !c.enter() {
		return status, err
	}
	defer c.exit()
	for {
		w := c.watch(status.Request.SinoID)
		status, err = c.Request(read, account, id) // again: it may have changed before the watch
		over := err != nil || ctx.Err() != nil || status.Request.Revision > since || status.Request.State.Final()
		if !over {
			select {
			case <-w.changed:
			case <-ctx.Done():
			}
		}
		c.unwatch(status.Request.SinoID, w)
		if over {
			return status, err
		}
	}
}

func (c *Coordinator) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting >= c.limits.Waiters {
		return false
	}
	c.waiting++
	return true
}

func (c *Coordinator) exit() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting--
}

func (c *Coordinator) watch(sinoID string) *watch {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.watchers[sinoID]
	if w == nil {
		w = &watch{changed: make(chan struct{})}
		c.watchers[sinoID] = w
	}
	w.waiters++
	return w
}

func (c *Coordinator) unwatch(sinoID string, w *watch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w.waiters--
	if w.waiters == 0 && c.watchers[sinoID] == w {
		delete(c.watchers, sinoID)
	}
}

// Ready tells whether the store can be read.
func (c *Coordinator) Ready(ctx context.Context) error {
	return c.view(ctx, func(s *step) error {
		if _, err := s.keys(TableOpen, "", 1); err != nil {
			return fmt.Errorf("read the store: %w", err)
		}
		return nil
	})
}

// openRequests lists the sino ids of the requests that are not over.
func (s *step) openRequests() ([]string, error) {
	keys, err := s.keys(TableOpen, "", 0)
	if err != nil {
		return nil, err
	}
	for i, key := range keys {
		_, keys[i], _ = strings.Cut(key, separator)
	}
	return keys, nil
}
