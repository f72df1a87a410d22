package ledgerstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/countersign-mpc/countersign/ledger"
)

// Config is what Open needs.
type Config struct {
	Path        string        // the file; made with mode 0600 if it is not there
	OpenTimeout time.Duration // how long to wait for a file that another process holds; 0: DefaultOpenTimeout
}

// DefaultOpenTimeout is how long Open waits for another process to let go of the file.
const DefaultOpenTimeout = 3 * time.Second

// initialMap is how much address space is reserved at first, in bytes: a mapping that has to grow waits for readers.
const initialMap = 64 << 20

// Store is a ledger.Store in a bbolt file. Safe for concurrent use.
type Store struct {
	path string
	db   *bolt.DB

	queueMu sync.Mutex // guards queue
	queue   []*call

	commitMu sync.Mutex // held by the one that runs a batch

	// syncing is held for writing while a commit may be visible and not yet on disk, and for reading while a reader begins.
	syncing sync.RWMutex

	txid    atomic.Int64          // of the last commit that was seen
	broken  atomic.Pointer[error] // why the file is not used any more
	faulted atomic.Bool           // bbolt panicked, and may hold its locks
}

var _ ledger.Store = (*Store)(nil)

// Open opens or makes the file. It fails if another process holds it, if it is of another version or not a ledger, and
// if it is damaged as far as can be told without reading it whole; the error says what to do.
func Open(cfg Config) (*Store, error) {
	if cfg.Path == "" {
		return nil, errors.New("open the ledger's file: a path is needed")
	}
	if cfg.OpenTimeout == 0 {
		cfg.OpenTimeout = DefaultOpenTimeout
	}
	s := &Store{path: cfg.Path}
	_, err := os.Stat(cfg.Path)
	created := errors.Is(err, os.ErrNotExist)
	err = s.guard(func() error { return s.open(cfg) })
	if err == nil && created {
		err = syncDir(filepath.Dir(cfg.Path))
	}
	if err != nil {
		return nil, fmt.Errorf("open the ledger's file %s: %w", cfg.Path, errors.Join(err, s.release()))
	}
	return s, nil
}

func (s *Store) open(cfg Config) error {
	db, err := bolt.Open(cfg.Path, 0o600, &bolt.Options{
		Timeout: cfg.OpenTimeout, FreelistType: bolt.FreelistMapType, InitialMmapSize: initialMap, NoStatistics: true,
	})
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return errors.New("another process holds it: stop that one, or give this one its own file")
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrVersionMismatch):
		return fmt.Errorf("%w: it is not a bbolt file, or its start is damaged (%v): restore it from a backup, or remove it if its making was interrupted", ledger.ErrDamaged, err)
	case err != nil:
		return err
	}
	s.db = db
	if err := checkStart(cfg.Path, db.Info().PageSize); err != nil {
		return err
	}
	if err := s.checkSize(); err != nil {
		return err
	}
	fresh := false
	err = db.View(func(tx *bolt.Tx) (err error) {
		fresh, err = checkVersion(tx)
		return err
	})
	if err != nil || !fresh {
		return err
	}
	return db.Update(create)
}

// checkSize finds a file that was cut off, before anything beyond its end is read.
func (s *Store) checkSize() error {
	info, err := os.Stat(s.path)
	if err != nil {
		return err
	}
	return s.db.View(func(tx *bolt.Tx) error {
		if info.Size() < tx.Size() {
			return fmt.Errorf("%w: it has %d bytes and should have %d: it was cut off; restore it from a backup", ledger.ErrDamaged, info.Size(), tx.Size())
		}
		return nil
	})
}

// The version is kept in a bucket of its own, with the checksum that every value has.
var (
	bucketStore  = []byte("store")
	keyFormat    = []byte("format")
	formatPrefix = "countersign ledger in bbolt, version "
)

const version = "1"

// newFile is the transaction at which bbolt makes a file; the first commit is the one after.
const newFile = 1

// checkVersion refuses a file that is of another version or of something else, and reports whether it is new and empty.
func checkVersion(tx *bolt.Tx) (fresh bool, err error) {
	b := tx.Bucket(bucketStore)
	if b == nil {
		if k, _ := tx.Cursor().First(); k != nil {
			return false, errors.New("it is a bbolt file of something else: give another path")
		}
		if tx.ID() > newFile { // a file that lost everything must not pass for one in which nothing was decided
			return false, fmt.Errorf("%w: it was written and holds nothing: restore it from a backup", ledger.ErrDamaged)
		}
		return true, nil
	}
	format, err := unseal(string(bucketStore), keyFormat, b.Get(keyFormat))
	if err != nil {
		return false, err
	}
	if string(format) != formatPrefix+version {
		return false, fmt.Errorf("it holds %q, and this program reads %q: use the program that wrote it", format, formatPrefix+version)
	}
	for _, name := range ledger.Buckets() {
		if tx.Bucket([]byte(name)) == nil {
			return false, fmt.Errorf("%w: the bucket %s is missing: restore the file from a backup", ledger.ErrDamaged, name)
		}
	}
	return false, nil
}

