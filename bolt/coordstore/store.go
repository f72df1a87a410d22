// Package coordstore keeps a coordinator's state in one bbolt file, for one coordinator on one machine.
//
// What it adds to bbolt: every value carries a checksum over table, key and value, since bbolt checks none of its pages;
// readers see only what is on disk, since bbolt shows a commit before it is synced; a panic or fault over a damaged file
// becomes an error, and ends the use of the file. It holds no rule of the coordinator.
package coordstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/countersign-mpc/countersign/coordinator"
)

// Config is what Open needs.
type Config struct {
	Path        string        // the file; made with mode 0600 if it is not there
	OpenTimeout time.Duration // how long to wait for a file that another process holds; 0: DefaultOpenTimeout
}

// DefaultOpenTimeout is how long Open waits for another process to let go of the file.
const DefaultOpenTimeout = 3 * time.Second

// initialMap is how much address space is reserved at first, in bytes: a mapping that has to grow waits for readers.
const initialMap = 256 << 20

var (
	// ErrDamaged is wrapped where the file cannot be read as it was written.
	ErrDamaged = errors.New("the coordinator's store is damaged")
	// ErrUnusable is wrapped by every call after a failure that leaves it unknown what is on disk.
	ErrUnusable = errors.New("the coordinator's store is not used any more")
)

// Store is a coordinator.Store in a bbolt file. It is safe for concurrent use.
type Store struct {
	path string
	db   *bolt.DB

	// syncing is held for writing while a commit may be visible and not yet on disk, and for reading while a reader begins.
	syncing sync.RWMutex

	broken atomic.Pointer[error] // why the file is not used any more
}

var _ coordinator.Store = (*Store)(nil)

// Open opens or makes the file. It fails if another process holds it, if it is of another version or of something else,
// and if it is damaged as far as can be told without reading it whole; the error says what to do.
func Open(cfg Config) (*Store, error) {
	if cfg.Path == "" {
		return nil, errors.New("open the coordinator's store: a path is needed")
	}
	if cfg.OpenTimeout == 0 {
		cfg.OpenTimeout = DefaultOpenTimeout
	}
	s := &Store{path: cfg.Path}
	_, err := os.Stat(cfg.Path)
	created := errors.Is(err, os.ErrNotExist)
	err = guard(func() error { return s.open(cfg) })
	if err == nil && created {
		err = syncDir(filepath.Dir(cfg.Path))
	}
	if err != nil {
		s.abandon()
		return nil, fmt.Errorf("open the coordinator's store %s: %w", cfg.Path, err)
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
		return fmt.Errorf("%w: it is not a bbolt file, or its start is damaged (%v): restore it from a backup", ErrDamaged, err)
	case err != nil:
		return err
	}
	s.db = db
	if err := s.checkSize(); err != nil {
		return err
	}
	return db.Update(checkVersion)
}

// checkSize finds a file that was cut off, before anything beyond its end is read.
func (s *Store) checkSize() error {
	info, err := os.Stat(s.path)
	if err != nil {
		return err
	}
	return s.db.View(func(tx *bolt.Tx) error {
		if info.Size() < tx.Size() {
			return fmt.Errorf("%w: it has %d bytes and should have %d, it was cut off: restore it from a backup", ErrDamaged, info.Size(), tx.Size())
		}
		return nil
	})
}

// The version is kept in a bucket of its own, with the checksum that every value has.
const (
	bucketStore = "store"
	keyFormat   = "format"
	format      = "countersign coordinator in bbolt, version 1"
)

// checkVersion makes the buckets of a new file, and refuses a file that is of another version or of something else.
func checkVersion(tx *bolt.Tx) error {
	b := tx.Bucket([]byte(bucketStore))
	if b == nil {
		if k, _ := tx.Cursor().First(); k != nil {
			return errors.New("it is a bbolt file of something else: give another path")
		}
		return create(tx)
	}
	found, err := unseal(bucketStore, keyFormat, b.Get([]byte(keyFormat)))
	if err != nil {
		return err
	}
	if string(found) != format {
		return fmt.Errorf("it holds %q, and this program reads %q: use the program that wrote it", found, format)
	}
	for _, table := range coordinator.Tables() {
		if tx.Bucket([]byte(table)) == nil {
			return fmt.Errorf("%w: the bucket %s is missing: restore the file from a backup", ErrDamaged, table)
		}
	}
	return nil
}

func create(tx *bolt.Tx) error {
	for _, table := range coordinator.Tables() {
		if _, err := tx.CreateBucket([]byte(table)); err != nil {
			return err
		}
	}
	b, err := tx.CreateBucket([]byte(bucketStore))
	if err != nil {
		return err
	}
	return b.Put([]byte(keyFormat), seal(bucketStore, keyFormat, []byte(format)))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Close waits for running transactions and closes the file.
func (s *Store) Close() error {
	closed := error(errors.New("it was closed"))
	if !s.broken.CompareAndSwap(nil, &closed) {
		s.abandon()
		return nil
	}
	if err := guard(s.db.Close); err != nil {
		return fmt.Errorf("close the coordinator's store %s: %w", s.path, err)
	}
	return nil
}

// abandon lets go of a file over which bbolt failed. Closing may wait for a lock that a panic left behind, and nothing is
// to be saved: every commit is on disk. So it is not waited for.
func (s *Store) abandon() {
	if db := s.db; db != nil {
		go func() {
			defer func() { _ = recover() }()
			_ = db.Close()
		}()
	}
}

// guard runs fn so that a panic of bbolt, or a fault over a file that was cut off beneath it, becomes an error.
func guard(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: bbolt: %v: stop the coordinator and restore the file from a backup", ErrDamaged, p)
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
		return fmt.Errorf("%w: %s: %w", ErrUnusable, s.path, *why)
	}
	return nil
}

func (s *Store) breakDown(why error) error {
	s.broken.CompareAndSwap(nil, &why)
	return why
}

// failed judges an error of a commit. A full disk leaves the file as it was. After any other failed write or sync it is
// not known what is on disk, nor can it be found out by syncing again: the file must not be used further.
func (s *Store) failed(err error) error {
	var path *os.PathError
	full := errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
	if full && errors.As(err, &path) && (path.Op == "write" || path.Op == "truncate") {
		return fmt.Errorf("write %s: %w: nothing was stored; make room, and it goes on", s.path, err)
	}
	return s.breakDown(fmt.Errorf("write %s: %w: it is not known what is on disk; stop the coordinator, check the disk, and start it again", s.path, err))
}
