package ledger_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/ledger/ledgertest"
	"github.com/countersign-mpc/countersign/ledger/memstore"
	"github.com/countersign-mpc/countersign/wire"
)

// newSpent is a ledger that has counted: cb-0 to cb-4 at an anchor each, an hour apart and with a name bound; cb-1 was signed, cb-2
// was not, cb-3 was after all.
func newSpent(t *testing.T) (*tampered, *ledgertest.Clock) {
	t.Helper()
	x := &tampered{t: t, store: memstore.New()}
	clock := ledgertest.NewClock()
	x.l = ledgertest.MustOpen(t, x.store, clock)
	for i := range 5 {
		a := ledgertest.Spending(fmt.Sprint("cb-", i), fmt.Sprint("anchor-", i), int64(100+i))
		a.Execution.Bindings = []ledger.Binding{{What: "a name", Name: sha256.Sum256([]byte(a.CallbackID)), Value: sha256.Sum256([]byte("content"))}}
		res := ledgertest.MustDecide(t, x.l, a, ledgertest.Verdict(wire.Approve, nil))
		x.ids, x.replies = append(x.ids, res.ID), append(x.replies, res.Reply)
		clock.Advance(time.Hour)
	}
	report := func(id string, path wire.Path, how ledger.Conclusion) {
		a := ledgertest.Ask(id, fmt.Sprint(path, how))
		a.Path = path
		v := ledgertest.Verdict(wire.Approve, nil)
		v.Concluded = how
		ledgertest.MustDecide(t, x.l, a, v)
	}
	report("cb-1", wire.PathOutcome, ledger.ConcludedSigned)
	report("cb-2", wire.PathOutcome, ledger.ConcludedNotSigned)
	report("cb-3", wire.PathOutcome, ledger.ConcludedNotSigned)
	clock.Advance(time.Hour)
	report("cb-3", wire.PathRawdata, ledger.ConcludedSigned)
	return x, clock
}

// put stores a value behind the ledger's back.
func (x *tampered) put(bucket string, key, value []byte) {
	x.t.Helper()
	must(x.t, x.store.Update(context.Background(), func(tx ledger.Tx) error { return tx.Put(bucket, key, value) }))
}

// once edits the first value of a bucket that is chosen.
func (x *tampered) once(bucket string, choose func(key []byte) bool, fn func(value []byte) []byte) {
	x.t.Helper()
	done := false
	x.edit(bucket, func(key, value []byte) []byte {
		if done || !choose(key) {
			return value
		}
		done = true
		return fn(value)
	})
}

// first is the first key of a bucket that is chosen.
func (x *tampered) first(bucket string, choose func(key []byte) bool) (found []byte) {
	x.t.Helper()
	must(x.t, x.store.View(context.Background(), func(r ledger.Reader) error {
		return r.Scan(bucket, nil, nil, false, func(key, _ []byte) (bool, error) {
			if choose(key) {
				found = bytes.Clone(key)
			}
			return found == nil, nil
		})
	}))
	if found == nil {
		x.t.Fatalf("no key of %s is chosen", bucket)
	}
	return found
}

// drop removes the first key of a bucket that is chosen.
func (x *tampered) drop(bucket string, choose func(key []byte) bool) {
	x.t.Helper()
	key := x.first(bucket, choose)
	must(x.t, x.store.Update(context.Background(), func(tx ledger.Tx) error { return tx.Delete(bucket, key) }))
}

func level(n byte) func([]byte) bool { return func(key []byte) bool { return key[32] == n } }
func anyKey([]byte) bool             { return true }
func remove([]byte) []byte           { return nil }

// other changes the last byte, which is of a number.
func other(v []byte) []byte { v[len(v)-1]++; return v }

// at chooses what is kept at an anchor.
func at(name string) func([]byte) bool {
	anchor := sha256.Sum256([]byte(name))
	return func(key []byte) bool { return bytes.Equal(key[32:], anchor[:]) }
}

