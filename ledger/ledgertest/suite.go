package ledgertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/countersign-mpc/countersign/auditlog"
	"github.com/countersign-mpc/countersign/ledger"
)

// Run checks a store. open returns a new and empty one each time; what it has to clean up it registers with t.
func Run(t *testing.T, open func(t *testing.T) ledger.Store) {
	tests := []struct {
		name string
		fn   func(*testing.T, ledger.Store)
	}{
		{"transactions", testTransactions},
		{"undo", testUndo},
		{"scan", testScan},
		{"concurrent updates", testConcurrentUpdates},
		{"canceled", testCanceled},
		{"ask again", testAskAgain},
		{"other body", testOtherBody},
		{"record", testRecord},
		{"same ask at once", testSameAskAtOnce},
		{"many asks at once", testManyAsksAtOnce},
		{"long entries", testLongEntries},
		{"nothing without a record", testNothingRecorded},
		{"open again", testOpenAgain},
		{"lists", testLists},
		{"rawdata", testRawdata},
		{"attachments", testAttachments},
		{"approvals", testApprovals},
		{"approval at once", testVotesAtOnce},
		{"votes refused", testVotesRefused},
		{"probe", testProbe},
		{"proofs", testProofs},
		{"verify", testVerify},
		{"retention", testRetention},
		{"window at once", testWindowAtOnce},
		{"window outcomes", testWindowOutcomes},
		{"bindings", testBindings},
		{"bad executions", testBadExecutions},
		{"activations", testActivations},
		{"long policies", testLongPolicies},
		{"guard", testGuard},
		{"guard refuses", testGuardRefuses},
		{"rollback ends", testRollbackEnds},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { test.fn(t, open(t)) })
	}
}

// bucket is one that exists in every store and has no rule of its own here.
var bucket = ledger.Buckets()[0]

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mustUpdate(t testing.TB, s ledger.Store, fn func(ledger.Tx) error) {
	t.Helper()
	must(t, s.Update(context.Background(), fn))
}

func mustView(t testing.TB, s ledger.Store, fn func(ledger.Reader) error) {
	t.Helper()
	must(t, s.View(context.Background(), fn))
}

func wantValue(t testing.TB, r ledger.Reader, key, want string) {
	t.Helper()
	v, err := r.Get(bucket, []byte(key))
	if err != nil || string(v) != want {
		t.Errorf("%s is %q (%v), want %q", key, v, err, want)
	}
}

func wantAbsent(t testing.TB, r ledger.Reader, key string) {
	t.Helper()
	if v, err := r.Get(bucket, []byte(key)); err != nil || v != nil {
		t.Errorf("%s is %q (%v), want nothing", key, v, err)
	}
}

// testProbe: a probe is written, and nothing of it is left.
func testProbe(t *testing.T, s ledger.Store) {
	l := MustOpen(t, s, nil)
	must(t, l.Probe(context.Background()))
	mustView(t, s, func(r ledger.Reader) error {
		if v, err := r.Get("meta", []byte("probe")); err != nil || v != nil {
			t.Errorf("a probe left %d bytes (%v)", len(v), err)
		}
		return nil
	})
	if report, err := l.Verify(context.Background()); err != nil || !report.OK() || report.Size != 0 {
		t.Errorf("after a probe: %+v, %v", report, err)
	}
}

func testTransactions(t *testing.T, s ledger.Store) {
	mustUpdate(t, s, func(tx ledger.Tx) error {
		wantAbsent(t, tx, "a")
		key, value := []byte("a"), []byte("1")
		must(t, tx.Put(bucket, key, value))
		key[0] = 'x' // it does not keep it
		must(t, tx.Put(bucket, []byte("b"), nil))
		wantValue(t, tx, "a", "1")
		must(t, tx.Delete(bucket, []byte("never there")))
		return nil
	})
	mustView(t, s, func(r ledger.Reader) error {
		wantValue(t, r, "a", "1")
		if v, err := r.Get(bucket, []byte("b")); err != nil || v == nil || len(v) != 0 {
			t.Errorf("an empty value is %v (%v), want one of no bytes", v, err)
		}
		wantAbsent(t, r, "c")
		return nil
	})
	mustUpdate(t, s, func(tx ledger.Tx) error {
		must(t, tx.Put(bucket, []byte("a"), []byte("2")))
		must(t, tx.Delete(bucket, []byte("b")))
		wantValue(t, tx, "a", "2")
		wantAbsent(t, tx, "b")
		return nil
	})
	mustView(t, s, func(r ledger.Reader) error {
		wantValue(t, r, "a", "2")
		wantAbsent(t, r, "b")
		if _, err := r.Get("no such bucket", []byte("a")); err == nil {
			t.Error("an unknown bucket can be read")
		}
		return nil
	})
}

