package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/countersign-mpc/countersign/auditlog"
)

// accounts holds what the windows stand on against the log: the reservations and bindings that the entries make, followed
// from the first entry that is kept, against those that are stored. It goes over the log as often as it must for its part of
// them to fit into memory.
type accounts struct {
	*verification
	from  int64     // the first entry that says what it counted and is kept
	since time.Time // its time; zero if from is 0
	next  int64     // the next entry to follow
	pass  int       // of passes, which part of the anchors and names this is
	of    int

	untold error // why it cannot be told which entry is the first that says what it counted

	reservations map[chargedPlace]*account
	bindings     map[Hash]*boundAccount
	older        int // reservations and bindings that rest on entries that are not kept
	lost         int // entries of this pass that cannot be read, which are reported by themselves
	unsettled    int // reservations and bindings that such entries may explain
}

// account is a reservation as the log has it.
type account struct {
	reservation
	last int64 // the last entry that counted there
	seen bool
}

type boundAccount struct {
	value Hash
	entry int64
	seen  bool
}

// accountsPerPass bounds how many entries are followed in one pass, by their memory.
const accountsPerPass = 200_000

// accounts checks reservations and bindings against the log, and then the windows against the reservations.
func (v *verification) accounts(ctx context.Context) error {
	a := &accounts{verification: v, of: 1}
	if err := v.view(ctx, a.begin); err != nil {
		return err
	}
	if a.untold != nil {
		v.report.Add("from which entry on what is counted is told: %v", a.untold)
		v.report.Note("reservations and bindings against the entries: from which on these tell what they count cannot be read")
	}
	for a.pass = range a.of {
		a.next, a.lost, a.reservations, a.bindings = a.from, 0, map[chargedPlace]*account{}, map[Hash]*boundAccount{}
		for _, step := range []func(context.Context) error{a.follow, a.storedReservations, a.storedBindings, a.missing} {
			if err := step(ctx); err != nil {
				return err
			}
		}
	}
	if a.older > 0 {
		v.report.Note("%d reservations and bindings rest on entries before entry %d, which are not kept or do not say what they count: "+
			"of them only what came later was checked", a.older, a.from)
	}
	if a.unsettled > 0 {
		v.report.Note("%d reservations and bindings that entries which cannot be read may explain", a.unsettled)
	}
	return v.windows(ctx)
}

// begin finds where to begin.
func (a *accounts) begin(r Reader) error {
	size, err := a.log.Size(r)
	if err != nil {
		return err
	}
	floor, _, err := getMetaUint(r, metaFloor)
	counts, ok, countsErr := getMetaUint(r, metaCounts)
	if err == nil || countsErr != nil && !errors.Is(countsErr, ErrDamaged) {
		err = countsErr
	}
	switch {
	case errors.Is(err, ErrDamaged):
		a.untold = err
		counts = uint64(size)
	case err != nil:
		return err
	case !ok:
		counts = uint64(size)
	}
	a.from = int64(min(max(floor, counts), uint64(size)))
	a.of = int((size-a.from)/accountsPerPass) + 1
	for i := a.from; a.from > 0 && i < size; i++ { // the first that can be read tells the time
		rec, err := a.decisionAt(r, i)
		if err == nil && rec != nil {
			a.since = rec.Time
			return nil
		}
		if err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, auditlog.ErrDamaged) {
			return err
		}
	}
	return nil
}

// mine reports whether a hash is of this pass.
func (a *accounts) mine(h Hash) bool { return int(h[0])*a.of>>8 == a.pass }

// follow goes on to the log's end as it is now, a chunk a transaction.
func (a *accounts) follow(ctx context.Context) error {
	for done := false; !done; {
		err := a.view(ctx, func(r Reader) error {
			size, err := a.log.Size(r)
			if err != nil {
				return err
			}
			end := min(size, a.next+verifyAccounts)
			done = end == size
			return a.followTo(r, end)
		})
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
	}
	return nil
}

// verifyAccounts is how many entries are followed in one transaction.
const verifyAccounts = 512

func (a *accounts) followTo(r Reader, end int64) error {
	for ; a.next < end; a.next++ {
		rec, err := a.decisionAt(r, a.next)
		if errors.Is(err, ErrDamaged) || errors.Is(err, auditlog.ErrDamaged) || errors.Is(err, ErrNotFound) {
			a.lost++ // it was reported
			continue
		}
		if err != nil {
			return err
		}
		if rec != nil {
			a.take(rec)
		}
	}
	return nil
}

// take follows one decision.
func (a *accounts) take(rec *Record) {
	for _, c := range rec.Counts {
		if !a.mine(c.Anchor) {
			continue
		}
		at := chargedPlace{c.Series, c.Anchor}
		x := a.reservations[at]
		if x == nil {
			x = &account{}
			a.reservations[at] = x
		}
		if x.over() {
			x.reservation = reservation{}
		}
		x.apply(nil, &c, rec.Time)
		x.last = a.next
	}
	for _, b := range rec.Bound {
		if a.mine(b.Name) && a.bindings[b.Name] == nil {
			a.bindings[b.Name] = &boundAccount{value: b.Value, entry: a.next}
		}
	}
}

