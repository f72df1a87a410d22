package ledgerstore_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/countersign-mpc/countersign/ledger/ledgertest"
	"github.com/countersign-mpc/countersign/wire"
)

// BenchmarkDecide is a recorded decision, with an evaluation and a reply that cost nothing, by 16 at a time: what a
// commit costs when it is shared.
func BenchmarkDecide(b *testing.B) {
	l := ledgertest.MustOpen(b, mustOpen(b, filepath.Join(b.TempDir(), "ledger.db")), nil)
	v := ledgertest.Verdict(wire.Approve, nil)
	var n atomic.Int64
	b.SetParallelism(16)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := l.Decide(context.Background(), ledgertest.Ask(fmt.Sprint("cb-", n.Add(1)), "body"), ledgertest.Give(v), ledgertest.Reply); err != nil {
				b.Error(err)
			}
		}
	})
}

// BenchmarkReplay is an ask that was decided before.
func BenchmarkReplay(b *testing.B) {
	l := ledgertest.MustOpen(b, mustOpen(b, filepath.Join(b.TempDir(), "ledger.db")), nil)
	a := ledgertest.Ask("cb", "body")
	ledgertest.MustDecide(b, l, a, ledgertest.Verdict(wire.Approve, nil))
	for b.Loop() {
		if _, err := l.Decide(context.Background(), a, ledgertest.Give(ledgertest.Verdict(wire.Reject, nil)), ledgertest.Reply); err != nil {
			b.Fatal(err)
		}
	}
}
