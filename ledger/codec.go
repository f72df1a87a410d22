package ledger

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/countersign-mpc/countersign/wire"
)

// encoder writes fields one after the other: integers big-endian, byte strings and lists behind a uint32 of their length
// or number. There is one way to write a value, which decoder insists on.
type encoder struct {
	b   []byte
	err error
}

func (e *encoder) u8(v byte)        { e.b = append(e.b, v) }
func (e *encoder) u32(v uint32)     { e.b = binary.BigEndian.AppendUint32(e.b, v) }
func (e *encoder) u64(v uint64)     { e.b = binary.BigEndian.AppendUint64(e.b, v) }
func (e *encoder) hash(v Hash)      { e.b = append(e.b, v[:]...) }
func (e *encoder) time(v time.Time) { e.u64(uint64(v.UnixNano())) }
func (e *encoder) str(v string)     { e.u32(uint32(len(v))); e.b = append(e.b, v...) }
func (e *encoder) bytes(v []byte)   { e.u32(uint32(len(v))); e.b = append(e.b, v...) }

func (e *encoder) bool(v bool) {
	if v {
		e.u8(1)
	} else {
		e.u8(0)
	}
}

func (e *encoder) id(text string) {
	v, err := parseID(text)
	if err != nil && e.err == nil {
		e.err = err
	}
	e.b = append(e.b, v[:]...)
}

func (e *encoder) action(a wire.Action) {
	code := actionCode(a)
	if code == 0 && e.err == nil {
		e.err = fmt.Errorf("%w: %q is no action", ErrInvalid, a)
	}
	e.u8(code)
}

func (e *encoder) strs(v []string) {
	e.u32(uint32(len(v)))
	for _, s := range v {
		e.str(s)
	}
}

// The codes of actions and votes; 0 is none.
const (
	codeApprove = 1
	codeReject  = 2
	codeWait    = 3
)

func actionCode(a wire.Action) byte {
	switch a {
	case wire.Approve:
		return codeApprove
	case wire.Reject:
		return codeReject
	case wire.Wait:
		return codeWait
	}
	return 0
}

func actionOf(code byte) (wire.Action, bool) {
	switch code {
	case codeApprove:
		return wire.Approve, true
	case codeReject:
		return wire.Reject, true
	case codeWait:
		return wire.Wait, true
	}
	return "", false
}

// decoder reads what encoder wrote. After the first error it gives zero values.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf(format, args...)
		d.b = nil
	}
}

func (d *decoder) take(n int) []byte {
	if n < 0 || n > len(d.b) {
		d.fail("it ends too early")
		return make([]byte, min(max(n, 0), 32)) // zeros for what is of fixed length
	}
	out := d.b[:n:n]
	d.b = d.b[n:]
	return out
}

func (d *decoder) u8() byte    { return d.take(1)[0] }
func (d *decoder) u32() uint32 { return binary.BigEndian.Uint32(d.take(4)) }
func (d *decoder) u64() uint64 { return binary.BigEndian.Uint64(d.take(8)) }
func (d *decoder) hash() Hash  { return Hash(d.take(32)) }
func (d *decoder) id() string  { return id(d.take(16)).String() }
func (d *decoder) str() string { return string(d.field()) }
func (d *decoder) field() []byte {
	n := d.u32()
	if d.err != nil || uint64(n) > uint64(len(d.b)) {
		d.fail("a field is longer than the rest")
		return nil
	}
	return d.take(int(n))
}

// bytes returns a copy, nil for an empty field.
func (d *decoder) bytes() []byte { return append([]byte(nil), d.field()...) }

func (d *decoder) time() time.Time { return time.Unix(0, int64(d.u64())).UTC() }

func (d *decoder) bool() bool {
	switch d.u8() {
	case 0:
	case 1:
		return true
	default:
		d.fail("a flag is neither 0 nor 1")
	}
	return false
}

// count reads the number of items of a list, each of at least size bytes.
func (d *decoder) count(size int) int {
	n := d.u32()
	if d.err != nil || uint64(n) > uint64(len(d.b)/size) {
		d.fail("a list has more items than there is room for")
		return 0
	}
	return int(n)
}

func (d *decoder) strs() []string {
	n := d.count(4)
	if n == 0 {
		return nil
	}
	out := make([]string, n)
	for i := range out {
		out[i] = d.str()
	}
	return out
}

func (d *decoder) action() wire.Action {
	a, ok := actionOf(d.u8())
	if !ok {
		d.fail("an action is none")
	}
	return a
}

func (d *decoder) magic(want string) {
	if string(d.take(len(want))) != want && d.err == nil {
		d.fail("it does not start with %q: another format, or of another version", want)
	}
}

// done returns the error, or that of trailing bytes.
func (d *decoder) done(what string) error {
	if d.err == nil && len(d.b) != 0 {
		d.fail("%d bytes are left over", len(d.b))
	}
	if d.err != nil {
		return fmt.Errorf("%w: %s: %w", ErrDamaged, what, d.err)
	}
	return nil
}
