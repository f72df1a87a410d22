package ledgertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/wire"
)

// testLongEntries: entries of any length, decided at once and some of them called off, are read back as they were written: each has its
// own memory.
func testLongEntries(t *testing.T, s ledger.Store) {
	l := MustOpen(t, s, NewClock())
	const workers, each = 4, 40
	inputs := make([]map[string]json.RawMessage, workers) // by ids
	var wg sync.WaitGroup
	for w := range workers {
		inputs[w] = map[string]json.RawMessage{}
		wg.Go(func() {
			for i := range each {
				v := Verdict(wire.Approve, nil)
				v.Input = longInput(w, i)
				ctx, cancel := context.WithCancel(context.Background())
				if i%7 == 3 {
					cancel()
				}
				res, err := l.Decide(ctx, Ask(fmt.Sprintf("long-%d-%d", w, i), "body"), Give(v), Reply)
				cancel()
				switch {
				case err == nil:
					inputs[w][res.ID] = v.Input
				case !errors.Is(err, context.Canceled):
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	number := 0
	for w := range workers {
		for id, want := range inputs[w] {
			rec, err := l.Decision(context.Background(), id)
			if err != nil || string(rec.Input) != string(want) {
				t.Errorf("worker %d, decision %s: an input of %d bytes (%v), want that of %d bytes", w, id, len(rec.Input), err, len(want))
			}
			number++
		}
	}
	report, err := l.Verify(context.Background())
	must(t, err)
	if !report.OK() || report.Size != int64(number) || number == 0 {
		t.Errorf("log of %d, problems %v; want %d and none", report.Size, report.Problems, number)
	}
}

// longInput is one of a few hundred bytes to a few thousand, and now and then one of some hundred thousand.
func longInput(worker, i int) json.RawMessage {
	n := (worker + 1) * i * 2
	if i%20 == 19 {
		n += 10_000
	}
	var b strings.Builder
	for j := range n {
		fmt.Fprintf(&b, "worker %d, %d, %d; ", worker, i, j)
	}
	text, _ := json.Marshal(b.String()) // a string, which never fails
	return text
}
