// Package secret holds byte strings that must not be printed: every way in which Go writes a value to text gives a
// placeholder, and the bytes can be wiped. It does not encrypt, and it cannot promise that no copy is left: the garbage
// collector and callers of Expose may have made some.
package secret

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
)

const redacted = "[redacted]"

// Bytes is a secret byte string. The zero value is empty. A copy of a Bytes shares its memory, so wiping one wipes all.
// It is safe for concurrent use except that Wipe must not run beside another use.
type Bytes struct {
	// fmt prints the unexported fields of an enclosing struct without calling their methods, and follows one pointer when
	// the verb does not suit it. Of the second pointer it prints the address.
	box *box
}

type box struct{ b *[]byte }

// New makes a secret of b and takes it over: the caller must not use b again.
func New(b []byte) Bytes { return Bytes{&box{&b}} }

// Copy makes a secret of a copy of b; wiping b stays the caller's.
func Copy(b []byte) Bytes { return New(append([]byte(nil), b...)) }

// Expose returns the bytes themselves, not a copy. The caller must not keep, change or print them. They are nil after
// Wipe.
func (s Bytes) Expose() []byte {
	if s.box == nil {
		return nil
	}
	return *s.box.b
}

// Len returns the length in bytes.
func (s Bytes) Len() int { return len(s.Expose()) }

// Equal compares in time that depends on the lengths only.
func (s Bytes) Equal(other Bytes) bool {
	return subtle.ConstantTimeCompare(s.Expose(), other.Expose()) == 1
}

// Wipe overwrites the bytes with zeros and leaves the secret, and all its copies, empty.
func (s Bytes) Wipe() {
	if s.box == nil {
		return
	}
	Wipe(*s.box.b)
	*s.box.b = nil
}

// Wipe overwrites b with zeros, up to its length. Go may have copied it elsewhere before.
func Wipe(b []byte) {
	clear(b)
	runtime.KeepAlive(b)
}

// String returns a placeholder.
func (s Bytes) String() string { return redacted }

// GoString returns a placeholder.
func (s Bytes) GoString() string { return redacted }

// Format writes a placeholder for every verb.
func (s Bytes) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue returns a placeholder.
func (s Bytes) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns a placeholder.
func (s Bytes) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON returns a placeholder.
func (s Bytes) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// UnmarshalText always fails: a placeholder must not come back as the secret.
func (s *Bytes) UnmarshalText([]byte) error { return errors.New("a secret is not read from text") }
