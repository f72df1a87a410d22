package auditlog

import (
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// maxSize bounds the number of entries, far above what can be reached and far below where int64 arithmetic ends.
const maxSize = 1 << 48

// Tree is a state of the log: how many entries it has and the Merkle tree hash over them (RFC 6962, section 2.1).
type Tree = tlog.Tree

// Hash is a node of the tree: 32 bytes of SHA-256.
type Hash = tlog.Hash

// EntryHash is the leaf hash of an entry: SHA-256(0x00 ‖ entry).
func EntryHash(entry []byte) Hash { return tlog.RecordHash(entry) }

// Log appends to, signs and proves one log. It has no state of its own: everything is in the transactions it is given,
// so it is safe for concurrent use as far as they are.
type Log struct {
	key    *Key // nil: it is only verified
	public string
}

// New returns the log that key signs.
func New(key *Key) (*Log, error) {
	if key == nil {
		return nil, errors.New("audit log: a signing key is needed; make one with GenerateKey or OpenKey")
	}
	return &Log{key: key, public: key.Public()}, nil
}

// NewVerifier returns the log that the key behind a public key signs, to verify it and to prove what is in it. It signs no
// checkpoints.
func NewVerifier(public string) (*Log, error) {
	if _, err := note.NewVerifier(public); err != nil {
		return nil, fmt.Errorf("audit log: the public key is not a note verifier key (name+hash+base64): %w", err)
	}
	return &Log{public: public}, nil
}

// Public is the log's public key, in the form that CheckInclusion takes.
func (l *Log) Public() string { return l.public }

// Append puts an entry at the end of the log and returns its index. ref (at most 64 bytes) is kept with its hashes and
// given back by Ref: it is where the owner stores the entry. The transaction behind s must be the one that stores it.
func (l *Log) Append(s Storage, ref, entry []byte) (int64, error) {
	return l.AppendTo(s, &Tail{}, ref, entry)
}

// AppendTo is Append for an owner that keeps what is known of the log's end. The tail is that of the log as the transaction has it; when
// there is no error it becomes that of the log with the entry, and else nothing is known.
func (l *Log) AppendTo(s Storage, tail *Tail, ref, entry []byte) (int64, error) {
	index, err := l.append(s, tail, ref, entry)
	if err != nil {
		*tail = Tail{}
		return 0, fmt.Errorf("append to the audit log: %w", err)
	}
	return index, nil
}

func (l *Log) append(s Storage, tail *Tail, ref, entry []byte) (int64, error) {
	if len(ref) > maxRef {
		return 0, fmt.Errorf("a reference has at most %d bytes, not %d", maxRef, len(ref))
	}
	if !tail.sized {
		size, err := l.Size(s)
		if err != nil {
			return 0, err
		}
		tail.At(size)
	}
	n := tail.size
	if n >= maxSize {
		return 0, errors.New("it is full")
	}
	if err := tail.end(s); err != nil {
		return 0, err
	}
	completed, err := completes(s, tail, ref, entry)
	if err != nil {
		return 0, err
	}
	if err := s.Put(BucketLeaf, indexKey(n), completed); err != nil {
		return 0, err
	}
	return n, putSize(s, n+1)
}

// completes returns what is stored of the entry that comes next: its reference, its hash, and the hashes of the subtrees that it
// completes, each with the subtree of the same size before it. The tail becomes that of the log with the entry.
func completes(r Reader, tail *Tail, ref, entry []byte) ([]byte, error) {
	index := tail.size
	v := append(make([]byte, 0, 2+len(ref)+completed(index)*tlog.HashSize), leafVersion, byte(len(ref)))
	v = append(v, ref...)
	h, level := EntryHash(entry), 0
	v = append(v, h[:]...)
	for ; index>>level&1 == 1; level++ {
		left, err := tail.before(r, level)
		if err != nil {
			return nil, err
		}
		h = tlog.NodeHash(left, h)
		v = append(v, h[:]...)
	}
	tail.grew(level, h)
	return v, nil
}

// Ref returns the reference that was given with the entry at index, and the entry's hash.
func (l *Log) Ref(r Reader, index int64) ([]byte, Hash, error) {
	lf, err := getLeaf(r, index)
	if err != nil {
		return nil, Hash{}, err
	}
	return lf.ref, lf.hashes.at(0), nil
}

// Head returns the tree over everything that was appended.
func (l *Log) Head(r Reader) (Tree, error) {
	n, err := l.Size(r)
	if err != nil {
		return Tree{}, err
	}
	return l.treeAt(r, n)
}

func (l *Log) treeAt(r Reader, size int64) (Tree, error) {
	h, err := tlog.TreeHash(size, hashReader(r))
	if err != nil {
		return Tree{}, fmt.Errorf("hash the audit log at size %d: %w", size, err)
	}
	return Tree{N: size, Hash: h}, nil
}
