package ledger

import (
	"bytes"
	"context"
	"fmt"

	"github.com/countersign-mpc/countersign/auditlog"
)

// LogPublic is the public key that the log names. Who was handed the store should compare it with one from a source that is trusted.
func (h *History) LogPublic() string { return h.ledger.log.Public() }

// Checkpoint returns the newest stored checkpoint, which may be over fewer entries than there are: only who has the log's key signs
// one over all. ErrNotFound.
func (h *History) Checkpoint(ctx context.Context) ([]byte, error) {
	var signed []byte
	err := h.ledger.view(ctx, func(r Reader) (err error) {
		signed, _, err = h.newest(r)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the newest checkpoint: %w", err)
	}
	return signed, nil
}

// newest is the newest stored checkpoint with its size.
func (h *History) newest(r Reader) (signed []byte, size int64, err error) {
	signed, size, err = h.ledger.log.LatestCheckpoint(r)
	if err == nil && signed == nil {
		err = fmt.Errorf("a checkpoint: %w: none was signed yet", ErrNotFound)
	}
	return signed, size, err
}

// Prove is Ledger.Prove with the newest stored checkpoint. An entry that came after it is ErrNotFound: nothing signed proves it.
func (h *History) Prove(ctx context.Context, entryID string) (entry, proof []byte, err error) {
	name, err := parseID(entryID)
	if err != nil {
		return nil, nil, fmt.Errorf("prove an entry: %w", err)
	}
	err = h.ledger.view(ctx, func(r Reader) error {
		index, data, err := getRecord(r, name)
		if err != nil {
			return err
		}
		checkpoint, size, err := h.newest(r)
		if err != nil {
			return err
		}
		if index >= size {
			return fmt.Errorf("a checkpoint over entry %d: %w: the newest one is over the %d before; a running server signs one over all", index, ErrNotFound, size)
		}
		p, err := h.ledger.log.ProveInclusion(r, index, checkpoint)
		entry, proof = bytes.Clone(data), p.Marshal()
		return err
	})
	if err == nil {
		if _, _, failed := auditlog.CheckInclusion(h.LogPublic(), entry, proof); failed != nil { // found out here, not at an auditor's
			err = fmt.Errorf("%w: %w", ErrDamaged, failed)
		}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("prove entry %s: %w", name, err)
	}
	return entry, proof, nil
}

// ProveGrowth is Ledger.ProveGrowth up to the newest stored checkpoint. ErrInvalid is an older checkpoint that is none of this log,
// ErrDamaged one out of which the log did not grow.
func (h *History) ProveGrowth(ctx context.Context, older []byte) ([]byte, error) {
	from, err := auditlog.OpenCheckpoint(older, h.LogPublic())
	if err != nil {
		return nil, fmt.Errorf("prove the log's growth: %w: %w", ErrInvalid, err)
	}
	var proof []byte
	err = h.ledger.view(ctx, func(r Reader) error {
		checkpoint, size, err := h.newest(r)
		if err != nil {
			return err
		}
		if from.N > size {
			return fmt.Errorf("%w: it is over %d entries, and the newest stored checkpoint over %d: this is an older copy, or entries are missing", ErrDamaged, from.N, size)
		}
		p, err := h.ledger.log.ProveConsistency(r, from.N, checkpoint)
		proof = p.Marshal()
		return err
	})
	if err == nil {
		if _, _, failed := auditlog.CheckConsistency(h.LogPublic(), older, proof); failed != nil {
			err = fmt.Errorf("%w: the log did not grow out of this checkpoint: %w", ErrDamaged, failed)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("prove the log's growth: %w", err)
	}
	return proof, nil
}
