package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/ledger/ledgertest"
	"github.com/countersign-mpc/countersign/ledger/memstore"
)

// changedPolicies is a ledger with two policies that were live, one of them by a proposal, and a proposal that waits.
func changedPolicies(t *testing.T, store ledger.Store) (*ledger.Ledger, []ledger.Proposal) {
	t.Helper()
	ctx := context.Background()
	l := ledgertest.MustOpen(t, store, ledgertest.NewClock())
	alice := ledgertest.NewEd25519Approver(t, "alice")
	first := ledgertest.Change(0, "r1")
	first.Guard = &ledger.Guard{Requirement: *ledgertest.Require(1, alice)}
	first.Content = longContent(3)
	ledgertest.MustActivate(t, l, first)
	used, err := l.Propose(ctx, ledgertest.Draft(1, "r2"))
	must(t, err)
	_, err = l.VoteOnProposal(ctx, used.ID, alice.SignProposal(t, used, ledger.VoteApprove))
	must(t, err)
	ledgertest.MustActivate(t, l, ledger.Change{Base: 1, Revision: "r2", How: ledger.ActivatedProposal, Proposal: used.ID, Operator: "olga", Guard: first.Guard})
	waits, err := l.Propose(ctx, ledgertest.Draft(2, "r3"))
	must(t, err)
	waits, err = l.VoteOnProposal(ctx, waits.ID, alice.SignProposal(t, waits, ledger.VoteApprove))
	must(t, err)
	return l, []ledger.Proposal{used, waits}
}

// TestTamperedPolicies changes, and then removes, each value that is kept of policies. Verify says so each time, and a change of
// what would go live is not made.
func TestTamperedPolicies(t *testing.T) {
	ctx := context.Background()
	store := memstore.New()
	l, proposals := changedPolicies(t, store)
	report, err := l.Verify(ctx)
	if err != nil || !report.OK() {
		t.Fatal(err, report.Problems)
	}
	for _, bucket := range []string{"revision", "activation", "proposal"} {
		var keys [][]byte
		must(t, store.View(ctx, func(r ledger.Reader) error {
			return r.Scan(bucket, nil, nil, false, func(key, _ []byte) (bool, error) {
				keys = append(keys, bytes.Clone(key))
				return true, nil
			})
		}))
		if len(keys) < 2 {
			t.Fatalf("bucket %s holds %d values", bucket, len(keys))
		}
		for _, key := range keys {
			for _, how := range []string{"first byte", "last byte", "cut", "gone"} {
				terms := bucket == "proposal" && key[0] == 0
				if terms && how == "gone" {
					continue // old ones are forgotten
				}
				restore := tamper(t, store, bucket, key, how)
				if report, err := l.Verify(ctx); err != nil || report.OK() {
					t.Errorf("%s %x, %s: verify says nothing (%v)", bucket, key, how, err)
				}
				unsigned := terms && how == "last byte" // of the time of a vote, which only its entry knows
				if bucket == "proposal" && bytes.HasSuffix(key, mustID(t, proposals[1].ID)) && !unsigned {
					_, err := l.Activate(ctx, ledger.Change{Base: 2, Revision: "r3", How: ledger.ActivatedProposal, Proposal: proposals[1].ID, Operator: "olga"})
					if !errors.Is(err, ledger.ErrDamaged) {
						t.Errorf("%s %x, %s: it is activated: %v", bucket, key, how, err)
					}
				}
				restore()
			}
		}
	}
	if report, err := l.Verify(ctx); err != nil || !report.OK() {
		t.Fatal(err, report.Problems)
	}
	_, err = l.Activate(ctx, ledger.Change{Base: 2, Revision: "r3", How: ledger.ActivatedProposal, Proposal: proposals[1].ID, Operator: "olga"})
	must(t, err)
}

