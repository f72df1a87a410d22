package frame

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"

	"github.com/fxamacker/cbor/v2"
)

// template is what one value must be. write appends the one accepted encoding of v, or says why v is not acceptable;
// it echoes no values.
type template interface {
	write(dst []byte, v any) ([]byte, error)
}

// CBOR major types and simple values (RFC 8949, sections 3.1 and 3.3).
const (
	majorBytes = 2 << 5
	majorText  = 3 << 5
	majorArray = 4 << 5
	majorMap   = 5 << 5
	tagBignum  = 6<<5 | 2
	simpleNo   = 0xf4
	simpleYes  = 0xf5

	maxNesting = 8
	maxPairs   = 16
)

// matches checks that payload is exactly what tmpl encodes.
func matches(tmpl template, payload []byte) error {
	v, err := decode(payload)
	if err != nil {
		return err
	}
	again, err := tmpl.write(make([]byte, 0, len(payload)), v)
	if err != nil {
		return err
	}
	if !bytes.Equal(again, payload) {
		return errors.New("payload is not in the one accepted encoding (order of keys, shortest heads)")
	}
	return nil
}

// decode reads CBOR into maps, slices, byte strings, big.Int and booleans. The decoder's own errors may quote the
// input, so they are not passed on.
func decode(payload []byte) (any, error) {
	mode, err := cbor.DecOptions{
		DupMapKey:        cbor.DupMapKeyEnforcedAPF,
		IndefLength:      cbor.IndefLengthForbidden,
		MaxNestedLevels:  maxNesting,
		MaxArrayElements: proofs,
		MaxMapPairs:      maxPairs,
		DefaultMapType:   nil,
	}.DecMode()
	if err != nil {
		return nil, fmt.Errorf("set up the CBOR decoder: %w", err)
	}
	var v any
	if err := mode.Unmarshal(payload, &v); err != nil {
		return nil, errors.New("payload is not CBOR within the limits: one value, no repeated key, no indefinite length")
	}
	return v, nil
}

// object is a map with exactly these text keys in this order.
type object []field

type field struct {
	name  string
	value template
}

func (o object) write(dst []byte, v any) ([]byte, error) {
	m, ok := v.(map[any]any)
	if !ok {
		return nil, fmt.Errorf("a %s where a map must be", kind(v))
	}
	if len(m) != len(o) {
		return nil, fmt.Errorf("a map of %d keys where %d must be", len(m), len(o))
	}
	dst = head(dst, majorMap, len(o))
	for _, f := range o {
		value, ok := m[f.name]
		if !ok {
			return nil, fmt.Errorf("no key %s", f.name)
		}
		dst = append(head(dst, majorText, len(f.name)), f.name...)
		var err error
		if dst, err = f.value.write(dst, value); err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return dst, nil
}

// list is an array of exactly n elements.
type list struct {
	n  int
	of template
}

func (l list) write(dst []byte, v any) ([]byte, error) {
	elements, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("a %s where an array must be", kind(v))
	}
	if len(elements) != l.n {
		return nil, fmt.Errorf("an array of %d where %d elements must be", len(elements), l.n)
	}
	dst = head(dst, majorArray, l.n)
	for i, e := range elements {
		var err error
		if dst, err = l.of.write(dst, e); err != nil {
			return nil, fmt.Errorf("element %d: %w", i, err)
		}
	}
	return dst, nil
}

// octets is a byte string of exactly this length.
type octets int

func (o octets) write(dst []byte, v any) ([]byte, error) {
	b, ok := v.([]byte)
	if !ok {
		return nil, fmt.Errorf("a %s where bytes must be", kind(v))
	}
	if len(b) != int(o) {
		return nil, fmt.Errorf("%d bytes where %d must be", len(b), int(o))
	}
	return append(head(dst, majorBytes, len(b)), b...), nil
}

// integer is a signed number of a fixed length: a byte 0 or 1 for its sign, then its magnitude.
type integer int

