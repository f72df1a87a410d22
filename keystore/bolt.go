package keystore

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// The file has two bbolt buckets: one for what describes the store, one for all records, each under its name
// (bucket NUL key).
var (
	bucketStore   = []byte("countersign")
	bucketRecords = []byte("records")

	keyHeader = []byte("header")
	keySeal   = []byte("seal")
	keyAuto   = []byte("auto")
	keyRoot   = []byte("root")
)

// guard runs fn, which reads or writes bbolt's pages, and turns what bbolt does on a damaged page into an error: it
// panics, or touches memory behind the end of a file that was cut short while it was mapped.
func guard(place string, fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = corrupt(place, "reading the file failed: %v", r)
		}
	}()
	return fn()
}

// openBolt opens the locked and checked file, and closes it if that fails. The free list is not kept in the file but
// computed at each start from the pages in use: one thing less that could be damaged, and one page less to write. What a
// process that was killed has written may be in memory alone; it is synced before anything is done by it.
func openBolt(file *os.File) (db *bbolt.DB, err error) {
	if err := file.Sync(); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("sync the store before it is read: %w", err)
	}
	err = guard("file", func() error {
		db, err = bbolt.Open(file.Name(), 0o600, &bbolt.Options{
			Timeout:        time.Second, // the lock is held already
			NoFreelistSync: true,
			FreelistType:   bbolt.FreelistMapType,
			NoStatistics:   true,
			OpenFile:       func(string, int, os.FileMode) (*os.File, error) { return file, nil },
		})
		return err
	})
	if err != nil {
		_ = file.Close() // bbolt may have closed it
		return nil, err
	}
	return db, nil
}

// initBolt makes file, which is empty, a store with this header.
func initBolt(file *os.File, h header) error {
	db, err := openBolt(file)
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		store, err := tx.CreateBucket(bucketStore)
		if err != nil {
			return err
		}
		if _, err := tx.CreateBucket(bucketRecords); err != nil {
			return err
		}
		return store.Put(keyHeader, h.encode())
	})
	return errors.Join(err, db.Close())
}

// fileTx is a transaction on the sealed bytes. Its methods may panic on a damaged file, and the slices that they
// return are the file's own memory: call them, and use what they return, under guard.
type fileTx struct {
	tx             *bbolt.Tx
	store, records *bbolt.Bucket
}

func (f fileTx) get(key []byte) []byte       { return f.store.Get(key) }
func (f fileTx) put(key, value []byte) error { return f.store.Put(key, value) }
func (f fileTx) delete(key []byte) error     { return f.store.Delete(key) }
func (f fileTx) record(name []byte) []byte   { return f.records.Get(name) }
func (f fileTx) deleteRecord(n []byte) error { return f.records.Delete(n) }
func (f fileTx) putRecord(n, v []byte) error { return f.records.Put(n, v) }
func (f fileTx) header() (header, error)     { return parseHeader(f.get(keyHeader)) }
func (f fileTx) noRecords() bool             { name, _ := f.records.Cursor().First(); return name == nil }
func (f fileTx) cursor() *bbolt.Cursor       { return f.records.Cursor() }
func (f fileTx) size() int64                 { return f.tx.Size() }

// checkNames makes sure that nothing is in the file but what this format puts there.
func (f fileTx) checkNames() error {
	err := f.tx.ForEach(func(name []byte, _ *bbolt.Bucket) error {
		if !bytes.Equal(name, bucketStore) && !bytes.Equal(name, bucketRecords) {
			return corrupt("file", "it has an unknown bucket %.80q", name)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return f.store.ForEach(func(key, _ []byte) error {
		if !bytes.Equal(key, keyHeader) && !bytes.Equal(key, keySeal) && !bytes.Equal(key, keyAuto) && !bytes.Equal(key, keyRoot) {
			return corrupt("file", "it has an unknown part %.80q", key)
		}
		return nil
	})
}

// seekRecord returns the first record at name, or after it unless inclusive; nil at the end.
func (f fileTx) seekRecord(name []byte, inclusive bool) (found, envelope []byte) {
	c := f.records.Cursor()
	found, envelope = c.Seek(name)
	if !inclusive && bytes.Equal(found, name) {
		found, envelope = c.Next()
	}
	return found, envelope
}

// begin starts a transaction; rollback or commitFile ends it.
func (s *Store) begin(writable bool) (f fileTx, err error) {
	err = guard("file", func() error {
		f.tx, err = s.db.Begin(writable)
		if err != nil {
			return fmt.Errorf("begin: %w", err)
		}
		f.store, f.records = f.tx.Bucket(bucketStore), f.tx.Bucket(bucketRecords)
		if f.store == nil || f.records == nil {
			return corrupt("file", "it is not a key store: the bucket %q or %q is missing", bucketStore, bucketRecords)
		}
		return nil
	})
	if err != nil && f.tx != nil {
		s.rollback(f)
	}
	return f, err
}

// rollback ends a transaction that was not committed; after a commit it does nothing.
func (s *Store) rollback(f fileTx) {
	err := guard("file", f.tx.Rollback)
	if err != nil && !errors.Is(err, bolterrors.ErrTxClosed) {
		s.fail(err)
	}
}

// viewFile runs fn over the sealed bytes, under guard.
func (s *Store) viewFile(fn func(fileTx) error) error {
	f, err := s.begin(false)
	if err != nil {
		return err
	}
	defer s.rollback(f)
	return guard("file", func() error { return fn(f) })
}

// writeFile runs fn over the sealed bytes, under guard, and commits what it did.
func (s *Store) writeFile(fn func(fileTx) error) error {
	f, err := s.begin(true)
	if err != nil {
		return err
	}
	defer s.rollback(f)
	var before []byte
	err = guard("file", func() error {
		before = bytes.Clone(f.get(keyRoot))
		return fn(f)
	})
	if err != nil {
		return err
	}
	return s.commitFile(f, before)
}

// commitFile makes the transaction durable. before is the root record that it replaces. A commit that fails before
// the switch to the new state (no space, most often) has changed nothing, and the store goes on. If the switch itself
// failed nobody knows what the disk holds: all further use is refused until the file is opened again.
func (s *Store) commitFile(f fileTx, before []byte) error {
	err := guard("file", f.tx.Commit)
	if err == nil {
		if err := s.persist(); err != nil {
			return s.fail(err)
		}
		s.unwritten.Store(nil)
		return nil
	}
	if errors.Is(err, ErrCorrupt) {
		return s.fail(err)
	}
	var same bool
	look := s.viewFile(func(f fileTx) error {
		same = bytes.Equal(f.get(keyRoot), before)
		return nil
	})
	if look != nil || !same {
		return s.fail(err)
	}
	err = fmt.Errorf("nothing was changed: %w", err)
	s.unwritten.Store(&err)
	return err
}

// fail refuses all further use of the store because of err, and returns what is said from now on.
func (s *Store) fail(err error) error {
	failure := fmt.Errorf("%w: %w", ErrFailed, err)
	s.failed.CompareAndSwap(nil, &failure)
	s.unwritten.Store(&failure)
	return *s.failed.Load()
}
