package auditlog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// Source is what Verify reads: the log's owner.
type Source interface {
	// View runs fn within a transaction. Verify uses several, since entries do not change and the log may be long.
	View(ctx context.Context, fn func(Reader) error) error
	// Entry returns the entry that is kept under ref. An error that wraps ErrDamaged becomes a Problem, ErrRemoved says
	// that retention removed the entry, and any other ends the verification.
	Entry(r Reader, ref []byte) ([]byte, error)
	// Check looks at what the owner keeps beside the entry; an error that wraps ErrDamaged becomes a Problem.
	Check(r Reader, index int64, entry []byte) error
}

// ErrRemoved says that an entry was removed by retention; its hash stands for it.
var ErrRemoved = errors.New("removed by retention")

// Report is what a verification found.
type Report struct {
	Size        int64     `json:"size"`        // entries
	Removed     int64     `json:"removed"`     // entries of which only the hash is kept
	Checkpoints int       `json:"checkpoints"` // stored checkpoints that verify and fit the entries
	Covered     int64     `json:"covered"`     // entries below the newest of them, or of those kept elsewhere
	Kept        []int64   `json:"kept"`        // sizes of the checkpoints kept elsewhere out of which the log grew, rising
	Problems    []Problem `json:"problems"`    // in the order of the log; empty if the log is whole
	More        bool      `json:"more"`        // there were more than MaxProblems
	Notes       []string  `json:"notes"`       // what could not be checked, and why; no problem
}

// MaxProblems bounds a report.
const MaxProblems = 1000

// Problem is one thing that is not as it was written.
type Problem struct {
	Index  int64  `json:"index"`  // the entry, or the first of those concerned; -1 for what is beside the log
	End    int64  `json:"end"`    // one past the last entry concerned
	Detail string `json:"detail"` // what is wrong
}

// String names the entry and what is wrong with it.
func (p Problem) String() string {
	if p.Index < 0 {
		return p.Detail
	}
	if p.End == p.Index+1 {
		return fmt.Sprintf("entry %d: %s", p.Index, p.Detail)
	}
	return fmt.Sprintf("entries %d to %d: %s", p.Index, p.End-1, p.Detail)
}

// OK reports whether nothing was found.
func (r Report) OK() bool { return len(r.Problems) == 0 }

// Err is nil if nothing was found, and else wraps ErrDamaged and names the first problem.
func (r Report) Err() error {
	if r.OK() {
		return nil
	}
	return fmt.Errorf("%w: %d problems, the first: %s", ErrDamaged, len(r.Problems), r.Problems[0])
}

// Add reports something that the log's owner found beside the log; it concerns no entry by its index.
func (r *Report) Add(format string, args ...any) { r.add(-1, -1, format, args...) }

// Note adds something that could not be checked.
func (r *Report) Note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

func (r *Report) add(index, end int64, format string, args ...any) {
	if len(r.Problems) >= MaxProblems {
		r.More = true
		return
	}
	r.Problems = append(r.Problems, Problem{Index: index, End: end, Detail: fmt.Sprintf(format, args...)})
}

// verifyChunk is how many entries are read in one transaction, so that a long verification does not keep the store from
// reusing its pages.
const verifyChunk = 512

