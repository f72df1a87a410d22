package ledger

import (
	"fmt"
	"math/big"

	"github.com/countersign-mpc/countersign/wire"
)

// Conclusion is how the signing ended that an approved check was for, as its node reported.
type Conclusion string

// The conclusions. Only ConcludedNotSigned can free what was reserved; anything else, and nothing, keeps it.
const (
	ConcludedSigned    Conclusion = wire.OutcomeSigned
	ConcludedNotSigned Conclusion = wire.OutcomeNotSigned
	ConcludedUnknown   Conclusion = wire.OutcomeUnknown
)

const chargedVersion = 1

// chargedPlace is where an approved ask is counted.
type chargedPlace struct{ series, anchor Hash }

// charged returns where the check under a name is counted; nothing if it is not, or not any more.
func charged(r Reader, check Hash) ([]chargedPlace, error) {
	v, err := r.Get(bucketCharged, check[:])
	if err != nil || v == nil {
		return nil, err
	}
	d := decoder{b: v}
	if d.u8() != chargedVersion {
		d.fail("its version is not known")
	}
	var out []chargedPlace
	for range d.count(64) {
		out = append(out, chargedPlace{d.hash(), d.hash()})
	}
	return out, d.done("where an approval is counted")
}

// conclude applies what a node reports of its check to what that check reserved. The first final word about a check stands:
// what it was counted for is forgotten with it.
func (d *decision) conclude(how Conclusion) error {
	if how != ConcludedSigned && how != ConcludedNotSigned || d.record.Action != wire.Approve {
		return nil
	}
	check := askName(d.ask.Node, wire.PathCheck, d.ask.CallbackID)
	places, err := charged(d.tx, check)
	if err != nil {
		return fmt.Errorf("read where the check is counted: %w", err)
	}
	for _, at := range places {
		if err := d.concludeAt(at, how); err != nil {
			return err
		}
	}
	if len(places) == 0 {
		return nil
	}
	return d.tx.Delete(bucketCharged, check[:])
}

func (d *decision) concludeAt(at chargedPlace, how Conclusion) error {
	v, err := getReservation(d.tx, at.series, at.anchor)
	if err != nil {
		return err
	}
	if v.approved == 0 {
		return fmt.Errorf("%w: a check is counted under a reservation that is missing", ErrDamaged)
	}
	if how == ConcludedSigned {
		v.signed = true
	} else {
		v.released++
	}
	switch {
	case v.signed:
		err = d.use(at, v)
	case v.released == v.approved:
		err = d.release(at, v)
	}
	if err != nil {
		return err
	}
	key := reservationKey(at.series, at.anchor)
	if !v.signed && v.released == v.approved {
		return d.tx.Delete(bucketReservation, key)
	}
	return d.tx.Put(bucketReservation, key, v.marshal())
}

// use moves what is reserved to what is used: one of the executions happened, and which one is not asked.
func (d *decision) use(at chargedPlace, v *reservation) error {
	for i, p := range v.parts {
		if p.signed {
			continue
		}
		by := &sum{}
		by.used.Set(p.amount)
		by.reserved.Neg(p.amount)
		if err := change(d.tx, at.series, at.anchor, p.at, by); err != nil {
			return err
		}
		v.parts[i].signed = true
	}
	return nil
}

// release takes everything back: none of the executions happened, and none can any more.
func (d *decision) release(at chargedPlace, v *reservation) error {
	for _, p := range v.parts {
		by := &sum{}
		by.reserved.Neg(p.amount)
		if err := change(d.tx, at.series, at.anchor, p.at, by); err != nil {
			return err
		}
	}
	v.parts, v.amount = nil, new(big.Int)
	return nil
}
