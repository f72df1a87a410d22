package ledgerstore

import "bytes"

// overlay is what lies over the buckets at one moment, the newest layer first.
type overlay struct {
	front *layer
	back  *layer // what is on its way into the buckets; nil for nothing
	group uint64 // the newest group that is in it
}

// get returns what holds of a key that is not in its bucket yet.
func (o *overlay) get(bucket byte, key []byte) (item, bool) {
	found, ok := o.front.get(bucket, key, o.group)
	if !ok && o.back != nil {
		return o.back.get(bucket, key, o.group)
	}
	return found, ok
}

// stream goes over a layer's part of a scan.
type stream struct {
	layer *layer
	read  []item
	at    []byte // where what is not read begins
	more  bool   // there may be something
}

// merge goes over the newest items of a bucket between two keys, in one direction.
type merge struct {
	bucket  byte
	end     []byte
	reverse bool
	group   uint64
	streams []stream
	two     [2]stream
}

func (o *overlay) merge(bucket byte, from, to []byte, reverse bool) *merge {
	m := &merge{bucket: bucket, end: to, reverse: reverse, group: o.group}
	begin := from
	if reverse {
		begin, m.end = to, from
	}
	m.streams = append(m.two[:0], stream{layer: o.front, at: begin, more: true})
	if o.back != nil {
		m.streams = append(m.streams, stream{layer: o.back, at: begin, more: true})
	}
	return m
}

const (
	readFirst = 8 // items of a layer that a scan reads at once at first, as most scans find few
	readMore  = 256
)

// fill reads on in a stream that has nothing more.
func (m *merge) fill(s *stream) bool {
	if len(s.read) > 0 || !s.more {
		return len(s.read) > 0
	}
	most := readFirst
	if s.read != nil {
		most = readMore
	}
	s.read = s.layer.between(nil, m.bucket, s.at, m.end, m.reverse, most, m.group)
	if s.more = len(s.read) == most; s.more {
		s.at = []byte(s.read[most-1].key)
		if !m.reverse {
			s.at = append(s.at, 0)
		}
	}
	return len(s.read) > 0
}

// peek returns the next item.
func (m *merge) peek() (found item, ok bool) {
	for i := range m.streams {
		s := &m.streams[i]
		if !m.fill(s) {
			continue
		}
		next := s.read[0]
		if !ok || next.key != found.key && (next.key < found.key) != m.reverse { // of two at one key the first, newer, one stays
			found, ok = next, true
		}
	}
	return found, ok
}

// skip goes past a key that peek returned.
func (m *merge) skip(key string) {
	for i := range m.streams {
		if s := &m.streams[i]; len(s.read) > 0 && s.read[0].key == key {
			s.read = s.read[1:]
		}
	}
}

// scanFunc is what ledger.Reader's Scan calls.
type scanFunc = func(key, value []byte) (bool, error)

// before calls fn with the keys that come before key, all that are left where that is nil, and then goes past key. It reports
// whether key itself is overlaid, and whether the scan goes on.
func (m *merge) before(key []byte, fn scanFunc) (overlaid, more bool, err error) {
	for {
		found, ok := m.peek()
		if !ok {
			return false, true, nil
		}
		order := -1
		if key != nil {
			order = bytes.Compare([]byte(found.key), key)
			if m.reverse {
				order = -order
			}
		}
		if order > 0 {
			return false, true, nil
		}
		m.skip(found.key)
		if !found.gone {
			if more, err := fn([]byte(found.key), found.value); err != nil || !more {
				return order == 0, false, err
			}
		}
		if order == 0 {
			return true, true, nil
		}
	}
}
