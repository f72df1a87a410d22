package auditlog

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	proofMagic = "c2sp.org/tlog-proof@v1"
	maxHashes  = 128 // a proof over fewer than 2^63 entries has at most 63 hashes and one
)

// Inclusion is a proof that an entry is in a log: its index, the audit path to the root (RFC 6962, section 2.1.1) and the
// signed checkpoint that names the root.
type Inclusion struct {
	Index      int64
	Hashes     []Hash
	Checkpoint []byte
}

// Consistency is a proof that a log only grew: the size of the older tree, the consistency proof (RFC 6962, section
// 2.1.2) and the newer signed checkpoint.
type Consistency struct {
	OldSize    int64
	Hashes     []Hash
	Checkpoint []byte
}

// ProveInclusion proves that the entry at index is below checkpoint, which is one of this log's.
func (l *Log) ProveInclusion(r Reader, index int64, checkpoint []byte) (Inclusion, error) {
	tree, err := OpenCheckpoint(checkpoint, l.public)
	if err != nil {
		return Inclusion{}, err
	}
	if index < 0 || index >= tree.N {
		return Inclusion{}, fmt.Errorf("prove entry %d: the checkpoint covers %d entries only", index, tree.N)
	}
	p, err := tlog.ProveRecord(tree.N, index, hashReader(r))
	if err != nil {
		return Inclusion{}, fmt.Errorf("prove entry %d: %w", index, err)
	}
	return Inclusion{Index: index, Hashes: p, Checkpoint: checkpoint}, nil
}

// ProveConsistency proves that the log of checkpoint, which is one of this log's, began with its first oldSize entries
// when it had no more.
func (l *Log) ProveConsistency(r Reader, oldSize int64, checkpoint []byte) (Consistency, error) {
	tree, err := OpenCheckpoint(checkpoint, l.public)
	if err != nil {
		return Consistency{}, err
	}
	if oldSize < 0 || oldSize > tree.N {
		return Consistency{}, fmt.Errorf("prove consistency with size %d: the checkpoint covers %d entries only", oldSize, tree.N)
	}
	out := Consistency{OldSize: oldSize, Checkpoint: checkpoint}
	if oldSize == 0 || oldSize == tree.N {
		return out, nil // nothing to prove from nothing, and equal trees show it themselves
	}
	if out.Hashes, err = tlog.ProveTree(tree.N, oldSize, hashReader(r)); err != nil {
		return Consistency{}, fmt.Errorf("prove consistency with size %d: %w", oldSize, err)
	}
	return out, nil
}

// Marshal writes the proof as a c2sp.org/tlog-proof, without extra data.
func (p Inclusion) Marshal() []byte {
	return marshalProof(proofMagic+"\nindex "+strconv.FormatInt(p.Index, 10), p.Hashes, p.Checkpoint)
}

// Marshal writes the proof as the body of a c2sp.org/tlog-witness add-checkpoint request.
func (p Consistency) Marshal() []byte {
	return marshalProof("old "+strconv.FormatInt(p.OldSize, 10), p.Hashes, p.Checkpoint)
}

func marshalProof(head string, hashes []Hash, checkpoint []byte) []byte {
	var b bytes.Buffer
	b.WriteString(head + "\n")
	for _, h := range hashes {
		b.WriteString(base64.StdEncoding.EncodeToString(h[:]) + "\n")
	}
	b.WriteByte('\n')
	b.Write(checkpoint)
	return b.Bytes()
}

// ErrMalformedProof is wrapped where a proof is not in its form.
var ErrMalformedProof = errors.New("the proof is malformed")

// ParseInclusion reads what Inclusion.Marshal writes. It verifies nothing: see CheckInclusion.
func ParseInclusion(data []byte) (Inclusion, error) {
	head, hashes, checkpoint, err := splitProof(data)
	if err != nil {
		return Inclusion{}, err
	}
	if len(head) != 2 || head[0] != proofMagic {
		return Inclusion{}, fmt.Errorf("%w: want the lines %q and \"index N\" first, without extra data", ErrMalformedProof, proofMagic)
	}
	n, err := headNumber(head[1], "index ")
	if err != nil {
		return Inclusion{}, err
	}
	return Inclusion{Index: n, Hashes: hashes, Checkpoint: checkpoint}, nil
}

// ParseConsistency reads what Consistency.Marshal writes. It verifies nothing: see CheckConsistency.
func ParseConsistency(data []byte) (Consistency, error) {
	head, hashes, checkpoint, err := splitProof(data)
	if err != nil {
		return Consistency{}, err
	}
	if len(head) != 1 {
		return Consistency{}, fmt.Errorf("%w: want the line \"old N\" first", ErrMalformedProof)
	}
	n, err := headNumber(head[0], "old ")
	if err != nil {
		return Consistency{}, err
	}
	return Consistency{OldSize: n, Hashes: hashes, Checkpoint: checkpoint}, nil
}

