package ledger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/countersign-mpc/countersign/auditlog"
)

// Config is what New needs.
type Config struct {
	Store Store
	Clock Clock // nil: the store's clock where it has one (Timed), and else SystemClock
	// Origin names the log in its checkpoints, such as "callback.example.com/countersign". It cannot be changed later.
	Origin string
	// LogKey signs the checkpoints; its origin must be Origin. nil: a key made at the first start and kept in the store,
	// where whoever has the file has the key.
	LogKey *auditlog.Key
}

func (c *Config) validate() error {
	if c.Store == nil {
		return fmt.Errorf("%w ledger configuration: a store is needed", ErrInvalid)
	}
	if c.Origin == "" {
		return fmt.Errorf("%w ledger configuration: an origin is needed, a name for the log such as \"callback.example.com/countersign\"", ErrInvalid)
	}
	if c.LogKey != nil && c.LogKey.Origin() != c.Origin {
		return fmt.Errorf("%w ledger configuration: the log's key is of origin %q, and the configured origin is %q", ErrInvalid, c.LogKey.Origin(), c.Origin)
	}
	return nil
}

// Ledger decides, records and proves. Safe for concurrent use.
type Ledger struct {
	store  Store
	log    *auditlog.Log
	keeper *timekeeper
	sums   sumCache
	lately lately
	signed atomic.Int64 // ledger's time of the last checkpoint made by Decide, in Unix nanoseconds
	grown  growth
}

