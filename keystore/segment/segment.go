package segment

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"errors"
	"fmt"
	"strconv"

	"github.com/countersign-mpc/countersign/internal/secret"
	"github.com/countersign-mpc/countersign/wire"
)

const (
	prefix     = "segment-"
	shareSize  = 32
	checkSize  = 4
	bodySize   = IDSize + shareSize + checkSize
	bodyLetter = (bodySize*8 + 4) / 5
	group      = 5 // letters between two dashes
	maxText    = 256
)

// What is wrong with a segment. Compare with errors.Is; the text names the segment by its number and holds nothing of it.
var (
	// ErrForm: the text is no segment at all.
	ErrForm = errors.New("this is no segment")
	// ErrMistyped: the text does not fit its own check.
	ErrMistyped = errors.New("it is mistyped")
	// ErrOtherSet: the segment belongs to another set than the one that is asked for.
	ErrOtherSet = errors.New("it belongs to another set")
	// ErrRepeated: the segment has been entered already.
	ErrRepeated = errors.New("it has been entered already")
)

var letters = base32.StdEncoding.WithPadding(base32.NoPadding)

// Generate makes a set: n texts of which t open what is sealed under their secret, and the manifest. The caller hands the
// texts out and wipes them.
func Generate(t, n int) (*Manifest, []secret.Bytes, error) {
	if err := CheckNumbers(t, n); err != nil {
		return nil, nil, err
	}
	m := &Manifest{T: t, N: n}
	rand.Read(m.ID[:])
	// The first t segments are random; they are t points of a random polynomial, whose value at 0 is the secret.
	shares := make([][]byte, n)
	defer func() { wipe(shares) }()
	xs := make([]byte, t)
	for i := range shares {
		if i < t {
			shares[i], xs[i] = make([]byte, shareSize), byte(i+1)
			rand.Read(shares[i])
			continue
		}
		shares[i] = at(byte(i+1), xs, shares[:t])
	}
	texts := make([]secret.Bytes, n)
	for i, share := range shares {
		m.Hashes = append(m.Hashes, hashOf(m, i+1, share))
		texts[i] = textOf(m.ID, i+1, share)
	}
	return m, texts, nil
}

func wipe(shares [][]byte) {
	for _, share := range shares {
		secret.Wipe(share)
	}
}

// textOf writes a segment: segment-<number>-<base32 of id ‖ share ‖ check in groups>.
func textOf(id [IDSize]byte, number int, share []byte) secret.Bytes {
	body := make([]byte, 0, bodySize)
	defer func() { secret.Wipe(body) }()
	body = append(append(body, id[:]...), share...)
	check := checkOf(number, body)
	body = append(body, check[:]...)
	long := letters.AppendEncode(make([]byte, 0, bodyLetter), body)
	defer secret.Wipe(long)
	out := make([]byte, 0, maxText)
	out = append(out, prefix...)
	out = strconv.AppendInt(out, int64(number), 10)
	for rest := long; len(rest) > 0; rest = rest[min(group, len(rest)):] {
		out = append(append(out, '-'), rest[:min(group, len(rest))]...)
	}
	return secret.New(out)
}

// checkOf tells a mistyped segment; it is no secret's hash alone, but four bytes of it.
func checkOf(number int, body []byte) [checkSize]byte {
	sum := sha256.Sum256(wire.SigningBytes("segment-check", []byte{byte(number)}, body))
	return [checkSize]byte(sum[:])
}

// parsed is a segment that fits its own check.
type parsed struct {
	number int
	id     [IDSize]byte
	share  []byte
}

