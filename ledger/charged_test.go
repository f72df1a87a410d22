package ledger_test

import (
	"context"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/ledger/ledgertest"
	"github.com/countersign-mpc/countersign/ledger/memstore"
	"github.com/countersign-mpc/countersign/wire"
)

// TestChargedByAnother: a check whose entry says that it counted nothing frees nothing, whatever was put beside it. One of before entries
// said what they count frees what is stored so.
func TestChargedByAnother(t *testing.T) {
	for name, older := range map[string]bool{"of today": false, "of before": true} {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			x := &tampered{t: t, store: memstore.New()}
			x.l = ledgertest.MustOpen(t, x.store, ledgertest.NewClock())
			ledgertest.MustDecide(t, x.l, ledgertest.Ask("mine", "body"), ledgertest.Verdict(wire.Approve, nil))
			name := x.first("ask", anyKey)
			_, err := x.l.Decide(ctx, ledgertest.Spending("other", "other", 10), ledgertest.Within(20), ledgertest.Reply)
			must(t, err)
			at := x.first("reservation", anyKey)
			x.put("charged", name, append([]byte{1, 0, 0, 0, 1}, at...))
			if older {
				x.put("meta", []byte("counts"), binary.BigEndian.AppendUint64([]byte{1}, 1))
			}
			report, v := ledgertest.Ask("mine", "outcome"), ledgertest.Verdict(wire.Approve, nil)
			report.Path, v.Concluded = wire.PathOutcome, ledger.ConcludedNotSigned
			if _, err := x.l.Decide(ctx, report, ledgertest.Give(v), ledgertest.Reply); err != nil {
				t.Fatal(err)
			}
			res, err := x.l.Decide(ctx, ledgertest.Spending("third", "third", 15), ledgertest.Within(20), ledgertest.Reply)
			if err != nil && !errors.Is(err, ledger.ErrDamaged) {
				t.Fatal(err)
			}
			if freed := err == nil && res.Action == wire.Approve; freed != older {
				t.Errorf("%s, %v: freed %v, want %v", res.Action, err, freed, older)
			}
		})
	}
}
