package ledger

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"time"
)

// parts checks that the series has an entry for each part of a reservation.
func (a *accounts) parts(r Reader, at chargedPlace, v *reservation) error {
	for _, p := range v.parts {
		stored, err := r.Get(bucketWindow, entryPlace(at.series, at.anchor, p.at))
		if err != nil {
			return err
		}
		if stored == nil {
			a.report.Add("the entry of %s that the reservation %s has is missing in its window", p.at.Format(time.RFC3339Nano), at)
		}
	}
	return nil
}

// windows checks every value of the windows: entries against the reservations, and sums against what they sum up.
func (v *verification) windows(ctx context.Context) error {
	return v.sweep(ctx, bucketWindow, func(r Reader, key, value []byte) error {
		if len(key) < placeSize || len(key) != placeSize && (key[32] != levelEntry || len(key) != placeSize+16) || key[32] > levelTotal {
			return fmt.Errorf("%w: a window's sum is stored under a key that is none", ErrDamaged)
		}
		series, level, start := Hash(key[:32]), key[32], int64(binary.BigEndian.Uint64(key[33:placeSize]))
		s := &sum{}
		if err := s.parse(value); err != nil {
			return err
		}
		if level == levelEntry {
			return v.windowEntry(r, series, start, key[placeSize:], s)
		}
		return v.windowSum(r, series, level, start, s)
	})
}

// windowName names a value of a series.
func windowName(series Hash, level byte, start int64) string {
	at := time.Unix(0, start).UTC().Format(time.RFC3339Nano)
	what := [...]string{"entry of", "sum of the minute", "sum of the hour", "sum of the day", "sum of all"}[level]
	if level == levelTotal {
		return fmt.Sprintf("%s of series %s", what, series.String()[:16])
	}
	return fmt.Sprintf("%s %s of series %s", what, at, series.String()[:16])
}

// windowEntry checks an entry against the reservation at its anchor, and that the sums above it are there.
func (v *verification) windowEntry(r Reader, series Hash, at int64, anchor []byte, s *sum) error {
	prefix := append(bytes.Clone(series[:]), anchor...)
	want := &sum{}
	err := r.Scan(bucketReservation, prefix, after(nil, prefix), false, func(_, value []byte) (bool, error) {
		res, err := parseReservation(value)
		if err != nil {
			return false, err
		}
		for _, p := range res.parts {
			if p.at.UnixNano() == at {
				want.put(p)
			}
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	if want.used.Cmp(&s.used) != 0 || want.reserved.Cmp(&s.reserved) != 0 {
		v.report.Add("window: the %s is not what its reservation says", windowName(series, levelEntry, at))
	}
	return v.above(r, series, levelEntry, at)
}

// put adds a part of a reservation.
func (s *sum) put(p part) {
	if p.signed {
		s.used.Add(&s.used, p.amount)
	} else {
		s.reserved.Add(&s.reserved, p.amount)
	}
}

// windowSum checks a sum against what it sums up.
func (v *verification) windowSum(r Reader, series Hash, level byte, start int64, s *sum) error {
	from, to := place(series, level-1, 0), place(series, level, 0)
	if level != levelTotal {
		from, to = place(series, level-1, start), place(series, level-1, start+widths[level])
	}
	want := &sum{}
	if err := addRange(r, want, from, to); err != nil {
		return err
	}
	if want.used.Cmp(&s.used) != 0 || want.reserved.Cmp(&s.reserved) != 0 {
		v.report.Add("window: the %s is not the sum of what it stands for", windowName(series, level, start))
	}
	if level == levelTotal {
		return nil
	}
	return v.above(r, series, level, start)
}

// above checks that there is a sum in which a value is.
func (v *verification) above(r Reader, series Hash, level byte, at int64) error {
	level++
	start := int64(0)
	if level < levelTotal {
		start = floor(at, widths[level])
	}
	stored, err := r.Get(bucketWindow, place(series, level, start))
	if err == nil && stored == nil {
		v.report.Add("window: the %s is missing", windowName(series, level, start))
	}
	return err
}