func (n integer) write(dst []byte, v any) ([]byte, error) {
	out, err := octets(n).write(dst, v)
	if err != nil {
		return nil, err
	}
	if v.([]byte)[0] > 1 {
		return nil, errors.New("a sign that is neither 0 nor 1")
	}
	return out, nil
}

// point is a compressed point: 33 bytes that start with 2 or 3.
type point struct{}

func (point) write(dst []byte, v any) ([]byte, error) {
	out, err := octets(33).write(dst, v)
	if err != nil {
		return nil, err
	}
	if first := v.([]byte)[0]; first != 2 && first != 3 {
		return nil, errors.New("a point that is not compressed")
	}
	return out, nil
}

// modulus is an odd number of exactly 2048 bits: the library divides by it before it looks at it.
type modulus struct{}

func (modulus) write(dst []byte, v any) ([]byte, error) {
	out, err := octets(modN).write(dst, v)
	if err != nil {
		return nil, err
	}
	if b := v.([]byte); b[0]&0x80 == 0 || b[modN-1]&1 == 0 {
		return nil, errors.New("a modulus that is even or shorter than 2048 bits")
	}
	return out, nil
}

// natural is a number modulo N as a bignum (tag 2). One that would fit in 64 bits is never met by chance and refused.
type natural struct{}

func (natural) write(dst []byte, v any) ([]byte, error) {
	n, ok := v.(big.Int)
	if !ok {
		return nil, fmt.Errorf("a %s where a bignum must be", kind(v))
	}
	if n.Sign() != 1 || n.BitLen() > 8*modN || n.IsUint64() {
		return nil, fmt.Errorf("a bignum of %d bits and sign %d where 65 to %d bits must be", n.BitLen(), n.Sign(), 8*modN)
	}
	b := n.Bytes()
	return append(head(append(dst, tagBignum), majorBytes, len(b)), b...), nil
}

// boolean is true or false.
type boolean struct{}

func (boolean) write(dst []byte, v any) ([]byte, error) {
	switch v {
	case true:
		return append(dst, simpleYes), nil
	case false:
		return append(dst, simpleNo), nil
	}
	return nil, fmt.Errorf("a %s where a boolean must be", kind(v))
}

// polynomial is a polynomial in the exponent with this number of coefficients, which the library nests as a byte
// string: the number (uint32), for which it allocates unseen, then {IsConstant, Coefficients}.
type polynomial int

func (p polynomial) write(dst []byte, v any) ([]byte, error) {
	b, ok := v.([]byte)
	if !ok {
		return nil, fmt.Errorf("a %s where bytes must be", kind(v))
	}
	if len(b) < 4 || binary.BigEndian.Uint32(b) != uint32(p) {
		return nil, fmt.Errorf("a polynomial that does not say it has %d coefficients", int(p))
	}
	inner := object{{"IsConstant", no{}}, {"Coefficients", list{int(p), point{}}}}
	if err := matches(inner, b[4:]); err != nil {
		return nil, err
	}
	return append(head(dst, majorBytes, len(b)), b...), nil
}

// no is false: the polynomial of a new key has a constant term.
type no struct{}

func (no) write(dst []byte, v any) ([]byte, error) {
	if v != false {
		return nil, errors.New("anything but false")
	}
	return append(dst, simpleNo), nil
}

// head appends a CBOR head in its shortest form. n is below 2^16: frames are bounded, and so are their parts.
func head(dst []byte, major byte, n int) []byte {
	switch {
	case n < 24:
		return append(dst, major|byte(n))
	case n < 1<<8:
		return append(dst, major|24, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, major|25), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(dst, major|26), uint32(n))
}

// kind names a decoded value without showing it.
func kind(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case map[any]any:
		return "map"
	case []any:
		return "array"
	case []byte:
		return "byte string"
	case string:
		return "text"
	case bool:
		return "boolean"
	case big.Int:
		return "bignum"
	}
	return "number, tag or other value"
}
