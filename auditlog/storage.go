package auditlog

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// Reader reads what the log wrote, within one transaction of the log's owner.
type Reader interface {
	// Get returns the value of key in bucket, or nil if there is none. The bytes are valid until the transaction ends and
	// must not be changed.
	Get(bucket string, key []byte) ([]byte, error)
	// Scan calls fn with the keys of bucket from (inclusive) to (exclusive; nil: no bound) in byte order, or in reverse
	// order, until fn returns false or an error. fn must not write.
	Scan(bucket string, from, to []byte, reverse bool, fn func(key, value []byte) (bool, error)) error
}

// Storage is a Reader that also writes, within the same transaction.
type Storage interface {
	Reader
	// Put sets the value of key in bucket. It may keep value, which must not be changed any more, and does not keep key.
	Put(bucket string, key, value []byte) error
}

// The buckets in which a Log keeps what it writes (docs/FORMATS.md, auditlog).
const (
	BucketLeaf       = "log.leaf"       // index (8 bytes) -> reference and hashes
	BucketCheckpoint = "log.checkpoint" // size (8 bytes) -> signed checkpoint
	BucketHead       = "log.head"       // "size" -> number of entries
)

// ErrDamaged is wrapped by an error that says the stored log is not what a Log wrote.
var ErrDamaged = errors.New("the audit log is damaged")

const (
	headMagic   = "CSLH\x01"
	leafVersion = 1
	maxRef      = 64
)

var headKey = []byte("size")

// Size returns the number of entries.
func (l *Log) Size(r Reader) (int64, error) {
	v, err := r.Get(BucketHead, headKey)
	if err != nil {
		return 0, fmt.Errorf("read the size of the audit log: %w", err)
	}
	if v == nil {
		return 0, nil
	}
	if len(v) != len(headMagic)+8 || string(v[:len(headMagic)]) != headMagic {
		return 0, fmt.Errorf("%w: its size is not readable", ErrDamaged)
	}
	n := binary.BigEndian.Uint64(v[len(headMagic):])
	if n > maxSize {
		return 0, fmt.Errorf("%w: its size is out of range", ErrDamaged)
	}
	return int64(n), nil
}

func putSize(s Storage, size int64) error {
	v := append(make([]byte, 0, len(headMagic)+8), headMagic...)
	v = binary.BigEndian.AppendUint64(v, uint64(size))
	return s.Put(BucketHead, headKey, v)
}

// leaf is what is stored of one entry: where its owner keeps it, and the hashes that its arrival completed, the entry's
// own first, then one for each subtree of which it is the last entry.
type leaf struct {
	ref    []byte
	hashes hashes
}

// hashes are stored one behind the other, by level.
type hashes []byte

func (h hashes) levels() int { return len(h) / tlog.HashSize }

func (h hashes) at(level int) Hash { return Hash(h[level*tlog.HashSize:][:tlog.HashSize]) }

func indexKey(index int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(index)) }

// completed returns how many hashes the entry at index completes.
func completed(index int64) int {
	n := 1
	for ; index&1 == 1; index >>= 1 {
		n++
	}
	return n
}

func getLeaf(r Reader, index int64) (leaf, error) {
	v, err := r.Get(BucketLeaf, indexKey(index))
	if err != nil {
		return leaf{}, fmt.Errorf("read hashes of entry %d: %w", index, err)
	}
	if v == nil {
		return leaf{}, fmt.Errorf("%w: the hashes of entry %d are missing", ErrDamaged, index)
	}
	lf, ok := parseLeaf(index, v)
	if !ok {
		return leaf{}, fmt.Errorf("%w: the hashes of entry %d are not readable", ErrDamaged, index)
	}
	return lf, nil
}

func parseLeaf(index int64, v []byte) (leaf, bool) {
	if len(v) < 2 || v[0] != leafVersion || v[1] > maxRef {
		return leaf{}, false
	}
	refLen, n := int(v[1]), completed(index)
	if len(v) != 2+refLen+n*tlog.HashSize {
		return leaf{}, false
	}
	return leaf{ref: v[2 : 2+refLen], hashes: v[2+refLen:]}, true
}

// hashAt returns the stored hash of the n'th subtree of a level.
func hashAt(r Reader, level int, n int64) (Hash, error) {
	last := (n+1)<<level - 1 // the entry that completed this subtree
	lf, err := getLeaf(r, last)
	if err != nil {
		return Hash{}, err
	}
	if level >= lf.hashes.levels() {
		return Hash{}, fmt.Errorf("%w: entry %d completes no subtree of level %d", ErrDamaged, last, level)
	}
	return lf.hashes.at(level), nil
}

// hashReader gives tlog the hashes stored with the entries.
func hashReader(r Reader) tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) (out []tlog.Hash, err error) {
		out = make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			level, n := tlog.SplitStoredHashIndex(x)
			if out[i], err = hashAt(r, level, n); err != nil {
				return nil, err
			}
		}
		return out, nil
	})
}