func mustID(t *testing.T, text string) []byte {
	t.Helper()
	var out []byte
	if _, err := fmt.Sscanf(text, "%x", &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// tamper changes a stored value and returns what puts it back.
func tamper(t *testing.T, store ledger.Store, bucket string, key []byte, how string) (restore func()) {
	t.Helper()
	var was []byte
	must(t, store.Update(context.Background(), func(tx ledger.Tx) error {
		v, err := tx.Get(bucket, key)
		was = bytes.Clone(v)
		changed := bytes.Clone(v)
		switch how {
		case "first byte":
			changed[0] ^= 1
		case "last byte":
			changed[len(changed)-1] ^= 1
		case "cut":
			changed = changed[:len(changed)-1]
		case "gone":
			return errors.Join(err, tx.Delete(bucket, key))
		}
		return errors.Join(err, tx.Put(bucket, key, changed))
	}))
	return func() {
		must(t, store.Update(context.Background(), func(tx ledger.Tx) error { return tx.Put(bucket, key, was) }))
	}
}

// TestActiveTampered: who changes which policy is active in the store alone is found out.
func TestActiveTampered(t *testing.T) {
	ctx := context.Background()
	store := memstore.New()
	l, _ := changedPolicies(t, store)
	must(t, store.Update(ctx, func(tx ledger.Tx) error {
		v, err := tx.Get("meta", []byte("active"))
		return errors.Join(err, tx.Put("meta", []byte("active"), bytes.Replace(v, []byte("r2"), []byte("r1"), 1)))
	}))
	if report, err := l.Verify(ctx); err != nil || report.OK() {
		t.Errorf("verify says nothing (%v)", err)
	}
}

// TestGuardStripped: who removes what a change of the active policy has to pass, in the store alone, changes no policy; and where that
// was done to the log's entry too, for as long as it took, the change itself is found out.
func TestGuardStripped(t *testing.T) {
	ctx := context.Background()
	store := memstore.New()
	l := ledgertest.MustOpen(t, store, ledgertest.NewClock())
	first := ledgertest.Change(0, "r1")
	first.Guard = &ledger.Guard{Requirement: *ledgertest.Require(1, ledgertest.NewEd25519Approver(t, "alice"))}
	rec := ledgertest.MustActivate(t, l, first)
	var guard []byte // as it is stored: behind number, revision, entry, time and files, which are none
	must(t, store.View(ctx, func(r ledger.Reader) error {
		v, err := r.Get("meta", []byte("active"))
		guard = bytes.Clone(v[1+8+4+len("r1")+16+8+4:])
		return err
	}))
	strip := func(bucket string, key []byte) (restore func()) {
		t.Helper()
		var was []byte
		must(t, store.Update(ctx, func(tx ledger.Tx) error {
			v, err := tx.Get(bucket, key)
			was = bytes.Clone(v)
			head, ok := bytes.CutSuffix(was, guard)
			if !ok {
				t.Fatalf("%s %x does not end in the guard", bucket, key)
			}
			return errors.Join(err, tx.Put(bucket, key, append(bytes.Clone(head), 0)))
		}))
		return func() {
			must(t, store.Update(ctx, func(tx ledger.Tx) error { return tx.Put(bucket, key, was) }))
		}
	}
	problems := func() (out []string) {
		t.Helper()
		report, err := l.Verify(ctx)
		must(t, err)
		for _, p := range report.Problems {
			out = append(out, p.Detail)
		}
		return out
	}

	restore := strip("meta", []byte("active"))
	if active, err := l.Active(ctx); err != nil || active.Guard != nil {
		t.Fatal(active, err)
	}
	if _, err := l.Activate(ctx, ledgertest.Change(1, "r2")); !errors.Is(err, ledger.ErrDamaged) {
		t.Errorf("a change without approvals: %v", err)
	}
	if _, err := l.Propose(ctx, ledgertest.Draft(1, "r2")); !errors.Is(err, ledger.ErrDamaged) {
		t.Errorf("a proposal that needs none: %v", err)
	}
	if got := problems(); len(got) != 1 || !strings.Contains(got[0], "is not what the log has of it") {
		t.Errorf("verify says %q", got)
	}
	restore()

	restoreEntry := strip("record", mustID(t, rec.ID))
	strip("meta", []byte("active"))
	if _, err := l.Activate(ctx, ledgertest.Change(1, "r2")); err != nil {
		t.Fatal(err)
	}
	restoreEntry()
	if got := problems(); len(got) != 1 || !strings.Contains(got[0], "activation 2, of r2, did not pass") {
		t.Errorf("verify says %q", got)
	}
}

func FuzzParseProposal(f *testing.F) {
	l := ledgertest.MustOpen(f, memstore.New(), ledgertest.NewClock())
	alice := ledgertest.NewEd25519Approver(f, "alice")
	c := ledgertest.Change(0, "r1")
	c.Guard = &ledger.Guard{Requirement: *ledgertest.Require(1, alice)}
	ledgertest.MustActivate(f, l, c)
	p, err := l.Propose(context.Background(), ledgertest.Draft(1, "r2"))
	must(f, err)
	for range 2 {
		b, err := ledger.MarshalStoredProposal(&p)
		must(f, err)
		f.Add(b)
		p, err = l.VoteOnProposal(context.Background(), p.ID, alice.SignProposal(f, p, ledger.VoteApprove))
		must(f, err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ledger.ParseStoredProposal(data)
		if err != nil {
			if !errors.Is(err, ledger.ErrDamaged) {
				t.Errorf("%v is no ErrDamaged", err)
			}
			return
		}
		if again, err := ledger.MarshalStoredProposal(p); err != nil || !bytes.Equal(again, data) {
			t.Errorf("%x became %x (%v)", data, again, err)
		}
	})
}