// TestTamperedWindows changes what windows, reservations and bindings say behind the ledger's back: all of it follows from the
// log, and what does not is named.
func TestTamperedWindows(t *testing.T) {
	const entry, minute, hour, day, total = 0, 1, 2, 3, 4
	for name, test := range map[string]struct {
		tamper func(*tampered)
		want   string
	}{
		"entry changed":  {func(x *tampered) { x.once("window", level(entry), other) }, "is not what its reservation says"},
		"entry gone":     {func(x *tampered) { x.once("window", level(entry), remove) }, "is missing in its window"},
		"minute changed": {func(x *tampered) { x.once("window", level(minute), other) }, "sum of the minute"},
		"minute gone":    {func(x *tampered) { x.once("window", level(minute), remove) }, "sum of the minute"},
		"hour changed":   {func(x *tampered) { x.once("window", level(hour), other) }, "sum of the hour"},
		"hour gone":      {func(x *tampered) { x.once("window", level(hour), remove) }, "sum of the hour"},
		"day changed":    {func(x *tampered) { x.once("window", level(day), other) }, "sum of the day"},
		"day gone":       {func(x *tampered) { x.once("window", level(day), remove) }, "sum of the day"},
		"total changed":  {func(x *tampered) { x.once("window", level(total), other) }, "sum of all of series"},
		"total gone":     {func(x *tampered) { x.once("window", level(total), remove) }, "sum of all of series"},
		"emptied":        {func(x *tampered) { x.edit("window", func(_, _ []byte) []byte { return nil }) }, "is missing in its window"},
		"entry slipped in": {func(x *tampered) {
			var key []byte
			x.once("window", func(k []byte) bool { key = bytes.Clone(k); return k[32] == entry }, func(v []byte) []byte { return append(v, 0) })
			x.edit("window", func(k, v []byte) []byte { return v[:len(v)-btoi(bytes.Equal(k, key))] })
			key[len(key)-1] ^= 1 // at another anchor
			x.put("window", key, []byte{1, 0, 0, 0, 0, 0, 0, 0, 1, 9})
		}, "is not what its reservation says"},
		"reservation changed": {func(x *tampered) { x.once("reservation", at("anchor-0"), other) }, "is not what the entries up to entry 0 make of it"},
		"reservation gone":    {func(x *tampered) { x.once("reservation", at("anchor-0"), remove) }, "that entry 0 made is missing"},
		"signed one gone":     {func(x *tampered) { x.once("reservation", at("anchor-3"), remove) }, "that entry 8 made is missing"},
		"said to be signed": {func(x *tampered) {
			x.once("reservation", at("anchor-0"), func(v []byte) []byte { v[1] = 1; return v })
		}, "is not what the entries up to entry 0 make of it"},
		"said to be released": {func(x *tampered) {
			x.once("reservation", at("anchor-0"), func(v []byte) []byte { v[9] = 1; return v })
		}, "is not what the entries up to entry 0 make of it"},
		"reservation slipped in": {func(x *tampered) {
			x.put("reservation", bytes.Repeat([]byte{7}, 64), []byte{1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0})
		}, "is not explained by any entry"},
		"released one back": {func(x *tampered) {
			var kept []byte
			x.edit("reservation", func(k, v []byte) []byte {
				if at("anchor-0")(k) {
					kept = append(bytes.Clone(k[:32]), anchorOf("anchor-2")...)
				}
				return append(v, 0)
			})
			x.edit("reservation", func(_, v []byte) []byte { return v[:len(v)-1] })
			x.put("reservation", kept, []byte{1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0})
		}, "is not explained by any entry"},
		"anchor moved": {func(x *tampered) {
			var key, value []byte
			x.once("reservation", func(k []byte) bool { key = bytes.Clone(k); return at("anchor-0")(k) }, func(v []byte) []byte { value = bytes.Clone(v); return nil })
			key[63] ^= 1
			x.put("reservation", key, value)
		}, "is not explained by any entry"},
		"binding changed":    {func(x *tampered) { x.once("binding", anyKey, other) }, "is bound to other content than entry"},
		"binding gone":       {func(x *tampered) { x.once("binding", anyKey, remove) }, "and that is missing"},
		"binding slipped in": {func(x *tampered) { x.put("binding", make([]byte, 32), append([]byte{1}, make([]byte, 32)...)) }, "is bound, and no entry says so"},
		"key that is none":   {func(x *tampered) { x.put("window", []byte("key"), nil) }, "under a key that is none"},
	} {
		t.Run(name, func(t *testing.T) {
			x, _ := newSpent(t)
			if report, err := x.l.Verify(context.Background()); err != nil || !report.OK() || len(report.Notes) > 0 {
				t.Fatalf("before: %v %q %q", err, report.Problems, report.Notes)
			}
			test.tamper(x)
			report, err := x.l.Verify(context.Background())
			must(t, err)
			if !strings.Contains(fmt.Sprint(report.Problems), test.want) {
				t.Errorf("problems %q, want %q", report.Problems, test.want)
			}
		})
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func anchorOf(name string) []byte {
	h := sha256.Sum256([]byte(name))
	return h[:]
}

// TestTamperedAfterRetention: what rests on entries that retention removed cannot be held against them, which is said; what came
// later still is, and so are the sums.
func TestTamperedAfterRetention(t *testing.T) {
	pruned := func(t *testing.T) *tampered {
		x, _ := newSpent(t)
		if n, err := x.l.Prune(context.Background(), ledgertest.Epoch.Add(90*time.Minute)); err != nil || n != 2 {
			t.Fatal(n, err)
		}
		return x
	}
	x := pruned(t)
	report, err := x.l.Verify(context.Background())
	must(t, err)
	if !report.OK() || len(report.Notes) != 1 || !strings.Contains(report.Notes[0], "before entry 2") {
		t.Fatalf("%q %q", report.Problems, report.Notes)
	}
	for name, test := range map[string]struct {
		tamper func(*tampered)
		want   string
	}{
		"later reservation changed": {func(x *tampered) { x.once("reservation", at("anchor-4"), other) }, "is not what the entries up to entry 4 make of it"},
		"later reservation gone":    {func(x *tampered) { x.once("reservation", at("anchor-4"), remove) }, "that entry 4 made is missing"},
		"a sum changed":             {func(x *tampered) { x.once("window", level(4), other) }, "sum of all of series"},
	} {
		t.Run(name, func(t *testing.T) {
			x := pruned(t)
			test.tamper(x)
			report, err := x.l.Verify(context.Background())
			must(t, err)
			if !strings.Contains(fmt.Sprint(report.Problems), test.want) {
				t.Errorf("problems %q, want %q", report.Problems, test.want)
			}
		})
	}
}
