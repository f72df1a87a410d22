package ledgerstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/countersign-mpc/countersign/bolt/boltfile"
	"github.com/countersign-mpc/countersign/internal/groupcommit"
	"github.com/countersign-mpc/countersign/ledger"
)

// Config is what Open needs.
type Config struct {
	Path        string        // the file; made with mode 0600 if it is not there
	OpenTimeout time.Duration // how long to wait for a file that another process holds; 0: boltfile.DefaultOpenTimeout
}

// format is the version record of the file (docs/FORMATS.md, bolt/ledgerstore). A file of the version before did not have
// the buckets that were added; it gets them when it is opened.
const (
	format  = "countersign ledger in bbolt, version 2"
	earlier = "countersign ledger in bbolt, version 1"
)

func added() []string { return []string{"attachment", "window", "reservation", "charged", "binding"} }

// Store is a ledger.Store in a bbolt file. Safe for concurrent use.
type Store struct {
	file  *boltfile.File
	queue *groupcommit.Queue[func(ledger.Tx) error]
}

var _ ledger.Store = (*Store)(nil)

// Open opens or makes the file. It fails if another process holds it, if it is of another version or not a ledger, and
// if it is damaged as far as can be told without reading it whole; the error says what to do.
func Open(cfg Config) (*Store, error) {
	file, err := boltfile.Open(boltfile.Config{
		Path: cfg.Path, OpenTimeout: cfg.OpenTimeout, Format: format, Buckets: ledger.Buckets(), Place: place,
		Earlier: earlier, Added: added(),
	})
	if err != nil {
		return nil, fmt.Errorf("open the ledger's file: %w", damage(err))
	}
	s := &Store{file: file}
	s.queue = groupcommit.New(maxBatch, s.commit)
	return s, nil
}

// place is bucket, length of the key, key: a value's checksum covers it (docs/FORMATS.md, bolt/ledgerstore).
func place(bucket string, key []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte(bucket), uint32(len(key))), key...)
}

// Close waits for running updates and closes the file. No call may follow or still run.
func (s *Store) Close() error {
	if err := s.queue.Alone(s.file.Close); err != nil {
		return fmt.Errorf("close the ledger's file: %w", damage(err))
	}
	return nil
}

// Check reads the whole file: every value with its checksum, every page as bbolt knows it, and the list of free pages. It
// tells whether the file is whole, and ledger.Verify whether it says what was recorded. It takes time in proportion to the
// file's size, and updates wait for it.
func (s *Store) Check(ctx context.Context) error {
	if err := s.file.Check(ctx); err != nil {
		return fmt.Errorf("check the ledger's file: %w", classify(err))
	}
	return nil
}

// View implements ledger.Store.
func (s *Store) View(ctx context.Context, fn func(ledger.Reader) error) (err error) {
	t, err := s.file.Begin(ctx, false)
	if err != nil {
		return classify(err)
	}
	defer func() { // also when fn panics
		if rerr := t.Rollback(); rerr != nil {
			err = classify(rerr)
		}
	}()
	return outcome(t, fn(&reader{t}))
}

// outcome is the error of a transaction's function, or the fault of the file over which it was made.
func outcome(t *boltfile.Tx, err error) error {
	if fault := t.Fault(); fault != nil {
		return damage(fault)
	}
	return err
}

// Update implements ledger.Store.
func (s *Store) Update(ctx context.Context, fn func(ledger.Tx) error) error {
	return s.queue.Do(ctx, fn)
}

// damage gives an error over a damaged file the ledger's type, and leaves any other as it is.
func damage(err error) error {
	if errors.Is(err, boltfile.ErrDamaged) && !errors.Is(err, ledger.ErrDamaged) {
		return fmt.Errorf("%w: %w; verify the log", ledger.ErrDamaged, err)
	}
	return err
}

// classify gives an error at the begin or the end of a transaction the ledger's type.
func classify(err error) error {
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, boltfile.ErrDamaged) && !errors.Is(err, boltfile.ErrEnded):
		return damage(err)
	}
	return fmt.Errorf("%w: %w", ledger.ErrUnavailable, damage(err))
}
