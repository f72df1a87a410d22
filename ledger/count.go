package ledger

import (
	"fmt"
	"math/big"
	"time"
)

// Effect is what a decision did to a reservation.
type Effect byte

// The effects. They stand in the log, so that windows can be held against it.
const (
	EffectReserved Effect = 1 // an approved check is counted
	EffectUsed     Effect = 2 // it was signed
	EffectReleased Effect = 3 // it was not signed: of all checks counted there, one less is open
	EffectUsedLate Effect = 4 // it was signed after it had been reported as not signed: it is counted again
)

// String is the effect's name.
func (e Effect) String() string {
	switch e {
	case EffectReserved:
		return "reserved"
	case EffectUsed:
		return "used"
	case EffectReleased:
		return "released"
	case EffectUsedLate:
		return "used after all"
	}
	return fmt.Sprintf("effect %d", byte(e))
}

// Count is what a decision counted in one series.
type Count struct {
	Series Hash   `json:"series"`
	Anchor Hash   `json:"anchor"`
	Effect Effect `json:"effect"`
	// Amount is the whole of what the check is about, Added by how much the series grew: less, where another execution was
	// counted at the same anchor. Both are set where the series grows: EffectReserved and EffectUsedLate.
	Amount *big.Int `json:"amount"`
	Added  *big.Int `json:"added"`
}

// Bound is a name and what was bound to it.
type Bound struct {
	Name  Hash `json:"name"`
	Value Hash `json:"value"`
}

func (e *encoder) counts(counts []Count) {
	e.u32(uint32(len(counts)))
	for _, c := range counts {
		e.hash(c.Series)
		e.hash(c.Anchor)
		e.u8(byte(c.Effect))
		e.amount(c.Amount)
		e.amount(c.Added)
	}
}

func (d *decoder) counts() []Count {
	var out []Count
	for range d.count(73) {
		c := Count{Series: d.hash(), Anchor: d.hash(), Effect: Effect(d.u8()), Amount: d.amount(), Added: d.amount()}
		if c.Effect < EffectReserved || c.Effect > EffectUsedLate {
			d.fail("an effect is not known")
		}
		out = append(out, c)
	}
	return out
}

// amountSize is how many bytes encoder.amount writes.
func amountSize(n *big.Int) int { return 4 + (n.BitLen()+7)/8 }

// amount writes an unsigned number behind its length.
func (e *encoder) amount(n *big.Int) {
	size := (n.BitLen() + 7) / 8
	e.u32(uint32(size))
	at := len(e.b)
	e.b = append(e.b, make([]byte, size)...)
	n.FillBytes(e.b[at:])
}

// amount reads an unsigned number without leading zeros.
func (d *decoder) amount() *big.Int {
	n := new(big.Int)
	d.amountTo(n)
	return n
}

func (d *decoder) amountTo(n *big.Int) {
	b := d.field()
	if len(b) > 0 && b[0] == 0 {
		d.fail("a number begins with zero")
	}
	n.SetBytes(b)
}

func (e *encoder) bounds(bounds []Bound) {
	e.u32(uint32(len(bounds)))
	for _, b := range bounds {
		e.hash(b.Name)
		e.hash(b.Value)
	}
}

func (d *decoder) bounds() []Bound {
	var out []Bound
	for range d.count(64) {
		out = append(out, Bound{d.hash(), d.hash()})
	}
	return out
}

// moved is by how much the sums of a series change that an entry at a moment is in; nil is not at all.
type moved struct {
	at             time.Time
	used, reserved *big.Int
}

func (m *moved) addTo(s *sum) {
	if m.used != nil {
		s.used.Add(&s.used, m.used)
	}
	if m.reserved != nil {
		s.reserved.Add(&s.reserved, m.reserved)
	}
}

// apply makes of a reservation what it is after a decision at a time, and appends what that changes in the series. It is all
// that a reservation follows from.
func (v *reservation) apply(out []moved, c *Count, now time.Time) []moved {
	switch c.Effect {
	case EffectReserved:
		v.approved++
		return v.add(out, c.Added, now)
	case EffectUsedLate:
		v.approved++
		out = v.add(out, c.Added, now)
		v.signed = true
	case EffectUsed:
		v.signed = true
	case EffectReleased:
		v.released++
	}
	switch {
	case v.signed:
		return v.use(out)
	case v.over():
		return v.release(out)
	}
	return out
}

// over reports whether nothing of it is counted any more: none of its executions happened, and none can.
func (v *reservation) over() bool { return !v.signed && v.released == v.approved }

func (v *reservation) add(out []moved, amount *big.Int, now time.Time) []moved {
	if amount.Sign() == 0 {
		return out
	}
	if n := len(v.parts); n > 0 && v.parts[n-1].at.Equal(now) && !v.parts[n-1].signed { // one entry of the series, one part
		v.parts[n-1].amount = new(big.Int).Add(v.parts[n-1].amount, amount)
	} else {
		v.parts = append(v.parts, part{at: now, amount: amount})
	}
	v.amount.Add(&v.amount, amount)
	return append(out, moved{at: now, reserved: amount})
}

// use moves what is reserved to what is used: one of the executions happened, and which one is not asked.
func (v *reservation) use(out []moved) []moved {
	for i, p := range v.parts {
		if p.signed {
			continue
		}
		out = append(out, moved{at: p.at, used: p.amount, reserved: new(big.Int).Neg(p.amount)})
		v.parts[i].signed = true
	}
	return out
}

// release takes everything back.
func (v *reservation) release(out []moved) []moved {
	for _, p := range v.parts {
		out = append(out, moved{at: p.at, reserved: new(big.Int).Neg(p.amount)})
	}
	v.parts = nil
	v.amount.SetUint64(0)
	return out
}

// held is a reservation that a decision counts at, as it is before, and what is known of its series.
type held struct {
	reservation *reservation
	sums        *seriesSums
}

// count writes what the decision counted.
func (d *decision) count() error {
	for i := range d.record.Counts {
		c, v, known := &d.record.Counts[i], d.held[i].reservation, d.held[i].sums
		fresh := len(v.parts) == 0 // each part of the reservation is an entry of the series, and each entry such a part
		moves := v.apply(d.moves[:0], c, d.now)
		for i := range moves {
			m := &moves[i]
			if err := d.change(known, c, m, fresh && i == 0); err != nil {
				return err
			}
			known.changed(m)
		}
		if err := d.putReservation(c.Series, c.Anchor, v); err != nil {
			return err
		}
	}
	for _, b := range d.record.Bound {
		begin := len(d.values)
		d.values = append(append(d.values, bindingVersion), b.Value[:]...)
		if err := d.tx.Put(bucketBinding, append(d.key[:0], b.Name[:]...), d.values.from(begin)); err != nil {
			return err
		}
	}
	return nil
}