// Verify reads every entry up to the size that the log has when it starts, hashes it anew, and compares it with the
// stored hashes and these with every stored checkpoint. An entry that was changed, is missing or stands in another's
// place is named; one that was replaced together with its hashes is narrowed down to the entries between two
// checkpoints. What nobody signed can be replaced unseen: entries that came after the newest checkpoint (Report.Covered),
// and everything by who has the signing key, unless a checkpoint is kept elsewhere: kept are such ones, signed, and the log
// must have grown out of each of them.
func (l *Log) Verify(ctx context.Context, src Source, kept ...[]byte) (Report, error) {
	v := verification{log: l, src: src, kept: kept, wrong: map[Hash]int64{}}
	if err := src.View(ctx, v.start); err != nil {
		return Report{}, err
	}
	for v.next < v.report.Size {
		if err := ctx.Err(); err != nil {
			return Report{}, err
		}
		end := min(v.next+verifyChunk, v.report.Size)
		err := src.View(ctx, func(r Reader) error {
			for ; v.next < end; v.next++ {
				if err := v.entry(r, v.next); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return Report{}, err
		}
	}
	v.finish()
	return v.report, nil
}

// verification is the state of one run over the log.
type verification struct {
	log    *Log
	src    Source
	kept   [][]byte
	report Report
	next   int64
	signed []signedTree // of the checkpoints, by size
	differ bool         // a stored checkpoint is of another tree, so all later ones are too
	stack  []subtree
	wrong  map[Hash]int64 // leaf hash of what is stored under a wrong place -> that place
	wanted []misplaced
}

// signedTree is what a checkpoint was signed for.
type signedTree struct {
	Tree
	kept bool // elsewhere
}

// subtree is a finished subtree to the left of the next entry. known is false if a hash below it could not be had.
type subtree struct {
	hash  Hash
	level int
	known bool
}

type misplaced struct {
	problem int // index in report.Problems
	want    Hash
}

func (v *verification) start(r Reader) error {
	size, err := v.log.Size(r)
	if err != nil {
		return err
	}
	v.report.Size = size
	err = r.Scan(BucketLeaf, indexKey(size), nil, false, func(_, _ []byte) (bool, error) {
		v.report.add(size, size+1, "hashes are stored behind the end of the log: its size was set back")
		return false, nil
	})
	if err != nil && !errors.Is(err, ErrDamaged) {
		return err
	}
	stored, err := v.log.checkpoints(r)
	if err != nil {
		if !errors.Is(err, ErrDamaged) {
			return err
		}
		v.report.add(0, size, "%s", detail(err))
	}
	for _, c := range stored {
		tree, err := OpenCheckpoint(c, v.log.Public())
		if err != nil {
			v.report.add(0, size, "a stored checkpoint: %v", err)
			continue
		}
		if tree.N > size {
			v.report.add(size, tree.N, "missing: a checkpoint over %d entries was signed, the log has %d", tree.N, size)
			continue
		}
		v.signed = append(v.signed, signedTree{Tree: tree})
	}
	v.startKept()
	v.checkpoint(0)
	return nil
}

// startKept puts the checkpoints that were kept elsewhere among the stored ones.
func (v *verification) startKept() {
	for _, c := range v.kept {
		tree, err := OpenCheckpoint(c, v.log.Public())
		switch {
		case err != nil:
			v.report.Add("a checkpoint kept elsewhere is not one of this log: %v", err)
		case tree.N > v.report.Size:
			v.report.add(v.report.Size, tree.N, "missing: the checkpoint kept elsewhere is over %d entries, the log has %d", tree.N, v.report.Size)
		default:
			at := 0
			for at < len(v.signed) && v.signed[at].N <= tree.N {
				at++
			}
			v.signed = slices.Insert(v.signed, at, signedTree{tree, true})
		}
	}
}

// entry checks one entry, the hashes that it completed, and the checkpoints made right after it.
func (v *verification) entry(r Reader, index int64) error {
	var own Hash // of the entry as it is kept
	haveOwn := false
	lf, err := getLeaf(r, index)
	haveStored := err == nil
	if err != nil {
		if !errors.Is(err, ErrDamaged) {
			return err
		}
		v.report.add(index, index+1, "its hashes are missing or not readable")
	} else {
		data, err := v.src.Entry(r, lf.ref)
		switch {
		case err == nil:
			own, haveOwn = EntryHash(data), true
			if own != lf.hashes.at(0) { // reported below: what hangs on it need not fit
				break
			}
			if err := v.check(r, index, data); err != nil {
				return err
			}
		case errors.Is(err, ErrRemoved):
			v.report.Removed++
		case errors.Is(err, ErrDamaged):
			v.report.add(index, index+1, "%s", detail(err))
		default:
			return fmt.Errorf("read entry %d: %w", index, err)
		}
	}
	leafHash := own
	if haveStored {
		leafHash = lf.hashes.at(0)
		if haveOwn && own != leafHash {
			v.report.add(index, index+1, "it is not what was recorded")
			v.wrong[own] = index
			v.wanted = append(v.wanted, misplaced{len(v.report.Problems) - 1, leafHash})
		}
	}
	v.push(index, leafHash, haveOwn || haveStored, lf.hashes)
	v.checkpoint(index + 1)
	return nil
}

func (v *verification) check(r Reader, index int64, data []byte) error {
	err := v.src.Check(r, index, data)
	if errors.Is(err, ErrDamaged) {
		v.report.add(index, index+1, "%s", detail(err))
		return nil
	}
	return err
}

// detail is the text of an error without the words that every problem's would begin with.
func detail(err error) string { return strings.TrimPrefix(err.Error(), ErrDamaged.Error()+": ") }

// push adds a leaf and merges the subtrees that it completes. Where a stored hash is at hand it goes on with that one, so
// that a wrong one is reported where it is and not once more at each level above.
func (v *verification) push(index int64, leafHash Hash, known bool, stored hashes) {
	right := subtree{hash: leafHash, known: known}
	for len(v.stack) > 0 && v.stack[len(v.stack)-1].level == right.level {
		left := v.stack[len(v.stack)-1]
		v.stack = v.stack[:len(v.stack)-1]
		level := right.level + 1
		merged := subtree{hash: tlog.NodeHash(left.hash, right.hash), level: level, known: left.known && right.known}
		if level < stored.levels() {
			if merged.known && merged.hash != stored.at(level) {
				v.report.add(index+1-1<<level, index+1, "their common hash is not the one stored: one was replaced with its hash, or that hash was changed")
			}
			merged.hash, merged.known = stored.at(level), true
		}
		right = merged
	}
	v.stack = append(v.stack, right)
}

// checkpoint compares the tree over the first size entries with the checkpoints that were signed at that size. Where one
// is of another tree all later ones are, so of the stored ones the first is reported.
func (v *verification) checkpoint(size int64) {
	for len(v.signed) > 0 && v.signed[0].N == size {
		tree := v.signed[0]
		v.signed = v.signed[1:]
		root, known := v.root()
		switch {
		case !known: // what is missing has been reported
		case root == tree.Hash:
			if tree.kept {
				v.report.Kept = append(v.report.Kept, size)
			} else {
				v.report.Checkpoints++
			}
			v.report.Covered = size
		case tree.kept:
			v.report.add(v.report.Covered, size, "not what the checkpoint kept elsewhere over %d entries was signed for: the log did not grow out of it", size)
		case !v.differ:
			v.differ = true
			v.report.add(v.report.Covered, size, "not what the checkpoint over %d entries was signed for: some were replaced with all their hashes", size)
		}
	}
}

func (v *verification) root() (Hash, bool) {
	if len(v.stack) == 0 {
		h, err := tlog.TreeHash(0, nil)
		return h, err == nil
	}
	top := v.stack[len(v.stack)-1]
	h, known := top.hash, top.known
	for i := len(v.stack) - 2; i >= 0; i-- {
		h = tlog.NodeHash(v.stack[i].hash, h)
		known = known && v.stack[i].known
	}
	return h, known
}

// finish says of entries that are not what was recorded where what was recorded is kept, if it is.
func (v *verification) finish() {
	for _, m := range v.wanted {
		if at, ok := v.wrong[m.want]; ok {
			p := &v.report.Problems[m.problem]
			p.Detail = fmt.Sprintf("another entry stands in its place; it stands in that of entry %d", at)
		}
	}
	for _, tree := range v.signed { // a size that was never passed: two checkpoints out of order
		v.report.add(tree.N, tree.N+1, "the checkpoint over %d entries is stored out of order", tree.N)
	}
}

// Quick checks, without reading all entries, that the log is what its newest checkpoint was signed for, and that the
// hashes of the newest entry are there. It is for the start of a server.
func (l *Log) Quick(r Reader) error {
	size, err := l.Size(r)
	if err != nil {
		return err
	}
	if size > 0 {
		if _, err := l.treeAt(r, size); err != nil {
			return err
		}
		if _, err := getLeaf(r, size-1); err != nil {
			return err
		}
	}
	signed, signedSize, err := l.LatestCheckpoint(r)
	if err != nil || signed == nil {
		return err
	}
	if signedSize > size {
		return fmt.Errorf("%w: a checkpoint over %d entries was signed, and there are %d: entries are missing; restore a newer backup", ErrDamaged, signedSize, size)
	}
	tree, err := l.treeAt(r, signedSize)
	if err != nil {
		return err
	}
	want, err := OpenCheckpoint(signed, l.Public())
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if tree != want {
		return fmt.Errorf("%w: the first %d entries are not what their checkpoint was signed for", ErrDamaged, signedSize)
	}
	return nil
}
