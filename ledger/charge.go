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
	amount   big.Int // the sum of parts
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

func (v *reservation) appendTo(b []byte) []byte {
	e := encoder{b: b}
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

func parseReservation(b []byte) (reservation, error) {
	d := decoder{b: b}
	if d.u8() != reservationVersion {
		d.fail("its version is not known")
	}
	v := reservation{signed: d.bool(), approved: d.u32(), released: d.u32()}
	for range d.count(13) {
		p := part{at: d.time(), signed: d.bool(), amount: d.amount()}
		v.parts = append(v.parts, p)
		v.amount.Add(&v.amount, p.amount)
	}
	return v, d.done("a reservation")
}

func reservationKey(series, anchor Hash) []byte {
	return appendReservationKey(make([]byte, 0, 2*len(series)), series, anchor)
}

func appendReservationKey(b []byte, series, anchor Hash) []byte {
	return append(append(b, series[:]...), anchor[:]...)
}

// getReservation returns the reservation of a series at an anchor; an empty one if there is none.
func (d *decision) getReservation(series, anchor Hash) (reservation, error) {
	v, err := d.tx.Get(bucketReservation, appendReservationKey(d.key[:0], series, anchor))
	if err != nil {
		return reservation{}, fmt.Errorf("read a reservation: %w", err)
	}
	if v == nil {
		return reservation{}, nil
	}
	return parseReservation(v)
}

// putReservation stores a reservation, or removes one of which nothing is counted any more.
func (d *decision) putReservation(series, anchor Hash, v *reservation) error {
	key := appendReservationKey(d.key[:0], series, anchor)
	if v.over() {
		return d.tx.Delete(bucketReservation, key)
	}
	begin := len(d.values)
	d.values = v.appendTo(d.values)
	return d.tx.Put(bucketReservation, key, d.values.from(begin))
}

// pending is a charge of the ask, ready to be written if the ask is approved.
type pending struct {
	series      Hash
	anchor      Hash
	reservation reservation
	sums        *seriesSums
	amount      *big.Int // of the charge
	more        big.Int  // what an Approve adds
	part        [1]part  // space for the first of the reservation
	words       [2 * roomWords]big.Word
}

// roomWords is the room that numbers are given beforehand, which is enough for 128 bits and the sum of two.
const roomWords = 3

// room gives a number that is zero the n'th part of some words, which it leaves if it needs more.
func room(number *big.Int, words []big.Word, n int) {
	number.SetBits(words[n*roomWords : n*roomWords : (n+1)*roomWords])
}

// shown is the numbers of a window.
type shown struct {
	used, reserved, after big.Int
	words                 [3 * roomWords]big.Word
}

func (s *shown) set(now *sum, more *big.Int) {
	for i, n := range []*big.Int{&s.used, &s.reserved, &s.after} {
		room(n, s.words[:], i)
	}
	s.used.Set(&now.used)
	s.reserved.Set(&now.reserved)
	s.after.Add(&s.used, &s.reserved)
	s.after.Add(&s.after, more)
}

// charges finds for each series the anchor at which the ask adds least, and what each window would show.
func (d *decision) charges() ([]WindowState, error) {
	if d.ask.Execution == nil {
		return nil, nil
	}
	charges, windows := d.ask.Execution.Charges, 0
	for i := range charges {
		windows += len(charges[i].Windows)
	}
	states, numbers := make([]WindowState, 0, windows), make([]shown, windows)
	d.pending = resized(d.pending, len(charges))
	for i := range charges {
		c, p := &charges[i], &d.pending[i]
		if err := d.cheapest(c, p); err != nil {
			return nil, err
		}
		for _, w := range c.Windows {
			s, err := sumOver(d.tx, p.sums, p.series, w.Period, d.now)
			if err != nil {
				return nil, fmt.Errorf("read window %s: %w", w.ID, err)
			}
			n := &numbers[len(states)]
			n.set(s, &p.more)
			states = append(states, WindowState{ID: w.ID, Series: c.Series, Used: &n.used, Reserved: &n.reserved, After: &n.after})
		}
	}
	return states, nil
}

func (d *decision) cheapest(c *Charge, best *pending) error {
	best.series, best.amount = d.sums.key(c.Series), c.Amount
	best.sums = d.sums.of(best.series)
	for i, anchor := range d.ask.Execution.Anchors {
		v, err := d.getReservation(best.series, anchor)
		if err != nil {
			return err
		}
		if i == 0 || v.amount.Cmp(&best.reservation.amount) > 0 {
			best.anchor, best.reservation = anchor, v
		}
	}
	if best.reservation.amount.Sign() == 0 {
		room(&best.reservation.amount, best.words[:], 0)
	}
	room(&best.more, best.words[:], 1)
	if best.more.Sub(c.Amount, &best.reservation.amount).Sign() < 0 {
		best.more.SetUint64(0)
	}
	return nil
}

// bound rejects an ask that gives a name another content than the one that was approved, or that comes too late to be about it.
func (d *decision) bound() error {
	if d.ask.Execution == nil || d.record.Action == wire.Reject {
		return nil
	}
	for _, b := range d.ask.Execution.Bindings {
		v, err := d.tx.Get(bucketBinding, append(d.key[:0], b.Name[:]...))
		if err != nil {
			return fmt.Errorf("read what %s is bound to: %w", b.What, err)
		}
		if v != nil && (len(v) != 1+len(b.Value) || v[0] != bindingVersion || Hash(v[1:]) != b.Value) {
			d.reject(RuleExecution, b.What+" was approved with other content: a new payment needs a new name")
			return nil
		}
	}
	for i := range d.pending {
		if first := d.pending[i].reservation.parts; d.ask.Execution.Within > 0 && len(first) > 0 && d.now.Sub(first[0].at) > d.ask.Execution.Within {
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
	if bindings := d.ask.Execution.Bindings; len(bindings) > 0 {
		d.bounds = resized(d.bounds, len(bindings))
		for i, b := range bindings {
			d.bounds[i] = Bound{b.Name, b.Value}
		}
		d.record.Bound = d.bounds
	}
	if len(d.pending) == 0 {
		return
	}
	d.counts, d.held = resized(d.counts, len(d.pending)), resized(d.held, len(d.pending))
	for i := range d.pending {
		p := &d.pending[i]
		if p.reservation.parts == nil {
			p.reservation.parts = p.part[:0]
		}
		d.counts[i] = Count{Series: p.series, Anchor: p.anchor, Effect: EffectReserved, Amount: p.amount, Added: &p.more}
		d.held[i] = held{&p.reservation, p.sums}
	}
	d.record.Counts = d.counts
}
