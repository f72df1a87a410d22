package policy

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/countersign-mpc/countersign/internal/pace"
)

// addressList is an object of data.json with an address for each name. It is no map, since there may be many thousands: they are
// read, put in order and written straight away.
type addressList []listedAddress

type listedAddress struct {
	address string
	says    string // whose it is, or why it is listed
}

var (
	_ jsonv2.UnmarshalerFrom = (*addressList)(nil)
	_ json.Marshaler         = addressList(nil)
)

// UnmarshalJSONFrom implements jsonv2.UnmarshalerFrom.
func (l *addressList) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	b, err := d.ReadValue()
	if err != nil {
		return err
	}
	r := termReader{b: b}
	if *l, err = r.addresses(); err == nil {
		return nil
	}
	var m map[string]string // to say what is wrong
	err = jsonv2.Unmarshal(b, &m, jsontext.AllowDuplicateNames(true))
	var semantic *jsonv2.SemanticError
	switch {
	case errors.As(err, &semantic):
		semantic.JSONPointer = d.StackPointer() + semantic.JSONPointer
	case err == nil:
		return errNotJSON
	}
	return err
}

// addresses reads an object of texts.
func (p *termReader) addresses() (addressList, error) {
	list := addressList{}
	if !p.skip('{') {
		return nil, errNotJSON
	}
	for !p.skip('}') {
		p.skip(',')
		address, err := p.text()
		if err != nil || !p.skip(':') {
			return nil, errNotJSON
		}
		says, err := p.text()
		if err != nil {
			return nil, err
		}
		list = append(list, listedAddress{address, says})
	}
	return list, p.finished()
}

// MarshalJSON implements json.Marshaler.
func (l addressList) MarshalJSON() ([]byte, error) { return l.append(nil, nil), nil }

// append writes the list as encoding/json writes a map: l is in the order of its addresses, and has each once.
func (l addressList) append(b []byte, p *pace.Pacer) []byte {
	b = append(b, '{')
	for i, e := range l {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(append(appendText(b, e.address), ':'), e.says)
		p.Step()
	}
	return append(b, '}')
}

// addressList brings the addresses into their canonical form, and into its order.
func (c *compiler) addressList(at []string, chain Chain, list addressList) addressList {
	out := make(addressList, 0, len(list))
	for _, e := range list {
		canonical, err := chain.canonicalAddress(e.address)
		if err != nil {
			c.faultyList(at, chain, list)
			return nil
		}
		out = append(out, listedAddress{canonical, e.says})
		c.pace.Step()
	}
	byAddress := func(a, b listedAddress) int {
		c.pace.Step()
		return strings.Compare(a.address, b.address)
	}
	if !slices.IsSortedFunc(out, byAddress) {
		slices.SortFunc(out, byAddress)
	}
	for i := 1; i < len(out); i++ {
		if out[i-1].address == out[i].address {
			c.faultyList(at, chain, list)
			return nil
		}
	}
	return out
}

// faultyList names the faults of a list in the order of what is written there.
func (c *compiler) faultyList(at []string, chain Chain, list addressList) {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b listedAddress) int { return strings.Compare(a.address, b.address) })
	seen := make(map[string]bool, len(list))
	for _, e := range list {
		if canonical, ok := onceAmong(c, under(at, e.address), chain, e.address, seen); ok {
			seen[canonical] = true
		}
	}
}

// appendDocument writes what encoding/json would, lists of addresses straight away.
func appendDocument(b []byte, v any, p *pace.Pacer) ([]byte, error) {
	switch v := v.(type) {
	case addressList:
		return v.append(b, p), nil
	case map[string]any:
		if v == nil {
			break
		}
		b = append(b, '{')
		for i, name := range sortedKeys(v) {
			if i > 0 {
				b = append(b, ',')
			}
			var err error
			if b, err = appendDocument(append(appendText(b, name), ':'), v[name], p); err != nil {
				return nil, err
			}
			p.Step()
		}
		return append(b, '}'), nil
	}
	text, err := json.Marshal(v)
	return append(b, text...), err
}