func headNumber(line, prefix string) (int64, error) {
	s, ok := strings.CutPrefix(line, prefix)
	if !ok {
		return 0, fmt.Errorf("%w: want a line %q", ErrMalformedProof, prefix+"N")
	}
	n, err := parseSize(s)
	if err != nil {
		return 0, fmt.Errorf("%w: the number after %q is %w", ErrMalformedProof, strings.TrimSpace(prefix), err)
	}
	return n, nil
}

// splitProof separates the lines before the hashes (those with a blank or a dot, which base64 has not), the hashes, and
// the checkpoint after the first empty line.
func splitProof(data []byte) (head []string, hashes []Hash, checkpoint []byte, err error) {
	if len(data) > maxCheckpoint+maxHashes*45+256 {
		return nil, nil, nil, fmt.Errorf("%w: it is too long", ErrMalformedProof)
	}
	text, checkpoint, ok := bytes.Cut(data, []byte("\n\n"))
	if !ok || len(checkpoint) == 0 {
		return nil, nil, nil, fmt.Errorf("%w: no checkpoint after an empty line", ErrMalformedProof)
	}
	lines := strings.Split(string(text), "\n")
	for len(lines) > 0 && strings.ContainsAny(lines[0], " .") {
		head, lines = append(head, lines[0]), lines[1:]
	}
	if len(lines) > maxHashes {
		return nil, nil, nil, fmt.Errorf("%w: more than %d hashes", ErrMalformedProof, maxHashes)
	}
	for _, line := range lines {
		h, err := parseHash(line)
		if err != nil {
			return nil, nil, nil, fmt.Errorf("%w: a line is %w", ErrMalformedProof, err)
		}
		hashes = append(hashes, h)
	}
	return head, hashes, checkpoint, nil
}

// CheckInclusion verifies, with the log's public key alone, that entry is in the log: the proof is as Inclusion.Marshal
// writes it. It returns the entry's index and the size of the tree that was signed.
func CheckInclusion(public string, entry, proof []byte) (index, size int64, err error) {
	p, err := ParseInclusion(proof)
	if err != nil {
		return 0, 0, err
	}
	tree, err := OpenCheckpoint(p.Checkpoint, public)
	if err != nil {
		return 0, 0, err
	}
	if err := tlog.CheckRecord(p.Hashes, tree.N, tree.Hash, p.Index, EntryHash(entry)); err != nil {
		return 0, 0, fmt.Errorf("the entry is not number %d of the log of this checkpoint (%d entries), or the proof is not its proof: %w", p.Index, tree.N, err)
	}
	return p.Index, tree.N, nil
}

// CheckConsistency verifies, with the log's public key alone, that the log of the proof's checkpoint began with all
// entries of the log of the older checkpoint, in their order. It returns both sizes.
func CheckConsistency(public string, older, proof []byte) (oldSize, newSize int64, err error) {
	p, err := ParseConsistency(proof)
	if err != nil {
		return 0, 0, err
	}
	before, err := OpenCheckpoint(older, public)
	if err != nil {
		return 0, 0, fmt.Errorf("the older one: %w", err)
	}
	after, err := OpenCheckpoint(p.Checkpoint, public)
	if err != nil {
		return 0, 0, fmt.Errorf("the newer one: %w", err)
	}
	if before.N != p.OldSize {
		return 0, 0, fmt.Errorf("the proof is from size %d, the older checkpoint covers %d entries", p.OldSize, before.N)
	}
	if err := checkTrees(before, after, p.Hashes); err != nil {
		return 0, 0, fmt.Errorf("the log of %d entries did not grow out of the log of %d entries: %w", after.N, before.N, err)
	}
	return before.N, after.N, nil
}

func checkTrees(before, after Tree, hashes []Hash) error {
	switch {
	case before.N > after.N:
		return errors.New("it has fewer")
	case before.N == 0 || before.N == after.N:
		empty, err := tlog.TreeHash(0, nil)
		if err != nil {
			return err
		}
		if len(hashes) != 0 {
			return errors.New("the proof has hashes where none are needed")
		}
		if before.N == 0 && before.Hash != empty || before.N == after.N && before.Hash != after.Hash {
			return errors.New("the root hashes differ")
		}
		return nil
	default:
		return tlog.CheckTree(hashes, after.N, after.Hash, before.N, before.Hash)
	}
}
