package ledger

import (
	"fmt"
	"sync/atomic"
)

// growth remembers the largest size of the log that this process saw recorded. A log that has become smaller has lost decisions:
// a database that failed over to a standby without them, or a store put back to an older state under a server that runs. What
// was approved and is forgotten would be counted in no window, so that nothing is written any more until the process is started
// again by somebody who knows why. Lost decisions in whose place others wrote as many are not seen here: a witness sees them.
// Safe for concurrent use.
type growth struct {
	size   atomic.Int64 // largest that was committed
	shrunk atomic.Int64 // size that was found instead, and 1; 0: none
}

// saw notes a size that is committed.
func (g *growth) saw(size int64) {
	for {
		seen := g.size.Load()
		if size <= seen || g.size.CompareAndSwap(seen, size) {
			return
		}
	}
}

// check compares a size with those that were committed, and remembers it if it is smaller.
func (g *growth) check(size int64) error {
	if size < g.size.Load() {
		return g.lost(size)
	}
	return g.fault()
}

// lost notes that the log was found with a size that is too small.
func (g *growth) lost(size int64) error {
	g.shrunk.CompareAndSwap(0, size+1)
	return g.fault()
}

// fault is nil as long as the log has only grown.
func (g *growth) fault() error {
	found := g.shrunk.Load()
	if found == 0 {
		return nil
	}
	return fmt.Errorf("%w: %w: its log had %d entries and was found with %d (a failover to a standby that lagged, or a restored backup): "+
		"stop all servers, bring back what is missing, and start them again only once you know what was approved meanwhile",
		ErrUnavailable, ErrShrunk, g.size.Load(), found-1)
}
