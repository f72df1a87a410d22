package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/countersign-mpc/countersign/policy"
)

const (
	// shownWhole is how long a value may be, in bytes of JSON, to stand on one line; a longer one is shown by its members.
	shownWhole = 160
	// maxShown bounds the lines of one member of the data, such as /limits.
	maxShown = 20_000
	// fewLines is how many lines of data are read without a count of them.
	fewLines = 100
)

// dataDiff writes what differs in data so that everything that does can be read: approvers vote on it. A list that has changed, such as
// the limits of an asset, is shown by what has changed in it. Nothing hides behind many others: members of the data of which few lines
// differ come first, and in each the lists of which few do.
type dataDiff struct {
	out   io.Writer
	lines []dataLine
}

// dataLine is a line of a difference.
type dataLine struct{ at, text string }

// member is that of the data which the line is about.
func (l dataLine) member() string {
	name, _, _ := strings.Cut(strings.TrimPrefix(l.at, "/"), "/")
	return "/" + name
}

// list is what the value stands in.
func (l dataLine) list() string { return l.at[:max(strings.LastIndexByte(l.at, '/'), 0)] }

// print writes one change of the data, of which nothing is cut short.
func (d *dataDiff) print(c policy.DataChange) {
	from, err := jsonValue(c.From)
	to, toErr := jsonValue(c.To)
	switch {
	case err != nil || toErr != nil: // it is no JSON: then as it stands there
		d.line("~", c.Pointer, string(c.From)+" -> "+string(c.To))
	case c.From == nil:
		d.one("+", c.Pointer, to)
	case c.To == nil:
		d.one("-", c.Pointer, from)
	default:
		d.both(c.Pointer, from, to)
	}
}

func jsonValue(b json.RawMessage) (v any, err error) {
	if b == nil {
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}

// line adds a line. In JSON a backslash that is meant is two; so it is in a place, or its numbers could be those of printable.
func (d *dataDiff) line(sign, at, text string) {
	d.lines = append(d.lines, dataLine{at, sign + " " + strings.ReplaceAll(at, `\`, `\\`) + " " + text})
}

// end writes the lines, and returns how many are not shown: one who lists tens of thousands of addresses looks at them as a file.
func (d *dataDiff) end() (unseen int) {
	members, lists, shown := map[string]int{}, map[string]int{}, map[string]int{}
	for _, l := range d.lines {
		members[l.member()]++
		lists[l.list()]++
	}
	slices.SortStableFunc(d.lines, func(a, b dataLine) int {
		return cmp.Or(cmp.Compare(members[a.member()], members[b.member()]), strings.Compare(a.member(), b.member()),
			cmp.Compare(lists[a.list()], lists[b.list()]), strings.Compare(a.list(), b.list()))
	})
	names := slices.SortedFunc(maps.Keys(members), func(a, b string) int { return cmp.Or(cmp.Compare(members[a], members[b]), strings.Compare(a, b)) })
	if len(d.lines) > fewLines {
		for _, name := range names {
			fmt.Fprintf(d.out, "%d lines of data differ in %s\n", members[name], printable(name))
		}
	}
	for _, l := range d.lines {
		if shown[l.member()]++; shown[l.member()] <= maxShown {
			fmt.Fprintln(d.out, printable(l.text))
		}
	}
	for _, name := range names {
		if n := shown[name] - maxShown; n > 0 {
			fmt.Fprintf(d.out, "and %d more lines of data in %s that are not shown here: --json has all\n", n, printable(name))
			unseen += n
		}
	}
	return unseen
}

// compact is a value on one line.
func compact(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return "?"
	}
	return strings.TrimSpace(b.String())
}

// one writes a value that is new or gone.
func (d *dataDiff) one(sign, at string, v any) {
	text := compact(v)
	switch v := v.(type) {
	case map[string]any:
		if len(text) > shownWhole {
			for _, key := range slices.Sorted(maps.Keys(v)) {
				d.one(sign, below(at, key), v[key])
			}
			return
		}
	case []any:
		if len(text) > shownWhole {
			for i := range v {
				d.one(sign, below(at, strconv.Itoa(i)), v[i])
			}
			return
		}
	}
	d.line(sign, at, text)
}

// both writes what differs between two values.
func (d *dataDiff) both(at string, from, to any) {
	if reflect.DeepEqual(from, to) {
		return
	}
	switch x := from.(type) {
	case map[string]any:
		if y, ok := to.(map[string]any); ok {
			d.objects(at, x, y)
			return
		}
	case []any:
		if y, ok := to.([]any); ok {
			d.lists(at, x, y)
			return
		}
	}
	d.line("~", at, compact(from)+" -> "+compact(to))
}

func (d *dataDiff) objects(at string, from, to map[string]any) {
	keys := slices.Collect(maps.Keys(from))
	for key := range to {
		if _, both := from[key]; !both {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		x, was := from[key]
		y, is := to[key]
		switch {
		case was && is:
			d.both(below(at, key), x, y)
		case was:
			d.one("-", below(at, key), x)
		default:
			d.one("+", below(at, key), y)
		}
	}
}

// lists writes lists by their places; what both begin and end with does not differ, wherever it stands now.
func (d *dataDiff) lists(at string, from, to []any) {
	begin := 0
	for begin < min(len(from), len(to)) && reflect.DeepEqual(from[begin], to[begin]) {
		begin++
	}
	end := 0
	for end < min(len(from), len(to))-begin && reflect.DeepEqual(from[len(from)-1-end], to[len(to)-1-end]) {
		end++
	}
	x, y := from[begin:len(from)-end], to[begin:len(to)-end]
	for i := range max(len(x), len(y)) {
		place := below(at, strconv.Itoa(begin+i))
		switch {
		case i < len(x) && i < len(y):
			d.both(place, x[i], y[i])
		case i < len(x):
			d.one("-", place, x[i])
		default:
			d.one("+", place, y[i])
		}
	}
}

// below is a JSON pointer to a member.
func below(at, key string) string {
	return at + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
}
