package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/auditlog"
	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/ledger/ledgertest"
	"github.com/countersign-mpc/countersign/ledger/memstore"
	"github.com/countersign-mpc/countersign/wire"
)

// tampered is a ledger with decisions 0 to 9, an approval of alice's, and a checkpoint.
type tampered struct {
	t        *testing.T
	store    *memstore.Store
	l        *ledger.Ledger
	ids      []string
	replies  [][]byte
	approval ledger.Approval
}

func newTampered(t *testing.T) *tampered {
	t.Helper()
	x := &tampered{t: t, store: memstore.New()}
	x.l = ledgertest.MustOpen(t, x.store, ledgertest.NewClock())
	for i := range 10 {
		v := ledgertest.Verdict(wire.Approve, nil)
		if i == 6 || i == 7 {
			v.Attachment = fmt.Appendf(nil, "beside %d", i)
		}
		res := ledgertest.MustDecide(t, x.l, ledgertest.Ask(fmt.Sprint("cb-", i), "body"), v)
		x.ids, x.replies = append(x.ids, res.ID), append(x.replies, res.Reply)
	}
	alice := ledgertest.NewEd25519Approver(t, "alice")
	ledgertest.MustDecide(t, x.l, ledgertest.Ask("wait", "large"), ledgertest.Verdict(wire.Wait, ledgertest.Require(1, alice, ledgertest.NewEd25519Approver(t, "bob"))))
	pending, err := x.l.Approvals(context.Background(), false)
	must(t, err)
	x.approval, err = x.l.SubmitApproval(context.Background(), pending[0].ID, alice.Sign(t, pending[0], ledger.VoteApprove))
	must(t, err)
	_, err = x.l.Checkpoint(context.Background())
	must(t, err)
	return x
}

// edit changes values of a bucket; a nil result deletes the key.
func (x *tampered) edit(bucket string, fn func(key, value []byte) []byte) {
	x.t.Helper()
	type pair struct{ key, value []byte }
	var changed []pair
	must(x.t, x.store.Update(context.Background(), func(tx ledger.Tx) error {
		must(x.t, tx.Scan(bucket, nil, nil, false, func(key, value []byte) (bool, error) {
			if v := fn(key, bytes.Clone(value)); v == nil || !bytes.Equal(v, value) {
				changed = append(changed, pair{bytes.Clone(key), v})
			}
			return true, nil
		}))
		for _, p := range changed {
			if p.value == nil {
				must(x.t, tx.Delete(bucket, p.key))
			} else {
				must(x.t, tx.Put(bucket, p.key, p.value))
			}
		}
		return nil
	}))
	if len(changed) == 0 {
		x.t.Fatal("nothing was changed")
	}
}

// tampering changes what is stored behind the ledger's back.
type tampering struct {
	tamper func(*tampered)
	want   string // in a problem
	asks   bool   // every ask must still get its reply
}

// ofEntries are tamperings with entries and with what leads to them.
func ofEntries() map[string]tampering {
	return map[string]tampering{
		"reply changed": {func(x *tampered) {
			x.edit("record", func(_, v []byte) []byte { return bytes.ReplaceAll(v, x.replies[3], bytes.ToUpper(x.replies[3])) })
		}, "entry 3: it is not what was recorded", false},
		"record gone": {func(x *tampered) {
			x.edit("record", func(k, v []byte) []byte { return unless(fmt.Sprintf("%x", k) == x.ids[5], v) })
		}, "entry 5: ", false},
		"records swapped": {func(x *tampered) {
			var three, four []byte
			x.edit("record", func(k, v []byte) []byte {
				switch fmt.Sprintf("%x", k) {
				case x.ids[3]:
					three = v
				case x.ids[4]:
					four = v
				}
				return append(v, 0)
			})
			x.edit("record", func(k, v []byte) []byte {
				switch fmt.Sprintf("%x", k) {
				case x.ids[3]:
					return four
				case x.ids[4]:
					return three
				}
				return v[:len(v)-1]
			})
		}, "entry 3: another entry stands in its place; it stands in that of entry 4", false},
		"name gone": {func(x *tampered) {
			first := true
			x.edit("ask", func(_, v []byte) []byte { gone := first; first = false; return unless(gone, v) })
		}, "its callback_id does not lead to it", false},
		"name of another body": {func(x *tampered) {
			x.edit("ask", func(_, v []byte) []byte { v[5] ^= 1; return v })
		}, "its callback_id does not lead to it", false},
		"approve made reject": {func(x *tampered) {
			x.edit("ask", func(_, v []byte) []byte { v[len(v)-1] = 2; return v })
		}, "its callback_id does not lead to it", false},
		"entry slipped in": {func(x *tampered) {
			var one []byte
			x.edit("record", func(k, v []byte) []byte {
				if fmt.Sprintf("%x", k) == x.ids[0] {
					one = v
				}
				return append(v, 0)
			})
			x.edit("record", func(_, v []byte) []byte { return v[:len(v)-1] })
			must(x.t, x.store.Update(context.Background(), func(tx ledger.Tx) error {
				return tx.Put("record", bytes.Repeat([]byte{9}, 16), one)
			}))
		}, "is stored and not in the log", true},
		"end cut off": {func(x *tampered) {
			x.edit(auditlog.BucketHead, func(_, v []byte) []byte { v[len(v)-1] -= 2; return v })
			x.edit(auditlog.BucketLeaf, func(k, v []byte) []byte { return unless(k[7] >= 10, v) })
		}, "missing: a checkpoint over 12 entries was signed", true},
	}
}