func testUndo(t *testing.T, s ledger.Store) {
	mustUpdate(t, s, func(tx ledger.Tx) error { return tx.Put(bucket, []byte("a"), []byte("1")) })
	boom := errors.New("boom")
	err := s.Update(context.Background(), func(tx ledger.Tx) error {
		must(t, tx.Put(bucket, []byte("a"), []byte("2")))
		must(t, tx.Put(bucket, []byte("b"), []byte("2")))
		return boom
	})
	if !errors.Is(err, boom) {
		t.Fatalf("error %v, want the function's own", err)
	}
	mustView(t, s, func(r ledger.Reader) error {
		wantValue(t, r, "a", "1")
		wantAbsent(t, r, "b")
		return nil
	})
	if err := s.View(context.Background(), func(ledger.Reader) error { return boom }); !errors.Is(err, boom) {
		t.Fatalf("error %v, want the function's own", err)
	}
}

func scanned(t testing.TB, r ledger.Reader, from, to string, reverse bool) string {
	t.Helper()
	bound := func(s string) []byte {
		if s == "" {
			return nil
		}
		return []byte(s)
	}
	var got []string
	must(t, r.Scan(bucket, bound(from), bound(to), reverse, func(k, v []byte) (bool, error) {
		got = append(got, string(k)+"="+string(v))
		return true, nil
	}))
	return strings.Join(got, " ")
}

func testScan(t *testing.T, s ledger.Store) {
	check := func(t *testing.T, r ledger.Reader) {
		tests := []struct {
			from, to string
			reverse  bool
			want     string
		}{
			{"", "", false, "b=1 d=2 f=3"},
			{"", "", true, "f=3 d=2 b=1"},
			{"b", "f", false, "b=1 d=2"},
			{"b", "f", true, "d=2 b=1"},
			{"c", "e", false, "d=2"},
			{"c", "e", true, "d=2"},
			{"a", "b", false, ""},
			{"a", "b", true, ""},
			{"g", "", false, ""},
			{"g", "", true, ""},
			{"c", "d", false, ""},
			{"c", "", true, "f=3 d=2"},
			{"", "e", true, "d=2 b=1"},
		}
		for _, test := range tests {
			if got := scanned(t, r, test.from, test.to, test.reverse); got != test.want {
				t.Errorf("from %q to %q, reverse %v: %q, want %q", test.from, test.to, test.reverse, got, test.want)
			}
		}
	}
	mustView(t, s, func(r ledger.Reader) error {
		if got := scanned(t, r, "a", "z", false); got != "" {
			t.Errorf("an empty bucket holds %q", got)
		}
		return nil
	})
	mustUpdate(t, s, func(tx ledger.Tx) error {
		for i, k := range []string{"f", "b", "d"} {
			must(t, tx.Put(bucket, []byte(k), []byte{"312"[i]}))
		}
		check(t, tx)
		return nil
	})
	mustView(t, s, func(r ledger.Reader) error {
		check(t, r)
		n := 0
		must(t, r.Scan(bucket, nil, nil, false, func(_, _ []byte) (bool, error) { n++; return n < 2, nil }))
		if n != 2 {
			t.Errorf("scanned %d after it was told to stop at 2", n)
		}
		boom := errors.New("boom")
		if err := r.Scan(bucket, nil, nil, false, func(_, _ []byte) (bool, error) { return true, boom }); !errors.Is(err, boom) {
			t.Errorf("error %v, want the function's own", err)
		}
		return nil
	})
}

