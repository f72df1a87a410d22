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
const aboutStaged = "no policy that was ever active needs it; it keeps long policies from becoming active until it is removed: callback policy drop-staged"

// DropStaged removes what is stored of policies that never became active: pieces of long ones, and the note of which one is being
// stored. It returns their revisions. Nothing that was decided needs them, and a change that is made meanwhile stores its own again. It
// is for a ledger in which one of them is damaged, by which every change to a long policy fails; so it removes without reading.
//
// Which policies were active it takes from the log: where one of them, or its activation, cannot be read, it is ErrDamaged and nothing
// is removed. ErrRevision: a policy became active meanwhile.
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
	if err == nil {
		err = damaged(s.Update(ctx, left.remove))
	}
	if err != nil {
		return nil, fmt.Errorf("remove what is staged: %w", err)
	}
	for _, p := range left.pieces {
		revisions = append(revisions, p.revision)
	}
	slices.Sort(revisions)
	return slices.Compact(revisions), nil
}

// leftovers are pieces of policies that never became active. Of a content whose length is not known they are as many as there may be.
type leftovers struct {
	active uint64            // the number of the last activation, when they were looked for
	pieces map[string]pieces // by what all keys of the pieces of one content begin with
}

// prefix is what all keys of the pieces begin with.
func (p pieces) prefix() string { return string(bytes.TrimSuffix(p.key(0), make([]byte, 4))) }

// leftovers looks for pieces that belong to no policy that was active. Those that cannot be read are found by others of the same
// content, before or behind them, or by the note of what is being stored.
func (l *Ledger) leftovers(r Reader) (leftovers, error) {
	active, err := l.standing(r)
	if err != nil {
		return leftovers{}, err
	}
	kept, err := l.activePieces(r, active.Number)
	if err != nil {
		return leftovers{}, err
	}
	found := map[string]pieces{}
	switch p, err := staged(r); {
	case err == nil && p != nil:
		found[p.prefix()] = *p
	case err != nil && !errors.Is(err, ErrDamaged):
		return leftovers{}, err
	}
	for _, reverse := range []bool{false, true} {
		err := r.Scan(bucketRevision, []byte{pieceMark}, []byte{pieceMark + 1}, reverse, func(key, _ []byte) (bool, error) {
			if !isPiece(key) {
				return true, nil
			}
			name := key[2 : 2+int(key[1])]
			p := pieces{revision: string(name), content: Hash(key[2+len(name) : 2+len(name)+len(Hash{})]), length: MaxPolicy}
			if _, known := found[p.prefix()]; !known {
				found[p.prefix()] = p
			}
			return true, nil
		})
		if err != nil && !errors.Is(err, ErrDamaged) {
			return leftovers{}, err
		}
	}
	maps.DeleteFunc(found, func(prefix string, _ pieces) bool { return kept[prefix] })
	return leftovers{active.Number, found}, nil
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

// remove removes them, if no policy became active since they were looked for.
func (o leftovers) remove(tx Tx) error {
	active, err := getActive(tx)
	if err != nil {
		return err
	}
	if active.Number != o.active {
		return fmt.Errorf("%w: %s became active meanwhile", ErrRevision, active.Revision)
	}
	for _, p := range o.pieces {
		for i := range p.count() {
			if err := tx.Delete(bucketRevision, p.key(i)); err != nil {
				return err
			}
		}
	}
	return tx.Delete(bucketMeta, metaStaged)
}
