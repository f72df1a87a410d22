package ledger

import (
	"fmt"
	"math/big"
	"time"

	"github.com/countersign-mpc/countersign/wire"
)

// RuleExecution is the rule under which the ledger rejects another content under a name that was approved.
const RuleExecution = "ledger.execution"

// A reservation is what the executions at one anchor count in one series. Of all that share the anchor at most one can
// happen, so the largest amount that was approved is enough for all of them; and since an execution is counted at one of
// its anchors, the amounts of all anchors together cover every set of executions that can happen side by side.
type reservation struct {
	amount   *big.Int // the sum of parts
	parts    []part
	signed   bool // one of its executions was reported as signed
	approved uint32
	released uint32 // of the approved asks, how many were reported as not signed
}

// part is an entry of the series.
type part struct {
	at     time.Time
	amount *big.Int
	signed bool // it is in the sum of what is used
}

const reservationVersion = 1

func (v *reservation) marshal() []byte {
	e := encoder{b: make([]byte, 0, 16+48*len(v.parts))}
	e.u8(reservationVersion)
	e.bool(v.signed)
	e.u32(v.approved)
	e.u32(v.released)
	e.u32(uint32(len(v.parts)))
	for _, p := range v.parts {
		e.time(p.at)
		e.bool(p.signed)
		e.amount(p.amount)
	}
	return e.b
}

func parseReservation(b []byte) (*reservation, error) {
	d := decoder{b: b}
	if d.u8() != reservationVersion {
		d.fail("its version is not known")
	}
	v := &reservation{amount: new(big.Int), signed: d.bool(), approved: d.u32(), released: d.u32()}
	for range d.count(13) {
		p := part{at: d.time(), signed: d.bool(), amount: d.amount()}
		v.parts = append(v.parts, p)
		v.amount.Add(v.amount, p.amount)
	}
	return v, d.done("a reservation")
}

func reservationKey(series, anchor Hash) []byte {
	return append(series[:len(series):len(series)], anchor[:]...)
}

// getReservation returns the reservation of a series at an anchor; an empty one if there is none.
func getReservation(r Reader, series, anchor Hash) (*reservation, error) {
	v, err := r.Get(bucketReservation, reservationKey(series, anchor))
	if err != nil {
		return nil, fmt.Errorf("read a reservation: %w", err)
	}
	if v == nil {
		return &reservation{amount: new(big.Int)}, nil
	}
	return parseReservation(v)
}

// putReservation stores a reservation, or removes one of which nothing is counted any more.
func putReservation(tx Tx, series, anchor Hash, v *reservation) error {
	key := reservationKey(series, anchor)
	if v.over() {
		return tx.Delete(bucketReservation, key)
	}
	return tx.Put(bucketReservation, key, v.marshal())
}

// pending is a charge of the ask, ready to be written if the ask is approved.
type pending struct {
	series      Hash
	anchor      Hash
	reservation *reservation
	amount      *big.Int // of the charge
	more        *big.Int // what an Approve adds
}

// charges finds for each series the anchor at which the ask adds least, and what each window would show.
func (d *decision) charges() ([]WindowState, error) {
	if d.ask.Execution == nil {
		return nil, nil
	}
	var states []WindowState
	for _, c := range d.ask.Execution.Charges {
		p, err := d.cheapest(c)
		if err != nil {
			return nil, err
		}
		d.pending = append(d.pending, p)
		for _, w := range c.Windows {
			s, err := sumOver(d.tx, d.sums, p.series, w.Period, d.now)
			if err != nil {
				return nil, fmt.Errorf("read window %s: %w", w.ID, err)
			}
			after := new(big.Int).Add(&s.used, &s.reserved)
			states = append(states, WindowState{ID: w.ID, Series: c.Series, Used: &s.used, Reserved: &s.reserved, After: after.Add(after, p.more)})
		}
	}
	return states, nil
}

func (d *decision) cheapest(c Charge) (pending, error) {
	best := pending{series: seriesKey(c.Series), amount: c.Amount}
	for _, anchor := range d.ask.Execution.Anchors {
		v, err := getReservation(d.tx, best.series, anchor)
		if err != nil {
			return pending{}, err
		}
		if best.reservation == nil || v.amount.Cmp(best.reservation.amount) > 0 {
			best.anchor, best.reservation = anchor, v
		}
	}
	best.more = new(big.Int).Sub(c.Amount, best.reservation.amount)
	if best.more.Sign() < 0 {
		best.more.SetInt64(0)
	}
	return best, nil
}

// bound rejects an ask that gives a name another content than the one that was approved, or that comes too late to be about it.
func (d *decision) bound() error {
	if d.ask.Execution == nil || d.record.Action == wire.Reject {
		return nil
	}
	for _, b := range d.ask.Execution.Bindings {
		v, err := d.tx.Get(bucketBinding, b.Name[:])
		if err != nil {
			return fmt.Errorf("read what %s is bound to: %w", b.What, err)
		}
		if v != nil && string(v) != string(append([]byte{bindingVersion}, b.Value[:]...)) {
			d.reject(RuleExecution, b.What+" was approved with other content: a new payment needs a new name")
			return nil
		}
	}
	for _, p := range d.pending {
		if first := p.reservation.parts; d.ask.Execution.Within > 0 && len(first) > 0 && d.now.Sub(first[0].at) > d.ask.Execution.Within {
			d.reject(RuleExecution, fmt.Sprintf("it was first approved on %s, more than %s ago: what is asked for now needs a new name",
				first[0].at.UTC().Format(time.DateTime), d.ask.Execution.Within))
			return nil
		}
	}
	return nil
}

const bindingVersion = 1

// reserve notes what an approved ask counts and binds.
func (d *decision) reserve() {
	if d.ask.Execution == nil || d.record.Action != wire.Approve {
		return
	}
	for _, b := range d.ask.Execution.Bindings {
		d.record.Bound = append(d.record.Bound, Bound{b.Name, b.Value})
	}
	for _, p := range d.pending {
		d.record.Counts = append(d.record.Counts, Count{Series: p.series, Anchor: p.anchor, Effect: EffectReserved, Amount: p.amount, Added: p.more})
		d.held = append(d.held, p.reservation)
	}
}
