package frame_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/countersign-mpc/countersign/signing/cmp/internal/frame"
	"github.com/fxamacker/cbor/v2"
)

// node is a CBOR value of a real payload in its order, to be mutated and written again.
type node struct {
	keys     []string // of a map; nil for an array
	children []*node  // of a map or an array
	leaf     cbor.RawMessage
}

// parse reads a real payload: its maps and arrays have definite lengths below 256.
func parse(t testing.TB, raw cbor.RawMessage) *node {
	t.Helper()
	major, count, rest := raw[0]>>5, int(raw[0]&31), raw[1:]
	if major != 4 && major != 5 {
		return &node{leaf: raw}
	}
	if count == 24 {
		count, rest = int(rest[0]), rest[1:]
	}
	n := &node{}
	decoder := cbor.NewDecoder(bytes.NewReader(rest))
	for range count {
		if major == 5 {
			var key string
			if err := decoder.Decode(&key); err != nil {
				t.Fatal(err)
			}
			n.keys = append(n.keys, key)
		}
		var value cbor.RawMessage
		if err := decoder.Decode(&value); err != nil {
			t.Fatal(err)
		}
		n.children = append(n.children, parse(t, value))
	}
	return n
}

func head(major byte, n int) []byte {
	switch {
	case n < 24:
		return []byte{major<<5 | byte(n)}
	case n < 256:
		return []byte{major<<5 | 24, byte(n)}
	}
	return binary.BigEndian.AppendUint16([]byte{major<<5 | 25}, uint16(n))
}

func text(s string) []byte { return append(head(3, len(s)), s...) }

func (n *node) bytes() []byte {
	if n.leaf != nil {
		return n.leaf
	}
	major := byte(4)
	if n.keys != nil {
		major = 5
	}
	out := head(major, len(n.children))
	for i, c := range n.children {
		if n.keys != nil {
			out = append(out, text(n.keys[i])...)
		}
		out = append(out, c.bytes()...)
	}
	return out
}

// mutation replaces a node by bytes that are not acceptable in its place; nil if it does not apply.
type mutation struct {
	name  string
	apply func(n *node) []byte
}

// entries writes a map or an array anew from pieces, under a head for count entries.
func entries(n *node, count int, pieces ...[]byte) []byte {
	major := byte(4)
	if n.keys != nil {
		major = 5
	}
	return append(head(major, count), bytes.Join(pieces, nil)...)
}

func pieces(n *node) [][]byte {
	var out [][]byte
	for i, c := range n.children {
		piece := []byte{}
		if n.keys != nil {
			piece = append(piece, text(n.keys[i])...)
		}
		out = append(out, append(piece, c.bytes()...))
	}
	return out
}

// raw returns the content of a byte string or bignum leaf.
func raw(n *node) []byte {
	b := n.leaf
	if len(b) > 0 && b[0] == 0xc2 {
		b = b[1:]
	}
	var out []byte
	if len(b) == 0 || b[0]>>5 != 2 || cbor.Unmarshal(b, &out) != nil {
		return nil
	}
	return out
}

func octets(b []byte) []byte { return append(head(2, len(b)), b...) }

