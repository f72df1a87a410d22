package evidence

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"reflect"
	"slices"
	"unicode/utf8"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
)

// param is an argument of a method, or a component of a tuple. Arrays of tuples have the tuple's parts.
type param struct {
	name    string
	written string // the type as the JSON ABI writes it
	words   int    // see countWords
	typ     abi.Type
	parts   []param
}

// method is a function of a contract's ABI.
type method struct {
	signature string // canonical, such as transfer(address,uint256)
	selector  [selectorLength]byte
	selected  string // the selector as steps have it
	params    []param
	args      abi.Arguments
	// plainWords: each argument is a word by itself, of a type that readWord reads.
	plainWords bool
}

// decode reads the arguments, which follow the selector. Only the one encoding is taken that encoders make (Solidity's
// ABI specification, "Formal Specification of the Encoding"): each offset points to where the part before it ends,
// nothing is left over or out, and padding is zero. So no two calldata decode to the same values, and reading takes time
// in proportion to the length. Values are *big.Int, [20]byte, bool, string, []byte, and []any for arrays and tuples.
func (m *method) decode(data []byte) ([]any, error) {
	used, err := checkSequence(data, len(m.args), func(i int) *abi.Type { return &m.args[i].Type })
	if err != nil {
		return nil, fmt.Errorf("calldata of %s: %w", m.signature, err)
	}
	if used != len(data) {
		return nil, fmt.Errorf("calldata of %s: %d bytes of arguments, it takes %d", m.signature, len(data), used)
	}
	if m.plainWords {
		return m.words(data), nil
	}
	values, err := m.args.UnpackValues(data)
	if err != nil {
		return nil, fmt.Errorf("calldata of %s: %v", m.signature, err)
	}
	if again, err := m.args.PackValues(values); err != nil || !bytes.Equal(again, data) {
		return nil, fmt.Errorf("calldata of %s does not encode to the same again", m.signature)
	}
	out := make([]any, len(values))
	for i, v := range values {
		if out[i], err = plain(m.args[i].Type, reflect.ValueOf(v)); err != nil {
			return nil, fmt.Errorf("calldata of %s: argument %s: %w", m.signature, m.params[i].name, err)
		}
	}
	return out, nil
}

// words reads arguments of which each is a word. They have been checked (checkStatic), so that each word stands for one
// value and that value for the word.
func (m *method) words(data []byte) []any {
	out := make([]any, len(m.args))
	for i := range out {
		out[i] = readWord(&m.args[i].Type, data[i*wordLength:(i+1)*wordLength])
	}
	return out
}

// isPlainWord says whether a type is one that readWord reads.
func isPlainWord(t *abi.Type) bool {
	switch t.T {
	case abi.AddressTy, abi.UintTy, abi.BoolTy, abi.FixedBytesTy:
		return true
	default:
		return false
	}
}

// readWord gives the value of a word as plain does of what go-ethereum decodes.
func readWord(t *abi.Type, word []byte) any {
	switch t.T {
	case abi.AddressTy:
		return [20]byte(word[12:])
	case abi.BoolTy:
		return word[wordLength-1] == 1
	case abi.FixedBytesTy:
		return bytes.Clone(word[:t.Size])
	default:
		for len(word) > 0 && word[0] == 0 { // or it would get room for all of the word
			word = word[1:]
		}
		return new(big.Int).SetBytes(word)
	}
}

// checkSequence checks the encoding of n values of the given types and says how many bytes it takes.
func checkSequence(data []byte, n int, typeAt func(int) *abi.Type) (int, error) {
	head := 0
	for i := range n {
		if head += headSize(typeAt(i)); head > len(data) {
			return 0, fmt.Errorf("%d bytes where %d or more are needed", len(data), head)
		}
	}
	position, tail := 0, head
	for i := range n {
		t := typeAt(i)
		if !isDynamic(t) {
			size := headSize(t)
			if err := checkStatic(t, data[position:position+size]); err != nil {
				return 0, err
			}
			position += size
			continue
		}
		if offset, ok := smallWord(data[position:]); !ok || offset != tail {
			return 0, errors.New("an offset does not point to where the part before it ends")
		}
		used, err := checkDynamic(t, data[tail:])
		if err != nil {
			return 0, err
		}
		position += wordLength
		tail += used
	}
	return tail, nil
}

// checkDynamic checks a value of a dynamic type, at the start of data, and says how many bytes it takes.
func checkDynamic(t *abi.Type, data []byte) (int, error) {
	switch t.T {
	case abi.TupleTy:
		return checkSequence(data, len(t.TupleElems), func(i int) *abi.Type { return t.TupleElems[i] })
	case abi.ArrayTy:
		return checkSequence(data, t.Size, func(int) *abi.Type { return t.Elem })
	}
	if len(data) < wordLength {
		return 0, errors.New("it ends where a length should be")
	}
	n, ok := smallWord(data)
	content := data[wordLength:]
	if t.T == abi.SliceTy {
		if !ok || n > len(content)/wordLength { // each element takes a word or more
			return 0, errors.New("an array is longer than the calldata")
		}
		used, err := checkSequence(content, n, func(int) *abi.Type { return t.Elem })
		return wordLength + used, err
	}
	if !ok || n > len(content) || padded(n) > len(content) {
		return 0, errors.New("bytes or a string are longer than the calldata")
	}
	if !isZero(content[n:padded(n)]) {
		return 0, errors.New("bytes or a string are not padded with zeros")
	}
	return wordLength + padded(n), nil
}