func create(tx *bolt.Tx) error {
	for _, name := range ledger.Buckets() {
		if _, err := tx.CreateBucket([]byte(name)); err != nil {
			return err
		}
	}
	b, err := tx.CreateBucket(bucketStore)
	if err != nil {
		return err
	}
	return b.Put(keyFormat, seal(string(bucketStore), keyFormat, []byte(formatPrefix+version)))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Close waits for running updates and closes the file. No call may follow or still run.
func (s *Store) Close() error {
	s.commitMu.Lock()
	defer s.commitMu.Unlock()
	closed := errors.New("it was closed")
	_ = s.breakDown(closed)
	if err := s.release(); err != nil {
		return fmt.Errorf("close the ledger's file %s: %w", s.path, err)
	}
	return nil
}

// release closes the file. After a panic of bbolt that may wait for a lock that was left behind, and there is nothing to
// be saved, as every commit is on disk: it is not waited for, and the system frees what is left when the process ends.
func (s *Store) release() error {
	db := s.db
	switch {
	case db == nil:
		return nil
	case s.faulted.Load():
		go func() {
			defer func() { _ = recover() }()
			_ = db.Close()
		}()
		return nil
	}
	return s.guard(db.Close)
}

// guard runs fn so that a panic of bbolt, or a fault over a file that was cut off beneath it, becomes an error. It is
// not for fn that may fail in another way than by the file.
func (s *Store) guard(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			s.faulted.Store(true)
			err = fmt.Errorf("%w: bbolt: %v: stop the server, verify, and restore the file from a backup", ledger.ErrDamaged, p)
		}
	}()
	return fn()
}

// usable returns why the file is not used any more, if so.
func (s *Store) usable(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if why := s.broken.Load(); why != nil {
		return fmt.Errorf("%w: the file %s is not used any more: %w", ledger.ErrUnavailable, s.path, *why)
	}
	return nil
}

func (s *Store) breakDown(why error) error {
	s.broken.CompareAndSwap(nil, &why)
	return why
}

// View implements ledger.Store.
func (s *Store) View(ctx context.Context, fn func(ledger.Reader) error) (err error) {
	tx, err := s.beginView(ctx)
	if err != nil {
		return s.classify(err)
	}
	defer func() { // also when fn panics
		if rerr := s.guard(tx.Rollback); rerr != nil {
			err = s.breakDown(rerr)
		}
	}()
	r := &reader{tx: tx}
	return s.outcome(r, fn(r))
}

// beginView begins a transaction that sees nothing but what is on disk.
func (s *Store) beginView(ctx context.Context) (tx *bolt.Tx, err error) {
	s.syncing.RLock()
	defer s.syncing.RUnlock()
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	err = s.guard(func() (err error) {
		tx, err = s.db.Begin(false)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := s.newest(int64(tx.ID())); err != nil {
		return nil, errors.Join(err, s.guard(tx.Rollback))
	}
	return tx, nil
}

// newest checks that a transaction sees the last commit. bbolt falls back to the one before when the newest of its two
// meta pages does not have its checksum, and what was decided last would be decided again.
func (s *Store) newest(seen int64) error {
	if seen < s.txid.Load() {
		return fmt.Errorf("%w: the newest commit can no longer be read: stop the server, and restore the file from a backup", ledger.ErrDamaged)
	}
	s.txid.Store(seen)
	return nil
}

// outcome is the error of a transaction's function, or the fault of the file over which it was made.
func (s *Store) outcome(r *reader, err error) error {
	if r.fault != nil {
		s.faulted.Store(true)
		return s.breakDown(r.fault)
	}
	return err
}

// Update implements ledger.Store.
func (s *Store) Update(ctx context.Context, fn func(ledger.Tx) error) error {
	c := &call{ctx: ctx, fn: fn}
	s.queueMu.Lock()
	s.queue = append(s.queue, c)
	s.queueMu.Unlock()

	s.commitMu.Lock()
	defer s.commitMu.Unlock()
	for !c.done { // else another one that waited here has run it
		s.queueMu.Lock()
		batch := s.queue
		if len(batch) > maxBatch {
			batch = batch[:maxBatch]
		}
		s.queue = slices.Clone(s.queue[len(batch):])
		s.queueMu.Unlock()
		s.commit(batch)
	}
	return c.err
}
