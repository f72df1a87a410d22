package keystore

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
)

// State says what a store can do.
type State int

const (
	// Uninitialised: there is no master key; only Init works.
	Uninitialised State = iota
	// Sealed: there is a master key and it is not in memory; only Unseal works.
	Sealed
	// Unsealed: records can be read and written.
	Unsealed
)

// String returns "uninitialised", "sealed" or "unsealed".
func (s State) String() string {
	switch s {
	case Uninitialised:
		return "uninitialised"
	case Sealed:
		return "sealed"
	case Unsealed:
		return "unsealed"
	}
	return fmt.Sprintf("State(%d)", int(s))
}

// lockPoll is how often it is looked whether a lock is free.
const lockPoll = 20 * time.Millisecond

// DefaultLockTimeout is how long Open waits for another process to let go of the file.
const DefaultLockTimeout = 3 * time.Second

// Config says which store to open. Only Path is required.
type Config struct {
	Path        string           // of asset.db; its directory must exist and not be writable by everybody
	LockTimeout time.Duration    // 0: DefaultLockTimeout
	Argon2      Argon2           // cost of the next password set; zero: DefaultArgon2. An existing store keeps its own
	Now         func() time.Time // clock for the creation time and the back-off; nil: time.Now

	// Persist, if not nil, makes the sealed bytes of the store durable elsewhere: Path then is a working copy that may be lost.
	// It gets a consistent copy of the whole file after it was opened, after each commit and after Rekey, one at a time, and
	// replaces what it had before in one step. Nothing counts as written before it has returned; if it fails, so does the
	// store (ErrFailed).
	Persist func(contents func(io.Writer) error) error

	// Release, if not nil, is called once, by Close, after the last use of the file: whoever keeps a lock or a working copy
	// for the store gives it up then.
	Release func() error
}

func (c *Config) validate() error {
	if c.Path == "" {
		return errors.New("no path of the key store: set storage.db-file-path")
	}
	path, err := filepath.Abs(c.Path)
	if err != nil {
		return fmt.Errorf("path of the key store: %w", err)
	}
	c.Path = path
	if c.LockTimeout == 0 {
		c.LockTimeout = DefaultLockTimeout
	}
	if c.Argon2 == (Argon2{}) {
		c.Argon2 = DefaultArgon2()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c.Argon2.validate()
}

// Store is an open key store. Its methods are safe for concurrent use.
type Store struct {
	cfg     Config
	db      *bbolt.DB
	file    *os.File // the same file; db closes it
	header  header
	barrier chan struct{} // holds one token; who has it may change the state (Init, Unseal, Seal, Close)
	backoff backoff       // guarded by barrier

	mu    sync.RWMutex // guards state, keys, closed; held for reading as long as a transaction runs
	state State
	keys  *keys // nil unless Unsealed
	done  bool  // closed

	copying   sync.RWMutex             // held for reading by Backup, as long as it writes; taken before mu
	writeMu   sync.Mutex               // one Update at a time; taken after mu
	committed atomic.Pointer[snapshot] // what the file holds; set while unsealed
	failed    atomic.Pointer[error]    // set once a write had an unknown outcome

	scrubWait  time.Duration         // for a backup that is being written
	unscrubbed atomic.Bool           // the last scrub failed
	unwritten  atomic.Pointer[error] // why the last write was not made; nil: it was
}

// snapshot describes the last commit. It is immutable.
type snapshot struct {
	root     root
	envelope []byte         // the root record as it stands in the file
	counts   map[string]int // records in each bucket
}

// Open opens the store at c.Path, or creates an uninitialised one (mode 0600) if there is no file. It locks the file
// against other processes (ErrLocked after LockTimeout), refuses a symbolic link and a file that group or others can
// read, and checks the structure of every page before it uses one (ErrCorrupt). Content is checked by Unseal.
func Open(c Config) (*Store, error) {
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("open key store: %w", err)
	}
	s := &Store{cfg: c, barrier: make(chan struct{}, 1), scrubWait: scrubWait}
	s.barrier <- struct{}{}
	if err := s.open(); err != nil {
		return nil, fmt.Errorf("open key store %s: %w", c.Path, err)
	}
	return s, nil
}

func (s *Store) open() error {
	if err := createIfAbsent(s.cfg.Path, s.cfg.Now()); err != nil {
		return err
	}
	file, err := lockFile(s.cfg.Path, s.cfg.LockTimeout)
	if err != nil {
		return err
	}
	if err := RemoveUnfinished(s.cfg.Path); err != nil {
		return errors.Join(err, file.Close())
	}
	misplaced, err := checkFile(file)
	if err != nil {
		return errors.Join(err, file.Close())
	}
	if s.db, err = openBolt(file); err != nil {
		return err
	}
	s.file = file
	err = s.readState()
	for range 2 { // a backup of an earlier version: two commits write each meta page into its place
		if err == nil && misplaced {
			err = guard("file", func() error { return s.db.Update(func(*bbolt.Tx) error { return nil }) })
		}
	}
	if err == nil {
		err = s.persist()
	}
	if err != nil {
		return errors.Join(err, s.db.Close())
	}
	return nil
}

// readState reads what can be read without a key.
func (s *Store) readState() error {
	return s.viewFile(func(f fileTx) error {
		var err error
		if s.header, err = f.header(); err != nil {
			return err
		}
		if err := f.checkNames(); err != nil {
			return err
		}
		raw := f.get(keySeal)
		if raw == nil {
			if f.get(keyRoot) != nil || f.get(keyAuto) != nil || !f.noRecords() {
				return corrupt("seal record", "it is missing, but the store has content")
			}
			s.state = Uninitialised
			return nil
		}
		if _, err := parseSeal(raw, s.header); err != nil {
			return err
		}
		if auto := f.get(keyAuto); auto != nil {
			if _, err := parseAuto(auto, s.header); err != nil {
				return err
			}
		}
		s.state = Sealed
		return nil
	})
}

// State returns the state. It never blocks for long: not on a running Unseal, only on the moment in which a Seal or
// Close waits for running transactions.
func (s *Store) State() State {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.state
}

// Unwritten says why the last write was not made, as on a full disk; nil: it was made, or there was none. It never blocks.
func (s *Store) Unwritten() error {
	if err := s.unwritten.Load(); err != nil {
		return *err
	}
	return nil
}

// Close seals the store and releases the file. It waits for running transactions. Later calls return ErrClosed.
func (s *Store) Close() error {
	<-s.barrier
	defer func() { s.barrier <- struct{}{} }()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done {
		return ErrClosed
	}
	s.forget()
	s.done = true
	return errors.Join(s.closeFile(), s.release())
}

func (s *Store) release() error {
	if s.cfg.Release == nil {
		return nil
	}
	if err := s.cfg.Release(); err != nil {
		return fmt.Errorf("close key store: %w", err)
	}
	return nil
}

// closeFile lets go of the file. The caller holds mu.
func (s *Store) closeFile() error {
	if failure := s.failed.Load(); failure != nil {
		// bbolt may have died with its locks held; waiting for them would hang. The file is released with the process.
		return fmt.Errorf("close key store: %w", *failure)
	}
	if err := guard("file", s.db.Close); err != nil {
		return fmt.Errorf("close key store: %w", err)
	}
	return nil
}

// usable says why nothing can be read or written, or nil. The caller holds mu.
func (s *Store) usable() error {
	if s.done {
		return ErrClosed
	}
	if failure := s.failed.Load(); failure != nil {
		return *failure
	}
	switch s.state {
	case Uninitialised:
		return ErrUninitialised
	case Sealed:
		return ErrSealed
	}
	return nil
}
