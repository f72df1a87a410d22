package ledgerstore

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/tidwall/btree"
)

// cell is what a key became by one group of updates: a value, or deleted.
type cell struct {
	since uint64 // number of the group
	value []byte
	gone  bool
	older *cell // what it was before; nil also where nobody asks for that any more
}

// at is the cell that holds once the group with a number is committed; nil if there is none here.
func (c *cell) at(group uint64) *cell {
	for c != nil && c.since > group {
		c = c.older
	}
	return c
}

// slot is a key of a layer with its newest cell.
type slot struct {
	key   string
	top   *cell
	first cell // most keys are changed once
}

// all is a group's number at which every cell holds, committed or not.
const all = math.MaxUint64

// layer is what lies over the buckets: keys whose newest state is not in its bucket yet. One goroutine changes it, while others
// read what held at the group that they began with.
type layer struct {
	mu      sync.RWMutex // guards what follows, and the fields of all cells and slots
	buckets []content    // by the number of the bucket
	keys    int
	bytes   int // of keys and values, about
	room    struct {
		slots []slot          // for the next ones
		keys  strings.Builder // for theirs
	}
}

const (
	roomSlots = 128     // of a layer are made at once
	roomKeys  = 4 << 10 // bytes
)

// slot makes a slot. Slots lie side by side, and so do their keys, since most of a layer are let go together.
func (l *layer) slot(key []byte) *slot {
	r := &l.room
	if len(r.slots) == cap(r.slots) {
		r.slots = make([]slot, 0, roomSlots)
	}
	if r.keys.Cap()-r.keys.Len() < len(key) {
		r.keys.Reset()
		r.keys.Grow(max(roomKeys, len(key)))
	}
	from := r.keys.Len()
	r.keys.Write(key)
	r.slots = append(r.slots, slot{key: r.keys.String()[from:]})
	return &r.slots[len(r.slots)-1]
}

// content is a layer's part of a bucket. Few buckets are scanned before they are moved, so that keys are put in order only then.
type content struct {
	slots map[string]*slot
	order btree.Map[string, *slot]
	late  []*slot // are not in order yet, if they are still in slots
}

// newLayer returns an empty layer that will be about as large as another one; nil: of any size.
func newLayer(as *layer) *layer {
	l := &layer{buckets: make([]content, len(journaled()))}
	for i := range l.buckets {
		keys := 0
		if as != nil {
			keys = len(as.buckets[i].slots)
		}
		l.buckets[i].slots = make(map[string]*slot, keys)
	}
	return l
}

// sorted returns the keys of a bucket in order. It is called under mu, held for writing.
func (c *content) sorted() *btree.Map[string, *slot] {
	slices.SortFunc(c.late, func(a, b *slot) int { return strings.Compare(a.key, b.key) })
	for _, s := range c.late {
		if c.slots[s.key] == s {
			c.order.Set(s.key, s)
		}
	}
	clear(c.late)
	c.late = c.late[:0]
	return &c.order
}

// headed is a slot with the first eight bytes of its key, as a number: most keys differ in them, and lie elsewhere in memory.
type headed struct {
	head uint64
	slot *slot
}

func (a headed) compare(b headed) int {
	if order := cmp.Compare(a.head, b.head); order != 0 {
		return order
	}
	return strings.Compare(a.slot.key, b.slot.key)
}

// inOrder returns the keys of a bucket in order, for a layer that gets no more of them.
func (l *layer) inOrder(bucket byte) []headed {
	l.mu.RLock()
	slots := make([]headed, 0, len(l.buckets[bucket].slots))
	for key, s := range l.buckets[bucket].slots {
		var head [8]byte // of a shorter key: its bytes, then zero
		copy(head[:], key)
		slots = append(slots, headed{binary.BigEndian.Uint64(head[:]), s})
	}
	l.mu.RUnlock()
	slices.SortFunc(slots, headed.compare)
	return slots
}

// size is how many keys and bytes it has.
func (l *layer) size() (keys, bytes int) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.keys, l.bytes
}

// get returns what holds of a key at a group.
func (l *layer) get(bucket byte, key []byte, group uint64) (item, bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	s := l.buckets[bucket].slots[string(key)]
	if s == nil {
		return item{}, false
	}
	c := s.top.at(group)
	if c == nil {
		return item{}, false
	}
	return item{s.key, c.value, c.gone}, true
}

