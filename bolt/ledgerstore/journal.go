package ledgerstore

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/countersign-mpc/countersign/auditlog"
	"github.com/countersign-mpc/countersign/bolt/boltfile"
	"github.com/countersign-mpc/countersign/ledger"
)

const (
	// bucketCommits holds what was committed and is not in its bucket yet: number -> the changes of one group of updates. Each lies
	// on pages of its own.
	bucketCommits = "commits"
	// bucketJournal is the same of a file of version 4, where the values lay side by side. Its numbers come before the others.
	bucketJournal = "journal"
)

// journaled are the ledger's buckets. All changes go by the journal: a commit would write a page and more for each of them; so it
// writes them all in one piece, and they come to their places when there are many that share a page. A bucket's number in the
// journal is its place in this list, which only grows.
func journaled() []string {
	return []string{
		"ask", "callback", "request", "execution", "window", "reservation", "charged", "binding", "meta",
		auditlog.BucketLeaf, auditlog.BucketHead,
		// Since version 5:
		"record", "approval", "attachment", "revision", "activation", "proposal", "shadow", auditlog.BucketCheckpoint,
	}
}

// buckets are those of the file.
func buckets() []string {
	return append(ledger.Buckets(), bucketJournal, bucketCommits, bucketTracks, bucketSpace)
}

// numbers gives each journaled bucket its number.
func numbers() map[string]byte {
	out := map[string]byte{}
	for i, name := range journaled() {
		out[name] = byte(i)
	}
	return out
}

// The changes of a commit: journalVersion, then for each key what was done (1 byte), the bucket's number (1 byte), key, and if it
// was set the value; both behind their length (uint32).
const (
	journalVersion = 1
	opSet          = 1
	opDelete       = 2
)

// marshalChanges writes changes behind so many bytes of room, into memory that take gives it.
func marshalChanges(changed []change, room int, take func(size int) []byte) []byte {
	size := room + 1
	for _, c := range changed {
		size += 10 + len(c.slot.key) + len(c.to.value)
	}
	b := append(take(size)[:room], journalVersion)
	for _, c := range changed {
		op := byte(opSet)
		if c.to.gone {
			op = opDelete
		}
		b = append(b, op, c.bucket)
		b = binary.BigEndian.AppendUint32(b, uint32(len(c.slot.key)))
		b = append(b, c.slot.key...)
		if !c.to.gone {
			b = binary.BigEndian.AppendUint32(b, uint32(len(c.to.value)))
			b = append(b, c.to.value...)
		}
	}
	return b
}

var errJournal = errors.New("a commit in the journal is not readable")

// readChanges puts the changes of the commit with a number into a layer. The bytes are not kept.
func readChanges(b []byte, number uint64, to *layer) error {
	if len(b) == 0 || b[0] != journalVersion {
		return errJournal
	}
	field := func() (out []byte, ok bool) {
		if len(b) < 4 || uint64(binary.BigEndian.Uint32(b)) > uint64(len(b)-4) {
			return nil, false
		}
		n := 4 + int(binary.BigEndian.Uint32(b))
		out, b = b[4:n], b[n:]
		return out, true
	}
	for b = b[1:]; len(b) > 0; {
		if len(b) < 2 || int(b[1]) >= len(journaled()) || b[0] != opSet && b[0] != opDelete {
			return errJournal
		}
		changed := cell{since: number, gone: b[0] == opDelete}
		bucket := b[1]
		b = b[2:]
		key, ok := field()
		if ok && !changed.gone {
			var value []byte
			value, ok = field()
			changed.value = append([]byte{}, value...)
		}
		if !ok {
			return errJournal
		}
		to.set(bucket, key, changed, number)
	}
	return nil
}

func journalKey(number uint64) []byte { return binary.BigEndian.AppendUint64(nil, number) }

// recorded is a commit that is in the journal.
type recorded struct {
	number  uint64
	bucket  string // in which it lies; "": in a track
	changes []byte
}

// place is where a commit lies in one of the journal's buckets.
type place struct {
	number uint64
	bucket string
}

func readFrom(t *boltfile.Tx) (uint64, error) {
	value, err := t.Get(bucketTracks, keyFrom)
	switch {
	case err != nil || value == nil:
		return 0, err
	case len(value) != 8:
		return 0, errJournal
	}
	return binary.BigEndian.Uint64(value), nil
}

// readJournal returns what is in the journal, and how far it has come into the buckets.
func (s *Store) readJournal(t *boltfile.Tx) (left *layer, f folding, err error) {
	defer func() {
		if err != nil && !errors.Is(err, boltfile.ErrDamaged) {
			err = fmt.Errorf("%w: %w: stop the process and restore the file from a backup", boltfile.ErrDamaged, err)
		}
	}()
	left = newLayer(nil)
	from, err := readFrom(t)
	if err != nil {
		return left, f, err
	}
	found, err := s.inBuckets(t)
	if err != nil {
		return left, f, err
	}
	for _, r := range found {
		f.stored = append(f.stored, place{r.number, r.bucket})
	}
	for _, track := range s.tracks {
		err := track.read(from, func(number uint64, changes []byte) {
			if number >= from {
				found = append(found, recorded{number: number, changes: changes})
			}
		})
		if err == nil { // a record is written once the one before is on disk: one behind another that is not whole is damage
			err = track.ends(from)
		}
		if err != nil {
			return left, f, err
		}
	}
	slices.SortStableFunc(found, func(a, b recorded) int { return cmp.Compare(a.number, b.number) })
	f.end = max(from, 1)
	begun := from > 0
	for _, r := range found {
		if r.number < from { // is in its buckets
			continue
		}
		if begun && r.number != f.end {
			return left, f, fmt.Errorf("commit %d is missing in the journal, or there twice", f.end)
		}
		if err := readChanges(r.changes, r.number, left); err != nil {
			return left, f, err
		}
		f.end, begun = r.number+1, true
	}
	return left, f, nil
}

// inBuckets returns the commits that are in the journal's two buckets, in their order there.
func (s *Store) inBuckets(t *boltfile.Tx) (found []recorded, err error) {
	for _, bucket := range []string{bucketJournal, bucketCommits} {
		err := t.Scan(bucket, nil, nil, false, func(key, value []byte) (bool, error) {
			if len(key) != 8 {
				return false, errJournal
			}
			found = append(found, recorded{binary.BigEndian.Uint64(key), bucket, value})
			return true, nil
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}
