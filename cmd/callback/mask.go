package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// masked is what stands in the place of a value that a mask hides.
const masked = "[masked]"

// mask hides a member of a recorded input, named by a JSON pointer (RFC 6901) below /input.
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
		out = append(out, m)
	}
	return out, nil
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

// apply hides one member of a document and tells whether it was there.
func (m mask) apply(document any) bool {
	for i, name := range m.path {
		object, ok := document.(map[string]any)
		if !ok {
			return false
		}
		if _, there := object[name]; !there {
			return false
		}
		if i < len(m.path)-1 {
			document = object[name]
			continue
		}
		if m.erase {
			delete(object, name)
		} else {
			object[name] = masked
		}
	}
	return true
}
