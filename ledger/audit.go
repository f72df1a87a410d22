package ledger

import (
	"bytes"
	"context"
	"errors"
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

// Verify reads the whole log and everything that hangs on it, and reports each entry that was changed, is missing or
// stands in another's place; callback_ids that lost their record; and approvals with a vote that nobody signed. Decisions
// go on meanwhile. The error is for what could not be read.
func (l *Ledger) Verify(ctx context.Context) (auditlog.Report, error) {
	report, err := l.log.Verify(ctx, source{l})
	if err != nil {
		return report, fmt.Errorf("verify the log: %w", damaged(err))
	}
	for _, check := range []func(context.Context, *auditlog.Report) error{l.verifyRecords, l.verifyAsks, l.verifyApprovals} {
		if err := check(ctx, &report); err != nil {
			return report, fmt.Errorf("verify the ledger: %w", err)
		}
	}
	return report, nil
}

// source gives the log what it verifies.
type source struct{ l *Ledger }

func (s source) View(ctx context.Context, fn func(Reader) error) error { return s.l.view(ctx, fn) }

// Entry returns the bytes under ref as they are, also if they are not an entry.
func (s source) Entry(r Reader, ref []byte) ([]byte, error) {
	if len(ref) != len(id{}) {
		return nil, fmt.Errorf("%w: it refers to nothing", auditlog.ErrDamaged)
	}
	_, data, err := getRecord(r, id(ref))
	switch {
	case err == nil:
		return data, nil
	case errors.Is(err, ErrExpired):
		return nil, auditlog.ErrRemoved
	case errors.Is(err, ErrNotFound):
		return nil, fmt.Errorf("%w: it is missing", auditlog.ErrDamaged)
	case errors.Is(err, ErrDamaged):
		return nil, fmt.Errorf("%w: %w", auditlog.ErrDamaged, err)
	}
	return nil, err
}

// Check looks whether the entry stands where its id and its callback_id lead to.
func (s source) Check(r Reader, index int64, data []byte) error {
	e, err := ParseEntry(data)
	if err != nil {
		return fmt.Errorf("%w: %w", auditlog.ErrDamaged, err)
	}
	name, err := parseID(e.ID())
	if err != nil {
		return fmt.Errorf("%w: %w", auditlog.ErrDamaged, err)
	}
	at, _, err := getRecord(r, name)
	if err != nil || at != index {
		return fmt.Errorf("%w: its id %s does not lead to it", auditlog.ErrDamaged, name)
	}
	if e.Decision == nil {
		return nil
	}
	k, ok, err := getKnown(r, e.Decision.Ask.name())
	if err != nil && !errors.Is(err, ErrDamaged) {
		return err
	}
	if err != nil || !ok || k.record != name || k.body != e.Decision.Ask.BodyHash || k.action != e.Decision.Action {
		return fmt.Errorf("%w: its callback_id does not lead to it", auditlog.ErrDamaged)
	}
	return nil
}

// sweep calls fn with every key and value of a bucket, a chunk per transaction. A value that the store finds altered is
// reported, and ends it.
func (l *Ledger) sweep(ctx context.Context, bucket string, report *auditlog.Report, fn func(r Reader, key, value []byte) error) error {
	const chunk = 512
	var from []byte
	for done := false; !done; {
		err := l.view(ctx, func(r Reader) error {
			n := 0
			done = true
			return r.Scan(bucket, from, nil, false, func(key, value []byte) (bool, error) {
				if n++; n > chunk {
					from, done = bytes.Clone(key), false
					return false, ctx.Err()
				}
				return true, fn(r, key, value)
			})
		})
		if errors.Is(err, ErrDamaged) {
			report.Add("%s: %v", bucket, err)
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// verifyRecords looks for entries that the log does not have.
func (l *Ledger) verifyRecords(ctx context.Context, report *auditlog.Report) error {
	return l.sweep(ctx, bucketRecord, report, func(r Reader, key, _ []byte) error {
		if len(key) != len(id{}) {
			return fmt.Errorf("%w: an entry is stored under a key that is none", ErrDamaged)
		}
		index, _, err := getRecord(r, id(key))
		if err != nil && !errors.Is(err, ErrExpired) {
			return err
		}
		ref, _, err := l.log.Ref(r, index)
		if err != nil && !errors.Is(err, auditlog.ErrDamaged) {
			return err
		}
		if err != nil || !bytes.Equal(ref, key) {
			report.Add("entry %s is stored and not in the log", id(key))
		}
		return nil
	})
}

// verifyAsks looks for callback_ids that lead nowhere: their asks would get no reply.
func (l *Ledger) verifyAsks(ctx context.Context, report *auditlog.Report) error {
	return l.sweep(ctx, bucketAsk, report, func(r Reader, key, _ []byte) error {
		if len(key) != len(Hash{}) {
			return fmt.Errorf("%w: a callback_id is stored under a key that is none", ErrDamaged)
		}
		k, _, err := getKnown(r, Hash(key))
		if err != nil {
			return err
		}
		if _, _, err := getRecord(r, k.record); err != nil && !errors.Is(err, ErrExpired) {
			if !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrDamaged) {
				return err
			}
			report.Add("a callback_id leads to entry %s, which is missing or not readable", k.record)
		}
		return nil
	})
}

// verifyApprovals checks every approval with all its signatures, and that its execution leads to it.
func (l *Ledger) verifyApprovals(ctx context.Context, report *auditlog.Report) error {
	return l.sweep(ctx, bucketApproval, report, func(r Reader, key, value []byte) error {
		a, err := parseApproval(value)
		if err != nil {
			report.Add("%v", err)
			return nil
		}
		if a.ID != fmt.Sprintf("%x", key) {
			report.Add("approval %s is stored under another id", a.ID)
			return nil
		}
		execution := a.execution()
		found := false
		err = r.Scan(bucketExecution, append(execution[:], key...), nil, false, func(k, _ []byte) (bool, error) {
			found = bytes.Equal(k, append(execution[:], key...))
			return false, nil
		})
		if err == nil && !found {
			report.Add("approval %s is not found by its execution", a.ID)
		}
		return err
	})
}

// pruneChunk is how many entries are removed in one transaction, so that decisions need not wait long.
const pruneChunk = 128

// Prune removes what was recorded before the given time, except hashes: callback_ids stay taken, the log stays provable,
// and approvals stay. It returns how many entries it removed, also with an error.
func (l *Ledger) Prune(ctx context.Context, before time.Time) (int, error) {
	total := 0
	for {
		n := 0
		err := l.update(ctx, func(tx Tx) (err error) {
			n, err = l.pruneSome(tx, before)
			return err
		})
		if err != nil {
			return total, fmt.Errorf("remove old entries: %w", err)
		}
		total += n
		if n < pruneChunk {
			return total, nil
		}
	}
}

func (l *Ledger) pruneSome(tx Tx, before time.Time) (int, error) {
	size, err := l.log.Size(tx)
	if err != nil {
		return 0, err
	}
	floor, _, err := getMetaUint(tx, metaFloor)
	if err != nil {
		return 0, err
	}
	n := 0
	for ; n < pruneChunk && int64(floor) < size; floor++ {
		old, err := l.pruneOne(tx, int64(floor), before)
		if err != nil {
			return 0, err
		}
		if !old {
			break
		}
		n++
	}
	if n == 0 {
		return 0, nil
	}
	return n, putMetaUint(tx, metaFloor, floor)
}

func (l *Ledger) pruneOne(tx Tx, index int64, before time.Time) (bool, error) {
	ref, _, err := l.log.Ref(tx, index)
	if err != nil {
		return false, err
	}
	if len(ref) != len(id{}) {
		return false, fmt.Errorf("%w: entry %d refers to nothing", ErrDamaged, index)
	}
	name := id(ref)
	_, e, err := getEntry(tx, name)
	if err != nil || !e.Time().Before(before) {
		return false, err
	}
	if r := e.Decision; r != nil {
		if err := tx.Delete(bucketCallback, indexKey(r.Ask.CallbackID, index)); err != nil {
			return false, err
		}
		if r.Ask.RequestID != "" {
			if err := tx.Delete(bucketRequest, indexKey(r.Ask.RequestID, index)); err != nil {
				return false, err
			}
		}
	}
	return true, tx.Put(bucketRecord, name[:], prunedValue(index))
}
