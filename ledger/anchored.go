package ledger

import (
	"encoding/binary"
	"fmt"
)

// form is how a ledger keeps its reservations. It is chosen when a ledger is begun, for as long as there is that ledger, and stands
// before its public key.
type form byte

const (
	formSeries form = 1 // each reservation is a value of its own; of ledgers that were begun before there was another form
	formAnchor form = 2 // all reservations at an anchor are one value, as they are read and written together
)

// getPublic returns the log's public key and the ledger's form; nil if no ledger was begun.
func getPublic(r Reader) ([]byte, form, error) {
	v, err := r.Get(bucketMeta, metaPublic)
	if err != nil || v == nil {
		return nil, formSeries, err
	}
	if f := form(v[0]); len(v) >= 2 && (f == formSeries || f == formAnchor) {
		return v[1:], f, nil
	}
	return nil, 0, fmt.Errorf("%w: meta value %s is of an unknown version", ErrDamaged, metaPublic)
}

// putPublic begins a ledger. If the store has reservations nevertheless, it has the form of these.
func putPublic(tx Tx, public string) (form, error) {
	f := formAnchor
	err := tx.Scan(bucketReservation, nil, nil, false, func(key, _ []byte) (bool, error) {
		if len(key) != len(Hash{}) {
			f = formSeries
		}
		return false, nil
	})
	if err != nil {
		return 0, err
	}
	return f, tx.Put(bucketMeta, metaPublic, append([]byte{byte(f)}, public...))
}

// anchored is the reservations at an anchor.
type anchored struct {
	anchor Hash
	read   bool // what follows was read, in formAnchor
	list   []atAnchor
	space  [2]atAnchor // for the first of list
	change bool
}

// atAnchor is the reservation of one series at an anchor.
type atAnchor struct {
	series Hash
	value  []byte       // as it is stored; nil for one that is not
	now    *reservation // what it becomes; nil: it stays
}

const (
	anchoredVersion = 2
	anchoredHead    = 1 + 4           // bytes before the first reservation
	atAnchorHead    = len(Hash{}) + 4 // and before each
)

func (a *anchored) parse(b []byte) error {
	d := decoder{b: b}
	if d.u8() != anchoredVersion {
		d.fail("its version is not known")
	}
	a.list = a.space[:0]
	for range d.count(atAnchorHead) {
		series := d.hash()
		if a.of(series) != nil {
			d.fail("a series is there twice")
		}
		a.list = append(a.list, atAnchor{series: series, value: d.field()})
	}
	if len(a.list) == 0 {
		d.fail("it is empty")
	}
	return d.done("the reservations at an anchor")
}

// of returns the reservation of a series; nil if there is none.
func (a *anchored) of(series Hash) *atAnchor {
	for i := range a.list {
		if a.list[i].series == series {
			return &a.list[i]
		}
	}
	return nil
}

// set says what a reservation becomes.
func (a *anchored) set(series Hash, v *reservation) {
	x := a.of(series)
	if x == nil {
		if a.list == nil {
			a.list = a.space[:0]
		}
		a.list = append(a.list, atAnchor{series: series})
		x = &a.list[len(a.list)-1]
	}
	x.now, a.change = v, true
}

// kept is how many of the reservations are stored: not one of which nothing is counted any more.
func (a *anchored) kept() int {
	n := 0
	for i := range a.list {
		if x := &a.list[i]; x.now == nil || !x.now.over() {
			n++
		}
	}
	return n
}

func (a *anchored) appendTo(b []byte) []byte {
	e := encoder{b: b}
	e.u8(anchoredVersion)
	e.u32(uint32(a.kept()))
	for i := range a.list {
		switch x := &a.list[i]; {
		case x.now == nil:
			e.hash(x.series)
			e.bytes(x.value)
		case !x.now.over():
			e.hash(x.series)
			at := len(e.b)
			e.u32(0)
			e.b = x.now.appendTo(e.b)
			binary.BigEndian.PutUint32(e.b[at:], uint32(len(e.b)-at-4))
		}
	}
	return e.b
}

// at is the number of an anchor among those of the decision.
func (d *decision) at(anchor Hash) int {
	for i := range d.anchors {
		if d.anchors[i].anchor == anchor {
			return i
		}
	}
	d.anchors = append(d.anchors, anchored{anchor: anchor})
	return len(d.anchors) - 1
}

// getReservation returns the reservation of a series at an anchor of the decision; an empty one if there is none.
func (d *decision) getReservation(series Hash, at int) (reservation, error) {
	a := &d.anchors[at]
	key := a.anchor[:]
	if d.ledger.form == formSeries {
		key = appendReservationKey(d.key[:0], series, a.anchor)
	} else if a.read {
		return a.reservation(series)
	}
	v, err := d.tx.Get(bucketReservation, key)
	if err != nil {
		return reservation{}, fmt.Errorf("read a reservation: %w", err)
	}
	if d.ledger.form == formSeries {
		if v == nil {
			return reservation{}, nil
		}
		return parseReservation(v)
	}
	if v != nil {
		if err := a.parse(v); err != nil {
			return reservation{}, err
		}
	}
	a.read = true
	return a.reservation(series)
}

// reservation is that of a series, as it is stored; an empty one if none is.
func (a *anchored) reservation(series Hash) (reservation, error) {
	x := a.of(series)
	if x == nil {
		return reservation{}, nil
	}
	return parseReservation(x.value)
}

// putReservation stores what a reservation becomes, or removes one of which nothing is counted any more. In formAnchor putAnchors does.
func (d *decision) putReservation(series Hash, at int, v *reservation) error {
	a := &d.anchors[at]
	if d.ledger.form != formSeries {
		a.set(series, v)
		return nil
	}
	key := appendReservationKey(d.key[:0], series, a.anchor)
	if v.over() {
		return d.tx.Delete(bucketReservation, key)
	}
	begin := len(d.values)
	d.values = v.appendTo(d.values)
	return d.tx.Put(bucketReservation, key, d.values.from(begin))
}

// putAnchors stores what has changed at anchors.
func (d *decision) putAnchors() error {
	for i := range d.anchors {
		a := &d.anchors[i]
		if !a.change {
			continue
		}
		if a.kept() == 0 {
			if err := d.tx.Delete(bucketReservation, a.anchor[:]); err != nil {
				return err
			}
			continue
		}
		begin := len(d.values)
		d.values = a.appendTo(d.values)
		if err := d.tx.Put(bucketReservation, a.anchor[:], d.values.from(begin)); err != nil {
			return err
		}
	}
	return nil
}
