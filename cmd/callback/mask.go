package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/countersign-mpc/countersign/policy"
)

// masked is what stands in the place of a value that a mask hides.
const masked = "[masked]"

// mask hides a member of a recorded input, named by a JSON pointer (RFC 6901) below /input. In the place of an index stands * for
// every element.
type mask struct {
	path  []string
	text  string
	erase bool
}

// parseMasks reads pointers such as /input/tx_info/note; one with a minus in front erases the member instead.
func parseMasks(texts []string) ([]mask, error) {
	var out []mask
	for _, text := range texts {
		pointer, erase := strings.CutPrefix(text, "-")
		rest, ok := strings.CutPrefix(pointer, "/input/")
		if !ok || rest == "" {
			return nil, fmt.Errorf("--mask %q: a JSON pointer below /input is needed, such as /input/tx_info/note, or -/input/tx_info/note to erase it", text)
		}
		m := mask{text: pointer, erase: erase}
		for _, part := range strings.Split(rest, "/") {
			m.path = append(m.path, strings.NewReplacer("~1", "/", "~0", "~").Replace(part))
		}
		if at := m.unknown(); at != "" {
			return nil, fmt.Errorf("--mask %q: inputs have no %s, and the export would hold in the clear what you mean: callback policy schema input says what they have", text, at)
		}
		out = append(out, m)
	}
	return out, nil
}

// maskSchema is the part of a JSON schema that tells which members there can be.
type maskSchema struct {
	Type       string                 `json:"type"`
	Properties map[string]*maskSchema `json:"properties"`
	Items      *maskSchema            `json:"items"`
	Additional json.RawMessage        `json:"additionalProperties"` // false, or a schema
	AnyOf      []*maskSchema          `json:"anyOf"`
}

// inputMembers is the schema of recorded inputs.
var inputMembers = sync.OnceValue(func() *maskSchema {
	var s maskSchema
	if err := json.Unmarshal(policy.InputSchema(), &s); err != nil {
		panic(fmt.Sprintf("the schema of the input: %v", err)) // it is a part of this program
	}
	return &s
})

// unknown is the part of the pointer that no input can have, "" if one can have it. What is below tx_info and the like is open.
func (m mask) unknown() string {
	s := inputMembers()
	for i, name := range m.path {
		s = s.member(name)
		switch {
		case s == nil:
			return "/input/" + strings.Join(m.path[:i+1], "/")
		case s.open():
			return ""
		}
	}
	return ""
}

// open says that any member may be there.
func (s *maskSchema) open() bool { return s.Type == "" && s.Properties == nil && len(s.AnyOf) == 0 }

// member is the schema of a member or element, nil for one that cannot be.
func (s *maskSchema) member(name string) *maskSchema {
	for _, one := range s.AnyOf {
		if found := one.member(name); found != nil {
			return found
		}
	}
	if below := s.Properties[name]; below != nil {
		return below
	}
	if s.Items != nil && (name == anyElement || isIndex(name)) {
		return s.Items
	}
	var values maskSchema
	if s.Additional != nil && json.Unmarshal(s.Additional, &values) == nil {
		return &values
	}
	return nil
}

// anyElement stands for every element of an array.
const anyElement = "*"

func isIndex(text string) bool {
	n, err := strconv.Atoi(text)
	return err == nil && n >= 0 && strconv.Itoa(n) == text
}

// applyMasks hides members of an input and says which were there to be hidden. Without masks the bytes stay as they are.
func applyMasks(input json.RawMessage, masks []mask) (out json.RawMessage, hidden, erased []string, err error) {
	if len(masks) == 0 {
		return input, nil, nil, nil
	}
	var document any
	d := json.NewDecoder(bytes.NewReader(input))
	d.UseNumber()
	if err := d.Decode(&document); err != nil {
		return nil, nil, nil, fmt.Errorf("read a recorded input: %w", err)
	}
	for _, m := range masks {
		if !m.apply(document) {
			continue
		}
		if m.erase {
			erased = append(erased, m.text)
		} else {
			hidden = append(hidden, m.text)
		}
	}
	out, err = json.Marshal(document)
	slices.Sort(hidden)
	slices.Sort(erased)
	return out, hidden, erased, err
}

// apply hides a member of a document and tells whether it was there.
func (m mask) apply(document any) bool { return hide(document, m.path, m.erase) }

// hide follows a path into objects and arrays. An element that is erased leaves null, so that the others keep their places.
func hide(document any, path []string, erase bool) (found bool) {
	name, last := path[0], len(path) == 1
	switch v := document.(type) {
	case map[string]any:
		below, there := v[name]
		switch {
		case !there:
			return false
		case !last:
			return hide(below, path[1:], erase)
		case erase:
			delete(v, name)
		default:
			v[name] = masked
		}
		return true
	case []any:
		for i := range v {
			switch {
			case name != anyElement && name != strconv.Itoa(i):
				continue
			case !last:
				found = hide(v[i], path[1:], erase) || found
				continue
			case erase:
				v[i] = nil
			default:
				v[i] = masked
			}
			found = true
		}
	}
	return found
}
