// Package ledgerstore keeps a ledger in one bbolt file.
package ledgerstore

import (
	"context"
	"errors"
	"time"

	"github.com/countersign-mpc/countersign/ledger"
)

// Config is what Open needs.
type Config struct {
	Path        string        // the file; made with mode 0600 if it is not there
	OpenTimeout time.Duration // how long to wait for a file that another process holds; 0: DefaultOpenTimeout
}

// DefaultOpenTimeout is how long Open waits for another process to let go of the file.
const DefaultOpenTimeout = 3 * time.Second

// Store is a ledger.Store in a bbolt file.
type Store struct{}

var _ ledger.Store = (*Store)(nil)

// Open opens or makes the file. It fails if another process holds it, if it is of another version or not a ledger, and
// if it is damaged as far as can be told without reading it whole; the error says what to do.
func Open(cfg Config) (*Store, error) { return nil, errors.New("being written") }

// Close ends the store after the running transactions.
func (s *Store) Close() error { return nil }

// View implements ledger.Store.
func (s *Store) View(ctx context.Context, fn func(ledger.Reader) error) error {
	return errors.New("being written")
}

// Update implements ledger.Store.
func (s *Store) Update(ctx context.Context, fn func(ledger.Tx) error) error {
	return errors.New("being written")
}
