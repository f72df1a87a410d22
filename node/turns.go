package node

import (
	"context"
	"slices"
	"sync"

	"github.com/countersign-mpc/countersign/signing"
)

// turns lets so many sessions compute at one moment. A session has a turn only while it computes, never while it waits for a
// message, so that one whose peers are slow or dead takes nobody's; and the oldest that waits is next, so that under load
// sessions come to their end one after the other instead of all together. Two nodes cannot wait for each other's turns: a
// turn ends by itself.
type turns struct {
	mu      sync.Mutex // guards the fields below
	free    int
	waiting []*turn // the oldest session's first
}

// turn is a session's wish to compute.
type turn struct {
	number uint64        // of the session, in the order in which they were joined
	given  chan struct{} // closed once it is its turn
}

func newTurns(parallel int) *turns { return &turns{free: parallel} }

// ask gets in line. What is asked for ends with done, once it was given, or with leave.
func (t *turns) ask(number uint64) *turn {
	t.mu.Lock()
	defer t.mu.Unlock()
	mine := &turn{number: number, given: make(chan struct{})}
	if t.free > 0 {
		t.free--
		close(mine.given)
		return mine
	}
	at, _ := slices.BinarySearchFunc(t.waiting, number, func(w *turn, n uint64) int {
		if w.number < n {
			return -1
		}
		return 1
	})
	t.waiting = slices.Insert(t.waiting, at, mine)
	return mine
}

// done gives a turn on to the oldest session that waits.
func (t *turns) done() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiting) == 0 {
		t.free++
		return
	}
	close(t.waiting[0].given)
	t.waiting = slices.Delete(t.waiting, 0, 1)
}

// leave takes a wish back, whether it was given meanwhile or not.
func (t *turns) leave(mine *turn) {
	t.mu.Lock()
	at := slices.Index(t.waiting, mine)
	if at >= 0 {
		t.waiting = slices.Delete(t.waiting, at, at+1)
	}
	t.mu.Unlock()
	if at < 0 {
		t.done()
	}
}

// queue is how many sessions wait for their turn.
func (t *turns) queue() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.waiting)
}

// inTurn runs a step of a session's protocol when it is its turn. A session that is over by then does not run it: it might
// release the share.
func (p *party) inTurn(ctx context.Context, s *session, step func() error) error {
	mine := p.turns.ask(s.number)
	select {
	case <-mine.given:
	case why := <-s.stopped:
		p.turns.leave(mine)
		return why
	case <-ctx.Done():
		p.turns.leave(mine)
		return timeIsOver(ctx)
	}
	defer p.turns.done()
	if err := s.over(ctx); err != nil {
		return err
	}
	return step()
}

// over is why a session takes no more, if it does not.
func (s *session) over(ctx context.Context) error {
	select {
	case why := <-s.stopped:
		return why
	default:
	}
	if ctx.Err() != nil {
		return timeIsOver(ctx)
	}
	return nil
}

func timeIsOver(ctx context.Context) error {
	return &signing.Abort{Reason: "the session's time is over before all parties' messages came", Err: context.Cause(ctx)}
}