// besideEntries are tamperings with approvals and attachments.
func besideEntries() map[string]tampering {
	return map[string]tampering{
		"vote made up": {func(x *tampered) {
			x.edit("approval", func(_, v []byte) []byte { v[len(v)-20] ^= 1; return v })
		}, "signature does not verify", true},
		"vote lost": {func(x *tampered) {
			x.edit("approval", func(_, v []byte) []byte {
				a, err := ledger.ParseStoredApproval(v)
				must(x.t, err)
				a.Votes = nil
				b, err := ledger.MarshalStoredApproval(a)
				must(x.t, err)
				return b
			})
		}, "it is not counted in its approval", true},
		"approval gone": {func(x *tampered) {
			x.edit("approval", func(_, _ []byte) []byte { return nil })
			x.edit("execution", func(_, _ []byte) []byte { return nil })
		}, "is missing", true},
		"approval lost": {func(x *tampered) {
			x.edit("execution", func(_, _ []byte) []byte { return nil })
		}, "is not found by its execution", true},
		"attachment changed": {func(x *tampered) {
			x.edit("attachment", func(_, v []byte) []byte { return bytes.ReplaceAll(v, []byte("beside 6"), []byte("beside 5")) })
		}, "entry 6: the ledger is damaged: the attachment of ", true},
		"attachment gone": {func(x *tampered) {
			x.edit("attachment", func(k, v []byte) []byte { return unless(k[7] == 7, v) })
		}, "entry 7: the ledger is damaged: the attachment of ", true},
		"attachment of another version": {func(x *tampered) {
			x.edit("attachment", func(_, v []byte) []byte { v[4]++; return v })
		}, "entry 6: the ledger is damaged: the attachment of ", true},
		"attachment slipped in": {func(x *tampered) {
			must(x.t, x.store.Update(context.Background(), func(tx ledger.Tx) error {
				return tx.Put("attachment", []byte{0, 0, 0, 0, 0, 0, 0, 2}, []byte("CSLT\x01slipped in"))
			}))
		}, "an attachment is stored beside entry 2, which names none", true},
	}
}

// TestTampering changes what is stored as who has the file can. Verify must name it, and no wrong reply may be given.
func TestTampering(t *testing.T) {
	tests := ofEntries()
	maps.Copy(tests, besideEntries())
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			x := newTampered(t)
			test.tamper(x)
			report, err := x.l.Verify(context.Background())
			must(t, err)
			if !strings.Contains(fmt.Sprint(report.Problems), test.want) {
				t.Errorf("problems %q, want %q", report.Problems, test.want)
			}
			for i := range x.replies {
				res, err := x.l.Decide(context.Background(), ledgertest.Ask(fmt.Sprint("cb-", i), "body"), ledgertest.Give(ledgertest.Verdict(wire.Reject, nil)), ledgertest.Reply)
				if err == nil && (!res.Replayed || !bytes.EqualFold(res.Reply, x.replies[i])) || test.asks && err != nil {
					t.Errorf("ask %d: %q (replayed %v), %v; want %q", i, res.Reply, res.Replayed, err, x.replies[i])
				}
			}
		})
	}
}

func unless(gone bool, v []byte) []byte {
	if gone {
		return nil
	}
	return v
}

// TestNameOfAnotherCheck: a name that is made to lead to another check's record frees nothing of what that one reserved.
func TestNameOfAnotherCheck(t *testing.T) {
	x := &tampered{t: t, store: memstore.New()}
	x.l = ledgertest.MustOpen(t, x.store, ledgertest.NewClock())
	ctx := context.Background()
	for _, name := range []string{"mine", "other"} {
		_, err := x.l.Decide(ctx, ledgertest.Spending(name, name, 10), ledgertest.Within(20), ledgertest.Reply)
		must(t, err)
	}
	var values [][]byte
	x.edit("ask", func(_, v []byte) []byte { values = append(values, v); return append(v, 0) })
	x.edit("ask", func(_, v []byte) []byte {
		if bytes.Equal(v[:len(v)-1], values[0]) {
			return values[1]
		}
		return values[0]
	})
	report, v := ledgertest.Ask("mine", "outcome"), ledgertest.Verdict(wire.Approve, nil)
	report.Path, v.Concluded = wire.PathOutcome, ledger.ConcludedNotSigned
	if res, err := x.l.Decide(ctx, report, ledgertest.Give(v), ledgertest.Reply); !errors.Is(err, ledger.ErrDamaged) {
		t.Errorf("%s, %v; want ErrDamaged", res.Action, err)
	}
}

// TestForgedVoteDoesNotCount: a vote in the file that nobody signed ends the use of its approval.
func TestForgedVoteDoesNotCount(t *testing.T) {
	x := newTampered(t)
	x.edit("approval", func(_, v []byte) []byte { v[len(v)-20] ^= 1; return v })
	ctx := context.Background()
	if _, err := x.l.Approval(ctx, x.approval.ID); !errors.Is(err, ledger.ErrDamaged) {
		t.Errorf("read: %v, want ErrDamaged", err)
	}
	res, err := x.l.Decide(ctx, ledgertest.Ask("again", "large"), ledgertest.Give(ledgertest.Verdict(wire.Approve, &x.approval.Requirement)), ledgertest.Reply)
	if !errors.Is(err, ledger.ErrDamaged) || res.Reply != nil {
		t.Errorf("ask: %q, %v, want ErrDamaged and no reply", res.Reply, err)
	}
}

// TestOpenFindsCutLog: a ledger whose newest entries are gone is not opened.
func TestOpenFindsCutLog(t *testing.T) {
	x := newTampered(t)
	x.edit(auditlog.BucketHead, func(_, v []byte) []byte { v[len(v)-1] -= 2; return v })
	if _, err := ledger.New(context.Background(), ledger.Config{Store: x.store, Origin: ledgertest.Origin}); !errors.Is(err, ledger.ErrDamaged) {
		t.Errorf("%v, want ErrDamaged", err)
	}
}