var mutations = []mutation{
	{"null", func(*node) []byte { return []byte{0xf6} }},
	{"undefined", func(*node) []byte { return []byte{0xf7} }},
	{"an integer", func(*node) []byte { return []byte{7} }},
	{"a negative integer", func(*node) []byte { return []byte{0x20} }},
	{"a float", func(*node) []byte { return []byte{0xfb, 0, 0, 0, 0, 0, 0, 0, 0} }},
	{"a text", func(*node) []byte { return text("text") }},
	{"an empty byte string", func(*node) []byte { return []byte{0x40} }},
	{"an empty map", func(*node) []byte { return []byte{0xa0} }},
	{"an empty array", func(*node) []byte { return []byte{0x80} }},
	{"an array that claims 2^32-1 elements", func(*node) []byte { return []byte{0x9a, 0xff, 0xff, 0xff, 0xff} }},
	{"a byte string that claims 2^64-1 bytes", func(*node) []byte { return append([]byte{0x5b}, bytes.Repeat([]byte{0xff}, 8)...) }},
	{"deep nesting", func(*node) []byte { return append(bytes.Repeat([]byte{0x81}, 1000), 0) }},
	{"wrapped in an array", func(n *node) []byte { return append([]byte{0x81}, n.bytes()...) }},
	{"under a tag", func(n *node) []byte { return append([]byte{0xc9}, n.bytes()...) }},
	{"under the tag of CBOR itself", func(n *node) []byte { return append([]byte{0xd9, 0xd9, 0xf7}, n.bytes()...) }},
	{"a date", func(*node) []byte { return []byte{0xc1, 0} }},
	{"one more byte", func(n *node) []byte {
		if b := raw(n); b != nil && n.leaf[0] != 0xc2 {
			return octets(append(bytes.Clone(b), 0))
		}
		return nil
	}},
	{"one byte less", func(n *node) []byte {
		if b := raw(n); b != nil && n.leaf[0] != 0xc2 {
			return octets(b[1:])
		}
		return nil
	}},
	{"a head that is not the shortest", func(n *node) []byte {
		if b := raw(n); b != nil && n.leaf[0] != 0xc2 {
			return append(binary.BigEndian.AppendUint32([]byte{0x5a}, uint32(len(b))), b...)
		}
		return nil
	}},
	{"an indefinite byte string", func(n *node) []byte {
		if b := raw(n); b != nil && n.leaf[0] != 0xc2 {
			return append(append([]byte{0x5f}, octets(b)...), 0xff)
		}
		return nil
	}},
	{"bytes as text", func(n *node) []byte {
		if b := raw(n); b != nil && n.leaf[0] != 0xc2 {
			return append(head(3, len(b)), bytes.Repeat([]byte{'a'}, len(b))...)
		}
		return nil
	}},
	{"a bignum with a leading zero", func(n *node) []byte {
		if b := raw(n); b != nil && n.leaf[0] == 0xc2 {
			return append([]byte{0xc2}, octets(append([]byte{0}, b...))...)
		}
		return nil
	}},
	{"a negative bignum", func(n *node) []byte {
		if n.leaf != nil && n.leaf[0] == 0xc2 {
			return append([]byte{0xc3}, n.leaf[1:]...)
		}
		return nil
	}},
	{"a bignum of 2049 bits", func(n *node) []byte {
		if n.leaf != nil && n.leaf[0] == 0xc2 {
			return append([]byte{0xc2}, octets(append([]byte{1}, make([]byte, 256)...))...)
		}
		return nil
	}},
	{"a missing entry", func(n *node) []byte {
		if n.children == nil {
			return nil
		}
		return entries(n, len(n.children)-1, pieces(n)[1:]...)
	}},
	{"an entry twice", func(n *node) []byte {
		if n.children == nil {
			return nil
		}
		return entries(n, len(n.children)+1, append(pieces(n), pieces(n)[0])...)
	}},
	{"the first entry in the place of the last", func(n *node) []byte {
		if len(n.children) < 2 || n.keys == nil {
			return nil
		}
		p := pieces(n)
		p[len(p)-1] = p[0]
		return entries(n, len(p), p...)
	}},
	{"an extra entry", func(n *node) []byte {
		if n.keys == nil {
			return nil
		}
		return entries(n, len(n.children)+1, append(pieces(n), append(text("Extra"), 0xf4))...)
	}},
	{"entries in another order", func(n *node) []byte {
		if len(n.keys) < 2 {
			return nil
		}
		p := pieces(n)
		p[0], p[1] = p[1], p[0]
		return entries(n, len(p), p...)
	}},
	{"a key in other case", func(n *node) []byte {
		if n.keys == nil {
			return nil
		}
		p := pieces(n)
		p[0] = append([]byte{p[0][0], p[0][1] ^ 0x20}, p[0][2:]...)
		return entries(n, len(p), p...)
	}},
	{"an indefinite map or array", func(n *node) []byte {
		if n.children == nil {
			return nil
		}
		out := entries(n, 0, pieces(n)...)
		out[0] |= 31
		return append(out, 0xff)
	}},
}

// walk calls f with every node and a function that puts bytes in its place. Of long arrays it takes both ends.
func walk(n *node, path string, f func(path string, at *node)) {
	f(path, n)
	for i, c := range n.children {
		name := fmt.Sprint(i)
		if n.keys != nil {
			name = n.keys[i]
		} else if i != 0 && i != len(n.children)-1 {
			continue
		}
		walk(c, path+"."+name, f)
	}
}

