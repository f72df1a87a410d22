package node

import (
	"context"
	"time"

	"github.com/countersign-mpc/countersign/signing"
)

// settleTime is how long Drain waits, once the grace period is over, for computing sessions to notice and for the
// coordinator to take their reports.
const settleTime = 3 * time.Second

// Drain readies the node for the end of its process: it takes on nothing new from now on, /readyz says so at once, and the
// sessions that run go on to their end, or fail when ctx ends. It returns when they are over and the coordinator has their
// reports, three seconds after the end of ctx at the latest. Offers are left unanswered and questions to callbacks unfinished:
// both go on at the next start. Close is next; there is no way back.
func (n *Node) Drain(ctx context.Context) {
	n.draining.Store(true)
	n.outside.end()
	n.CancelEntry()
	p := n.working.Load()
	if p == nil {
		return
	}
	late, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(settleTime, cancel) })()
	p.drain(ctx, late)
	if link := n.current.Load(); link != nil {
		link.Flush(late)
	}
}

// drain begins nothing more, and waits until no session runs: when ctx ends they are failed, and when late ends they are
// left.
func (p *party) drain(ctx, late context.Context) {
	p.mu.Lock()
	if p.idle == nil {
		p.idle = make(chan struct{})
		p.quiet()
	}
	idle, running := p.idle, len(p.sessions)
	p.mu.Unlock()
	p.log.Info("the node is stopping: nothing new is begun", "running_sessions", running)
	select {
	case <-idle:
		return
	case <-ctx.Done():
	}
	p.mu.Lock()
	for _, s := range p.sessions {
		s.stop(&signing.Abort{Reason: "the node is stopping, and its grace period is over"})
	}
	p.mu.Unlock()
	select {
	case <-idle:
	case <-late.Done():
		p.log.Warn("sessions still compute, and are left: the coordinator learns of it from the next start")
	}
}

// quiet tells drain when no session runs any more. The caller holds mu.
func (p *party) quiet() {
	if p.idle == nil || len(p.sessions) > 0 {
		return
	}
	select {
	case <-p.idle:
	default:
		close(p.idle)
	}
}

// leave takes a session that is over out of those that run. The caller holds mu.
func (p *party) leave(s *session) {
	delete(p.sessions, s.id)
	s.request.running = nil
	p.bytes -= s.bytes
}
