package evidence

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"strconv"
	"strings"

	"github.com/countersign-mpc/countersign/derive"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// primitive gives the reader of an elementary type, nil if it is none.
func primitive(name string) func(jsontext.Value) (any, error) {
	switch name {
	case "address":
		return readAddress
	case "bool":
		return readBool
	case "string":
		return func(v jsontext.Value) (any, error) { return readString(v) }
	case "bytes":
		return func(v jsontext.Value) (any, error) { return readBytes(v, dynamic) }
	case "uint":
		return integerReader(256, false)
	case "int":
		return integerReader(256, true)
	}
	if size, ok := sizeOf(name, "bytes"); ok && size <= 32 {
		return func(v jsontext.Value) (any, error) { return readBytes(v, size) }
	}
	if size, ok := sizeOf(name, "uint"); ok && size <= 256 && size%8 == 0 {
		return integerReader(size, false)
	}
	if size, ok := sizeOf(name, "int"); ok && size <= 256 && size%8 == 0 {
		return integerReader(size, true)
	}
	return nil
}

// sizeOf reads the number, from 1 and without leading zeros, that follows a prefix.
func sizeOf(name, prefix string) (int, bool) {
	digits, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(digits)
	return n, err == nil && n > 0 && strconv.Itoa(n) == digits
}

func readString(v jsontext.Value) (string, error) {
	if v.Kind() != '"' {
		return "", errors.New("a JSON string is wanted")
	}
	var s string
	if err := json.Unmarshal(v, &s); err != nil {
		return "", fmt.Errorf("not a string: %v", err)
	}
	return s, nil
}

func readBool(v jsontext.Value) (any, error) {
	switch v.Kind() {
	case 't':
		return true, nil
	case 'f':
		return false, nil
	default:
		return nil, errors.New("true or false is wanted")
	}
}

func readAddress(v jsontext.Value) (any, error) {
	s, err := readString(v)
	if err != nil {
		return nil, err
	}
	a, err := derive.ParseEVMAddress(s)
	if err != nil {
		return nil, err
	}
	return derive.FormatEVMAddress(a), nil
}

// readBytes reads 0x and hex digits; size is the number of bytes, or dynamic.
func readBytes(v jsontext.Value, size int) (any, error) {
	s, err := readString(v)
	if err != nil {
		return nil, err
	}
	digits, ok := strings.CutPrefix(s, "0x")
	if !ok {
		return nil, errors.New("0x and hex digits are wanted")
	}
	data, err := hex.DecodeString(digits)
	if err != nil {
		return nil, errors.New("0x and an even number of hex digits are wanted")
	}
	if size != dynamic && len(data) != size {
		return nil, fmt.Errorf("%d bytes, its type has %d", len(data), size)
	}
	return formatBytes(data), nil
}

var (
	decimal     = regexp.MustCompile(`^(0|-?[1-9][0-9]{0,77})$`)
	hexadecimal = regexp.MustCompile(`^0x[0-9A-Fa-f]{1,64}$`)
)

// integerReader reads a JSON integer, or a string of decimal digits or of 0x and hex digits, within the type's range.
// A JSON number outside ±(2^53-1) is refused: JavaScript rounds it, so signer and verifier could mean different ones.
func integerReader(bits int, signed bool) func(jsontext.Value) (any, error) {
	low, high := new(big.Int), new(big.Int).Lsh(big.NewInt(1), uint(bits))
	if signed {
		high.Rsh(high, 1)
		low.Neg(high)
	}
	return func(v jsontext.Value) (any, error) {
		n, err := readInteger(v)
		if err != nil {
			return nil, err
		}
		if n.Cmp(low) < 0 || n.Cmp(high) >= 0 {
			return nil, errors.New("out of the type's range")
		}
		return n.String(), nil
	}
}

func readInteger(v jsontext.Value) (*big.Int, error) {
	const maxSafe = 1<<53 - 1
	if v.Kind() == '0' {
		n, err := strconv.ParseInt(string(v), 10, 64)
		if err != nil || n > maxSafe || n < -maxSafe || strconv.FormatInt(n, 10) != string(v) {
			return nil, errors.New("not an integer within ±(2^53-1): write it as a string of digits")
		}
		return big.NewInt(n), nil
	}
	s, err := readString(v)
	if err != nil {
		return nil, errors.New("an integer, or a string of digits, is wanted")
	}
	n, ok := new(big.Int), false
	switch {
	case decimal.MatchString(s):
		n, ok = n.SetString(s, 10)
	case hexadecimal.MatchString(s):
		n, ok = n.SetString(s[2:], 16)
	}
	if !ok {
		return nil, errors.New("not a decimal integer without leading zeros, nor 0x and at most 64 hex digits")
	}
	return n, nil
}
