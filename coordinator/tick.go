package coordinator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/countersign-mpc/countersign/wire"
)

// TickEvery is how often Tick should be called.
const TickEvery = time.Second

// Tick does what time asks for: it expires requests and sessions, fails sessions whose parties are away for too long, and
// starts the sessions that follow failed ones. A request that cannot be dealt with does not keep it from the others.
func (c *Coordinator) Tick(ctx context.Context) error {
	var due []string
	var problems []error
	open := 0
	err := c.view(ctx, func(s *step) error {
		due, problems = nil, nil
		ids, err := s.openRequests()
		if err != nil {
			return err
		}
		open = len(ids)
		away := c.away(s.now)
		for _, id := range ids {
			r, err := s.current(id)
			if err != nil {
				problems = append(problems, fmt.Errorf("request %s: %w", id, err))
				continue
			}
			if s.dueFor(r, away) != nil {
				due = append(due, id)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("look for what is due: %w", err)
	}
	c.metrics.open.Set(float64(open))
	for _, id := range due {
		if err := c.update(ctx, func(s *step) error { return s.do(id) }); err != nil {
			problems = append(problems, fmt.Errorf("request %s is due: %w", id, err))
		}
	}
	return errors.Join(problems...)
}

// away tells which nodes are away for longer than a running session can bear.
func (c *Coordinator) away(now time.Time) func(wire.NodeID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	online := make(map[wire.NodeID]bool, len(c.peers))
	for node := range c.peers {
		online[node] = true
	}
	since := make(map[wire.NodeID]time.Time, len(c.offline))
	for node, t := range c.offline {
		since[node] = t
	}
	return func(node wire.NodeID) bool { return !online[node] && c.awaySince(since, node, now) }
}

func (c *Coordinator) awaySince(offline map[wire.NodeID]time.Time, node wire.NodeID, now time.Time) bool {
	since, known := offline[node]
	if !known {
		since = c.started // it has not come back since this process started
	}
	return now.Sub(since) > c.limits.DisconnectGrace
}

// do does what is due for a request, if it still is.
func (s *step) do(sinoID string) error {
	r, err := s.current(sinoID)
	if err != nil || r.req.State.Final() {
		return err
	}
	action := s.dueFor(r, func(node wire.NodeID) bool {
		return s.c.peers[node] == nil && s.c.awaySince(s.c.offline, node, s.now)
	})
	if action == nil {
		return nil
	}
	return action()
}

// dueFor finds what time asks for; nil if nothing.
func (s *step) dueFor(r *run, away func(wire.NodeID) bool) func() error {
	live := !r.sess.State.Final()
	switch {
	case !s.now.Before(r.req.Expires):
		return func() error { return s.expire(r) }
	case !live && !r.req.RetryAt.IsZero() && !s.now.Before(r.req.RetryAt):
		return func() error { return s.startSession(r.req) }
	case !live:
		return nil
	case r.sess.begun() && !s.now.Before(r.sess.Deadline):
		f := Failure{Cause: CauseDeadline, Message: "the session's time was over: " + laggards(r.sess), retry: true}
		return func() error { return s.fail(r, f) }
	}
	for i := range r.sess.Members {
		m := &r.sess.Members[i]
		if r.sess.begun() && m.Report == nil && away(m.NodeID) {
			f := Failure{Cause: CauseDisconnected, Party: m.Name, retry: true,
				Message: fmt.Sprintf("party %s was not connected for more than %s", m.Name, s.c.limits.DisconnectGrace)}
			return func() error { return s.fail(r, f) }
		}
		if m.Approval == ApprovalDone && s.now.Sub(m.ApprovalAt) > doneGrace {
			f := Failure{Cause: CauseReleased, Party: m.Name, Message: "party " + m.Name +
				" has used its share for this request already, and its result has not come: " + submitAnew}
			return func() error { return s.fail(r, f) }
		}
	}
	return nil
}

// expire ends a request whose time is over.
func (s *step) expire(r *run) error {
	f := Failure{Cause: CauseExpired, Message: "the request expired"}
	if !r.sess.State.Final() {
		f.Message += " before its session was over: " + laggards(r.sess)
		return s.fail(r, f)
	}
	if last := r.req.Failure; last != nil {
		f.Message += "; its last session: " + last.Message
	} else if r.req.Type == wire.TypeKeygen {
		f.Message += " before all parties had confirmed their shares"
	}
	return s.failRequest(r.req, f)
}

// laggards says what a session waits for.
func laggards(sess *Session) string {
	text := ""
	for _, m := range sess.Members {
		state := string(m.State)
		switch {
		case m.Report != nil:
			continue
		case m.State == MemberInvited && m.Approval == "":
			state = "no answer"
		case m.State == MemberInvited:
			state = string(m.Approval)
		}
		if text != "" {
			text += ", "
		}
		text += "party " + m.Name + ": " + state
	}
	return text
}
