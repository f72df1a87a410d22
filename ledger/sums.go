package ledger

import (
	"encoding/binary"
	"fmt"
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

func (s *sum) isZero() bool { return s.used.Sign() == 0 && s.reserved.Sign() == 0 }

func (s *sum) marshal() ([]byte, error) {
	if s.used.Sign() < 0 || s.reserved.Sign() < 0 {
		return nil, fmt.Errorf("%w: a window's sum would fall below zero", ErrDamaged)
	}
	e := encoder{b: []byte{sumVersion}}
	e.bytes(s.used.Bytes())
	e.bytes(s.reserved.Bytes())
	return e.b, nil
}

func parseSum(v []byte) (*sum, error) {
	d := decoder{b: v}
	if d.u8() != sumVersion {
		d.fail("its version is not known")
	}
	s := &sum{}
	s.used.SetBytes(d.field())
	s.reserved.SetBytes(d.field())
	return s, d.done("a window's sum")
}

// place is a level of a series and the moment at which the stretch begins. An entry's is followed by its anchor.
func place(series Hash, level byte, start int64) []byte {
	return binary.BigEndian.AppendUint64(append(series[:len(series):len(series)], level), uint64(start))
}

// entryPlace is that of an entry: two executions may be recorded at one moment.
func entryPlace(series, anchor Hash, at time.Time) []byte {
	return append(place(series, levelEntry, at.UnixNano()), anchor[:16]...)
}

// change adds to an entry and to the sums above it. What becomes zero is removed.
func change(tx Tx, series, anchor Hash, at time.Time, by *sum) error {
	keys := [][]byte{entryPlace(series, anchor, at), place(series, levelTotal, 0)}
	for level := byte(levelMinute); level <= levelDay; level++ {
		keys = append(keys, place(series, level, floor(at.UnixNano(), widths[level])))
	}
	for _, key := range keys {
		s := &sum{}
		v, err := tx.Get(bucketWindow, key)
		if err == nil && v != nil {
			s, err = parseSum(v)
		}
		if err != nil {
			return fmt.Errorf("read a window's sum: %w", err)
		}
		if s.add(by); s.isZero() {
			if err := tx.Delete(bucketWindow, key); err != nil {
				return err
			}
			continue
		}
		if v, err = s.marshal(); err != nil {
			return err
		}
		if err := tx.Put(bucketWindow, key, v); err != nil {
			return err
		}
	}
	return nil
}

// floor rounds down to a multiple of width, and ceil up. No time here is before 1970.
func floor(t, width int64) int64 { return t - t%width }
func ceil(t, width int64) int64  { return floor(t+width-1, width) }

// sumSince is the sum of all entries after the given moment. Entries of the future count too: the clock may have been set
// back.
func sumSince(r Reader, series Hash, after time.Time) (*sum, error) {
	total := &sum{}
	from := max(after.UnixNano()+1, 0)
	for level := byte(levelEntry); level < levelDay; level++ {
		to := ceil(from, widths[level+1])
		if err := addRange(r, total, place(series, level, from), place(series, level, to)); err != nil {
			return nil, err
		}
		from = to
	}
	err := addRange(r, total, place(series, levelDay, from), place(series, levelTotal, 0))
	return total, err
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

// sumOver is the sum that a window shows at the given time.
func sumOver(r Reader, series Hash, p Period, now time.Time) (*sum, error) {
	after, ok := p.since(now)
	if ok {
		return sumSince(r, series, after)
	}
	v, err := r.Get(bucketWindow, place(series, levelTotal, 0))
	if err != nil || v == nil {
		return &sum{}, err
	}
	return parseSum(v)
}
