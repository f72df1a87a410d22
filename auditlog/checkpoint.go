package auditlog

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// maxCheckpoint bounds a signed checkpoint in bytes; witnesses' cosignatures fit in.
const maxCheckpoint = 64 << 10

// keepCheckpoints is how many entries a stored checkpoint stands for at least: of those made within one run of so many
// entries the newest is kept. So an altered log can be narrowed down to a run, and checkpoints take no room to speak of.
const keepCheckpoints = 1024

// Checkpoint signs the present head, keeps it, and returns it. If the newest stored checkpoint is of this head already
// that one is returned, and nothing is written.
func (l *Log) Checkpoint(s Storage) ([]byte, error) {
	head, err := l.Head(s)
	if err != nil {
		return nil, err
	}
	last, lastSize, err := l.LatestCheckpoint(s)
	if err != nil {
		return nil, err
	}
	if last != nil && lastSize == head.N {
		return last, nil
	}
	if l.key == nil {
		return nil, errors.New("sign a checkpoint: the log was opened with its public key, to be verified only")
	}
	signed, err := signTree(l.key, head)
	if err != nil {
		return nil, err
	}
	if err := s.Put(BucketCheckpoint, indexKey(head.N/keepCheckpoints), signed); err != nil {
		return nil, fmt.Errorf("keep a checkpoint: %w", err)
	}
	return signed, nil
}

// LatestCheckpoint returns the newest stored checkpoint and its size, or nil if there is none yet. It has been verified
// against the log's key.
func (l *Log) LatestCheckpoint(r Reader) ([]byte, int64, error) {
	var signed []byte
	err := r.Scan(BucketCheckpoint, nil, nil, true, func(_, value []byte) (bool, error) {
		signed = append([]byte(nil), value...)
		return false, nil
	})
	if err != nil {
		return nil, 0, fmt.Errorf("read the newest checkpoint: %w", err)
	}
	if signed == nil {
		return nil, 0, nil
	}
	tree, err := OpenCheckpoint(signed, l.public)
	if err != nil {
		return nil, 0, fmt.Errorf("%w: its newest checkpoint: %w", ErrDamaged, err)
	}
	return signed, tree.N, nil
}

func signTree(key *Key, tree Tree) ([]byte, error) {
	signed, err := note.Sign(&note.Note{Text: formatTree(key.Origin(), tree)}, key.signer)
	if err != nil {
		return nil, fmt.Errorf("sign a checkpoint: %w", err)
	}
	return signed, nil
}

// formatTree is the text of a c2sp.org/tlog-checkpoint: origin, size, base64 of the root hash, a line each.
func formatTree(origin string, tree Tree) string {
	return origin + "\n" + strconv.FormatInt(tree.N, 10) + "\n" + base64.StdEncoding.EncodeToString(tree.Hash[:]) + "\n"
}

// OpenCheckpoint verifies a signed checkpoint against the log's public key and returns the tree that it names. The origin
// must be the key's name. Other signatures (witnesses') may be there and are not looked at.
func OpenCheckpoint(signed []byte, public string) (Tree, error) {
	if len(signed) > maxCheckpoint {
		return Tree{}, fmt.Errorf("the checkpoint is longer than %d bytes", maxCheckpoint)
	}
	verifier, err := note.NewVerifier(public)
	if err != nil {
		return Tree{}, fmt.Errorf("the log's public key is not a note verifier key (name+hash+base64): %w", err)
	}
	n, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return Tree{}, fmt.Errorf("the checkpoint does not verify under %s: %w", public, err)
	}
	origin, tree, err := parseTree(n.Text)
	if err != nil {
		return Tree{}, err
	}
	if origin != verifier.Name() {
		return Tree{}, fmt.Errorf("the checkpoint is of log %q, the key of %q", origin, verifier.Name())
	}
	return tree, nil
}

var errMalformedCheckpoint = errors.New("the checkpoint is malformed: want the lines origin, size, base64 of the root hash")

// parseTree accepts only what formatTree writes: this log's checkpoints have no extension lines.
func parseTree(text string) (origin string, tree Tree, err error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[0] == "" || lines[3] != "" {
		return "", Tree{}, errMalformedCheckpoint
	}
	n, err := parseSize(lines[1])
	if err != nil {
		return "", Tree{}, errMalformedCheckpoint
	}
	h, err := parseHash(lines[2])
	if err != nil {
		return "", Tree{}, errMalformedCheckpoint
	}
	return lines[0], Tree{N: n, Hash: h}, nil
}

// parseSize reads a decimal of one form only, at most maxSize: tlog's index arithmetic does not end for sizes near 2^63.
func parseSize(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > maxSize || strconv.FormatInt(n, 10) != s {
		return 0, errors.New("not a decimal in range")
	}
	return n, nil
}

func parseHash(s string) (Hash, error) {
	h, err := tlog.ParseHash(s)
	if err != nil || base64.StdEncoding.EncodeToString(h[:]) != s {
		return Hash{}, errors.New("not the base64 of a hash")
	}
	return h, nil
}

// checkpoints returns the stored checkpoints in the order in which they were made; none has been verified.
func (l *Log) checkpoints(r Reader) ([][]byte, error) {
	var all [][]byte
	err := r.Scan(BucketCheckpoint, nil, nil, false, func(key, value []byte) (bool, error) {
		if len(key) != 8 || binary.BigEndian.Uint64(key) > maxSize {
			return false, fmt.Errorf("%w: a checkpoint is stored under a key that is none", ErrDamaged)
		}
		all = append(all, append([]byte(nil), value...))
		return true, nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the checkpoints: %w", err)
	}
	return all, nil
}
