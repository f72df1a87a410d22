package ledger_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/ledger/ledgertest"
	"github.com/countersign-mpc/countersign/wire"
)

// leadsTo chooses the key of an index that leads to an entry.
func leadsTo(entry uint64) func(key []byte) bool {
	return func(key []byte) bool { return binary.BigEndian.Uint64(key[len(key)-8:]) == entry }
}

// TestTamperedIndexes takes keys by which something is found, and puts in others, behind the ledger's back. Each is named, once.
func TestTamperedIndexes(t *testing.T) {
	moved := func(key []byte, entry uint64) []byte {
		return binary.BigEndian.AppendUint64(bytes.Clone(key[:len(key)-8]), entry)
	}
	tests := map[string]struct {
		tamper func(*tampered)
		want   []string // the problems, from where they begin
	}{
		"callback_id gone": {func(x *tampered) { x.drop("callback", leadsTo(3)) }, []string{"entry 3: it is not found by its callback_id"}},
		"request_id gone":  {func(x *tampered) { x.drop("request", leadsTo(4)) }, []string{"entry 4: it is not found by its request_id"}},
		"callback_id of another": {func(x *tampered) { x.put("callback", moved(x.first("callback", leadsTo(3)), 4), nil) },
			[]string{"a callback_id leads to entry 4, which is not of it"}},
		"request_id of a vote": {func(x *tampered) { x.put("request", moved(x.first("request", leadsTo(3)), 11), nil) },
			[]string{"a request_id leads to entry 11, which is not of it"}},
		"request_id of what is to come": {func(x *tampered) { x.put("request", moved(x.first("request", leadsTo(3)), 1000), nil) },
			[]string{"a request_id leads to entry 1000, which is not of it"}},
		"exchanged": {func(x *tampered) {
			key := x.first("callback", leadsTo(3))
			x.drop("callback", leadsTo(3))
			x.put("callback", moved(key, 5), nil)
		}, []string{"entry 3: it is not found by its callback_id", "a callback_id leads to entry 5, which is not of it"}},
		"too short": {func(x *tampered) { x.put("request", []byte("short"), nil) }, []string{"request: the ledger is damaged: an index key has 5 bytes"}},
		"execution slipped in": {func(x *tampered) {
			key := x.first("execution", anyKey)
			key[0] ^= 1
			x.put("execution", key, nil)
		}, []string{"approval ID is found by another execution than its own"}},
		"execution of none": {func(x *tampered) { x.put("execution", make([]byte, 48), nil) },
			[]string{"an execution leads to approval 00000000000000000000000000000000, which is missing"}},
		"charge slipped in": {func(x *tampered) { x.put("charged", x.first("ask", anyKey), chargedAt("s", "a")) },
			[]string{"where a check is counted is stored under "}},
		"charge of none": {func(x *tampered) { x.put("charged", make([]byte, 32), chargedAt("s", "a")) },
			[]string{"where a check is counted is stored under 0000000000000000"}},
		"charge unreadable": {func(x *tampered) { x.put("charged", make([]byte, 32), []byte{9}) }, []string{"charged: the ledger is damaged: "}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			x := newTampered(t)
			test.tamper(x)
			report, err := x.l.Verify(context.Background())
			must(t, err)
			if len(report.Problems) != len(test.want) {
				t.Fatalf("problems %q, want %q", report.Problems, test.want)
			}
			for i, want := range test.want {
				if got := strings.ReplaceAll(report.Problems[i].String(), x.approval.ID, "ID"); !strings.HasPrefix(got, want) {
					t.Errorf("problem %q, want %q", got, want)
				}
			}
		})
	}
}

// TestIndexesAfterRetention: the keys of what retention has removed are gone with it, and that is no problem.
func TestIndexesAfterRetention(t *testing.T) {
	x, clock := newSpent(t)
	removed, err := x.l.Prune(context.Background(), clock.Now())
	must(t, err)
	if removed == 0 {
		t.Fatal("nothing was removed")
	}
	ledgertest.MustDecide(t, x.l, ledgertest.Ask("later", "body"), ledgertest.Verdict(wire.Approve, nil))
	report, err := x.l.Verify(context.Background())
	must(t, err)
	if len(report.Problems) > 0 {
		t.Errorf("problems %q", report.Problems)
	}
	x.put("callback", make([]byte, 24), nil) // of entry 0, which is removed
	report, err = x.l.Verify(context.Background())
	must(t, err)
	if got := fmt.Sprint(report.Problems); got != "[a callback_id leads to entry 0, which is not of it]" {
		t.Errorf("problems %s", got)
	}
}

// chargedAt is what files of before entries told what they count say of a check.
func chargedAt(series, anchor string) []byte {
	s, a := sha256.Sum256([]byte(series)), sha256.Sum256([]byte(anchor))
	return append(append([]byte{1, 0, 0, 0, 1}, s[:]...), a[:]...)
}
