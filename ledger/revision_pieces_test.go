package ledger_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/ledger/ledgertest"
	"github.com/countersign-mpc/countersign/ledger/memstore"
)

const pieceSize = 64 << 10

// longContent is a policy's content that takes three pieces; each seed has its own.
func longContent(seed byte) []byte {
	b := make([]byte, 2*pieceSize+1000)
	for i := range b {
		b[i] = byte(i>>8) ^ byte(i)*7 ^ seed
	}
	return b
}

func longChange(base uint64, seed byte) ledger.Change {
	c := ledgertest.Change(base, fmt.Sprint("long ", seed))
	c.Content = longContent(seed)
	return c
}

// piecesIn counts the pieces that are stored.
func piecesIn(t *testing.T, store ledger.Store) (n int) {
	t.Helper()
	must(t, store.View(context.Background(), func(r ledger.Reader) error {
		n = 0
		return r.Scan("revision", []byte{0}, []byte{1}, false, func([]byte, []byte) (bool, error) {
			n++
			return true, nil
		})
	}))
	return n
}

// holds fails unless the ledger's active policy is this one with its content, and everything fits together.
func holds(t *testing.T, l *ledger.Ledger, number uint64, seed byte) {
	t.Helper()
	ctx := context.Background()
	active, err := l.Active(ctx)
	must(t, err)
	if active.Number != number {
		t.Fatalf("activation %d is the last, want %d", active.Number, number)
	}
	if number > 0 {
		content, err := l.Revision(ctx, active.Revision)
		must(t, err)
		if active.Revision != fmt.Sprint("long ", seed) || !bytes.Equal(content, longContent(seed)) {
			t.Fatalf("the active policy is %s, with %d bytes of content", active.Revision, len(content))
		}
	}
	report, err := l.Verify(ctx)
	if err != nil || !report.OK() {
		t.Fatal(err, report.Problems)
	}
}

// hooked calls before with the number of each update, from 1, and notes what the largest of them put.
type hooked struct {
	ledger.Store
	before  func(n int) error
	n       int
	largest int
}

func (h *hooked) Update(ctx context.Context, fn func(ledger.Tx) error) error {
	h.n++
	if h.before != nil {
		if err := h.before(h.n); err != nil {
			return err
		}
	}
	return h.Store.Update(ctx, func(tx ledger.Tx) error {
		s := &sized{Tx: tx}
		err := fn(s)
		h.largest = max(h.largest, s.put)
		return err
	})
}

type sized struct {
	ledger.Tx
	put int
}

func (s *sized) Put(bucket string, key, value []byte) error {
	s.put += len(key) + len(value)
	return s.Tx.Put(bucket, key, value)
}

// TestNoUpdateHoldsAPolicy: decisions wait for no transaction with much more than a piece of a policy in it.
func TestNoUpdateHoldsAPolicy(t *testing.T) {
	store := &hooked{Store: memstore.New()}
	l := ledgertest.MustOpen(t, store, ledgertest.NewClock())
	ledgertest.MustActivate(t, l, longChange(0, 1))
	ledgertest.MustActivate(t, l, longChange(1, 2))
	holds(t, l, 2, 2)
	if store.largest < pieceSize || store.largest > pieceSize+4096 {
		t.Errorf("an update put %d bytes", store.largest)
	}
	_, err := l.Activate(context.Background(), ledger.Change{Base: 2, Revision: "long 1", How: ledger.ActivatedRollback, Operator: "olga"})
	must(t, err)
	holds(t, l, 3, 1)
	again := store.n
	ledgertest.MustActivate(t, l, longChange(3, 2))
	holds(t, l, 4, 2)
	if n := store.n - again; n > 3 {
		t.Errorf("what is stored already is stored again, in %d updates", n)
	}
	if n := piecesIn(t, store); n != 6 {
		t.Errorf("%d pieces are stored", n)
	}
}

// TestContentAsAWhole: what was stored before there were pieces is read on.
func TestContentAsAWhole(t *testing.T) {
	ctx := context.Background()
	store := memstore.New()
	l := ledgertest.MustOpen(t, store, ledgertest.NewClock())
	ledgertest.MustActivate(t, l, longChange(0, 1))
	must(t, store.Update(ctx, func(tx ledger.Tx) error {
		var keys [][]byte
		if err := tx.Scan("revision", []byte{0}, []byte{1}, false, func(key, _ []byte) (bool, error) {
			keys = append(keys, bytes.Clone(key))
			return true, nil
		}); err != nil {
			return err
		}
		for _, key := range keys {
			if err := tx.Delete("revision", key); err != nil {
				return err
			}
		}
		whole := append(binary.BigEndian.AppendUint64([]byte("CSLV\x01"), 1), longContent(1)...)
		return tx.Put("revision", []byte("long 1"), whole)
	}))
	holds(t, l, 1, 1)
	ledgertest.MustActivate(t, l, longChange(1, 2))
	_, err := l.Activate(ctx, ledger.Change{Base: 2, Revision: "long 1", How: ledger.ActivatedRollback, Operator: "olga"})
	must(t, err)
	holds(t, l, 3, 1)
}

var errGone = errors.New("the server is gone")

