package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // zones on machines that have no tables of them
)

// What happens outside of hours.
const (
	outsideReject = "reject"
	outsideWait   = "wait"
)

// fileHours is when requests of some kinds are approved.
type fileHours struct {
	Kinds    []string          `json:"kinds"`
	Chain    string            `json:"chain"`
	Asset    string            `json:"asset"`
	Zone     string            `json:"zone"`
	Open     []fileOpening     `json:"open"`
	Holidays map[string]string `json:"holidays"` // date -> its name
	Outside  string            `json:"outside"`
}

type fileOpening struct {
	Days []string `json:"days"`
	From string   `json:"from"` // the wall clock's, "09:00"
	To   string   `json:"to"`   // exclusive, up to "24:00"
}

// hours writes openings by the name of their day as Rego's time.weekday has it, in seconds of the day.
func (c *compiler) hours() map[string]any {
	out := make(map[string]any, len(c.file.Hours))
	for _, name := range sortedKeys(c.file.Hours) {
		at, f := []string{"hours", name}, c.file.Hours[name]
		c.name(at, name)
		if len(f.Kinds) == 0 {
			f.Kinds = []string{KindTransaction}
		}
		c.hoursOf(at, f)
		if _, err := time.LoadLocation(f.Zone); err != nil || f.Zone == "" || f.Zone == "Local" {
			c.add(under(at, "zone"), "%q is no time zone: names such as \"Europe/Zurich\" and \"UTC\" are", f.Zone)
		}
		for _, date := range sortedKeys(f.Holidays) {
			if _, err := time.Parse(time.DateOnly, date); err != nil {
				c.add(under(at, "holidays", date), "is no date such as \"2026-12-25\"")
			}
		}
		if f.Outside != outsideReject && f.Outside != outsideWait {
			c.add(under(at, "outside"), "is %q, not %s or %s (until it opens)", f.Outside, outsideReject, outsideWait)
		}
		holidays := f.Holidays
		if holidays == nil {
			holidays = map[string]string{}
		}
		out[name] = map[string]any{
			"kinds": f.Kinds, "chain": f.Chain, "asset": f.Asset, "zone": f.Zone,
			"open": c.openings(under(at, "open"), f.Open), "holidays": holidays, "outside": f.Outside,
		}
	}
	return out
}

// hoursOf checks for which requests the hours hold.
func (c *compiler) hoursOf(at []string, f fileHours) {
	for i, kind := range f.Kinds {
		if !slices.Contains(windowKinds, kind) {
			c.add(under(at, "kinds", fmt.Sprint(i)), "%q is none of %s", kind, strings.Join(windowKinds, ", "))
		}
	}
	chain, known := c.chains[f.Chain]
	switch {
	case f.Chain == "" && f.Asset != "":
		c.add(under(at, "asset"), "needs chain beside it")
	case f.Chain == "":
	case !known:
		c.noChain(under(at, "chain"), f.Chain)
	case !slices.Equal(f.Kinds, []string{KindTransaction}):
		c.add(under(at, "chain"), "only transactions have one: leave out the other kinds")
	case f.Asset != "":
		if _, known := chain.Assets[f.Asset]; !known {
			c.noAsset(under(at, "asset"), chain, f.Asset)
		}
	}
}

func (c *compiler) openings(at []string, list []fileOpening) map[string]any {
	if len(list) == 0 {
		c.add(at, "is empty: it would never open")
	}
	days := map[string][]any{}
	for i, f := range list {
		here := under(at, fmt.Sprint(i))
		from, to := c.wallClock(under(here, "from"), f.From), c.wallClock(under(here, "to"), f.To)
		if from >= to {
			c.add(under(here, "to"), "is not after from: an opening over midnight is two, up to \"24:00\" and from \"00:00\"")
		}
		if len(f.Days) == 0 {
			c.add(under(here, "days"), "is empty: name days of the week, such as \"monday\"")
		}
		for j, day := range f.Days {
			weekday, ok := weekdays[day]
			if !ok || slices.Index(f.Days, day) != j {
				c.add(under(here, "days", fmt.Sprint(j)), "%q is no day of the week in lower case, such as \"monday\", or there twice", day)
				continue
			}
			days[weekday] = append(days[weekday], map[string]any{"from": from, "to": to})
		}
	}
	out := make(map[string]any, len(days))
	for day, openings := range days {
		out[day] = openings
	}
	return out
}

var weekdays = map[string]string{
	"monday": "Monday", "tuesday": "Tuesday", "wednesday": "Wednesday", "thursday": "Thursday", "friday": "Friday",
	"saturday": "Saturday", "sunday": "Sunday",
}

// wallClock reads "09:30" as seconds of the day; "24:00" is its end.
func (c *compiler) wallClock(at []string, text string) int {
	if text == "24:00" {
		return 24 * 60 * 60
	}
	t, err := time.Parse("15:04", text)
	if err != nil || len(text) != len("15:04") {
		c.add(at, "%q is no time of the day such as \"09:30\"", text)
		return 0
	}
	return t.Hour()*3600 + t.Minute()*60
}
