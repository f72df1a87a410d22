package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Diff is what differs between two policies.
type Diff struct {
	From           string       `json:"from"` // revision
	To             string       `json:"to"`
	RulesAdded     []string     `json:"rules_added"`
	RulesRemoved   []string     `json:"rules_removed"`
	RulesChanged   []string     `json:"rules_changed"`   // with another definition; comments and format do not count
	HelpersChanged []string     `json:"helpers_changed"` // rules without an id, such as countersign.lib.amount, that are new, gone or other
	ModulesAdded   []string     `json:"modules_added"`
	ModulesRemoved []string     `json:"modules_removed"`
	ModulesChanged []string     `json:"modules_changed"` // with another text
	Data           []DataChange `json:"data"`
	More           bool         `json:"more"` // in documents of before: there were more changes of data than are listed; now all are
}

// DataChange is a value of data, as rules see it, that was added, removed or changed.
type DataChange struct {
	Pointer string          `json:"pointer"` // RFC 6901
	From    json.RawMessage `json:"from,omitempty"`
	To      json.RawMessage `json:"to,omitempty"`
}

// Compare says what another policy has changed, by rule, by module and by data.
func (e *Engine) Compare(other *Engine) (Diff, error) {
	d := Diff{From: e.revision, To: other.revision}
	var same []string
	if err := d.compareRules(e, other); err != nil {
		return Diff{}, err
	}
	d.ModulesRemoved, d.ModulesAdded, same = compareKeys(e.source.Modules, other.source.Modules)
	d.ModulesChanged = []string{}
	for _, name := range same {
		if !bytes.Equal(e.source.Modules[name], other.source.Modules[name]) {
			d.ModulesChanged = append(d.ModulesChanged, name)
		}
	}
	from, err := document(e.data.canonical)
	if err != nil {
		return Diff{}, err
	}
	to, err := document(other.data.canonical)
	if err != nil {
		return Diff{}, err
	}
	d.Data = []DataChange{}
	return d, d.compare(nil, from, to)
}

// compareRules compares what defines each rule, whichever file it stands in.
func (d *Diff) compareRules(from, to *Engine) error {
	rulesFrom, helpersFrom, err := from.source.definitions()
	if err != nil {
		return err
	}
	rulesTo, helpersTo, err := to.source.definitions()
	if err != nil {
		return err
	}
	var same []string
	d.RulesRemoved, d.RulesAdded, same = compareKeys(from.rules, to.rules)
	d.RulesChanged = differing(same, rulesFrom, rulesTo)
	removed, added, same := compareKeys(helpersFrom, helpersTo)
	d.HelpersChanged = slices.Sorted(slices.Values(slices.Concat(removed, added, differing(same, helpersFrom, helpersTo))))
	if d.HelpersChanged == nil {
		d.HelpersChanged = []string{}
	}
	return nil
}

// differing are the keys of which two maps have different values.
func differing(keys []string, from, to map[string]string) []string {
	out := []string{}
	for _, key := range keys {
		if from[key] != to[key] {
			out = append(out, key)
		}
	}
	return out
}

// definitions are those of all rules but tests: of rules with an id by that, of others by their name.
func (s *Source) definitions() (rules, helpers map[string]string, err error) {
	modules, err := s.parse()
	if err != nil {
		return nil, nil, err
	}
	lines := [2]map[string][]string{{}, {}}
	for _, file := range sortedKeys(modules) {
		m := modules[file]
		for _, r := range m.Rules {
			if isTest(file) {
				continue
			}
			in, key := lines[0], annotatedID(r)
			if key == "" {
				in, key = lines[1], strings.TrimPrefix(m.Package.Path.String(), "data.")+"."+ruleName(r)
			}
			in[key] = append(in[key], m.Package.Path.String()+" "+r.String())
		}
	}
	out := [2]map[string]string{{}, {}}
	for i, of := range lines {
		for key, definitions := range of {
			slices.Sort(definitions)
			out[i][key] = strings.Join(definitions, "\n")
		}
	}
	return out[0], out[1], nil
}

// compareKeys returns the keys of only one of two maps, and those of both, each in order.
func compareKeys[V any](from, to map[string]V) (removed, added, same []string) {
	removed, added = []string{}, []string{}
	for _, key := range sortedKeys(from) {
		if _, there := to[key]; there {
			same = append(same, key)
		} else {
			removed = append(removed, key)
		}
	}
	for _, key := range sortedKeys(to) {
		if _, there := from[key]; !there {
			added = append(added, key)
		}
	}
	return removed, added, same
}

func document(b []byte) (any, error) {
	var v any
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("compare data: %w", err)
	}
	return v, nil
}

// compare walks through objects; everything else is compared as a whole.
func (d *Diff) compare(at []string, from, to any) error {
	a, isObject := from.(map[string]any)
	b, both := to.(map[string]any)
	if !isObject || !both {
		if reflect.DeepEqual(from, to) {
			return nil
		}
		return d.change(at, &from, &to)
	}
	removed, added, same := compareKeys(a, b)
	for _, key := range slices.Sorted(slices.Values(slices.Concat(removed, added, same))) {
		x, old := a[key]
		y, now := b[key]
		var err error
		switch {
		case old && now:
			err = d.compare(under(at, key), x, y)
		case old:
			err = d.change(under(at, key), &x, nil)
		default:
			err = d.change(under(at, key), nil, &y)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *Diff) change(at []string, from, to *any) error {
	c := DataChange{Pointer: pointer(at)}
	for _, side := range []struct {
		value *any
		to    *json.RawMessage
	}{{from, &c.From}, {to, &c.To}} {
		if side.value == nil {
			continue
		}
		b, err := json.Marshal(*side.value)
		if err != nil {
			return fmt.Errorf("compare data at %s: %w", c.Pointer, err)
		}
		*side.to = b
	}
	d.Data = append(d.Data, c)
	return nil
}

// String writes a change on one line: + for what is new, - for what is gone, ~ for another value.
func (c DataChange) String() string {
	short := func(b json.RawMessage) string { return clip(strings.TrimSpace(string(b))) }
	switch {
	case c.From == nil:
		return fmt.Sprintf("+ %s %s", c.Pointer, short(c.To))
	case c.To == nil:
		return fmt.Sprintf("- %s %s", c.Pointer, short(c.From))
	}
	return fmt.Sprintf("~ %s %s -> %s", c.Pointer, short(c.From), short(c.To))
}
