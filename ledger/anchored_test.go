package ledger_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/ledger/ledgertest"
	"github.com/countersign-mpc/countersign/ledger/memstore"
	"github.com/countersign-mpc/countersign/wire"
)

// stored returns a value of a store.
func stored(t testing.TB, s ledger.Store, bucket string, key []byte) (value []byte) {
	t.Helper()
	must(t, s.View(context.Background(), func(r ledger.Reader) (err error) {
		value, err = r.Get(bucket, key)
		return err
	}))
	return value
}

// both is an ask that is counted in two series at one anchor.
func both(callbackID, anchor string, spent, times int64) ledger.Ask {
	a := ledgertest.Spending(callbackID, anchor, spent)
	a.Execution.Charges = append(a.Execution.Charges, ledger.Charge{Series: "times", Amount: big.NewInt(times)})
	return a
}

// TestAnchored: what is counted at an anchor is one value, of which a decision changes what it is about, and which goes with the last of it.
func TestAnchored(t *testing.T) {
	s, clock := memstore.New(), ledgertest.NewClock()
	l := ledgertest.MustOpen(t, s, clock)
	anchor := sha256.Sum256([]byte("A"))
	approve := ledgertest.Verdict(wire.Approve, nil)
	ledgertest.MustDecide(t, l, both("both", "A", 258, 1), approve)
	at := hex.EncodeToString(big.NewInt(ledgertest.Epoch.UnixNano()).Bytes())
	spent, times := ledger.SeriesKey("spent").String(), ledger.SeriesKey("times").String()
	const one, two = "01" + "00" + "00000001" + "00000000" + "00000001", "01" + "00" + "00000002" + "00000000" + "00000001"
	wants := func(want string) {
		t.Helper()
		if got := hex.EncodeToString(stored(t, s, "reservation", anchor[:])); got != want {
			t.Errorf("it is\n%s, want\n%s", got, want)
		}
	}
	wants("02" + "00000002" +
		spent + "0000001d" + one + at + "00" + "00000002" + "0102" +
		times + "0000001c" + one + at + "00" + "00000001" + "01")
	ledgertest.MustDecide(t, l, ledgertest.Spending("one", "A", 200), approve) // of which nothing is counted anew
	wants("02" + "00000002" +
		spent + "0000001d" + two + at + "00" + "00000002" + "0102" +
		times + "0000001c" + one + at + "00" + "00000001" + "01")
	conclude := func(id string) {
		a := ledgertest.Ask(id, "outcome of "+id)
		a.Path = wire.PathOutcome
		v := ledgertest.Verdict(wire.Approve, nil)
		v.Concluded = ledger.ConcludedNotSigned
		ledgertest.MustDecide(t, l, a, v)
	}
	conclude("both") // the other may be signed
	wants("02" + "00000001" + spent + "0000001d" + "01" + "00" + "00000002" + "00000001" + "00000001" + at + "00" + "00000002" + "0102")
	conclude("one")
	if v := stored(t, s, "reservation", anchor[:]); v != nil {
		t.Errorf("%x is left", v)
	}
	report, err := l.Verify(context.Background())
	must(t, err)
	if !report.OK() {
		t.Errorf("%q", report.Problems)
	}
}

// TestForms: a ledger goes on in the form it was begun in, and one of a form that is not known is not opened.
func TestForms(t *testing.T) {
	public := func(s ledger.Store) []byte { return stored(t, s, "meta", []byte("public")) }
	put := func(s ledger.Store, v []byte) {
		must(t, s.Update(context.Background(), func(tx ledger.Tx) error { return tx.Put("meta", []byte("public"), v) }))
	}
	forget := func(s ledger.Store) {
		must(t, s.Update(context.Background(), func(tx ledger.Tx) error { return tx.Delete("meta", []byte("public")) }))
	}
	for want, open := range map[byte]func(testing.TB, ledger.Store, ledger.Clock) *ledger.Ledger{1: ledgertest.MustOpenOlder, 2: ledgertest.MustOpen} {
		s, clock := memstore.New(), ledgertest.NewClock()
		ledgertest.MustDecide(t, open(t, s, clock), ledgertest.Spending("cb", "A", 1), ledgertest.Verdict(wire.Approve, nil))
		forget(s) // what there is tells it
		ledgertest.MustOpen(t, s, clock)
		if got := public(s)[0]; got != want {
			t.Errorf("form %d, want %d", got, want)
		}
	}
	s := memstore.New()
	ledgertest.MustOpen(t, s, nil)
	for _, form := range []byte{0, 3} {
		put(s, append([]byte{form}, public(s)[1:]...))
		if _, err := ledger.New(context.Background(), ledger.Config{Store: s, Origin: ledgertest.Origin}); !errors.Is(err, ledger.ErrDamaged) || !strings.Contains(err.Error(), "unknown version") {
			t.Errorf("form %d: %v", form, err)
		}
	}
}
