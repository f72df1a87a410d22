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

func (s *sum) clone() *sum {
	out := &sum{}
	out.add(s)
	return out
}

func (s *sum) isZero() bool { return s.used.Sign() == 0 && s.reserved.Sign() == 0 }

func (s *sum) marshal() ([]byte, error) {
	if s.used.Sign() < 0 || s.reserved.Sign() < 0 {
		return nil, fmt.Errorf("%w: a window's sum would fall below zero", ErrDamaged)
	}
	e := encoder{b: make([]byte, 0, 9+(s.used.BitLen()+s.reserved.BitLen())/8+2)}
	e.u8(sumVersion)
	e.amount(&s.used)
	e.amount(&s.reserved)
	return e.b, nil
}

func parseSum(v []byte) (*sum, error) {
	d := decoder{b: v}
	if d.u8() != sumVersion {
		d.fail("its version is not known")
	}
	s := &sum{}
	d.amountTo(&s.used)
	d.amountTo(&s.reserved)
	return s, d.done("a window's sum")
}

// placeSize is how many bytes a place has.
const placeSize = len(Hash{}) + 1 + 8

// place is a level of a series and the moment at which the stretch begins. An entry's is followed by its anchor.
func place(series Hash, level byte, start int64) []byte {
	return binary.BigEndian.AppendUint64(append(series[:len(series):len(series)], level), uint64(start))
}

// entryPlace is that of an entry: two executions may be recorded at one moment.
func entryPlace(series, anchor Hash, at time.Time) []byte {
	key := append(make([]byte, 0, placeSize+16), series[:]...)
	key = binary.BigEndian.AppendUint64(append(key, levelEntry), uint64(at.UnixNano()))
	return append(key, anchor[:16]...)
}

// change adds to an entry and to the sums above it. What becomes zero is removed. fresh says that there is no such entry yet.
func change(tx Tx, c *sumCache, series, anchor Hash, at time.Time, by *sum, fresh bool) (err error) {
	key := entryPlace(series, anchor, at)
	s := &sum{}
	if !fresh {
		if s, err = readSum(tx, key); err != nil {
			return err
		}
	}
	if err := writeSum(tx, key, s, by); err != nil {
		return err
	}
	key = key[:placeSize]
	for level := byte(levelMinute); level <= levelTotal; level++ {
		start := int64(0)
		if level != levelTotal {
			start = floor(at.UnixNano(), widths[level])
		}
		key[len(series)] = level
		binary.BigEndian.PutUint64(key[len(series)+1:], uint64(start))
		s := c.row(key)
		if s == nil {
			if s, err = readSum(tx, key); err != nil {
				return err
			}
			c.keep(string(key), s)
		}
		if err := writeSum(tx, key, s, by); err != nil {
			return err
		}
	}
	return nil
}

func readSum(r Reader, key []byte) (*sum, error) {
	v, err := r.Get(bucketWindow, key)
	if err != nil {
		return nil, fmt.Errorf("read a window's sum: %w", err)
	}
	if v == nil {
		return &sum{}, nil
	}
	return parseSum(v)
}

// writeSum adds to a sum and stores it.
func writeSum(tx Tx, key []byte, s, by *sum) error {
	if s.add(by); s.isZero() {
		return tx.Delete(bucketWindow, key)
	}
	v, err := s.marshal()
	if err != nil {
		return err
	}
	return tx.Put(bucketWindow, key, v)
}

// floor rounds down to a multiple of width, and ceil up. No time here is before 1970.
func floor(t, width int64) int64 { return t - t%width }
func ceil(t, width int64) int64  { return floor(t+width-1, width) }

// sumAfter is the sum of all entries after the given moment; of all where that is before the first. Entries of the future count
// too: the clock may have been set back.
func sumAfter(r Reader, series Hash, after int64) (*sum, error) {
	if after < 0 {
		v, err := r.Get(bucketWindow, place(series, levelTotal, 0))
		if err != nil || v == nil {
			return &sum{}, err
		}
		return parseSum(v)
	}
	total := &sum{}
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
	return r.Scan(bucketWindow, from, to, false, func(_, value []byte) (bool, error) {
		s, err := parseSum(value)
		if err != nil {
			return false, err
		}
		total.add(s)
		return true, nil
	})
}

// sumOver is the sum that a window shows at the given time, which a cache may know.
func sumOver(r Reader, c *sumCache, series Hash, p Period, now time.Time) (*sum, error) {
	after := int64(-1) // everything since ever
	if last, ok := p.since(now); ok {
		after = max(last.UnixNano(), 0)
	}
	return c.over(r, series, p, after)
}
