package boltfile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
)

var (
	// ErrDamaged is wrapped where the file cannot be read as it was written.
	ErrDamaged = errors.New("damaged file")
	// ErrEnded is wrapped where the file is not used any more: it was closed, or a failure left it unknown what is on disk.
	ErrEnded = errors.New("the file is not used any more")
	// ErrHeld is wrapped by Open where another process has the file open.
	ErrHeld = errors.New("another process holds it")
)

// File is an open file. It is safe for concurrent use.
type File struct {
	path    string
	buckets []string
	apart   []string // of buckets: see Config
	inPlace string   // of buckets: see Config; "": none
	place   func(b []byte, bucket string, key []byte) []byte
	db      *bolt.DB
	direct  *os.File    // bbolt's own, for what is written in place
	own     os.FileInfo // which file that is
	through *os.File    // the same file, for what is written in place and synced at once; nil: nothing is

	writing sync.Mutex // held while a transaction that writes is under way; bbolt's own lock may stay locked after a panic

	// syncing is held for writing while a commit may be visible and not yet on disk, and for reading while a reader begins.
	syncing sync.RWMutex

	committing atomic.Pointer[time.Time] // since when a commit is under way; nil: none is

	txid    atomic.Int64          // of the last commit that was seen
	ended   atomic.Pointer[error] // why the file is not used any more
	faulted atomic.Bool           // bbolt panicked, and may hold its locks
}

// Close waits for transactions that run and closes the file. What is called after it fails with ErrEnded; to close again is
// no error.
func (f *File) Close() error {
	f.writing.Lock()
	defer f.writing.Unlock()
	_ = f.End(errors.New("it was closed"))
	if err := f.release(); err != nil {
		return fmt.Errorf("close %s: %w", f.path, err)
	}
	return nil
}

// release closes the file. After a panic of bbolt that may wait for a lock that was left behind, and there is nothing to
// be saved, as every commit is on disk: it is not waited for, and the system frees what is left when the process ends.
func (f *File) release() error {
	db := f.db
	if f.through != nil {
		defer f.through.Close() // what it wrote is on disk
	}
	switch {
	case db == nil:
		return nil
	case f.faulted.Load():
		go func() {
			defer func() { _ = recover() }()
			_ = db.Close()
		}()
		return nil
	}
	return f.guard(db.Close)
}

// End ends the use of the file, as a fault does, and returns why. It is for a store that finds what must not be read on.
func (f *File) End(why error) error {
	f.ended.CompareAndSwap(nil, &why)
	return why
}

// usable returns why the file is not used any more, if so.
func (f *File) usable(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if why := f.ended.Load(); why != nil {
		return fmt.Errorf("%w: %s: %w", ErrEnded, f.path, *why)
	}
	return nil
}

// guard runs fn so that a panic of bbolt, or a fault over a file that was cut off beneath it, becomes an error and ends the
// use of the file. It is not for fn that may fail in another way than by the file.
func (f *File) guard(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			f.faulted.Store(true)
			err = f.End(f.damaged("bbolt: %v", p))
		}
	}()
	return fn()
}

// damaged is an ErrDamaged that says what is wrong with the file, and what to do.
func (f *File) damaged(format string, args ...any) error {
	return fmt.Errorf("%w %s: %s: stop the process and restore the file from a backup", ErrDamaged, f.path, fmt.Sprintf(format, args...))
}

// newest checks that a transaction sees the last commit: that of the transaction least, or a later one. bbolt falls back to the
// one before when the newest of its two meta pages does not have its checksum, and what was stored last would be gone without a
// trace.
func (f *File) newest(seen, least int64) error {
	if seen < least {
		return f.End(f.damaged("the newest commit can no longer be read"))
	}
	for known := f.txid.Load(); seen > known && !f.txid.CompareAndSwap(known, seen); known = f.txid.Load() {
	}
	return nil
}

// failed judges an error of a commit before which the file had size bytes. A full disk leaves what was stored as it was.
// After any other failed write or sync it is not known what is on disk, nor can it be found out by syncing again: the file
// must not be used until somebody has looked at it.
func (f *File) failed(err error, size int64) error {
	if errors.Is(err, ErrDamaged) {
		return err
	}
	var path *os.PathError
	var errno syscall.Errno
	unwritten := isFull(err) && errors.As(err, &path) && (path.Op == "write" || path.Op == "truncate")
	if !errors.As(err, &errno) {
		// Of a file that cannot be made longer, bbolt tells in words only, before its first write. So it does of a failed
		// sync of the longer file, but then it is longer.
		now, serr := f.size()
		unwritten = serr == nil && now == size
	}
	if unwritten {
		return fmt.Errorf("write %s: %w: nothing was stored; make room, and it goes on", f.path, err)
	}
	return f.End(f.unknown(err))
}

// size is how long the file is. It fails where nothing, or another file, is at its path: what is written to it then is not found again.
func (f *File) size() (int64, error) {
	size, same, err := lookAt(f.path, f.own)
	if err == nil && !same {
		err = errors.New("another file has come to its place")
	}
	return size, err
}

// plainLookAt is lookAt for any system.
func plainLookAt(path string, own os.FileInfo) (size int64, same bool, err error) {
	there, err := os.Stat(path)
	if err != nil {
		return 0, false, err
	}
	return there.Size(), os.SameFile(there, own), nil
}
