package ledger

import (
	"context"
	"fmt"

	"github.com/countersign-mpc/countersign/auditlog"
)

// History reads what a ledger has recorded, without the key that signs its log, and writes nothing. Safe for concurrent use.
type History struct{ ledger *Ledger }

// ReadHistory opens the history of the ledger in a store. A store in which no log was begun is ErrDamaged.
func ReadHistory(ctx context.Context, s Store) (*History, error) {
	if s == nil {
		return nil, fmt.Errorf("%w history: a store is needed", ErrInvalid)
	}
	log, _, err := verifierOf(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	return &History{&Ledger{store: s, log: log}}, nil
}

// verifierOf is the log of the ledger in a store, as its own public key verifies it.
func verifierOf(ctx context.Context, s Store) (log *auditlog.Log, public string, err error) {
	err = damaged(s.View(ctx, func(r Reader) error {
		stored, err := getMeta(r, metaPublic)
		public = string(stored)
		return err
	}))
	if err != nil {
		return nil, "", err
	}
	if public == "" {
		return nil, "", fmt.Errorf("%w: no log was begun in it", ErrDamaged)
	}
	if log, err = auditlog.NewVerifier(public); err != nil {
		return nil, public, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return log, public, nil
}

// Decisions is Ledger.Decisions.
func (h *History) Decisions(ctx context.Context, f Filter, limit int, cursor string) (Page, error) {
	return h.ledger.Decisions(ctx, f, limit, cursor)
}

// Decision is Ledger.Decision.
func (h *History) Decision(ctx context.Context, decision string) (Record, error) {
	return h.ledger.Decision(ctx, decision)
}
