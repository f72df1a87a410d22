package ledger

import (
	"crypto/sha256"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/countersign-mpc/countersign/wire/label"
)

// Limits on what an execution counts.
const (
	MaxAnchors = MaxDigests
	MaxCharges = 64  // series that one ask is counted in
	MaxWindows = 256 // windows over them
	maxAmount  = 512 // bits of an amount
)

// Execution is what signatures make happen on a chain at most once, and what that counts in velocity windows.
type Execution struct {
	// Anchors name what only one execution can use up: for an EVM transaction its chain, sender and nonce, for a Bitcoin
	// transaction each outpoint that it spends. Where the transaction is not known it is the payment's name.
	Anchors []Hash
	// Bindings tie names to contents: after an Approve, an ask that gives the same name another content is rejected.
	Bindings []Binding
	Charges  []Charge
	// Within is for how long after its first Approve the execution is still the same one; 0 is for ever. An ask after that is
	// rejected: it would be for another one under a name that is counted already.
	Within time.Duration
}

// Binding is a name, such as that of a payment, and the hash of what stands behind it.
type Binding struct {
	What  string // for people: what is bound
	Name  Hash
	Value Hash
}

// Charge is an amount that an execution adds to one series, and the windows through which the series is looked at.
type Charge struct {
	// Series names what is summed up and over whom: "amount of USDC of wallet 7 on ETH", in any form that is one for one.
	// Windows of different lengths share it, and a window that is declared later sees what was counted before.
	Series  string
	Amount  *big.Int // in base units, or 1 where executions are counted; not negative
	Windows []Window
}

// Window is a stretch of time up to now, or up to the end of a calendar's unit.
type Window struct {
	ID     string
	Period Period
}

// Period is how long a window is. Exactly one of Rolling and Calendar is set; neither means everything since ever.
type Period struct {
	Rolling  time.Duration
	Calendar CalendarUnit
	Zone     *time.Location // of Calendar; nil is UTC
}

// CalendarUnit is a unit of the calendar at whose start a window begins anew.
type CalendarUnit string

// The units. A week begins on Monday (ISO 8601).
const (
	CalendarMinute CalendarUnit = "minute"
	CalendarHour   CalendarUnit = "hour"
	CalendarDay    CalendarUnit = "day"
	CalendarWeek   CalendarUnit = "week"
	CalendarMonth  CalendarUnit = "month"
)

// MaxRolling is the longest rolling window.
const MaxRolling = 366 * 24 * time.Hour

// WindowState is a window as an evaluation sees it. The sums are of executions, each with the largest amount that was
// approved for it.
type WindowState struct {
	ID     string
	Series string
	// Used is what is known to have been signed, Reserved what was approved and has not been reported as not signed.
	Used, Reserved *big.Int
	// After is both, together with what an Approve of this ask would add.
	After *big.Int
}

func (p Period) validate() error {
	switch p.Calendar {
	case "":
		if p.Rolling < 0 || p.Rolling > MaxRolling {
			return fmt.Errorf("a rolling window of %s: up to %s are possible", p.Rolling, MaxRolling)
		}
	case CalendarMinute, CalendarHour, CalendarDay, CalendarWeek, CalendarMonth:
		if p.Rolling != 0 {
			return fmt.Errorf("a window is either rolling or of the calendar")
		}
	default:
		return fmt.Errorf("calendar unit %q is none", p.Calendar)
	}
	return nil
}

// since is the last moment before the window: what happened after it counts. ok is false for a window without a beginning.
func (p Period) since(now time.Time) (last time.Time, ok bool) {
	if p.Calendar == "" {
		return now.Add(-p.Rolling), p.Rolling > 0
	}
	zone := p.Zone
	if zone == nil {
		zone = time.UTC
	}
	t := now.In(zone)
	year, month, day := t.Date()
	var start time.Time
	switch p.Calendar {
	case CalendarMinute: // zones differ by whole minutes since the last century
		start = now.Truncate(time.Minute)
	case CalendarHour:
		start = t.Add(-time.Duration(t.Minute())*time.Minute - time.Duration(t.Second())*time.Second - time.Duration(t.Nanosecond()))
	case CalendarDay:
		start = firstOf(year, month, day, zone)
	case CalendarWeek:
		start = firstOf(year, month, day-(int(t.Weekday())+6)%7, zone)
	default:
		start = firstOf(year, month, 1, zone)
	}
	return start.Add(-1), true
}

// firstOf is the first moment whose date in the zone is that day: where the clock is set forth at midnight the day begins
// later than at 00:00, and where it is set back at midnight it has two of them. A day that a zone left out begins with the
// next.
func firstOf(year int, month time.Month, day int, zone *time.Location) time.Time {
	midnight := time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
	t := midnight.Add(-26 * time.Hour).In(zone) // before that day, in every zone
	for {
		_, offset := t.Zone()
		_, end := t.ZoneBounds()
		start := midnight.Add(-time.Duration(offset) * time.Second)
		if start.Before(t) {
			start = t // the offset begins within the day
		}
		if end.IsZero() || start.Before(end) {
			return start
		}
		t = end
	}
}

func (x *Execution) validate() error {
	if x == nil {
		return nil
	}
	if len(x.Anchors) == 0 || len(x.Anchors) > MaxAnchors || len(x.Charges) > MaxCharges || len(x.Bindings) > MaxAnchors {
		return fmt.Errorf("%w execution: it has %d anchors (1 to %d), %d charges (up to %d) and %d bindings", ErrInvalid,
			len(x.Anchors), MaxAnchors, len(x.Charges), MaxCharges, len(x.Bindings))
	}
	windows := 0
	for i, c := range x.Charges {
		twice := slices.ContainsFunc(x.Charges[:i], func(other Charge) bool { return other.Series == c.Series })
		if c.Series == "" || len(c.Series) > MaxName || twice {
			return fmt.Errorf("%w execution: a series needs a name of up to %d bytes, and one charge", ErrInvalid, MaxName)
		}
		if c.Amount == nil || c.Amount.Sign() < 0 || c.Amount.BitLen() > maxAmount {
			return fmt.Errorf("%w execution: the amount for series %q is negative or beyond %d bits", ErrInvalid, c.Series, maxAmount)
		}
		windows += len(c.Windows)
		for _, w := range c.Windows {
			if err := w.Period.validate(); err != nil || len(w.ID) > MaxName {
				return fmt.Errorf("%w execution: window %.100q: %v", ErrInvalid, w.ID, err)
			}
		}
	}
	if windows > MaxWindows {
		return fmt.Errorf("%w execution: %d windows, of at most %d", ErrInvalid, windows, MaxWindows)
	}
	return nil
}

// seriesKey is under what a series is stored.
func seriesKey(series string) Hash {
	var space [256]byte
	return sha256.Sum256(label.Field(append(space[:0], beginSeries...), series))
}
