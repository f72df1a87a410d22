package keystore

import (
	"bytes"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/countersign-mpc/countersign/internal/secret"
)

const (
	minPassword = 12   // characters
	maxPassword = 1024 // bytes
)

// CheckPassword says whether password may protect a store: at least 12 characters, among them an upper-case and a
// lower-case letter, a digit and a special character (punctuation or symbol), at most 1024 bytes of valid UTF-8, and no
// control characters (a line end is the usual one). All rules that it breaks are in the error, which is an
// ErrWeakPassword and holds nothing of the password. A password counts byte for byte: accented letters must be typed in
// the same Unicode form each time.
func CheckPassword(password secret.Bytes) error {
	b := password.Expose()
	var missing []string
	if len(b) > maxPassword {
		return fmt.Errorf("%w: it is longer than %d bytes", ErrWeakPassword, maxPassword)
	}
	if !utf8.Valid(b) {
		return fmt.Errorf("%w: it is not valid UTF-8 text", ErrWeakPassword)
	}
	if utf8.RuneCount(b) < minPassword {
		missing = append(missing, fmt.Sprintf("at least %d characters", minPassword))
	}
	for _, class := range []struct {
		name string
		in   func(rune) bool
	}{
		{"an upper-case letter", unicode.IsUpper},
		{"a lower-case letter", unicode.IsLower},
		{"a digit", unicode.IsDigit},
		{"a special character", func(r rune) bool { return unicode.IsPunct(r) || unicode.IsSymbol(r) }},
	} {
		if !bytes.ContainsFunc(b, class.in) {
			missing = append(missing, class.name)
		}
	}
	if bytes.ContainsFunc(b, unicode.IsControl) {
		missing = append(missing, "no control characters, such as a line end")
	}
	if len(missing) > 0 {
		return fmt.Errorf("%w: it needs %s", ErrWeakPassword, strings.Join(missing, ", "))
	}
	return nil
}

const (
	freeAttempts = 3           // wrong passwords in a row before the first wait
	firstWait    = time.Second // doubled for each further one
	longestWait  = time.Minute // short enough that a prankster cannot lock the operator out for long
)

// backoff counts wrong passwords in a row. It lives in memory: against somebody who can restart the node, or has a copy
// of the file, only the cost of Argon2id helps.
type backoff struct {
	failures int
	last     time.Time
}

// check refuses an attempt that comes too soon.
func (b *backoff) check(now time.Time) error {
	if b.failures < freeAttempts {
		return nil
	}
	wait := longestWait
	if doublings := b.failures - freeAttempts; doublings < 6 {
		wait = min(wait, firstWait<<doublings)
	}
	if left := wait - now.Sub(b.last); left > 0 {
		return &BackoffError{Failures: b.failures, Wait: min(left, wait)}
	}
	return nil
}

func (b *backoff) fail(now time.Time) {
	b.failures++
	b.last = now
}
