package ledger

import (
	"math"
	"sync"

	"github.com/countersign-mpc/countersign/auditlog"
)

// sumCache remembers what windows showed, from one decision to the next, so that a window is summed up anew only when an entry
// drops out of it. It is exact: it holds for the log that ends with one certain entry, and windows change with the log only. A
// transaction that was undone, and another process that shares the store, leave another end.
type sumCache struct {
	busy sync.Mutex // held by the decision that uses the cache, and guards the fields below

	valid  bool // what follows belongs to the log of this size with this last entry
	size   int64
	last   string // reference of that entry
	series map[Hash][]*cachedSum
	rows   map[string]*sum // of minutes, hours, days and everything, as they are stored, by their place
}

// cachedSum is what a window of a series shows as long as nothing has dropped out of it.
type cachedSum struct {
	period Period
	after  int64 // entries behind this moment are in the sum
	next   int64 // no entry lies between after and this moment
	sum    sum
}

// maxCached bounds how many series are remembered.
const maxCached = 4096

// begin gives the cache to a decision, in a state that fits the log; nil if another one has it. The decision gives it back by
// end.
func (c *sumCache) begin(r Reader, log *auditlog.Log) (*sumCache, error) {
	if !c.busy.TryLock() {
		return nil, nil
	}
	size, err := log.Size(r)
	if err == nil && size > 0 && c.valid && size == c.size {
		var ref []byte
		ref, _, err = log.Ref(r, size-1)
		c.valid = string(ref) == c.last
	} else {
		c.valid = false
	}
	if err != nil {
		c.busy.Unlock()
		return nil, err
	}
	if !c.valid || len(c.series) > maxCached || len(c.rows) > 8*maxCached {
		c.series, c.rows = map[Hash][]*cachedSum{}, map[string]*sum{}
	}
	c.valid = false // until the decision is written
	return c, nil
}

// written says that the decision has been written as the entry with an index and a reference.
func (c *sumCache) written(index int64, ref []byte) {
	if c != nil {
		c.valid, c.size, c.last = true, index+1, string(ref)
	}
}

// end gives the cache back.
func (c *sumCache) end() {
	if c != nil {
		c.busy.Unlock()
	}
}

// row returns a stored sum, which the caller changes as it changes what is stored; nil if it is not known.
func (c *sumCache) row(place []byte) *sum {
	if c == nil {
		return nil
	}
	return c.rows[string(place)]
}

func (c *sumCache) keep(place string, s *sum) {
	if c != nil {
		c.rows[place] = s
	}
}

// changed adds to what is remembered of a series.
func (c *sumCache) changed(series Hash, at int64, by *sum) {
	if c == nil {
		return
	}
	for _, w := range c.series[series] {
		if at > w.after {
			w.sum.add(by)
			w.next = min(w.next, at)
		}
	}
}

// over is sumOver for a window that ends now and began after a moment.
func (c *sumCache) over(r Reader, series Hash, p Period, after int64) (*sum, error) {
	if c == nil {
		return sumAfter(r, series, after)
	}
	var w *cachedSum
	for _, known := range c.series[series] {
		if known.period == p {
			w = known
		}
	}
	if w == nil {
		w = &cachedSum{period: p, after: math.MaxInt64}
		c.series[series] = append(c.series[series], w)
	}
	if w.after <= after && after < w.next {
		w.after = after
		return w.sum.clone(), nil
	}
	total, err := sumAfter(r, series, after)
	if err != nil {
		return nil, err
	}
	w.sum, w.after = *total.clone(), after
	w.next, err = firstAfter(r, series, after)
	return total, err
}
