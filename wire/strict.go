package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// MaxDepth is how deeply a request or a reply may be nested: the body itself is 1.
const MaxDepth = 64

const (
	detailDepth = 1 // depth outside request_detail and extra_info
	txInfoDepth = 2 // depth outside tx_info
)

// scan checks that data is exactly one JSON value, to its last byte: RFC 8259 grammar, valid UTF-8 and surrogate pairs, no
// object with the same key twice (compared unescaped), nested no deeper than MaxDepth when it stands depth levels deep.
// Values that passed can be taken apart without looking for syntax errors again.
func scan(data []byte, depth int) error {
	rest, err := scanValue(data, depth)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return fmt.Errorf("%d byte(s) follow the JSON value: send it alone", len(rest))
	}
	return nil
}

// scanValue is scan that returns what follows the value.
func scanValue(data []byte, depth int) (rest []byte, err error) {
	if len(bytes.Trim(data, " \t\r\n")) == 0 {
		return nil, errors.New("no JSON value: it is empty")
	}
	s, _ := scanners.Get().(*scanner)
	defer s.release(len(data))
	dec := s.of(data)
	for {
		if _, err := dec.ReadToken(); err != nil {
			return nil, syntaxError(err)
		}
		if depth+dec.StackDepth() > MaxDepth {
			return nil, fmt.Errorf("nested deeper than %d levels", MaxDepth)
		}
		if dec.StackDepth() == 0 {
			return data[dec.InputOffset():], nil
		}
	}
}

// scanner is a decoder with the buffer that it reads.
type scanner struct {
	buffer bytes.Buffer
	dec    jsontext.Decoder
}

// scanners are those that nobody uses. What they keep is room for the keys of objects, and nothing that can be read again. At each
// depth it stays as the last object there has left it, so that it is bounded only by how long what was read may be: see release.
var scanners = sync.Pool{New: func() any { return new(scanner) }}

// of is the decoder at the start of data.
func (s *scanner) of(data []byte) *jsontext.Decoder {
	s.buffer = *bytes.NewBuffer(data)
	s.dec.Reset(&s.buffer)
	return &s.dec
}

// release lets go of what was read, and gives the scanner back unless that was longer than most bodies: whoever sends long ones,
// signed or not, with many keys at one depth after the other, would have it keep hundreds of times their length.
func (s *scanner) release(read int) {
	s.of(nil)
	if read <= bodyRoom {
		scanners.Put(s)
	}
}

// syntaxError says where and why without repeating a value. The key of a duplicate is named: it is what to look for.
func syntaxError(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return errors.New("the JSON value is cut off")
	}
	var se *jsontext.SyntacticError
	if !errors.As(err, &se) {
		return fmt.Errorf("not JSON: %v", err)
	}
	where := printable(string(se.JSONPointer), maxPointer)
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return fmt.Errorf("the key at %s is there twice", where)
	}
	return fmt.Errorf("not JSON: %s at byte %d, in %q", printable(fmt.Sprint(se.Err), maxPointer), se.ByteOffset, where)
}