// now follows what was decided since, within a transaction whose state is to be checked.
func (a *accounts) now(r Reader) error {
	size, err := a.log.Size(r)
	if err != nil {
		return err
	}
	return a.followTo(r, size)
}

func (a *accounts) storedReservations(ctx context.Context) error {
	return a.sweep(ctx, bucketReservation, func(r Reader, key, value []byte) error {
		if len(key) != 2*len(Hash{}) {
			return fmt.Errorf("%w: a reservation is stored under a key that is none", ErrDamaged)
		}
		at := chargedPlace{Hash(key[:32]), Hash(key[32:])}
		if !a.mine(at.anchor) {
			return nil
		}
		if err := a.now(r); err != nil {
			return err
		}
		v, err := parseReservation(value)
		if err != nil {
			return fmt.Errorf("reservation %s: %w", at, err)
		}
		a.compare(at, &v)
		return a.parts(r, at, &v)
	})
}

// String names a reservation.
func (p chargedPlace) String() string {
	return "of series " + p.series.String()[:16] + " at anchor " + p.anchor.String()[:16]
}

// compare holds a stored reservation against what the log says of it.
func (a *accounts) compare(at chargedPlace, v *reservation) {
	x := a.reservations[at]
	if x != nil {
		x.seen = true
	}
	switch {
	case x != nil && bytes.Equal(x.appendTo(nil), v.appendTo(nil)) && !x.over():
	case a.from > 0 && (x == nil || x.approved < v.approved || len(x.parts) < len(v.parts)) && a.rests(x, v):
		a.older++
	case a.lost > 0:
		a.unsettled++
	case x == nil || x.over():
		a.report.Add("the reservation %s is not explained by any entry", at)
	default:
		a.report.Add("the reservation %s is not what the entries up to entry %d make of it", at, x.last)
	}
}

// rests reports whether a stored reservation may rest on entries that are not kept: what it says of later times is what the
// entries say.
func (a *accounts) rests(x *account, v *reservation) bool {
	if a.since.IsZero() || x != nil && x.over() {
		return true
	}
	later := func(parts []part) (out []part) {
		for _, p := range parts {
			if p.at.After(a.since) {
				out = append(out, p)
			}
		}
		return out
	}
	var told []part
	if x != nil {
		told = later(x.parts)
	}
	return slices.EqualFunc(later(v.parts), told, func(s, t part) bool { return s.at.Equal(t.at) && s.amount.Cmp(t.amount) == 0 })
}

func (a *accounts) storedBindings(ctx context.Context) error {
	return a.sweep(ctx, bucketBinding, func(r Reader, key, value []byte) error {
		if len(key) != len(Hash{}) || len(value) != 1+len(Hash{}) || value[0] != bindingVersion {
			return fmt.Errorf("%w: a binding is not readable", ErrDamaged)
		}
		name := Hash(key)
		if !a.mine(name) {
			return nil
		}
		if err := a.now(r); err != nil {
			return err
		}
		x := a.bindings[name]
		switch {
		case x != nil && x.value == Hash(value[1:]):
			x.seen = true
		case x != nil:
			x.seen = true
			a.report.Add("the name %s is bound to other content than entry %d says", name.String()[:16], x.entry)
		case a.from > 0:
			a.older++
		case a.lost > 0:
			a.unsettled++
		default:
			a.report.Add("the name %s is bound, and no entry says so", name.String()[:16])
		}
		return nil
	})
}

// missing looks for what the log says and the store does not have.
func (a *accounts) missing(ctx context.Context) error {
	unseen := map[chargedPlace]bool{}
	for at, x := range a.reservations {
		if !x.seen {
			unseen[at] = true
		}
	}
	return a.view(ctx, func(r Reader) error {
		if err := a.now(r); err != nil {
			return err
		}
		for _, at := range slices.SortedFunc(maps.Keys(unseen), func(p, q chargedPlace) int { return bytes.Compare(p.anchor[:], q.anchor[:]) }) {
			x := a.reservations[at]
			there, err := a.there(r, bucketReservation, reservationKey(at.series, at.anchor))
			if err != nil {
				return err
			}
			if !there && !x.over() && !(a.from > 0 && x.released > 0) {
				a.report.Add("the reservation %s that entry %d made is missing", at, x.last)
			}
		}
		for name, x := range a.bindings {
			there, err := a.there(r, bucketBinding, name[:])
			if err != nil {
				return err
			}
			if !there {
				a.report.Add("entry %d bound the name %s, and that is missing", x.entry, name.String()[:16])
			}
		}
		return nil
	})
}

// there reports whether there is a value. One that cannot be read is there, and is named with its bucket.
func (a *accounts) there(r Reader, bucket string, key []byte) (bool, error) {
	v, err := r.Get(bucket, key)
	if !errors.Is(err, ErrDamaged) {
		return v != nil, err
	}
	if !a.named[bucket] {
		a.report.Add("%s: %v", bucket, err)
	}
	a.named[bucket] = true
	return true, nil
}
