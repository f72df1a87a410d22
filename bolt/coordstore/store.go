// Package coordstore keeps a coordinator's state in one bbolt file, for one coordinator on one machine.
//
// Each table is a bucket of a [boltfile.File], which says how the file is guarded. What is added here: any damage that is
// found ends the use of the file, so that no later change builds on it. It holds no rule of the coordinator.
package coordstore

import (
	"context"
	"fmt"
	"time"

	"github.com/countersign-mpc/countersign/bolt/boltfile"
	"github.com/countersign-mpc/countersign/coordinator"
)

// Config is what Open needs.
type Config struct {
	Path        string        // the file; made with mode 0600 if it is not there
	OpenTimeout time.Duration // how long to wait for a file that another process holds; 0: boltfile.DefaultOpenTimeout
}

var (
	// ErrDamaged is wrapped where the file cannot be read as it was written.
	ErrDamaged = boltfile.ErrDamaged
	// ErrUnusable is wrapped by every call after a failure that leaves it unknown what is on disk, and after Close.
	ErrUnusable = boltfile.ErrEnded
)

// format is the version record of the file (docs/FORMATS.md, coordinator).
const format = "countersign coordinator in bbolt, version 1"

// Store is a coordinator.Store in a bbolt file. It is safe for concurrent use.
type Store struct {
	file *boltfile.File
}

var _ coordinator.Store = (*Store)(nil)

// Open opens or makes the file. It fails if another process holds it, if it is of another version or of something else,
// and if it is damaged as far as can be told without reading it whole; the error says what to do.
func Open(cfg Config) (*Store, error) {
	var buckets []string
	for _, table := range coordinator.Tables() {
		buckets = append(buckets, string(table))
	}
	file, err := boltfile.Open(boltfile.Config{
		Path: cfg.Path, OpenTimeout: cfg.OpenTimeout, Format: format, Buckets: buckets, Place: place,
	})
	if err != nil {
		return nil, fmt.Errorf("open the coordinator's store: %w", err)
	}
	return &Store{file: file}, nil
}

// place is table, NUL, key, NUL: a value's checksum covers it (docs/FORMATS.md, coordinator).
func place(b []byte, table string, key []byte) []byte {
	return append(append(append(append(b, table...), 0), key...), 0)
}

// Close waits for running transactions and closes the file.
func (s *Store) Close() error {
	if err := s.file.Close(); err != nil {
		return fmt.Errorf("close the coordinator's store: %w", err)
	}
	return nil
}

// Update implements coordinator.Store.
func (s *Store) Update(ctx context.Context, f func(coordinator.Tx) error) error {
	return s.run(ctx, true, f)
}

// View implements coordinator.Store.
func (s *Store) View(ctx context.Context, f func(coordinator.Tx) error) error {
	return s.run(ctx, false, f)
}

func (s *Store) run(ctx context.Context, writable bool, f func(coordinator.Tx) error) (err error) {
	inner, err := s.file.Begin(ctx, writable)
	if err != nil {
		return err
	}
	defer func() { // after Commit it does nothing; f failed, or panics
		if rerr := inner.Rollback(); err == nil {
			err = rerr
		}
	}()
	t := &tx{file: s.file, tx: inner, writable: writable}
	if err := f(t); err != nil {
		return err
	}
	if t.damage != nil {
		return t.damage
	}
	return inner.Commit()
}
