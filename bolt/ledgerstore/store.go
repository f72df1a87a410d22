package ledgerstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/countersign-mpc/countersign/bolt/boltfile"
	"github.com/countersign-mpc/countersign/internal/groupcommit"
	"github.com/countersign-mpc/countersign/ledger"
)

// Config is what Open needs.
type Config struct {
	Path        string        // the file; made with mode 0600 if it is not there
	ReadOnly    bool          // the file is there, and stays as it is, byte for byte; updates fail
	OpenTimeout time.Duration // how long to wait for a file that another process holds; 0: boltfile.DefaultOpenTimeout
}

// format is the version record of the file (docs/FORMATS.md, bolt/ledgerstore). A file of a version before lacks the buckets
// that were added since; it gets them when it is opened. One of version 6 lacks none, but no entry in it is packed.
const format = "countersign ledger in bbolt, version 7"

func earlier() map[string][]string {
	sixth := []string{bucketTracks, bucketSpace}
	fifth := append([]string{bucketCommits}, sixth...)
	fourth := append([]string{bucketJournal}, fifth...)
	third := append([]string{"revision", "activation", "proposal", "shadow"}, fourth...)
	return map[string][]string{
		"countersign ledger in bbolt, version 6": {},
		"countersign ledger in bbolt, version 5": sixth,
		"countersign ledger in bbolt, version 4": fifth,
		"countersign ledger in bbolt, version 3": fourth,
		"countersign ledger in bbolt, version 2": third,
		"countersign ledger in bbolt, version 1": append([]string{"attachment", "window", "reservation", "charged", "binding"}, third...),
	}
}

// Store is a ledger.Store in a bbolt file. Safe for concurrent use.
type Store struct {
	file *boltfile.File

	readOnly bool

	queue   *groupcommit.Queue[func(ledger.Tx) error]
	numbers map[string]byte // of the buckets in the journal
	turn    int             // turnKeys

	coming   atomic.Int64  // updates that are on their way
	patience time.Duration // patience

	undoMu sync.Mutex // held while calls run, and while what has run is undone; it comes before the others

	undo []undo // of the one that runs calls: kept for the next

	groupMu    sync.Mutex // guards the fields below; it comes before seenMu
	open       *group     // what runs now is in it
	spare      space      // for the next one
	running    bool       // calls run
	committing bool       // a group is committed; what belongs to the one that commits may be used
	still      sync.Cond  // committing has become false

	foldMu sync.Mutex // guards the fields below, and who writes a transaction; it comes before seenMu and trackMu
	order  order
	moved  arena  // for what is moved
	key    []byte // of what is moved

	// guards the fields below, which the one that commits and the one that moves keys change and who begins to read needs; nobody
	// asks for it who reads the file (runSome)
	seenMu    sync.RWMutex
	front     *layer  // what was changed since the last turn
	back      *layer  // what is on its way into the buckets; nil for nothing
	folding   folding // how far that is
	committed uint64  // number of the last group that is on disk

	// What follows belongs to the one that commits.
	arena  arena
	turned uint64                    // number of the first group of the front layer, where none of its groups is in a track yet; 0: one is, or there was no turn
	behind struct{ keys, bytes int } // what was changed since a part of the back layer was moved
	late   bool                      // the layers were turned, and there are no tracks yet
	track  int                       // into which groups are written

	beside  sync.WaitGroup // those that move a part of the back layer beside the one that commits: one at most
	besides atomic.Bool    // there is one

	trackMu sync.Mutex // guards the fields below, and who writes a track
	tracks  []*track   // none in a file in which little happens
	copying int        // copies of the file that are made: no track is written then

	trackSize int
	looking   looks
}

var (
	_ ledger.Store    = (*Store)(nil)
	_ ledger.Expecter = (*Store)(nil)
)

// Open opens or makes the file. It fails if another process holds it, if it is of another version or not a ledger, and
// if it is damaged as far as can be told without reading it whole; the error says what to do.
func Open(cfg Config) (*Store, error) { return open(cfg, turnKeys, trackBytes) }

func open(cfg Config, turn, trackSize int) (*Store, error) {
	file, err := boltfile.Open(boltfile.Config{
		Path: cfg.Path, ReadOnly: cfg.ReadOnly, OpenTimeout: cfg.OpenTimeout, Format: format, Buckets: buckets(), Apart: []string{bucketCommits}, InPlace: bucketSpace,
		Place: covered, Earlier: earlier(),
	})
	if err != nil {
		return nil, fmt.Errorf("open the ledger's file: %w", damage(err))
	}
	s := &Store{file: file, readOnly: cfg.ReadOnly, numbers: numbers(), turn: turn, trackSize: trackSize, patience: patience}
	s.queue = groupcommit.New(maxBatch, s.runBatch)
	s.still.L = &s.groupMu
	if err := s.load(); err != nil {
		return nil, fmt.Errorf("open the ledger's file: %w", errors.Join(damage(err), file.Close()))
	}
	return s, nil
}

// load takes up what a process before has left in the journal.
func (s *Store) load() error {
	if err := s.openTracks(); err != nil {
		return err
	}
	t, err := s.file.Begin(context.Background(), false)
	if err != nil {
		return err
	}
	left, f, err := s.readJournal(t)
	s.folding, s.committed = f, f.end-1
	s.open, s.front = &group{number: f.end}, newLayer(nil)
	if keys, _ := left.size(); keys > 0 {
		s.back = left
	}
	for i, t := range s.tracks {
		if t.last > s.tracks[s.track].last {
			s.track = i
		}
	}
	if err == nil && !s.readOnly && len(s.tracks) > 0 {
		err = s.tracks[s.track].renew()
	}
	return errors.Join(err, t.Rollback())
}

// covered is bucket, length of the key, key: a value's checksum covers it (docs/FORMATS.md, bolt/ledgerstore).
func covered(b []byte, bucket string, key []byte) []byte {
	b = binary.BigEndian.AppendUint32(append(b, bucket...), uint32(len(key)))
	return append(b, key...)
}

// Close waits for running updates and closes the file. No call may follow or still run.
func (s *Store) Close() error {
	err := s.queue.Alone(func() error {
		s.groupMu.Lock()
		defer s.groupMu.Unlock()
		s.quiet()
		s.beside.Wait()
		if !s.readOnly {
			_ = s.settle() // what stays in the journal is as safe there
		}
		return s.file.Close()
	})
	if err != nil {
		return fmt.Errorf("close the ledger's file: %w", damage(err))
	}
	return nil
}

// Check reads the whole file: every value with its checksum, every page as bbolt knows it, and the list of free pages. It
// tells whether the file is whole, and ledger.Verify whether it says what was recorded. It takes time in proportion to the
// file's size; updates wait for it where they do not go into a track.
func (s *Store) Check(ctx context.Context) error {
	err := s.file.Check(ctx)
	if err == nil {
		err = s.checkTracks()
	}
	if err != nil {
		return fmt.Errorf("check the ledger's file: %w", classify(err))
	}
	return nil
}

// View implements ledger.Store.
func (s *Store) View(ctx context.Context, fn func(ledger.Reader) error) (err error) {
	r, err := s.read(ctx, false)
	if err != nil {
		return classify(err)
	}
	defer func() { // also when fn panics
		if rerr := r.end(); rerr != nil {
			err = classify(rerr)
		}
	}()
	return outcome(r.tx, fn(r))
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
