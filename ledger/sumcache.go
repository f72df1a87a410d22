package ledger

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/countersign-mpc/countersign/auditlog"
)

// sumCache remembers what windows showed, from one decision to the next, so that a window is summed up anew only when an entry
// drops out of it; the revision of the active policy; whether there are approvals at all; and the end of the log. It is exact: it
// holds for the log that ends with one certain entry, and all of it changes with the log only; what is altered in the store alone is
// found by Verify. A transaction that was undone, and another process that shares the store, leave another end.
type sumCache struct {
	busy sync.Mutex // held by the decision that uses the cache, and guards the fields below

	valid    bool // what follows belongs to the log of this size with this last entry
	size     int64
	last     id        // reference of that entry
	recorded time.Time // its time
	series   map[Hash]*seriesSums
	policy   *string // revision of the active policy, "" for none; nil: it was not asked for
	none     bool    // no approval was ever opened
	tail     auditlog.Tail

	// What follows holds for every log.
	some bool            // approvals were opened, perhaps; none is ever removed
	keys map[string]Hash // of series, by their names

	space decision // of the one that has the cache
}

// seriesSums is what is remembered of a series.
type seriesSums struct {
	windows []windowSum
	rows    [levelTotal]storedSum // by level: the newest minute, hour and day, and everything
}

// windowSum is what a window of a series shows as long as nothing has dropped out of it.
type windowSum struct {
	period Period
	after  int64 // entries behind this moment are in the sum
	next   int64 // no entry lies between after and this moment
	sum    sum
}

// storedSum is a sum as it is stored.
type storedSum struct {
	known bool
	start int64 // of its stretch
	sum   sum
}

// maxCached bounds how many series are remembered, and maxCachedName the length of a name that is.
const (
	maxCached     = 4096
	maxCachedName = 256
)

// begin gives the cache to a decision, in a state that fits the log; nil if another one has it. The decision gives it back by
// giveBack.
func (c *sumCache) begin(r Reader, log *auditlog.Log) (*sumCache, error) {
	if !c.busy.TryLock() {
		return nil, nil
	}
	size, err := log.Size(r)
	if err == nil && size > 0 && c.valid && size == c.size {
		var ref []byte
		ref, _, err = log.Ref(r, size-1)
		c.valid = string(ref) == string(c.last[:])
	} else {
		c.valid = false
	}
	if err != nil {
		c.busy.Unlock()
		return nil, err
	}
	if !c.valid || len(c.series) > maxCached {
		c.series, c.policy, c.none, c.tail = map[Hash]*seriesSums{}, nil, false, auditlog.Tail{}
	}
	c.tail.At(size)
	return c, nil
}

// recordedTime is the time of the last entry; the zero time if there is none.
func (c *sumCache) recordedTime(r Reader) (time.Time, error) {
	if c != nil && c.valid {
		return c.recorded, nil
	}
	return recordedTime(r)
}

// withoutApprovals reports whether it is known that no approval was ever opened. Where policies ask for none, nobody has to look for
// those of each ask.
func (c *sumCache) withoutApprovals(r Reader) (bool, error) {
	if c == nil || c.some || c.none {
		return c != nil && c.none, nil
	}
	err := r.Scan(bucketExecution, nil, nil, false, func(_, _ []byte) (bool, error) {
		c.some = true
		return false, nil
	})
	if err != nil {
		return false, fmt.Errorf("look for approvals: %w", err)
	}
	c.none = !c.some
	return c.none, nil
}

// opening says that the decision opens an approval, or changes one.
func (c *sumCache) opening() {
	if c != nil {
		c.some, c.none = true, false
	}
}

// key is under what a series is stored.
func (c *sumCache) key(series string) Hash {
	if c == nil || len(series) > maxCachedName {
		return seriesKey(series)
	}
	key, known := c.keys[series]
	if !known {
		if c.keys == nil || len(c.keys) >= maxCached {
			c.keys = map[string]Hash{}
		}
		key = seriesKey(series)
		c.keys[strings.Clone(series)] = key
	}
	return key
}

// active is the revision of the active policy; "" if there is none.
func (c *sumCache) active(r Reader) (string, error) {
	if c != nil && c.policy != nil {
		return *c.policy, nil
	}
	a, err := getActive(r)
	if err == nil && c != nil {
		revision := a.Revision
		c.policy = &revision
	}
	return a.Revision, err
}

// end is what is known of the end of the log, and where it will be.
func (c *sumCache) end() *auditlog.Tail {
	if c == nil {
		return &auditlog.Tail{}
	}
	return &c.tail
}

// changing says that the decision is written from now on.
func (c *sumCache) changing() {
	if c != nil {
		c.valid = false // until it has been written
	}
}

// written says that the decision has been written as the entry with an index, a reference and a time.
func (c *sumCache) written(index int64, ref id, at time.Time) {
	if c != nil {
		c.valid, c.size, c.last, c.recorded = true, index+1, ref, at
	}
}

// decision returns the decision that is to be run with the cache: its space is the next one's once the cache is given back.
func (c *sumCache) decision() *decision {
	if c == nil {
		return &decision{}
	}
	return &c.space
}

// giveBack gives the cache back.
func (c *sumCache) giveBack() {
	if c != nil {
		c.space.clear()
		c.busy.Unlock()
	}
}

// of is what is remembered of a series, and where it will be.
func (c *sumCache) of(series Hash) *seriesSums {
	if c == nil {
		return &seriesSums{}
	}
	s := c.series[series]
	if s == nil {
		s = &seriesSums{}
		c.series[series] = s
	}
	return s
}

// row returns the sum that is stored under a key, of a level and from a start, for the caller to change as it changes what is stored.
func (s *seriesSums) row(r Reader, key []byte, level byte, start int64) (*sum, error) {
	row := &s.rows[level-1]
	if row.known && row.start == start {
		return &row.sum, nil
	}
	if row.known && start < row.start {
		row = &storedSum{} // of what lies back little is changed
	}
	row.known = false
	if err := readSum(r, key, &row.sum); err != nil {
		return nil, err
	}
	row.known, row.start = true, start
	return &row.sum, nil
}

// changed changes what is remembered of the windows.
func (s *seriesSums) changed(m *moved) {
	at := m.at.UnixNano()
	for i := range s.windows {
		if w := &s.windows[i]; at > w.after {
			m.addTo(&w.sum)
			w.next = min(w.next, at)
		}
	}
}

// like reports whether windows of two periods may share what is remembered. Every policy that is read reads its zones anew, so that
// they are told apart by their names.
func (p Period) like(q Period) bool {
	return p.Rolling == q.Rolling && p.Calendar == q.Calendar && p.Zone.String() == q.Zone.String()
}

// over is sumOver for a window that ends now and began after a moment.
func (s *seriesSums) over(r Reader, series Hash, p Period, after int64) (*sum, error) {
	var w *windowSum
	for i := range s.windows {
		if s.windows[i].period.like(p) {
			w = &s.windows[i]
		}
	}
	if w == nil {
		s.windows = append(s.windows, windowSum{period: p, after: math.MaxInt64})
		w = &s.windows[len(s.windows)-1]
	}
	if w.after <= after && after < w.next {
		w.after = after
		return &w.sum, nil
	}
	total, err := sumAfter(r, series, after)
	if err != nil {
		return nil, err
	}
	next, err := firstAfter(r, series, after)
	if err != nil {
		return nil, err
	}
	w.sum.set(total)
	w.after, w.next = after, next
	return &w.sum, nil
}