// item is what holds of a key: a value, or that it was deleted.
type item struct {
	key   string
	value []byte
	gone  bool
}

// change is a cell that a group has made.
type change struct {
	layer  *layer
	bucket byte
	slot   *slot
	to     *cell
}

// undo is how a slot was before a call changed it.
type undo struct {
	change
	before cell  // content of to, if the group had made it before
	top    *cell // else what was on top; nil for nothing
}

// set makes a cell for a group, which is the newest one, and keeps of the older ones what holds at a group from oldest on. fresh
// says that the group had none for this key.
func (l *layer) set(bucket byte, key []byte, to cell, oldest uint64) (u undo, fresh bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := &l.buckets[bucket]
	s := b.slots[string(key)]
	if s == nil {
		s = l.slot(key)
		b.slots[s.key] = s
		b.late = append(b.late, s)
		l.keys++
		l.bytes += len(key)
	}
	l.bytes += len(to.value)
	if c := s.top; c != nil && c.since == to.since {
		u = undo{change: change{l, bucket, s, c}, before: *c}
		l.bytes -= len(c.value)
		c.value, c.gone = to.value, to.gone
		return u, false
	}
	c := &s.first
	if s.top != nil {
		c = &cell{}
	}
	*c = to
	c.older = s.top
	u = undo{change: change{l, bucket, s, c}, top: s.top}
	s.top = c
	if last := c.older.at(oldest); last != nil && last.older != nil {
		last.older, s.first = nil, cell{} // which was the oldest one, if it was there
	}
	return u, true
}

// revert undoes the newest change of a slot.
func (u *undo) revert() {
	l := u.layer
	l.mu.Lock()
	defer l.mu.Unlock()
	if u.before.since != 0 {
		l.bytes += len(u.before.value) - len(u.to.value)
		u.to.value, u.to.gone = u.before.value, u.before.gone
		return
	}
	l.bytes -= len(u.to.value)
	if u.slot.top = u.top; u.top == nil {
		l.remove(u.bucket, u.slot)
	}
}

// forget takes a change back whose group is not committed: the slot gets what holds at the one that is.
func (c *change) forget(committed uint64) {
	l := c.layer
	l.mu.Lock()
	defer l.mu.Unlock()
	holds := c.slot.top.at(committed)
	for gone := c.slot.top; gone != holds; gone = gone.older {
		l.bytes -= len(gone.value)
	}
	if c.slot.top = holds; holds == nil {
		l.remove(c.bucket, c.slot)
	}
}

// remove takes away a slot without a cell. Its memory stays for as long as slots beside it are needed, and so it holds no value.
func (l *layer) remove(bucket byte, s *slot) {
	b := &l.buckets[bucket]
	if b.slots[s.key] != s {
		return
	}
	delete(b.slots, s.key)
	b.order.Delete(s.key)
	l.keys--
	l.bytes -= len(s.key)
	s.first = cell{}
	if len(b.late) > 2*len(b.slots)+roomSlots {
		b.late = slices.DeleteFunc(b.late, func(s *slot) bool { return b.slots[s.key] != s })
	}
}

// between appends up to most items of a bucket that hold at a group, in order or in reverse: those from a key on (in reverse:
// before it) up to another (in reverse: from that on). Nil is no bound.
func (l *layer) between(out []item, bucket byte, begin, end []byte, reverse bool, most int, group uint64) []item {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.buckets[bucket].slots) == 0 {
		return out
	}
	order := l.buckets[bucket].sorted()
	take := func(key string, s *slot) bool {
		switch {
		case reverse && begin != nil && key == string(begin):
			return true
		case end != nil && (!reverse && key >= string(end) || reverse && key < string(end)):
			return false
		}
		if c := s.top.at(group); c != nil {
			out = append(out, item{key, c.value, c.gone})
		}
		return len(out) < most
	}
	switch {
	case !reverse:
		order.Ascend(string(begin), take)
	case begin == nil:
		order.Reverse(take)
	default:
		order.Descend(string(begin), take)
	}
	return out
}
