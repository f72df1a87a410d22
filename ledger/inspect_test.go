package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/auditlog"
	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/ledger/ledgertest"
	"github.com/countersign-mpc/countersign/ledger/memstore"
	"github.com/countersign-mpc/countersign/wire"
)

// TestInspect: a ledger is verified without its key, and against checkpoints that were kept elsewhere.
func TestInspect(t *testing.T) {
	ctx := context.Background()
	key, err := auditlog.GenerateKey(ledgertest.Origin)
	must(t, err)
	// grow makes a ledger under the key, with decisions about n asks, and returns its newest checkpoint.
	grow := func(prefix string, n int) (*memstore.Store, []byte) {
		store := memstore.New()
		l, err := ledger.New(ctx, ledger.Config{Store: store, Clock: ledgertest.NewClock(), Origin: ledgertest.Origin, LogKey: key})
		must(t, err)
		var kept []byte
		for i := range n {
			ledgertest.MustDecide(t, l, ledgertest.Ask(fmt.Sprint(prefix, i), "body"), ledgertest.Verdict(wire.Approve, nil))
			if i == 4 {
				kept, err = l.Checkpoint(ctx)
				must(t, err)
			}
		}
		_, err = l.Checkpoint(ctx)
		must(t, err)
		return store, kept
	}
	store, kept := grow("cb-", 12)
	another, _ := grow("other-", 12)
	short, _ := grow("cb-", 3)
	report, public, err := ledger.Inspect(ctx, ledger.Inspection{Store: store, Public: key.Public(), Kept: [][]byte{kept, kept}})
	must(t, err)
	if !report.OK() || public != key.Public() || fmt.Sprint(report.Kept) != "[5 5]" || report.Size != 12 {
		t.Errorf("under %s: %+v", public, report)
	}
	for name, test := range map[string]struct {
		in   ledger.Inspection
		want string
	}{
		"another log under the key": {ledger.Inspection{Store: another, Kept: [][]byte{kept}}, "entries 0 to 4: not what the checkpoint kept elsewhere over 5"},
		"a log cut short":           {ledger.Inspection{Store: short, Kept: [][]byte{kept}}, "entries 3 to 4: missing: the checkpoint kept elsewhere is over 5"},
		"an altered checkpoint":     {ledger.Inspection{Store: store, Kept: [][]byte{bytes.Replace(kept, []byte("\n5\n"), []byte("\n6\n"), 1)}}, "is not one of this log"},
	} {
		report, _, err := ledger.Inspect(ctx, test.in)
		must(t, err)
		if len(report.Problems) != 1 || !strings.Contains(report.Problems[0].String(), test.want) || len(report.Kept) != 0 {
			t.Errorf("%s: %q, want %q", name, report.Problems, test.want)
		}
	}
	other, err := auditlog.GenerateKey(ledgertest.Origin)
	must(t, err)
	for name, in := range map[string]ledger.Inspection{
		"another key": {Store: store, Public: other.Public()}, "an empty store": {Store: memstore.New()},
	} {
		if _, _, err := ledger.Inspect(ctx, in); !errors.Is(err, ledger.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := ledger.Inspect(ctx, ledger.Inspection{}); !errors.Is(err, ledger.ErrInvalid) {
		t.Errorf("without a store: %v", err)
	}
}

// TestDamageIsNamedOnce: one record that is gone or altered is one problem.
func TestDamageIsNamedOnce(t *testing.T) {
	for name, change := range map[string]func(v []byte) []byte{
		"gone":      func([]byte) []byte { return nil },
		"altered":   func(v []byte) []byte { return bytes.Replace(v, []byte("cb-5"), []byte("CB-5"), 1) },
		"not a one": func(v []byte) []byte { return v[:3] },
	} {
		t.Run(name, func(t *testing.T) {
			x := newTampered(t)
			x.edit("record", func(k, v []byte) []byte {
				if fmt.Sprintf("%x", k) == x.ids[5] {
					return change(v)
				}
				return v
			})
			report, err := x.l.Verify(context.Background())
			must(t, err)
			if len(report.Problems) != 1 || report.Problems[0].Index != 5 {
				t.Errorf("problems %q, want one of entry 5", report.Problems)
			}
		})
	}
}
