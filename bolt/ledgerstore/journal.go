package ledgerstore

import (
	"encoding/binary"
	"errors"
	"fmt"

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
func buckets() []string { return append(ledger.Buckets(), bucketJournal, bucketCommits) }

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

// marshalChanges writes changes behind boltfile.Room bytes, into memory that take gives it.
func marshalChanges(changed []change, take func(size int) []byte) []byte {
	size := boltfile.Room + 1
	for _, c := range changed {
		size += 10 + len(c.slot.key) + len(c.to.value)
	}
	b := append(take(size)[:boltfile.Room], journalVersion)
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

// readJournal returns what is in the journal, and where it begins and ends.
func readJournal(t *boltfile.Tx) (left *layer, f folding, err error) {
	left = newLayer(nil)
	scan := func(bucket string) error {
		return t.Scan(bucket, nil, nil, false, func(key, value []byte) (bool, error) {
			if len(key) != 8 {
				return false, errJournal
			}
			n := binary.BigEndian.Uint64(key)
			if f.first == 0 {
				f.first = n
			} else if n != f.end {
				return false, fmt.Errorf("commit %d is missing in the journal", f.end)
			}
			f.end = n + 1
			return true, readChanges(value, n, left)
		})
	}
	if err = scan(bucketJournal); err == nil {
		f.flat = f.end
		err = scan(bucketCommits)
	}
	if err != nil && !errors.Is(err, boltfile.ErrDamaged) {
		err = fmt.Errorf("%w: %w: stop the process and restore the file from a backup", boltfile.ErrDamaged, err)
	}
	f.first, f.end = max(f.first, 1), max(f.end, 1)
	return left, f, err
}