// TestCrashWhileStoring ends a server before each update of an activation. The policy before stays the active one, and the next
// activation, of the same policy or another, leaves nothing behind of what was stored.
func TestCrashWhileStoring(t *testing.T) {
	for _, then := range []byte{2, 3} {
		for at := 1; ; at++ {
			inner := memstore.New()
			ledgertest.MustActivate(t, ledgertest.MustOpen(t, inner, ledgertest.NewClock()), longChange(0, 1))
			store := &hooked{Store: inner}
			l := ledgertest.MustOpen(t, store, ledgertest.NewClock())
			store.n, store.before = 0, func(n int) error {
				if n >= at {
					return errGone
				}
				return nil
			}
			_, err := l.Activate(context.Background(), longChange(1, 2))
			if err == nil {
				if at < 4 {
					t.Fatalf("an activation takes %d updates", at-1)
				}
				break
			}
			l = ledgertest.MustOpen(t, inner, ledgertest.NewClock())
			holds(t, l, 1, 1)
			ledgertest.MustActivate(t, l, longChange(1, then))
			holds(t, l, 2, then)
			if n := piecesIn(t, inner); n != 6 {
				t.Errorf("ended before update %d: %d pieces are stored", at, n)
			}
		}
	}
}

// TestStoringAtOnce has another server activate a policy, the same or another, before each update of an activation.
func TestStoringAtOnce(t *testing.T) {
	for _, other := range []byte{2, 3} {
		for at := 1; ; at++ {
			inner := memstore.New()
			second := ledgertest.MustOpen(t, inner, ledgertest.NewClock())
			ledgertest.MustActivate(t, second, longChange(0, 1))
			store := &hooked{Store: inner}
			l := ledgertest.MustOpen(t, store, ledgertest.NewClock())
			came := false
			store.n, store.before = 0, func(n int) error {
				if n == at {
					came = true
					ledgertest.MustActivate(t, second, longChange(1, other))
				}
				return nil
			}
			_, err := l.Activate(context.Background(), longChange(1, 2))
			if !came {
				must(t, err)
				break
			}
			if !errors.Is(err, ledger.ErrRevision) {
				t.Fatalf("the other came before update %d: %v", at, err)
			}
			holds(t, l, 2, other)
			ledgertest.MustActivate(t, l, longChange(2, 4))
			holds(t, l, 3, 4)
			if n := piecesIn(t, inner); n != 9 {
				t.Errorf("the other came before update %d: %d pieces are stored", at, n)
			}
		}
	}
}

// TestEndedBesideAnother ends a server before each update of an activation, while another one stores a policy that comes to nothing
// either: nothing stays of the two, whoever began first.
func TestEndedBesideAnother(t *testing.T) {
	for beside := 1; beside <= 5; beside++ { // the update before which the other begins
		for at := beside; at <= 5; at++ { // and the one before which this one ends
			inner := memstore.New()
			ledgertest.MustActivate(t, ledgertest.MustOpen(t, inner, ledgertest.NewClock()), longChange(0, 1))
			activation := func(seed byte, before func(n int) error) {
				store := &hooked{Store: inner}
				l := ledgertest.MustOpen(t, store, ledgertest.NewClock())
				store.n, store.before = 0, before
				if _, err := l.Activate(context.Background(), longChange(1, seed)); !errors.Is(err, errGone) {
					t.Fatal(err)
				}
			}
			activation(2, func(n int) error {
				if n == beside {
					activation(3, func(n int) error {
						if n > 2 {
							return errGone
						}
						return nil
					})
				}
				if n >= at {
					return errGone
				}
				return nil
			})
			l := ledgertest.MustOpen(t, inner, ledgertest.NewClock())
			ledgertest.MustActivate(t, l, longChange(1, 4))
			holds(t, l, 2, 4)
			if n := piecesIn(t, inner); n != 6 {
				t.Errorf("the other came before update %d, and this one ended before update %d: %d pieces are stored", beside, at, n)
			}
		}
	}
}

// TestRefusedWhileStored: what is stored of a change that is refused is removed.
func TestRefusedWhileStored(t *testing.T) {
	store := memstore.New()
	l := ledgertest.MustOpen(t, store, ledgertest.NewClock())
	first := longChange(0, 1)
	first.Guard = &ledger.Guard{Requirement: *ledgertest.Require(1, ledgertest.NewEd25519Approver(t, "alice"))}
	ledgertest.MustActivate(t, l, first)
	if _, err := l.Activate(context.Background(), longChange(1, 2)); !errors.Is(err, ledger.ErrNeedsApproval) {
		t.Fatal(err)
	}
	holds(t, l, 1, 1)
	if n := piecesIn(t, store); n != 3 {
		t.Errorf("%d pieces are stored", n)
	}
}

// TestContentBesideAProposal: what is stored of a policy that was proposed is what was proposed, and no content beside it is taken.
func TestContentBesideAProposal(t *testing.T) {
	ctx := context.Background()
	l := ledgertest.MustOpen(t, memstore.New(), ledgertest.NewClock())
	ledgertest.MustActivate(t, l, longChange(0, 1))
	draft := ledgertest.Draft(1, "long 2")
	draft.Content = longContent(2)
	p, err := l.Propose(ctx, draft)
	must(t, err)
	c := ledger.Change{Base: 1, Revision: "long 2", How: ledger.ActivatedProposal, Operator: "olga", Proposal: p.ID, Content: longContent(3)}
	if _, err := l.Activate(ctx, c); !errors.Is(err, ledger.ErrInvalid) {
		t.Fatalf("with content: %v", err)
	}
	holds(t, l, 1, 1)
	c.Content = nil
	ledgertest.MustActivate(t, l, c)
	holds(t, l, 2, 2)
}
