package ledger

import (
	"sync"
	"time"
)

// Clock tells the time. Both methods are safe for concurrent use.
type Clock interface {
	// Now is the wall clock.
	Now() time.Time
	// Elapsed is time passed since some fixed moment, by a clock that nobody sets.
	Elapsed() time.Duration
}

// SystemClock returns the machine's clocks.
func SystemClock() Clock { return systemClock{start: time.Now()} }

type systemClock struct{ start time.Time }

func (c systemClock) Now() time.Time         { return time.Now() }
func (c systemClock) Elapsed() time.Duration { return time.Since(c.start) } // by the monotonic reading in start

// clockTolerance is by how much the clock may be off, and for how long it must agree to be trusted again.
const clockTolerance = time.Minute

// timekeeper makes the ledger's time out of the clock and the last time that was recorded: the greater of the two. A
// clock that is set would open windows too early or keep approvals alive too long, so one that jumps is not trusted until
// it has agreed for a minute:
//
//   - with the time that has passed since the start of the process by a clock that nobody sets, and
//   - with what is recorded, which must not be more than a minute ahead of it.
//
// While it is not trusted, time is the start's plus what has passed, so that a jump ahead is not recorded. A process that
// was down cannot tell a jump ahead from the time it was down. A clock may drift from the other by a thousandth, twice
// what a clock that is being adjusted does.
type timekeeper struct {
	clock Clock

	mu     sync.Mutex // guards the fields below
	wall   time.Time  // the clock at the anchor
	mono   time.Duration
	behind bool          // at the anchor, the clock was behind what is recorded
	bad    bool          // not trusted
	agrees bool          // while bad: it agrees again...
	since  time.Duration // ...since then
}

func newTimekeeper(clock Clock, recorded time.Time) *timekeeper {
	t := &timekeeper{clock: clock}
	t.anchor(clock.Now(), clock.Elapsed())
	t.behind = t.wall.Before(recorded.Add(-clockTolerance))
	t.bad = t.behind
	return t
}

func (t *timekeeper) anchor(wall time.Time, mono time.Duration) {
	t.wall, t.mono = wall.Round(0).UTC(), mono
	t.behind, t.bad, t.agrees = false, false, false
}

// read returns the time of the ledger, given the last time recorded, and whether the clock is trusted.
func (t *timekeeper) read(recorded time.Time) (time.Time, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	wall, mono := t.clock.Now().Round(0).UTC(), t.clock.Elapsed()
	reached := !wall.Before(recorded.Add(-clockTolerance))
	if t.behind && reached { // it was set right: what passed since the start says nothing about it
		t.anchor(wall, mono)
		t.bad = true
	}
	passed := mono - t.mono
	expected := t.wall.Add(passed)
	plausible := wall.Sub(expected).Abs() <= clockTolerance+passed/1000
	t.judge(plausible && reached, mono)
	now := expected
	if plausible {
		now = wall
	}
	if now.Before(recorded) {
		now = recorded
	}
	return now, !t.bad
}

func (t *timekeeper) judge(ok bool, mono time.Duration) {
	switch {
	case !ok:
		t.bad, t.agrees = true, false
	case t.bad && !t.agrees:
		t.agrees, t.since = true, mono
	case t.bad && mono-t.since >= clockTolerance:
		t.bad, t.agrees = false, false
	}
}

// confirm takes the clock as right from now on.
func (t *timekeeper) confirm(wall time.Time, mono time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.anchor(wall, mono)
}

func (t *timekeeper) jumped() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.bad
}
