package wellformed_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/countersign-mpc/countersign/wire/wellformed"
)

var values = []string{
	`{}`, `[]`, ` { } `, "\t[\n]\r", `{"a":1}`, ` { "a" : -1.5e+3 , "b":[ {"c":null} , true ,"]}" ] } `, `{"":"","\u0061\n":"\\\""}`,
	`[1,2 , [3,[ ]],{"x":{"y":"{[,:"}},"\\",false]`, `{"a":"<\u2028>","ä":"€"}`, `"a"`, `"\ud83d\ude00"`, `"\\\\"`, `null`, `-0`, ` 12 `,
}

// parts is a value taken apart by a decoder that reads every token: the members, or elements, as they are written.
func parts(t *testing.T, value []byte) (names, keys, parts []string) {
	t.Helper()
	d := jsontext.NewDecoder(bytes.NewReader(value))
	open, err := d.ReadToken()
	for err == nil && d.PeekKind() != '}' && d.PeekKind() != ']' {
		var part jsontext.Value
		if open.Kind() == '{' || len(keys) > 0 {
			if part, err = d.ReadValue(); err != nil {
				break
			}
			key, _ := jsontext.AppendUnquote(nil, part)
			names, keys = append(names, part.String()), append(keys, string(key))
		}
		if part, err = d.ReadValue(); err == nil {
			parts = append(parts, part.String())
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return names, keys, parts
}

func check(t *testing.T, value []byte) {
	t.Helper()
	before := string(value)
	var names, keys, members, elements []string
	errMember := wellformed.EachMember(value, func(name, key, value []byte) error {
		names, keys, members = append(names, string(name)), append(keys, string(key)), append(members, string(value))
		return nil
	})
	errElement := wellformed.EachElement(value, func(i int, value []byte) error {
		if i != len(elements) {
			t.Errorf("%q: element %d after %d", value, i, len(elements))
		}
		elements = append(elements, string(value))
		return nil
	})
	text, isText := wellformed.Text(value)
	if string(value) != before {
		t.Fatalf("%q: changed to %q", before, value)
	}
	if !jsontext.Value(value).IsValid() {
		return // it may be called what it is not, without a panic
	}
	if kind := jsontext.Value(value).Kind(); kind != jsontext.Kind(wellformed.Kind(value)) && kind != '0' {
		t.Errorf("%q: kind %q, want %q", value, wellformed.Kind(value), kind)
	}
	switch kind := jsontext.Value(value).Kind(); kind {
	case '{':
		wantNames, wantKeys, want := parts(t, value)
		same(t, value, "names", names, wantNames)
		same(t, value, "keys", keys, wantKeys)
		same(t, value, "values", members, want)
	case '[':
		_, _, want := parts(t, value)
		same(t, value, "elements", elements, want)
	case '"':
		if want, err := jsontext.AppendUnquote(nil, bytes.TrimSpace(value)); err != nil || value[0] == '"' && value[len(value)-1] == '"' && (!isText || text != string(want)) {
			t.Errorf("%q: text %q %v, want %q, %v", value, text, isText, want, err)
		}
	}
	if kind := jsontext.Value(value).Kind(); (errMember == nil) != (kind == '{') || (errElement == nil) != (kind == '[') || isText && kind != '"' {
		t.Errorf("%q: as an object %v, as a list %v, as text %v", value, errMember, errElement, isText)
	}
}

func same(t *testing.T, value []byte, what string, got, want []string) {
	t.Helper()
	if strings.Join(got, "\x00") != strings.Join(want, "\x00") || len(got) != len(want) {
		t.Errorf("%q: %s %q, want %q", value, what, got, want)
	}
}

// TestValues: what was well formed comes apart as by a decoder that reads every token, and nothing else is taken.
func TestValues(t *testing.T) {
	for _, v := range values {
		if !jsontext.Value(v).IsValid() {
			t.Fatalf("%q is not well formed", v)
		}
		check(t, []byte(v))
	}
}

// TestEnds: what does not come to its end is an error, wherever it is cut.
func TestEnds(t *testing.T) {
	for _, v := range []string{`{"a":[1,{"b":"\""}],"c":-1.5}`, `[{"a":"\\"},[true,"]"],null]`} {
		for n := range len(v) {
			cut := []byte(v[:n])
			nothing := func(_, _, _ []byte) error { return nil }
			if err := wellformed.EachMember(cut, nothing); !errors.Is(err, wellformed.ErrEnds) {
				t.Errorf("%q as an object: %v", cut, err)
			}
			if err := wellformed.EachElement(cut, func(int, []byte) error { return nil }); !errors.Is(err, wellformed.ErrEnds) {
				t.Errorf("%q as a list: %v", cut, err)
			}
			if text, ok := wellformed.Text(cut); ok {
				t.Errorf("%q as text: %q", cut, text)
			}
		}
	}
	for _, v := range []string{``, `"`, `"\"`, `"a"b"`, `"a" `, ` "a"`, `1`, `a`} {
		if text, ok := wellformed.Text([]byte(v)); ok {
			t.Errorf("%q as text: %q", v, text)
		}
	}
}

// TestErrorsEnd: an error of who reads ends the reading, and comes back as it is.
func TestErrorsEnd(t *testing.T) {
	stop, calls := errors.New("stop"), 0
	err := wellformed.EachMember([]byte(`{"a":1,"b":2}`), func(_, _, _ []byte) error { calls++; return stop })
	if err != stop || calls != 1 {
		t.Errorf("object: %v after %d", err, calls)
	}
	err = wellformed.EachElement([]byte(`[1,2]`), func(int, []byte) error { calls++; return stop })
	if err != stop || calls != 2 {
		t.Errorf("list: %v after %d", err, calls)
	}
}

// TestPartsCannotGrow: who appends to a part does not write over what stands behind it.
func TestPartsCannotGrow(t *testing.T) {
	object, list := []byte(`{"a":1,"b":2}`), []byte(`[1,2]`)
	_ = wellformed.EachMember(object, func(name, key, value []byte) error {
		_, _, _ = append(name, 'x'), append(key, 'x'), append(value, 'x')
		return nil
	})
	_ = wellformed.EachElement(list, func(_ int, value []byte) error { _ = append(value, 'x'); return nil })
	if string(object) != `{"a":1,"b":2}` || string(list) != `[1,2]` {
		t.Errorf("%s %s", object, list)
	}
}

// FuzzWellformed: as TestValues, of any bytes.
func FuzzWellformed(f *testing.F) {
	for _, v := range values {
		f.Add([]byte(v))
	}
	f.Add([]byte(`{"a" 1}`))
	f.Add([]byte(`[1,]`))
	f.Fuzz(func(t *testing.T, value []byte) { check(t, value) })
}
