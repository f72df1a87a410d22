package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/countersign-mpc/countersign/wire"
	"github.com/countersign-mpc/countersign/wire/label"
)

// lookup is an ask, and what was found of it among what was decided before.
type lookup struct {
	ledger   *Ledger
	ask      Ask
	mayAmend bool    // it may amend the one before of its name
	first    Hash    // its name, as long as it does not
	name     Hash    // its name
	callback indexed // by its callback_id
	found    bool    // it was decided before, with this result
	result   Result
}

func newLookup(l *Ledger, a Ask) *lookup {
	u := &lookup{ledger: l, ask: a, mayAmend: a.Amends, callback: indexedBy(a.CallbackID)}
	u.ask.Amends = false
	u.first = u.ask.name()
	return u
}

// look looks for what was decided.
func (u *lookup) look(r Reader) error {
	u.ask.Amends, u.name = false, u.first
	err := u.recorded(r)
	if u.mayAmend && errors.Is(err, ErrConflict) {
		if err = mayFollow(r, u.first, err); err != nil {
			return err
		}
		u.ask.Amends = true
		u.name = u.ask.name()
		err = u.recorded(r)
	}
	return err
}

// recorded finds the reply to an ask, of this name, that was decided before.
func (u *lookup) recorded(r Reader) error {
	u.found, u.result = false, Result{}
	k, ok, err := getKnown(r, u.name[:])
	if err != nil || !ok {
		return err
	}
	u.ledger.lately.note(u.name)
	if k.body != u.ask.BodyHash {
		return ErrConflict
	}
	rec, err := k.decision(r, u.name)
	if err != nil {
		return err
	}
	u.found, u.result = true, Result{Reply: rec.Reply, Replayed: true, ID: rec.ID, Action: rec.Action}
	return nil
}

// mayFollow returns conflict unless an ask that conflicts with the one before of its name may follow it: that one said that nothing
// was signed.
func mayFollow(r Reader, name Hash, conflict error) error {
	before, err := decisionNamed(r, name)
	if err != nil {
		return err
	}
	if before == nil || len(before.Counts) == 0 || before.Counts[0].Effect != EffectReleased {
		return conflict
	}
	return nil
}

// reallyNew looks for a decision about an ask by another way than its name: a store that lost the name must not make it
// decided twice. Retention removes this second trace, not the first.
func (d *decision) reallyNew() error {
	from, to := d.callback.key(d.key[:0], 0), after(d.key[32:32], d.callback[:])
	return d.tx.Scan(bucketCallback, from, to, false, func(key, _ []byte) (bool, error) {
		index, err := indexOf(key)
		if err != nil {
			return false, err
		}
		rec, err := d.ledger.decisionAt(d.tx, index)
		if err == nil && rec != nil && rec.Ask.name() == d.name {
			err = fmt.Errorf("%w: this callback_id was decided as %s, and its name is lost: verify the log", ErrDamaged, rec.ID)
		}
		return true, err
	})
}

// answer is what Decide returns.
func (u *lookup) answer(err error) (Result, error) {
	if err != nil {
		return Result{}, fmt.Errorf("decide %s %s: %w", u.ask.Path, u.ask.CallbackID, err)
	}
	u.ledger.lately.note(u.first)
	return u.result, nil
}

// lately remembers names of asks that were decided lately: who asks again is answered after a look at what is durable, and takes no
// turn among those who write. Nothing else depends on it, so that it may forget a name for another. Safe for concurrent use.
type lately [1 << 15]atomic.Uint64

func (l *lately) of(name Hash) (place *atomic.Uint64, start uint64) {
	start = binary.BigEndian.Uint64(name[:]) // names are hashes
	return &l[start%uint64(len(l))], start
}

func (l *lately) note(name Hash) {
	place, start := l.of(name)
	place.Store(start)
}

func (l *lately) has(name Hash) bool {
	place, start := l.of(name)
	return place.Load() == start
}

// name is under what the ask is known: a hash, so that ids can be kept for ever and of one length.
func (a *Ask) name() Hash { return askName(a.Node, a.Path, a.CallbackID, a.Amends) }

func askName(node string, path wire.Path, callbackID string, amends bool) Hash {
	var space [512]byte // a node's id alone has some 250
	b := append(space[:0], beginAsk...)
	b = label.Field(label.Field(label.Field(b, node), string(path)), callbackID)
	if amends {
		b = label.Field(b, "amends")
	}
	return sha256.Sum256(b)
}

// known is what is kept of an ask for ever.
type known struct {
	body   Hash
	record id
	action wire.Action
}

const (
	askVersion = 1
	knownSize  = 1 + len(Hash{}) + len(id{}) + 1
)

func (k *known) appendTo(b []byte) []byte {
	b = append(append(b, askVersion), k.body[:]...)
	return append(append(b, k.record[:]...), actionCode(k.action))
}

func getKnown(r Reader, name []byte) (known, bool, error) {
	v, err := r.Get(bucketAsk, name)
	if err != nil {
		return known{}, false, fmt.Errorf("look up the callback_id: %w", err)
	}
	if v == nil {
		return known{}, false, nil
	}
	d := decoder{b: v}
	if d.u8() != askVersion {
		d.fail("its version is not known")
	}
	k := known{body: d.hash(), record: id(d.take(16)), action: d.action()}
	return k, true, d.done("a callback_id's record")
}

// decision returns the record of what is known under a name, held against it; ErrExpired if it is no longer kept.
func (k *known) decision(r Reader, name Hash) (*Record, error) {
	_, e, err := getEntry(r, k.record)
	if errors.Is(err, ErrNotFound) {
		return nil, fmt.Errorf("%w: the record of a decided callback_id is missing", ErrDamaged)
	}
	if err != nil {
		return nil, err
	}
	if rec := e.Decision; rec != nil && rec.Ask.name() == name && rec.Ask.BodyHash == k.body && rec.Action == k.action {
		return rec, nil
	}
	return nil, fmt.Errorf("%w: the record %s of a callback_id is of something else", ErrDamaged, k.record)
}

// indexed stands for a callback_id or request_id in the keys under which entries are found by it.
type indexed [indexText]byte

// indexText is how many bytes of the hash of the text an index key has.
const indexText = 16

func indexedBy(text string) indexed {
	var space [256]byte
	h := sha256.Sum256(label.Field(append(space[:0], beginIndex...), text))
	return indexed(h[:indexText])
}

// key appends the key of the entry at an index of the log.
func (x indexed) key(b []byte, index int64) []byte {
	return binary.BigEndian.AppendUint64(append(b, x[:]...), uint64(index))
}

func indexKey(text string, index int64) []byte { return indexedBy(text).key(nil, index) }

func indexOf(key []byte) (int64, error) {
	if len(key) != indexText+8 {
		return 0, fmt.Errorf("%w: an index key has %d bytes", ErrDamaged, len(key))
	}
	return int64(binary.BigEndian.Uint64(key[indexText:])), nil
}
