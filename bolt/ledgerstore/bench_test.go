//go:build linux

package ledgerstore_test

import (
	"context"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/ledger"
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

// BenchmarkWindows is BenchmarkDecide with entries of the size of a payment's, counted in two windows, with what it costs beside
// time: CPU of the process, and write calls.
func BenchmarkWindows(b *testing.B) {
	l := ledgertest.MustOpen(b, mustOpen(b, filepath.Join(b.TempDir(), "ledger.db")), nil)
	v := ledgertest.Verdict(wire.Approve, nil)
	v.Input = fmt.Appendf(nil, "%q", strings.Repeat("x", 3200))
	var n atomic.Int64
	b.SetParallelism(8)
	b.ReportAllocs()
	cpu, writes := used(b)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := n.Add(1)
			a := ledgertest.Ask(fmt.Sprint("cb-", i), fmt.Sprint("body-", i))
			a.Execution = &ledger.Execution{Anchors: []ledger.Hash{a.BodyHash}, Charges: []ledger.Charge{
				{Series: fmt.Sprint("amount ", i%50), Amount: big.NewInt(1_000_000), Windows: []ledger.Window{{ID: "day", Period: ledger.Period{Rolling: 24 * time.Hour}}}},
				{Series: fmt.Sprint("count ", i%50), Amount: big.NewInt(1), Windows: []ledger.Window{{ID: "month", Period: ledger.Period{Calendar: ledger.CalendarMonth}}}},
			}}
			if _, err := l.Decide(context.Background(), a, ledgertest.Give(v), ledgertest.Reply); err != nil {
				b.Error(err)
			}
		}
	})
	b.StopTimer()
	cpuNow, writesNow := used(b)
	b.ReportMetric(float64((cpuNow-cpu).Microseconds())/float64(b.N), "cpu-us/op")
	b.ReportMetric(float64(writesNow-writes)/float64(b.N), "writes/op")
}

// used is what this process has used so far.
func used(b *testing.B) (cpu time.Duration, writes int64) {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if calls, found := strings.CutPrefix(line, "syscw: "); found {
			writes, err = strconv.ParseInt(strings.TrimSpace(calls), 10, 64)
		}
	}
	if err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), writes
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
