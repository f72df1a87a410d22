package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// aboutStaged is said of damage in what was stored of a policy before it would have become active.
const aboutStaged = "no policy that was ever active needs it; it may keep policies from becoming active until it is removed: callback policy drop-staged"

// DropStaged removes what is stored of policies that never became active: pieces of long ones, and the note of which one is being
// stored. It returns their revisions. Nothing that was decided needs them, and a change that is made meanwhile stores its own again. It
// is for a ledger in which one of them is damaged, by which changes to a long policy fail; so it removes without reading.
//
// Which policies were active it takes from the log: where one of them, or its activation, cannot be read, it is ErrDamaged and nothing
// is removed. It is ErrDamaged too where damage hides what else there is: then what was found is removed and returned beside the error,
// and the note is kept. Where a policy became active meanwhile (ErrRevision) or another one is being stored, nothing is removed.
func DropStaged(ctx context.Context, s Store) (revisions []string, err error) {
	log, _, err := verifierOf(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("remove what is staged: %w", err)
	}
	l := &Ledger{store: s, log: log}
	var left leftovers
	err = l.view(ctx, func(r Reader) (err error) {
		left, err = l.leftovers(r)
		return err
	})
	if err == nil && (left.hidden == nil || len(left.pieces) > 0) {
		err = damaged(s.Update(ctx, left.remove))
	}
	if err != nil {
		return nil, fmt.Errorf("remove what is staged: %w", err)
	}
	for _, p := range left.pieces {
		revisions = append(revisions, p.revision)
	}
	slices.Sort(revisions)
	revisions = slices.Compact(revisions)
	switch {
	case left.hidden == nil:
		return revisions, nil
	case len(revisions) > 0:
		return revisions, fmt.Errorf("remove what is staged: there may be more behind a value that cannot be read, do it again: %w", left.hidden)
	}
	return nil, fmt.Errorf("remove what is staged: whose a value is that cannot be read is not known, and nothing was removed: restore a backup: %w", left.hidden)
}

// leftovers are pieces of policies that never became active. Of a content whose length is not known they are as many as there may be.
type leftovers struct {
	active uint64            // the number of the last activation, when they were looked for
	pieces map[string]pieces // by what all keys of the pieces of one content begin with
	hidden error             // damage behind which there may be others
	note   *pieces           // what was being stored; nil: nothing
	broken bool              // that cannot be read
}

// prefix is what all keys of the pieces begin with.
func (p pieces) prefix() string { return string(bytes.TrimSuffix(p.key(0), make([]byte, 4))) }

// pieceAt are the pieces of the content of which one stands under a key.
func pieceAt(key []byte) pieces {
	name := key[2 : 2+int(key[1])]
	return pieces{revision: string(name), content: Hash(key[2+len(name) : 2+len(name)+len(Hash{})]), length: MaxPolicy}
}

// leftovers looks for pieces that belong to no policy that was active. Those that cannot be read are found by others of the same
// content, before or behind them, by the note of what is being stored, or by the store's error where that names them.
func (l *Ledger) leftovers(r Reader) (leftovers, error) {
	active, err := l.standing(r)
	if err != nil {
		return leftovers{}, err
	}
	kept, err := l.activePieces(r, active.Number)
	if err != nil {
		return leftovers{}, err
	}
	out := leftovers{active: active.Number, pieces: map[string]pieces{}}
	out.note, err = staged(r)
	switch {
	case errors.Is(err, ErrDamaged):
		out.note, out.broken = nil, true
	case err != nil:
		return leftovers{}, err
	case out.note != nil:
		out.pieces[out.note.prefix()] = *out.note
	}
	var ends [2]string // of which content the last piece is that is known from either end
	for i, reverse := range []bool{false, true} {
		err := r.Scan(bucketRevision, pieceRange[0], pieceRange[1], reverse, func(key, _ []byte) (bool, error) {
			if isPiece(key) {
				ends[i] = out.add(key)
			}
			return true, nil
		})
		switch key := alteredKey(err); {
		case err == nil || !reverse && bytes.Compare(key, pieceRange[1]) >= 0: // all were seen
			out.hidden = nil
			return out.without(kept), nil
		case !errors.Is(err, ErrDamaged):
			return leftovers{}, err
		case isPiece(key):
			ends[i] = out.add(key)
			if kept[ends[i]] {
				return leftovers{}, fmt.Errorf("the policy %s, which was active: %w", pieceAt(key).revision, err)
			}
		}
		out.hidden = err
	}
	if ends[0] != "" && ends[0] == ends[1] { // between them are only others of the same
		out.hidden = nil
	}
	return out.without(kept), nil
}

// pieceRange is where the keys of pieces stand.
var pieceRange = [2][]byte{{pieceMark}, {pieceMark + 1}}

// add adds the content that a piece is of, and returns what the keys of its pieces begin with.
func (o leftovers) add(key []byte) (prefix string) {
	p := pieceAt(key)
	prefix = p.prefix()
	if _, known := o.pieces[prefix]; !known {
		o.pieces[prefix] = p
	}
	return prefix
}

func (o leftovers) without(kept map[string]bool) leftovers {
	maps.DeleteFunc(o.pieces, func(prefix string, _ pieces) bool { return kept[prefix] })
	return o
}

// alteredKey is the key of the altered policy, or piece of one, that an error of a store is over; nil if it does not say.
func alteredKey(err error) []byte {
	var at interface {
		error
		Altered() (bucket string, key []byte)
	}
	if errors.As(err, &at) {
		if bucket, key := at.Altered(); bucket == bucketRevision {
			return key
		}
	}
	return nil
}

// activePieces are the prefixes of the pieces of all policies that were active, up to an activation.
func (l *Ledger) activePieces(r Reader, last uint64) (map[string]bool, error) {
	kept := map[string]bool{}
	for n := uint64(1); n <= last; n++ {
		rec, err := l.activation(r, n)
		if err != nil {
			return nil, err
		}
		h, err := headOf(r, rec.To)
		switch {
		case errors.Is(err, ErrNotFound):
			return nil, fmt.Errorf("%w: the policy %s of activation %d is missing", ErrDamaged, rec.To, n)
		case err != nil:
			return nil, err
		case h.pieces == nil:
			continue
		case h.pieces.content != rec.Content:
			return nil, fmt.Errorf("%w: the stored policy %s is not that of activation %d", ErrDamaged, rec.To, n)
		}
		kept[h.pieces.prefix()] = true
	}
	return kept, nil
}

// remove removes them, if no policy became active since they were looked for, and none is being stored that was not then.
func (o leftovers) remove(tx Tx) error {
	active, err := getActive(tx)
	if err != nil {
		return err
	}
	if active.Number != o.active {
		return fmt.Errorf("%w: %s became active meanwhile", ErrRevision, active.Revision)
	}
	if !o.broken { // while it cannot be read, no other change can be stored
		now, err := staged(tx)
		if err != nil {
			return err
		}
		if now != nil && (o.note == nil || *now != *o.note) {
			return fmt.Errorf("another server stores the policy %s now, and nothing was removed: do it again", now.revision)
		}
	}
	for _, p := range o.pieces {
		for i := range p.count() {
			if err := tx.Delete(bucketRevision, p.key(i)); err != nil {
				return err
			}
		}
	}
	if o.hidden != nil {
		return nil
	}
	return tx.Delete(bucketMeta, metaStaged)
}
