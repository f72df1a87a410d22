package ledger

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"time"
)

// A series is stored as its entries, by time, and as their sums by minute, hour and day and over all time, so that the
// sum since any moment is exact and costs a few short scans: entries up to the next full minute, minutes up to the next
// full hour, and so on.
const (
	levelEntry = iota
	levelMinute
	levelHour
	levelDay
	levelTotal
)

// widths are those of the levels, in nanoseconds.
var widths = [...]int64{levelEntry: 1, levelMinute: int64(time.Minute), levelHour: int64(time.Hour), levelDay: int64(24 * time.Hour)}

// sum is what stands at one place of a series: what is known to be signed, and what is reserved.
type sum struct{ used, reserved big.Int }

const sumVersion = 1

func (s *sum) add(other *sum) {
	s.used.Add(&s.used, &other.used)
	s.reserved.Add(&s.reserved, &other.reserved)
}

func (s *sum) set(other *sum) {
	s.used.Set(&other.used)
	s.reserved.Set(&other.reserved)
}

func (s *sum) isZero() bool { return s.used.Sign() == 0 && s.reserved.Sign() == 0 }

func (s *sum) appendTo(b []byte) ([]byte, error) {
	if s.used.Sign() < 0 || s.reserved.Sign() < 0 {
		return nil, fmt.Errorf("%w: a window's sum would fall below zero", ErrDamaged)
	}
	e := encoder{b: b}
	e.u8(sumVersion)
	e.amount(&s.used)
	e.amount(&s.reserved)
	return e.b, nil
}

// parse makes s what appendTo wrote.
func (s *sum) parse(v []byte) error {
	d := decoder{b: v}
	if d.u8() != sumVersion {
		d.fail("its version is not known")
	}
	d.amountTo(&s.used)
	d.amountTo(&s.reserved)
	return d.done("a window's sum")
}

// placeSize is how many bytes a place has.
const placeSize = len(Hash{}) + 1 + 8

// place is a level of a series and the moment at which the stretch begins. An entry's is followed by its anchor.
func place(series Hash, level byte, start int64) []byte {
	return appendPlace(make([]byte, 0, placeSize), series, level, start)
}

func appendPlace(b []byte, series Hash, level byte, start int64) []byte {
	return binary.BigEndian.AppendUint64(append(append(b, series[:]...), level), uint64(start))
}

// entryPlace is that of an entry: two executions may be recorded at one moment.
func entryPlace(series, anchor Hash, at time.Time) []byte {
	return appendEntryPlace(make([]byte, 0, placeSize+16), series, anchor, at)
}

func appendEntryPlace(b []byte, series, anchor Hash, at time.Time) []byte {
	return append(appendPlace(b, series, levelEntry, at.UnixNano()), anchor[:16]...)
}

// change adds to an entry of a series and to the sums above it. What becomes zero is removed. fresh says that there is no such
// entry yet.
func (d *decision) change(known *seriesSums, c *Count, m *moved, fresh bool) error {
	key := appendEntryPlace(d.key[:0], c.Series, c.Anchor, m.at)
	var entry sum
	room(&entry.reserved, d.words[:], 0)
	if !fresh {
		if err := readSum(d.tx, key, &entry); err != nil {
			return err
		}
	}
	if err := d.putSum(key, &entry, m); err != nil {
		return err
	}
	for level := byte(levelMinute); level <= levelTotal; level++ {
		start := int64(0)
		if level != levelTotal {
			start = floor(m.at.UnixNano(), widths[level])
		}
		key := appendPlace(d.key[:0], c.Series, level, start)
		s, err := known.row(d.tx, key, level, start)
		if err != nil {
			return err
		}
		if err := d.putSum(key, s, m); err != nil {
			return err
		}
	}
	return nil
}

// readSum reads the sum that is stored under a key; zero if none is.
func readSum(r Reader, key []byte, into *sum) error {
	v, err := r.Get(bucketWindow, key)
	if err != nil {
		return fmt.Errorf("read a window's sum: %w", err)
	}
	if v == nil {
		into.used.SetUint64(0)
		into.reserved.SetUint64(0)
		return nil
	}
	return into.parse(v)
}

// putSum adds to a sum and stores it.
func (d *decision) putSum(key []byte, s *sum, m *moved) error {
	if m.addTo(s); s.isZero() {
		return d.tx.Delete(bucketWindow, key)
	}
	begin := len(d.values)
	values, err := s.appendTo(d.values)
	if err != nil {
		return err
	}
	d.values = values
	return d.tx.Put(bucketWindow, key, d.values.from(begin))
}

// floor rounds down to a multiple of width, and ceil up. No time here is before 1970.
func floor(t, width int64) int64 { return t - t%width }
func ceil(t, width int64) int64  { return floor(t+width-1, width) }

// sumAfter is the sum of all entries after the given moment; of all where that is before the first. Entries of the future count
// too: the clock may have been set back.
func sumAfter(r Reader, series Hash, after int64) (*sum, error) {
	total := &sum{}
	if after < 0 {
		return total, readSum(r, place(series, levelTotal, 0), total)
	}
	from := after + 1
	for level := byte(levelEntry); level < levelDay; level++ {
		to := ceil(from, widths[level+1])
		if from == to {
			continue
		}
		if err := addRange(r, total, place(series, level, from), place(series, level, to)); err != nil {
			return nil, err
		}
		from = to
	}
	err := addRange(r, total, place(series, levelDay, from), place(series, levelTotal, 0))
	return total, err
}

// firstAfter is the moment of the first entry after the given one; the last moment there is, if there is none.
func firstAfter(r Reader, series Hash, after int64) (int64, error) {
	first := int64(math.MaxInt64)
	from := place(series, levelEntry, max(after+1, 0))
	err := r.Scan(bucketWindow, from, place(series, levelMinute, 0), false, func(key, _ []byte) (bool, error) {
		if len(key) < placeSize {
			return false, fmt.Errorf("%w: a window's sum is stored under a key that is none", ErrDamaged)
		}
		first = int64(binary.BigEndian.Uint64(key[placeSize-8:]))
		return false, nil
	})
	return first, err
}

func addRange(r Reader, total *sum, from, to []byte) error {
	var s sum
	return r.Scan(bucketWindow, from, to, false, func(_, value []byte) (bool, error) {
		if err := s.parse(value); err != nil {
			return false, err
		}
		total.add(&s)
		return true, nil
	})
}

// sumOver is the sum that a window shows at the given time, which may be known. It must not be changed.
func sumOver(r Reader, known *seriesSums, series Hash, p Period, now time.Time) (*sum, error) {
	after := int64(-1) // everything since ever
	if last, ok := p.since(now); ok {
		after = max(last.UnixNano(), 0)
	}
	return known.over(r, series, p, after)
}
