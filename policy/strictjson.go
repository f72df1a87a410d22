package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/countersign-mpc/countersign/internal/pace"
)

// Bounds on JSON that is given to Rego. The callback's body limit is far below the size; the rest keeps a single
// built-in from being handed a value on which it would outrun the time-out.
const (
	maxDataSize     = 32 << 20
	maxInputSize    = 16 << 20
	maxJSONDepth    = 80
	maxNumberLength = 100
)

// checkJSON reports what in a JSON value could be read in two ways or computed with inexactly: duplicate keys, invalid
// UTF-8, trailing bytes, excessive depth, and numbers that are not plain. Decimals and null are refused on demand. Its
// errors name the place as a JSON pointer and never repeat a value.
func checkJSON(b []byte, limit int, refuseDecimals, refuseNull bool) error {
	return checkPacedJSON(b, limit, refuseDecimals, refuseNull, nil)
}

// checkPacedJSON is checkJSON that gives way to others; p may be nil.
func checkPacedJSON(b []byte, limit int, refuseDecimals, refuseNull bool, p *pace.Pacer) error {
	if len(b) > limit {
		return fmt.Errorf("is longer than %d bytes", limit)
	}
	d := jsontext.NewDecoder(bytes.NewBuffer(b)) // a Buffer is read in place
	for values := 0; ; {
		p.Step()
		tok, err := d.ReadToken()
		switch {
		case err == io.EOF && values == 1: // a truncated value is io.ErrUnexpectedEOF
			return nil
		case err == io.EOF:
			return errors.New("is empty")
		case err != nil:
			return jsonError(err)
		case values == 1:
			return errors.New("has more after its first value")
		case d.StackDepth() > maxJSONDepth:
			return fmt.Errorf("%s: is nested deeper than %d", place(d.StackPointer()), maxJSONDepth)
		case d.StackDepth() == 0:
			values++
		}
		switch tok.Kind() {
		case '0':
			err = checkNumber(tok.String(), refuseDecimals)
		case 'n':
			if refuseNull {
				err = errors.New("is null: leave the key out instead")
			}
		}
		if err != nil {
			return fmt.Errorf("%s: %w", place(d.StackPointer()), err)
		}
	}
}

func checkNumber(text string, refuseDecimals bool) error {
	switch {
	case strings.ContainsAny(text, "eE"):
		return errors.New("has an exponent: write all its digits")
	case len(text) > maxNumberLength:
		return fmt.Errorf("is a number of more than %d digits", maxNumberLength)
	case refuseDecimals && strings.Contains(text, "."):
		return errors.New("has a decimal point: decimals do not add exactly; write amounts as strings")
	}
	return nil
}

// jsonError keeps of a decoder's error what says where and what, and leaves out what it may repeat of the input.
func jsonError(err error) error {
	var syntax *jsontext.SyntacticError
	if !errors.As(err, &syntax) {
		return err
	}
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return fmt.Errorf("%s: the key stands there twice", place(syntax.JSONPointer))
	}
	return fmt.Errorf("%s (byte %d): is not well-formed JSON: %v", place(syntax.JSONPointer), syntax.ByteOffset, syntax.Err)
}

func place(p jsontext.Pointer) string {
	if p == "" {
		return "at the root"
	}
	return "at " + string(p)
}