// parse reads a segment. Case, dashes and spaces around do not matter.
func parse(text secret.Bytes) (parsed, error) {
	line := bytes.TrimSpace(text.Expose())
	if len(line) > maxText || len(line) < len(prefix) || !bytes.EqualFold(line[:len(prefix)], []byte(prefix)) {
		return parsed{}, fmt.Errorf("%w: one begins with %q", ErrForm, prefix)
	}
	digits, long, ok := bytes.Cut(line[len(prefix):], []byte("-"))
	number := 0
	if len(digits) == 1 || len(digits) == 2 {
		number, _ = strconv.Atoi(string(digits))
	}
	if !ok || number < 1 || number > MaxSegments || digits[0] == '0' {
		return parsed{}, fmt.Errorf("%w: its number must be 1 to %d", ErrForm, MaxSegments)
	}
	compact := make([]byte, 0, len(long))
	defer func() { secret.Wipe(compact) }()
	for _, c := range long {
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		if c != '-' {
			compact = append(compact, c)
		}
	}
	mistyped := fmt.Errorf("segment %d: %w: compare it with what was handed out", number, ErrMistyped)
	body := make([]byte, bodySize+checkSize)
	defer secret.Wipe(body)
	if len(compact) != bodyLetter {
		return parsed{}, mistyped
	}
	if n, err := letters.Decode(body, compact); err != nil || n != bodySize {
		return parsed{}, mistyped
	}
	check := checkOf(number, body[:bodySize-checkSize])
	again := letters.AppendEncode(make([]byte, 0, bodyLetter), body[:bodySize]) // unused bits of the last letter
	defer secret.Wipe(again)
	if subtle.ConstantTimeCompare(check[:], body[bodySize-checkSize:bodySize])&subtle.ConstantTimeCompare(again, compact) != 1 {
		return parsed{}, mistyped
	}
	share := bytes.Clone(body[IDSize : IDSize+shareSize])
	return parsed{number: number, id: [IDSize]byte(body), share: share}, nil
}

// Collection takes in t segments of one set, one by one. It is not safe for concurrent use.
type Collection struct {
	manifest *Manifest
	xs       []byte
	shares   [][]byte
}

// Collect begins to take in segments of the set that m describes.
func Collect(m *Manifest) *Collection { return &Collection{manifest: m} }

// Manifest describes the set.
func (c *Collection) Manifest() *Manifest { return c.manifest }

// Numbers are the numbers of the segments that are there, in the order in which they came.
func (c *Collection) Numbers() []int {
	out := make([]int, len(c.xs))
	for i, x := range c.xs {
		out[i] = int(x)
	}
	return out
}

// Complete tells whether t segments are there.
func (c *Collection) Complete() bool { return len(c.xs) == c.manifest.T }

// Add takes one more segment, checked by itself: ErrForm, ErrMistyped, ErrOtherSet, ErrRepeated, each but the first naming
// the segment's number. A refused segment changes nothing. The caller keeps and wipes text.
func (c *Collection) Add(text secret.Bytes) error {
	s, err := parse(text)
	if err != nil {
		return err
	}
	if c.Complete() {
		secret.Wipe(s.share)
		return fmt.Errorf("segment %d: %d segments are there already, no more are needed", s.number, len(c.xs))
	}
	switch {
	case s.id != c.manifest.ID:
		err = fmt.Errorf("segment %d: %w: it is of set %x, set %x is asked for", s.number, ErrOtherSet, s.id, c.manifest.ID)
	case s.number > c.manifest.N || !c.manifest.holds(s.number, s.share):
		err = fmt.Errorf("segment %d: %w: the manifest of set %x does not know it", s.number, ErrOtherSet, c.manifest.ID)
	case bytes.IndexByte(c.xs, byte(s.number)) >= 0:
		err = fmt.Errorf("segment %d: %w: another one is needed", s.number, ErrRepeated)
	}
	if err != nil {
		secret.Wipe(s.share)
		return err
	}
	c.xs, c.shares = append(c.xs, byte(s.number)), append(c.shares, s.share)
	return nil
}

// Secret returns the secret of the set, 32 bytes that the caller wipes. All n segments are computed from the t that are there
// and compared with the manifest: an error says which of them would not work.
func (c *Collection) Secret() (secret.Bytes, error) {
	if !c.Complete() {
		return secret.Bytes{}, fmt.Errorf("%d of %d segments are there", len(c.xs), c.manifest.T)
	}
	for number := 1; number <= c.manifest.N; number++ {
		share := at(byte(number), c.xs, c.shares)
		ok := c.manifest.holds(number, share)
		secret.Wipe(share)
		if !ok {
			return secret.Bytes{}, fmt.Errorf("segment %d does not belong to the others: the set %x is broken, generate another", number, c.manifest.ID)
		}
	}
	return secret.New(at(0, c.xs, c.shares)), nil
}

// Wipe forgets the segments.
func (c *Collection) Wipe() {
	wipe(c.shares)
	c.xs, c.shares = nil, nil
}