func TestTemplatesRefuseEveryMutation(t *testing.T) {
	for name, data := range realFrames(t) {
		f := mustDecode(t, data)
		tree := parse(t, f.Payload)
		if !bytes.Equal(tree.bytes(), f.Payload) {
			t.Fatalf("%s: the test does not write the payload as it was", name)
		}
		tried := 0
		walk(tree, "", func(path string, at *node) {
			before := *at
			for _, m := range mutations {
				bad := m.apply(&before)
				if bad == nil || bytes.Equal(bad, before.bytes()) {
					continue
				}
				*at = node{leaf: bad}
				spoilt := f
				spoilt.Payload = tree.bytes()
				tried++
				if _, err := frame.Decode(assemble(data, spoilt.Payload), threshold); !errors.Is(err, frame.ErrMalformed) {
					t.Errorf("%s%s: %s is accepted: %v", name, path, m.name, err)
				}
			}
			*at = before
		})
		if tried < 30 {
			t.Errorf("%s: only %d mutations", name, tried)
		}
	}
}

// assemble puts a payload behind the head of a real frame.
func assemble(data, payload []byte) []byte {
	at := 69
	if data[4]&2 != 0 {
		at += 64
	}
	out := binary.BigEndian.AppendUint32(bytes.Clone(data[:at]), uint32(len(payload)))
	return append(out, payload...)
}

func TestTemplatesRefuseValues(t *testing.T) {
	cases := []struct {
		name, file, path string
		spoil            func(b []byte)
	}{
		{"point not compressed", "sign-3-broadcast", ".BigGammaShare", func(b []byte) { b[0] = 4 }},
		{"point at infinity", "sign-3-broadcast", ".BigGammaShare", func(b []byte) { b[0] = 0 }},
		{"sign byte 2", "sign-2-p2p", ".ProofEnc.Z1", func(b []byte) { b[0] = 2 }},
		{"even modulus", "keygen-3-broadcast", ".N", func(b []byte) { b[255] &^= 1 }},
		{"short modulus", "keygen-3-broadcast", ".N", func(b []byte) { b[0] &= 0x7f }},
		{"zero modulus", "keygen-3-broadcast", ".N", func(b []byte) { clear(b) }},
		{"polynomial of 2^32-1", "keygen-3-broadcast", ".VSSPolynomial", func(b []byte) { copy(b, "\xff\xff\xff\xff") }},
		{"polynomial of 0", "keygen-3-broadcast", ".VSSPolynomial", func(b []byte) { b[3] = 0 }},
		{"polynomial of 2", "keygen-3-broadcast", ".VSSPolynomial", func(b []byte) { b[3] = 2 }},
		{"polynomial without a constant", "keygen-3-broadcast", ".VSSPolynomial", func(b []byte) {
			b[bytes.IndexByte(b, 0xf4)] = 0xf5
		}},
		{"coefficient not compressed", "keygen-3-broadcast", ".VSSPolynomial", func(b []byte) { b[len(b)-33] = 5 }},
	}
	for _, c := range cases {
		data := realFrames(t)[c.file]
		f := mustDecode(t, data)
		tree := parse(t, f.Payload)
		found := false
		walk(tree, "", func(path string, at *node) {
			if path == c.path {
				found = true
				b := bytes.Clone(raw(at))
				c.spoil(b)
				at.leaf = octets(b)
			}
		})
		if !found {
			t.Fatalf("%s: no %s in %s", c.name, c.path, c.file)
		}
		if _, err := frame.Decode(assemble(data, tree.bytes()), threshold); !errors.Is(err, frame.ErrMalformed) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestPolynomialHasTCoefficients builds the only message whose form depends on the key, for every t.
func TestPolynomialHasTCoefficients(t *testing.T) {
	data := realFrames(t)["keygen-3-broadcast"]
	f := mustDecode(t, data)
	for threshold := 2; threshold <= 9; threshold++ {
		tree := parse(t, f.Payload)
		var payload []byte
		walk(tree, "", func(path string, at *node) {
			if path == ".VSSPolynomial" {
				b := raw(at)
				last := octets(b[len(b)-33:])
				inner := binary.BigEndian.AppendUint32(nil, uint32(threshold))
				inner = append(append(inner, 0xa2), append(text("IsConstant"), 0xf4)...)
				inner = append(append(inner, text("Coefficients")...), head(4, threshold)...)
				at.leaf = octets(append(inner, bytes.Repeat(last, threshold)...))
			}
		})
		payload = tree.bytes()
		for other := 2; other <= 9; other++ {
			_, err := frame.Decode(assemble(data, payload), other)
			if (err == nil) != (other == threshold) {
				t.Errorf("a polynomial for t = %d read with t = %d: %v", threshold, other, err)
			}
		}
	}
}
