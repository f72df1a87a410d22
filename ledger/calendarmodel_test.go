package ledger_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/ledger"
)

// changing are zones whose clocks change in a way of their own, each with a year in which they do.
var changing = map[string]int{
	"UTC":                 2026,
	"Europe/Zurich":       2026,
	"America/New_York":    2026,
	"America/Havana":      2026, // at midnight
	"America/Santiago":    2026, // at midnight, the other way round
	"Atlantic/Azores":     2026,
	"Africa/Cairo":        2026,
	"Australia/Lord_Howe": 2026, // by half an hour
	"Pacific/Chatham":     2026, // 12:45 and 13:45 ahead
	"Asia/Kathmandu":      1986, // 5:30, then 5:45 ahead
	"Pacific/Apia":        2011, // without 30 December
}

// label names the unit that a moment is in, by the calendar and the wall clock of its zone.
func label(unit ledger.CalendarUnit, t time.Time) string {
	year, month, day := t.Date()
	_, offset := t.Zone()
	switch unit {
	case ledger.CalendarMinute:
		return fmt.Sprint(year, month, day, t.Hour(), t.Minute(), offset)
	case ledger.CalendarHour:
		return fmt.Sprint(year, month, day, t.Hour(), offset)
	case ledger.CalendarDay:
		return fmt.Sprint(year, month, day)
	case ledger.CalendarWeek:
		return fmt.Sprint(t.ISOWeek())
	}
	return fmt.Sprint(year, month)
}

// TestCalendarModel walks through a year of each zone by quarters of an hour, at which all of these clocks change, and holds each
// window against the moment at which the walk came into the unit: days of 23, 23.5, 24.5 and 25 hours, weeks and months with them.
func TestCalendarModel(t *testing.T) {
	const step, late = 15 * time.Minute, 37*time.Second + 5
	for name, year := range changing {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, unit := range []ledger.CalendarUnit{ledger.CalendarMinute, ledger.CalendarHour, ledger.CalendarDay, ledger.CalendarWeek, ledger.CalendarMonth} {
			period := ledger.Period{Calendar: unit, Zone: zone}
			at := time.Date(year-1, time.November, 20, 0, 0, 0, 0, time.UTC)
			end, counted := at.AddDate(1, 2, 0), at.AddDate(0, 1, 15) // from there on a unit has been entered
			var began, changed time.Time
			for last, lastOffset := "", 0; at.Before(end); at = at.Add(step) {
				now := at.In(zone)
				if l := label(unit, now); l != last {
					last, began = l, at
				}
				if _, offset := now.Zone(); offset != lastOffset {
					lastOffset, changed = offset, at
				}
				if at.Before(counted) {
					continue
				}
				got, limited := ledger.Since(period, now.Add(late))
				first := got.Add(1)
				if unit == ledger.CalendarHour && at.Sub(changed) < time.Hour && first.Before(began) && at.Add(late).Sub(first) < time.Hour {
					continue // an hour in which the clock changed: what was counted in the last sixty minutes still counts
				}
				if !limited || !first.Equal(began) {
					t.Fatalf("%s: at %s the %s begins at %s, want %s", name, now, unit, first.In(zone), began.In(zone))
				}
			}
		}
	}
}

// TestCalendarUnits are moments of which people agree whether they are in one window.
func TestCalendarUnits(t *testing.T) {
	for _, c := range []struct {
		zone         string
		unit         ledger.CalendarUnit
		before, then string
		same         bool
	}{
		{"UTC", ledger.CalendarMinute, "2026-03-01T10:00:00Z", "2026-03-01T10:00:59Z", true},
		{"UTC", ledger.CalendarMinute, "2026-03-01T10:00:59Z", "2026-03-01T10:01:00Z", false},
		{"Asia/Kathmandu", ledger.CalendarHour, "2026-03-01T10:15:00Z", "2026-03-01T11:14:59Z", true}, // 16:00 to 16:59:59
		{"Asia/Kathmandu", ledger.CalendarHour, "2026-03-01T10:14:59Z", "2026-03-01T10:15:00Z", false},
		{"Europe/Zurich", ledger.CalendarDay, "2026-03-29T00:00:00+01:00", "2026-03-29T23:59:59+02:00", true}, // 23 hours
		{"Europe/Zurich", ledger.CalendarDay, "2026-10-25T00:00:00+02:00", "2026-10-25T23:59:59+01:00", true}, // 25 hours
		{"Europe/Zurich", ledger.CalendarDay, "2026-10-25T23:59:59+01:00", "2026-10-26T00:00:00+01:00", false},
		{"Australia/Lord_Howe", ledger.CalendarDay, "2026-04-05T00:00:00+11:00", "2026-04-05T23:59:59+10:30", true}, // 24.5 hours
		{"Europe/Zurich", ledger.CalendarWeek, "2026-03-23T00:00:00+01:00", "2026-03-29T23:59:59+02:00", true},      // Monday to Sunday
		{"Europe/Zurich", ledger.CalendarWeek, "2026-03-29T23:59:59+02:00", "2026-03-30T00:00:00+02:00", false},
		{"UTC", ledger.CalendarWeek, "2025-12-29T00:00:00Z", "2026-01-04T23:59:59Z", true}, // over the turn of the year
		{"Europe/Zurich", ledger.CalendarMonth, "2026-03-01T00:00:00+01:00", "2026-03-31T23:59:59+02:00", true},
		{"Europe/Zurich", ledger.CalendarMonth, "2026-03-31T23:59:59+02:00", "2026-04-01T00:00:00+02:00", false},
		{"Asia/Shanghai", ledger.CalendarMonth, "2026-02-28T15:59:59Z", "2026-02-28T16:00:00Z", false}, // by the zone's month
		{"UTC", ledger.CalendarMonth, "2028-02-01T00:00:00Z", "2028-02-29T23:59:59Z", true},
	} {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		last, limited := ledger.Since(ledger.Period{Calendar: c.unit, Zone: zone}, parseTime(t, c.then))
		if counts := !limited || parseTime(t, c.before).After(last); counts != c.same {
			t.Errorf("%s, %s: what was at %s counts at %s: %v, want %v", c.zone, c.unit, c.before, c.then, counts, c.same)
		}
	}
}

func parseTime(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}