// testConcurrentUpdates: updates are as if one after the other, also next to ones that fail after they have written.
func testConcurrentUpdates(t *testing.T, s ledger.Store) {
	const workers, each = 8, 20
	boom := errors.New("boom")
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				fail := (w+i)%3 == 0
				err := s.Update(context.Background(), func(tx ledger.Tx) error {
					v, err := tx.Get(bucket, []byte("sum"))
					if err != nil {
						return err
					}
					if err := tx.Put(bucket, []byte("sum"), append(bytes.Clone(v), byte(w))); err != nil {
						return err
					}
					if fail {
						return boom
					}
					return tx.Put(bucket, fmt.Appendf(nil, "%d/%d", w, i), []byte("done"))
				})
				if fail != errors.Is(err, boom) {
					t.Errorf("update %d/%d: %v", w, i, err)
				}
				if fail {
					continue
				}
				if err := s.View(context.Background(), func(r ledger.Reader) error {
					wantValue(t, r, fmt.Sprintf("%d/%d", w, i), "done")
					return nil
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	mustView(t, s, func(r ledger.Reader) error {
		v, err := r.Get(bucket, []byte("sum"))
		must(t, err)
		for w := range workers {
			want := 0
			for i := range each {
				if (w+i)%3 != 0 {
					want++
				}
			}
			if got := bytes.Count(v, []byte{byte(w)}); got != want {
				t.Errorf("worker %d counted %d times, want %d", w, got, want)
			}
		}
		return nil
	})
}

func testCanceled(t *testing.T, s ledger.Store) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	ran := false
	if err := s.Update(ctx, func(ledger.Tx) error { ran = true; return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("Update: %v, want canceled", err)
	}
	if err := s.View(ctx, func(ledger.Reader) error { ran = true; return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("View: %v, want canceled", err)
	}
	if ran {
		t.Error("a canceled transaction was run")
	}
}

func testProofs(t *testing.T, s ledger.Store) {
	clock := NewClock()
	l := MustOpen(t, s, clock)
	ctx := context.Background()
	empty, err := l.Checkpoint(ctx)
	must(t, err)
	var ids []string
	for i := range 7 {
		ids = append(ids, MustDecide(t, l, Ask(fmt.Sprint("cb-", i), fmt.Sprint("body-", i)), Verdict("Approve", nil)).ID)
	}
	older, err := l.Checkpoint(ctx)
	must(t, err)
	for i := range 6 {
		MustDecide(t, l, Ask(fmt.Sprint("cc-", i), fmt.Sprint("body-", i)), Verdict("Reject", nil))
	}
	for i, name := range ids {
		entry, proof, err := l.Prove(ctx, name)
		must(t, err)
		index, size, err := auditlog.CheckInclusion(l.LogPublic(), entry, proof)
		if err != nil || index != int64(i) || size != 13 {
			t.Errorf("entry %d of %d: %v, want %d of 13", index, size, err, i)
		}
		parsed, err := ledger.ParseEntry(entry)
		must(t, err)
		if parsed.Decision == nil || parsed.ID() != name {
			t.Errorf("the proven entry is %s, want %s", parsed.ID(), name)
		}
		entry[len(entry)-1] ^= 1
		if _, _, err := auditlog.CheckInclusion(l.LogPublic(), entry, proof); err == nil {
			t.Error("an altered entry is proven")
		}
	}
	for _, old := range [][]byte{empty, older} {
		proof, err := l.ProveGrowth(ctx, old)
		must(t, err)
		if _, size, err := auditlog.CheckConsistency(l.LogPublic(), old, proof); err != nil || size != 13 {
			t.Errorf("growth to %d: %v", size, err)
		}
	}
	if _, _, err := l.Prove(ctx, strings.Repeat("0", 32)); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("proof of nothing: %v", err)
	}
}

func testOpenAgain(t *testing.T, s ledger.Store) {
	clock := NewClock()
	l := MustOpen(t, s, clock)
	first := MustDecide(t, l, Ask("cb", "body"), Verdict("Approve", nil))
	again := MustOpen(t, s, clock)
	res := MustDecide(t, again, Ask("cb", "body"), Verdict("Reject", nil))
	if !res.Replayed || !reflect.DeepEqual(res.Reply, first.Reply) {
		t.Errorf("after opening again the reply is %+v, want %s", res, first.Reply)
	}
	if l.LogPublic() != again.LogPublic() {
		t.Error("the log's key changed")
	}
	if _, err := ledger.New(context.Background(), ledger.Config{Store: s, Clock: clock, Origin: Origin, LogKey: mustKey(t)}); err == nil {
		t.Error("a log is opened with another key than it was begun with")
	}
}

func mustKey(t testing.TB) *auditlog.Key {
	t.Helper()
	k, err := auditlog.GenerateKey(Origin)
	must(t, err)
	return k
}
