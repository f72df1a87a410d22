package ledger

import (
	"context"
	"fmt"
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

// Timed is a transaction of a store with a clock of its own, by which all who share the store decide.
type Timed interface {
	// Time is the store's wall clock, read within the transaction and after whatever the transaction had to wait for.
	Time() (time.Time, error)
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
//
// The wall clock is that of the store, where it has one; the other one is always this process's.
type timekeeper struct {
	clock Clock
	own   bool // the wall clock is clock's, whatever the store has

	mu     sync.Mutex // guards the fields below
	wall   time.Time  // the clock at the anchor
	mono   time.Duration
	behind bool          // at the anchor, the clock was behind what is recorded
	bad    bool          // not trusted
	agrees bool          // while bad: it agrees again...
	since  time.Duration // ...since then
}

func newTimekeeper(clock Clock, own bool, wall, recorded time.Time) *timekeeper {
	t := &timekeeper{clock: clock, own: own}
	t.anchor(wall, clock.Elapsed())
	t.behind = t.wall.Before(recorded.Add(-clockTolerance))
	t.bad = t.behind
	return t
}

func (t *timekeeper) anchor(wall time.Time, mono time.Duration) {
	t.wall, t.mono = wall.Round(0).UTC(), mono
	t.behind, t.bad, t.agrees = false, false, false
}

// wallOf reads the wall clock, within a transaction: the store's, unless it has none or the clock was given.
func wallOf(r Reader, clock Clock, own bool) (time.Time, error) {
	wall := clock.Now()
	if timed, ok := r.(Timed); ok && !own {
		var err error
		if wall, err = timed.Time(); err != nil {
			return time.Time{}, fmt.Errorf("read the store's clock: %w", err)
		}
	}
	return wall.Round(0).UTC(), nil
}

// read returns the time of the ledger within a transaction, given the last time recorded, and whether the clock is trusted.
func (t *timekeeper) read(r Reader, recorded time.Time) (time.Time, bool, error) {
	wall, err := wallOf(r, t.clock, t.own)
	if err != nil {
		return time.Time{}, false, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	mono := t.clock.Elapsed()
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
	return now, !t.bad, nil
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

// clock returns the ledger's time within a transaction, and whether the clock is trusted.
func (l *Ledger) clock(r Reader) (now time.Time, trusted bool, err error) {
	recorded, err := recordedTime(r)
	if err != nil {
		return time.Time{}, false, err
	}
	return l.keeper.read(r, recorded)
}

// now is the ledger's time within a transaction.
func (l *Ledger) now(r Reader) (time.Time, error) {
	now, _, err := l.clock(r)
	return now, err
}

// maxOperator and maxClockReason bound what ConfirmClock records, in bytes.
const (
	maxOperator    = 256
	maxClockReason = 1024
)

// ConfirmClock is an operator's word that the clock is right now: approvals go on, and the ledger's time is the clock's
// even if that is behind what was recorded. It stands in the log, with who said it and why, as the record that is returned.
func (l *Ledger) ConfirmClock(ctx context.Context, operator, reason string) (ClockRecord, error) {
	if operator == "" || len(operator) > maxOperator || len(reason) > maxClockReason {
		return ClockRecord{}, fmt.Errorf("confirm the clock: %w: it needs the name of who says so (at most %d bytes) and a reason of at most %d bytes", ErrInvalid, maxOperator, maxClockReason)
	}
	var rec *ClockRecord
	var mono time.Duration
	err := l.update(ctx, func(tx Tx) error {
		before, err := recordedTime(tx)
		if err != nil {
			return err
		}
		if before.IsZero() {
			before = time.Unix(0, 0).UTC()
		}
		var wall time.Time
		if wall, err = wallOf(tx, l.keeper.clock, l.keeper.own); err != nil {
			return err
		}
		mono = l.keeper.clock.Elapsed()
		rec = &ClockRecord{ID: newID(wall).String(), Time: wall, Before: before, Operator: operator, Reason: reason}
		_, _, err = l.append(tx, Entry{Clock: rec})
		return err
	})
	if err != nil {
		return ClockRecord{}, fmt.Errorf("confirm the clock: %w", err)
	}
	l.keeper.confirm(rec.Time, mono)
	return *rec, nil
}