// New opens the ledger in cfg.Store. It checks that the log is what its newest checkpoint was signed for and that it
// belongs to the configured key; Verify checks everything.
func New(ctx context.Context, cfg Config) (*Ledger, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	own := cfg.Clock != nil
	if !own {
		cfg.Clock = SystemClock()
	}
	key, err := logKey(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open the ledger: %w", err)
	}
	log, err := auditlog.New(key)
	if err != nil {
		return nil, fmt.Errorf("open the ledger: %w", err)
	}
	l := &Ledger{store: cfg.Store, log: log}
	err = l.view(ctx, func(r Reader) error {
		if err := log.Quick(r); err != nil {
			return err
		}
		recorded, err := recordedTime(r)
		if err != nil {
			return err
		}
		if size, err := log.Size(r); err != nil {
			return err
		} else if size > 0 && recorded.IsZero() {
			return fmt.Errorf("%w: it has %d entries and no time of the last", ErrDamaged, size)
		} else {
			l.grown.saw(size)
		}
		wall, err := wallOf(r, cfg.Clock, own)
		if err != nil {
			return err
		}
		l.keeper = newTimekeeper(cfg.Clock, own, wall, recorded)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("open the ledger: %w", err)
	}
	return l, nil
}

// The keys in bucketMeta.
var (
	metaTime   = []byte("time")   // version, time of the last entry in Unix nanoseconds
	metaPublic = []byte("public") // version, the log's public key
	metaSecret = []byte("secret") // version, the log's key, where the store keeps it
	metaFloor  = []byte("floor")  // version, index of the first entry that retention has left
	metaCounts = []byte("counts") // version, index of the first entry that says what it counted
)

const metaVersion = 1

// logKey returns the configured key, or the stored one, and ties the log to it at the first start.
func logKey(ctx context.Context, cfg Config) (*auditlog.Key, error) {
	var key *auditlog.Key
	err := cfg.Store.Update(ctx, func(tx Tx) error {
		public, err := getMeta(tx, metaPublic)
		if err != nil {
			return err
		}
		key, err = chooseKey(tx, cfg, public == nil)
		if err != nil {
			return err
		}
		if err := beginCounts(tx); err != nil {
			return err
		}
		if public == nil {
			return putMeta(tx, metaPublic, []byte(key.Public()))
		}
		if string(public) != key.Public() {
			return fmt.Errorf("the log was begun with the key %s, and the one given is %s: give the key (and origin) that it was begun with", public, key.Public())
		}
		return nil
	})
	return key, err
}

func chooseKey(tx Tx, cfg Config, first bool) (*auditlog.Key, error) {
	if cfg.LogKey != nil {
		return cfg.LogKey, nil
	}
	stored, err := getMeta(tx, metaSecret)
	if err != nil {
		return nil, err
	}
	if stored != nil {
		return auditlog.ParseKey(stored)
	}
	if !first {
		return nil, fmt.Errorf("%w ledger configuration: the log was begun with a key in a file: give that file", ErrInvalid)
	}
	key, err := auditlog.GenerateKey(cfg.Origin)
	if err != nil {
		return nil, err
	}
	return key, putMeta(tx, metaSecret, key.Marshal())
}

// beginCounts notes from where on entries say what they counted: not those of a program before that.
func beginCounts(tx Tx) error {
	_, begun, err := getMetaUint(tx, metaCounts)
	if err != nil || begun {
		return err
	}
	size, err := (&auditlog.Log{}).Size(tx)
	if err != nil {
		return err
	}
	return putMetaUint(tx, metaCounts, uint64(size))
}

func getMeta(r Reader, key []byte) ([]byte, error) {
	v, err := r.Get(bucketMeta, key)
	if err != nil || v == nil {
		return nil, err
	}
	if len(v) < 2 || v[0] != metaVersion {
		return nil, fmt.Errorf("%w: meta value %s is of an unknown version", ErrDamaged, key)
	}
	return v[1:], nil
}

func putMeta(tx Tx, key, value []byte) error {
	return tx.Put(bucketMeta, key, append([]byte{metaVersion}, value...))
}

func getMetaUint(r Reader, key []byte) (uint64, bool, error) {
	v, err := getMeta(r, key)
	if err != nil || v == nil {
		return 0, false, err
	}
	if len(v) != 8 {
		return 0, false, fmt.Errorf("%w: meta value %s is not a number", ErrDamaged, key)
	}
	return binary.BigEndian.Uint64(v), true, nil
}

func putMetaUint(tx Tx, key []byte, value uint64) error {
	return tx.Put(bucketMeta, key, binary.BigEndian.AppendUint64(append(make([]byte, 0, 9), metaVersion), value))
}

// recordedTime is the time of the last entry; the zero time if there is none.
func recordedTime(r Reader) (time.Time, error) {
	n, ok, err := getMetaUint(r, metaTime)
	if err != nil || !ok {
		return time.Time{}, err
	}
	return time.Unix(0, int64(n)).UTC(), nil
}

// view and update run fn in a transaction and make a damaged log an ErrDamaged of this package.
func (l *Ledger) view(ctx context.Context, fn func(Reader) error) error {
	return damaged(l.store.View(ctx, fn))
}

func (l *Ledger) update(ctx context.Context, fn func(Tx) error) error {
	return l.updateSized(ctx, func(tx Tx) (int64, error) {
		if err := fn(tx); err != nil {
			return 0, err
		}
		return l.log.Size(tx)
	})
}

// updateSized is update with a function that tells the size of the log as it leaves it. An update of a log that has become smaller fails:
// see growth.
func (l *Ledger) updateSized(ctx context.Context, fn func(Tx) (int64, error)) error {
	if err := l.grown.fault(); err != nil {
		return err
	}
	var size int64
	err := l.store.Update(ctx, func(tx Tx) (err error) {
		if size, err = fn(tx); err != nil {
			return err
		}
		return l.grown.check(size)
	})
	if err != nil {
		return damaged(err)
	}
	l.grown.saw(size)
	return nil
}

func damaged(err error) error {
	if errors.Is(err, auditlog.ErrDamaged) && !errors.Is(err, ErrDamaged) {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return err
}

// append records an entry: it puts it in the log and where it is found by its id, and moves the recorded time. It returns its index
// and its id.
func (l *Ledger) append(tx Tx, e Entry) (index int64, name id, err error) {
	return l.appendTo(tx, &auditlog.Tail{}, e)
}

// appendTo is append to a log of whose end something may be known.
func (l *Ledger) appendTo(tx Tx, tail *auditlog.Tail, e Entry) (index int64, name id, err error) {
	room := roomFor(e.size())
	defer room.release()
	if err := room.write(e); err != nil {
		return 0, name, err
	}
	key := room.entry()[entryHead:][:len(name):len(name)]
	name = id(key)
	if index, err = l.log.AppendTo(tx, tail, key, room.entry()); err != nil {
		return 0, name, err
	}
	if err := l.grown.check(index); err != nil { // what it had before
		return 0, name, err
	}
	if err := tx.Put(bucketRecord, key, room.value(index)); err != nil {
		return 0, name, err
	}
	if err := putMetaUint(tx, metaTime, uint64(e.Time().UnixNano())); err != nil {
		return 0, name, err
	}
	return index, name, l.checkpointNow(tx, e.Time())
}

// checkpointEvery bounds how long an entry stays without a signature over it while there are further entries.
const checkpointEvery = time.Second

// checkpointNow signs the log if the last checkpoint is old.
func (l *Ledger) checkpointNow(tx Tx, now time.Time) error {
	last := time.Unix(0, l.signed.Load())
	if now.Sub(last).Abs() < checkpointEvery {
		return nil
	}
	if _, err := l.log.Checkpoint(tx); err != nil {
		return err
	}
	l.signed.Store(now.UnixNano())
	return nil
}
