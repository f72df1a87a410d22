package ledger

import (
	"errors"
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

// charged returns where the check under a name is counted that was approved before records said so.
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

// mayBeCharged reports whether charged may say where the entry at an index is counted. Of one that says so itself it could only free what
// another reserved.
func mayBeCharged(r Reader, index int64) (bool, error) {
	counts, told, err := getMetaUint(r, metaCounts)
	return err == nil && (!told || uint64(index) < counts), err
}

// conclude notes what a node's report of its check does to what that check reserved. A signature is believed also after the
// word that there is none: what has moved counts.
func (d *decision) conclude(how Conclusion) error {
	if how != ConcludedSigned && how != ConcludedNotSigned || d.record.Action != wire.Approve {
		return nil
	}
	counts, err := d.counted()
	if err != nil || len(counts) == 0 {
		return err
	}
	before, err := concludedAs(d.tx, d.ask)
	if err != nil {
		return err
	}
	effect := EffectUsed
	switch {
	case before == EffectReleased && how == ConcludedSigned:
		effect = EffectUsedLate
	case before != 0:
		return nil
	case how == ConcludedNotSigned:
		effect = EffectReleased
	}
	for _, c := range counts {
		v, err := d.getReservation(c.Series, c.Anchor)
		if err != nil {
			return err
		}
		if v.approved == 0 && effect != EffectUsedLate {
			return fmt.Errorf("%w: a check is counted under a reservation that is missing", ErrDamaged)
		}
		c.Effect, c.Added = effect, new(big.Int)
		if effect != EffectUsedLate {
			c.Amount = new(big.Int)
		} else if more := new(big.Int).Sub(c.Amount, &v.amount); more.Sign() > 0 {
			c.Added = more
		}
		d.record.Counts, d.held = append(d.record.Counts, c), append(d.held, held{&v, d.sums.of(c.Series)})
	}
	return nil
}

// counted returns what the check that the ask reports about has counted; nothing if its record is no longer kept.
func (d *decision) counted() ([]Count, error) {
	check := askName(d.ask.Node, wire.PathCheck, d.ask.CallbackID, false)
	rec, err := decisionNamed(d.tx, check)
	if err != nil || rec == nil || rec.Action != wire.Approve {
		return nil, err
	}
	if len(rec.Counts) > 0 {
		return rec.Counts, nil
	}
	// A check that was approved before records said what they count: the first final word about it stands.
	older, err := mayBeCharged(d.tx, rec.Index)
	if err != nil || !older {
		return nil, err
	}
	places, err := charged(d.tx, check)
	if err != nil || len(places) == 0 {
		return nil, err
	}
	var out []Count
	for _, at := range places {
		out = append(out, Count{Series: at.series, Anchor: at.anchor, Amount: new(big.Int)})
	}
	return out, d.tx.Delete(bucketCharged, check[:])
}

// concludedAs is what reports about a check have done so far; 0 for nothing.
func concludedAs(r Reader, a Ask) (Effect, error) {
	var out Effect
	for _, name := range []Hash{
		askName(a.Node, wire.PathOutcome, a.CallbackID, false), askName(a.Node, wire.PathRawdata, a.CallbackID, false),
		askName(a.Node, wire.PathOutcome, a.CallbackID, true),
	} {
		rec, err := decisionNamed(r, name)
		if err != nil {
			return 0, err
		}
		if rec == nil || len(rec.Counts) == 0 {
			continue
		}
		if e := rec.Counts[0].Effect; out == 0 || out == EffectReleased {
			out = e
		}
	}
	return out, nil
}

// decisionNamed returns what was decided under a name; nil if nothing was, or its record is no longer kept.
func decisionNamed(r Reader, name Hash) (*Record, error) {
	k, ok, err := getKnown(r, name[:])
	if err != nil || !ok {
		return nil, err
	}
	rec, err := k.decision(r, name)
	if errors.Is(err, ErrExpired) {
		return nil, nil
	}
	return rec, err
}