// checkStatic checks a value of a static type, which is all of data.
func checkStatic(t *abi.Type, data []byte) error {
	switch t.T {
	case abi.ArrayTy:
		_, err := checkSequence(data, t.Size, func(int) *abi.Type { return t.Elem })
		return err
	case abi.TupleTy:
		_, err := checkSequence(data, len(t.TupleElems), func(i int) *abi.Type { return t.TupleElems[i] })
		return err
	case abi.AddressTy:
		if !isZero(data[:12]) {
			return errors.New("an argument is no address: its first 12 bytes are not zero")
		}
	case abi.BoolTy:
		if !isZero(data[:31]) || data[31] > 1 {
			return errors.New("an argument is no bool: 0 or 1 is")
		}
	case abi.UintTy:
		if !isZero(data[:wordLength-t.Size/8]) {
			return fmt.Errorf("an argument is more than uint%d holds", t.Size)
		}
	case abi.IntTy:
		low := wordLength - t.Size/8
		sign := byte(0)
		if data[low]&0x80 != 0 {
			sign = 0xff
		}
		if slices.ContainsFunc(data[:low], func(b byte) bool { return b != sign }) {
			return fmt.Errorf("an argument is outside what int%d holds", t.Size)
		}
	case abi.FixedBytesTy, abi.FunctionTy:
		if !isZero(data[t.Size:]) {
			return fmt.Errorf("an argument of %d bytes is not padded with zeros", t.Size)
		}
	default:
		return fmt.Errorf("type %s is not read", t)
	}
	return nil
}

// headSize is the number of bytes that a value takes in its sequence's head.
func headSize(t *abi.Type) int {
	if isDynamic(t) {
		return wordLength
	}
	switch t.T {
	case abi.ArrayTy:
		return t.Size * headSize(t.Elem)
	case abi.TupleTy:
		size := 0
		for _, e := range t.TupleElems {
			size += headSize(e)
		}
		return size
	default:
		return wordLength
	}
}

func isDynamic(t *abi.Type) bool {
	switch t.T {
	case abi.StringTy, abi.BytesTy, abi.SliceTy:
		return true
	case abi.ArrayTy:
		return isDynamic(t.Elem)
	case abi.TupleTy:
		return slices.ContainsFunc(t.TupleElems, isDynamic)
	default:
		return false
	}
}

// smallWord reads the word at the start of data, if it is less than 2^31.
func smallWord(data []byte) (int, bool) {
	word := data[:wordLength]
	n := int(word[28])<<24 | int(word[29])<<16 | int(word[30])<<8 | int(word[31])
	return n, isZero(word[:28]) && n < 1<<31
}

func padded(n int) int { return (n + wordLength - 1) / wordLength * wordLength }

func isZero(b []byte) bool { return !slices.ContainsFunc(b, func(c byte) bool { return c != 0 }) }

// plain turns a value as go-ethereum decodes it into one of the few types that method.decode returns.
func plain(t abi.Type, v reflect.Value) (any, error) {
	switch t.T {
	case abi.SliceTy, abi.ArrayTy:
		out := make([]any, v.Len())
		for i := range out {
			element, err := plain(*t.Elem, v.Index(i))
			if err != nil {
				return nil, err
			}
			out[i] = element
		}
		return out, nil
	case abi.TupleTy:
		out := make([]any, len(t.TupleElems))
		for i, e := range t.TupleElems {
			part, err := plain(*e, v.Field(i))
			if err != nil {
				return nil, err
			}
			out[i] = part
		}
		return out, nil
	case abi.FixedBytesTy, abi.FunctionTy:
		out := make([]byte, v.Len())
		reflect.Copy(reflect.ValueOf(out), v)
		return out, nil
	}
	switch x := v.Interface().(type) {
	case common.Address:
		return [20]byte(x), nil
	case string:
		if !utf8.ValidString(x) {
			return nil, errors.New("a string is not UTF-8")
		}
		return x, nil
	case *big.Int, bool, []byte:
		return x, nil
	}
	if v.CanUint() {
		return new(big.Int).SetUint64(v.Uint()), nil
	}
	if v.CanInt() {
		return big.NewInt(v.Int()), nil
	}
	return nil, fmt.Errorf("type %s is not read", t)
}

// describe gives values by name as a policy reads them: integers as decimal strings, addresses checksummed, bytes in
// lower-case hex with 0x; booleans, strings, arrays and tuples (as objects) stand as they are.
func describe(params []param, values []any) map[string]any {
	out := make(map[string]any, len(params))
	for i := range params { // a param is large
		p := &params[i]
		out[p.name] = describeValue(&p.typ, p.parts, values[i])
	}
	return out
}

func describeValue(t *abi.Type, parts []param, value any) any {
	switch v := value.(type) {
	case *big.Int:
		return formatInt(v)
	case [20]byte:
		return formatAddress(&v)
	case []byte:
		return formatBytes(v)
	case []any:
		if t.T == abi.TupleTy {
			return describe(parts, v)
		}
		out := make([]any, len(v))
		for i := range v {
			out[i] = describeValue(t.Elem, parts, v[i])
		}
		return out
	default:
		return v
	}
}
