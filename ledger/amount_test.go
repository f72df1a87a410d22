package ledger_test

import (
	"context"
	"fmt"
	"math/big"
	"testing"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/ledger/ledgertest"
	"github.com/countersign-mpc/countersign/ledger/memstore"
	"github.com/countersign-mpc/countersign/wire"
)

// TestLargeAmounts: windows are exact for amounts of every size, and what an evaluation was shown stays what it was.
func TestLargeAmounts(t *testing.T) {
	l := ledgertest.MustOpen(t, memstore.New(), ledgertest.NewClock())
	total := new(big.Int)
	var shown, want []*big.Int
	for i, bits := range []uint{1, 63, 64, 65, 127, 128, 129, 191, 192, 193, 255, 256, 511, 512, 1, 64} {
		a := ledgertest.Spending(fmt.Sprint("cb-", i), fmt.Sprint("anchor-", i), 0)
		a.Execution.Charges[0].Amount.Sub(new(big.Int).Lsh(big.NewInt(1), bits), big.NewInt(1))
		before := new(big.Int).Set(total)
		total.Add(total, a.Execution.Charges[0].Amount)
		_, err := l.Decide(context.Background(), a, func(_ context.Context, s ledger.State) (ledger.Verdict, error) {
			for _, w := range s.Windows {
				shown = append(shown, w.Reserved, w.After, w.Used)
				want = append(want, before, new(big.Int).Set(total), new(big.Int))
			}
			return ledgertest.Verdict(wire.Approve, nil), nil
		}, ledgertest.Reply)
		must(t, err)
	}
	for i := range want {
		if shown[i].Cmp(want[i]) != 0 {
			t.Errorf("number %d of those shown is %s, want %s", i, shown[i], want[i])
		}
	}
	if report, err := l.Verify(context.Background()); err != nil || !report.OK() {
		t.Errorf("%v %q", err, report.Problems)
	}
}
