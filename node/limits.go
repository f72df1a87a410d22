package node

import (
	"errors"
	"runtime"
)

// Limits bound what a node works on at one time. What is over a limit is refused with a reason that the coordinator shows.
type Limits struct {
	Requests int // open: asked about, with a place in an offered session, or in one that runs; 0: DefaultRequests
	Sessions int // that run; 0: DefaultSessions
	Parallel int // of these, that compute at one moment, while the others wait their turn; 0: as many as there are CPUs

	bytes int // delivered to all sessions that run; 0: maxAllBytes
}

// The limits where nothing is said.
const (
	DefaultRequests = 256
	DefaultSessions = 128
)

// Bounds of what the sessions take that run, whatever the limits. A CMP run has fewer than 20 frames, of 90 kB at most, from
// each of 8 others.
const (
	inboxSize        = 512 // frames that wait for one session
	maxSessionFrames = 4096
	maxSessionBytes  = 32 << 20
	maxAllBytes      = 512 << 20 // delivered to all sessions that run; what is more costs the session that took most
)

// complete checks the limits and puts the defaults in the place of zeros.
func (l *Limits) complete() error {
	if l.Requests < 0 || l.Sessions < 0 || l.Parallel < 0 {
		return errors.New("node: a limit is negative")
	}
	if l.Requests == 0 {
		l.Requests = DefaultRequests
	}
	if l.Sessions == 0 {
		l.Sessions = DefaultSessions
	}
	if l.Parallel == 0 {
		l.Parallel = runtime.GOMAXPROCS(0)
	}
	if l.bytes == 0 {
		l.bytes = maxAllBytes
	}
	return nil
}
