package ledger

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/countersign-mpc/countersign/auditlog"
)

// LogPublic is the log's public key, as auditlog.CheckInclusion takes it.
func (l *Ledger) LogPublic() string { return l.log.Public() }

// Checkpoint signs the log as it is and returns the checkpoint (auditlog.OpenCheckpoint). Call it from time to time,
// since Decide signs at most once a second and not after the last decision, and before the end.
func (l *Ledger) Checkpoint(ctx context.Context) ([]byte, error) {
	var out []byte
	err := l.update(ctx, func(tx Tx) (err error) {
		out, err = l.log.Checkpoint(tx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sign a checkpoint: %w", err)
	}
	return out, nil
}

// Prove returns the log's entry of this id (a decision's, for one) and the proof that it is in the log, as
// auditlog.CheckInclusion takes them. ErrNotFound, ErrExpired.
func (l *Ledger) Prove(ctx context.Context, entryID string) (entry, proof []byte, err error) {
	name, err := parseID(entryID)
	if err != nil {
		return nil, nil, fmt.Errorf("prove an entry: %w", err)
	}
	checkpoint, err := l.Checkpoint(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("prove entry %s: %w", name, err)
	}
	err = l.view(ctx, func(r Reader) error {
		index, data, err := getRecord(r, name)
		if err != nil {
			return err
		}
		p, err := l.log.ProveInclusion(r, index, checkpoint)
		if err != nil {
			return err
		}
		entry, proof = bytes.Clone(data), p.Marshal()
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("prove entry %s: %w", name, err)
	}
	if _, _, err := auditlog.CheckInclusion(l.LogPublic(), entry, proof); err != nil { // found out here, not at an auditor's
		return nil, nil, fmt.Errorf("%w: prove entry %s: %w", ErrDamaged, name, err)
	}
	return entry, proof, nil
}

// ProveGrowth returns a proof, as auditlog.CheckConsistency takes it, that the log of the older checkpoint only grew.
func (l *Ledger) ProveGrowth(ctx context.Context, older []byte) ([]byte, error) {
	tree, err := auditlog.OpenCheckpoint(older, l.LogPublic())
	if err != nil {
		return nil, fmt.Errorf("prove the log's growth: %w", err)
	}
	checkpoint, err := l.Checkpoint(ctx)
	if err != nil {
		return nil, fmt.Errorf("prove the log's growth: %w", err)
	}
	var proof []byte
	err = l.view(ctx, func(r Reader) error {
		p, err := l.log.ProveConsistency(r, tree.N, checkpoint)
		if err != nil {
			return err
		}
		proof = p.Marshal()
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("prove the log's growth: %w", err)
	}
	return proof, nil
}

// pruneChunk is how many entries are gone over in one transaction, so that decisions need not wait long.
const pruneChunk = 128

// Prune removes what was recorded before the given time, except hashes: callback_ids stay taken, the log stays provable,
// and approvals and the history of policies stay. It returns how many entries it removed, also with an error.
func (l *Ledger) Prune(ctx context.Context, before time.Time) (int, error) {
	total := 0
	for {
		passed, removed := 0, 0
		err := l.update(ctx, func(tx Tx) (err error) {
			passed, removed, err = l.pruneSome(tx, before)
			return err
		})
		if err != nil {
			return total, fmt.Errorf("remove old entries: %w", err)
		}
		total += removed
		if passed < pruneChunk {
			return total, nil
		}
	}
}

func (l *Ledger) pruneSome(tx Tx, before time.Time) (passed, removed int, err error) {
	size, err := l.log.Size(tx)
	if err != nil {
		return 0, 0, err
	}
	floor, _, err := getMetaUint(tx, metaFloor)
	if err != nil {
		return 0, 0, err
	}
	for ; passed < pruneChunk && int64(floor) < size; floor++ {
		old, gone, err := l.pruneOne(tx, int64(floor), before)
		if err != nil {
			return 0, 0, err
		}
		if !old {
			break
		}
		passed++
		if gone {
			removed++
		}
	}
	if passed == 0 {
		return 0, 0, nil
	}
	return passed, removed, putMetaUint(tx, metaFloor, floor)
}

// pruneOne reports whether an entry is old, and whether it was removed for it.
func (l *Ledger) pruneOne(tx Tx, index int64, before time.Time) (old, gone bool, err error) {
	ref, _, err := l.log.Ref(tx, index)
	if err != nil {
		return false, false, err
	}
	if len(ref) != len(id{}) {
		return false, false, fmt.Errorf("%w: entry %d refers to nothing", ErrDamaged, index)
	}
	name := id(ref)
	_, e, err := getEntry(tx, name)
	if err != nil || !e.Time().Before(before) {
		return false, false, err
	}
	if e.Activation != nil {
		return true, false, nil // the history of policies stays
	}
	if r := e.Decision; r != nil {
		if err := tx.Delete(bucketCallback, indexKey(r.Ask.CallbackID, index)); err != nil {
			return false, false, err
		}
		if r.Attachment != nil {
			if err := tx.Delete(bucketAttachment, attachmentKey(index)); err != nil {
				return false, false, err
			}
		}
		if r.Ask.RequestID != "" {
			if err := tx.Delete(bucketRequest, indexKey(r.Ask.RequestID, index)); err != nil {
				return false, false, err
			}
		}
	}
	return true, true, tx.Put(bucketRecord, name[:], prunedValue(index))
}
