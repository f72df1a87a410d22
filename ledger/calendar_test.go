package ledger_test

import (
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/ledger"
)

// TestDaysBeginWithTheirFirstMoment: also where the clock skips midnight, where it shows midnight twice, and where a day is
// left out. The first moment is looked for minute by minute.
func TestDaysBeginWithTheirFirstMoment(t *testing.T) {
	for name, days := range map[string][]string{
		"America/Havana":      {"2026-03-08", "2026-11-01"}, // 00:00 -> 01:00, and 01:00 -> 00:00
		"America/Santiago":    {"2026-09-06", "2026-04-05"}, // 24:00 -> 01:00, and 24:00 -> 23:00
		"Atlantic/Azores":     {"2026-03-29", "2026-10-25"},
		"America/St_Johns":    {"2006-10-29"}, // 00:01 -> 23:01 of the day before
		"Australia/Lord_Howe": {"2026-04-05", "2026-10-04"},
		"Pacific/Apia":        {"2011-12-31"}, // there was no 30th
		"Pacific/Kiritimati":  {"2026-03-01"}, // UTC+14
		"Pacific/Pago_Pago":   {"2026-03-01"}, // UTC-11
		"UTC":                 {"2026-01-01"},
	} {
		zone := location(t, name)
		for _, day := range days {
			noon, err := time.ParseInLocation(time.DateOnly+" 15", day+" 12", zone)
			must(t, err)
			first := noon
			for at := noon; at.After(noon.Add(-30 * time.Hour)); at = at.Add(-time.Minute) {
				if at.In(zone).Format(time.DateOnly) == day {
					first = at
				}
			}
			for _, now := range []time.Time{first, first.Add(1), first.Add(40 * time.Minute), noon} {
				if now.In(zone).Format(time.DateOnly) != day {
					continue // the clock was set back over midnight
				}
				last, limited := ledger.Since(ledger.Period{Calendar: ledger.CalendarDay, Zone: zone}, now)
				if !limited || !last.Add(1).Equal(first) {
					t.Errorf("%s: at %s the day begins at %s, want %s", name, now.In(zone), last.Add(1).In(zone), first.In(zone))
				}
			}
		}
	}
}

// TestWeeksAndMonthsBeginWithTheirFirstMoment where midnight is skipped: on a Monday, and on the first of a month.
func TestWeeksAndMonthsBeginWithTheirFirstMoment(t *testing.T) {
	for _, c := range []struct {
		zone       string
		unit       ledger.CalendarUnit
		now, first string
	}{
		{"Africa/Cairo", ledger.CalendarMonth, "2014-08-15T12:00:00+03:00", "2014-08-01T01:00:00+03:00"}, // 24:00 of 31 July -> 01:00
		{"Asia/Amman", ledger.CalendarMonth, "2022-04-01T12:00:00+03:00", "2022-04-01T00:00:00+03:00"},
		{"Europe/Zurich", ledger.CalendarWeek, "2026-03-29T12:00:00+02:00", "2026-03-23T00:00:00+01:00"},
		{"Europe/Zurich", ledger.CalendarMonth, "2026-03-31T12:00:00+02:00", "2026-03-01T00:00:00+01:00"},
		{"America/Havana", ledger.CalendarWeek, "2026-03-08T12:00:00-04:00", "2026-03-02T00:00:00-05:00"},
	} {
		zone := location(t, c.zone)
		now, first := moment(t, c.now), moment(t, c.first)
		last, limited := ledger.Since(ledger.Period{Calendar: c.unit, Zone: zone}, now)
		if !limited || !last.Add(1).Equal(first) {
			t.Errorf("%s: at %s the %s begins at %s, want %s", c.zone, now, c.unit, last.Add(1).In(zone), first)
		}
	}
}

func location(t *testing.T, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	must(t, err)
	return zone
}

func moment(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	must(t, err)
	return at
}
