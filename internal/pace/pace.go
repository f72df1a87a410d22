// Package pace lets long work in a server give way to requests.
//
// Go's scheduler has no priorities, and [runtime.Gosched] does not help: who calls it is found again, in the queue of all
// processors, before requests are that wait in the queue of another processor or that the network has. Who sleeps leaves its
// processor to them.
package pace

import "time"

const (
	// slice is how long is worked at a time, by the clock: where others have the processor meanwhile, less is done.
	slice = 250 * time.Microsecond
	// rest is how long is slept then. Where nothing else is to be done it becomes about a millisecond, since Go waits for the
	// network in milliseconds.
	rest = 500 * time.Microsecond
	// steps is after how many steps the clock is looked at.
	steps = 16
)

// Pacer makes the work of one goroutine give way. nil is one that never does.
type Pacer struct {
	taken int
	begun time.Time // of the slice
}

// New returns a pacer for work that begins.
func New() *Pacer { return &Pacer{begun: time.Now()} }

// Step is called after each small piece of work, of a few microseconds at most, such as one of many entries.
func (p *Pacer) Step() {
	if p == nil {
		return
	}
	if p.taken++; p.taken%steps == 0 {
		p.Pause()
	}
}

// Pause is called after a larger piece of work.
func (p *Pacer) Pause() {
	if p == nil || time.Since(p.begun) < slice {
		return
	}
	time.Sleep(rest)
	p.begun = time.Now()
}
