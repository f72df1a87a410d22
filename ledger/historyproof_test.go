package ledger_test

import (
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

// TestProofsFromTheStore: what a store's checkpoints cover is proven without the log's key, and what came after them is not.
func TestProofsFromTheStore(t *testing.T) {
	ctx := context.Background()
	key, err := auditlog.GenerateKey(ledgertest.Origin)
	must(t, err)
	// grow makes a ledger with n entries under the key and checkpoints at 3 and 8, and returns the ids and the checkpoint at 3.
	grow := func(prefix string, n int) (h *ledger.History, ids []string, older []byte) {
		store := memstore.New()
		l, err := ledger.New(ctx, ledger.Config{Store: store, Clock: ledgertest.NewClock(), Origin: ledgertest.Origin, LogKey: key})
		must(t, err)
		for i := range n {
			ids = append(ids, ledgertest.MustDecide(t, l, ledgertest.Ask(fmt.Sprint(prefix, i), "body"), ledgertest.Verdict(wire.Approve, nil)).ID)
			if i == 2 || i == 7 {
				signed, err := l.Checkpoint(ctx)
				must(t, err)
				if i == 2 {
					older = signed
				}
			}
		}
		h, err = ledger.ReadHistory(ctx, store)
		must(t, err)
		return h, ids, older
	}
	h, ids, older := grow("cb-", 10)
	newest, err := h.Checkpoint(ctx)
	must(t, err)
	if tree, err := auditlog.OpenCheckpoint(newest, key.Public()); err != nil || tree.N != 8 || h.LogPublic() != key.Public() {
		t.Fatalf("the newest checkpoint is over %d entries, %v", tree.N, err)
	}
	for i, id := range ids[:8] {
		entry, proof, err := h.Prove(ctx, id)
		must(t, err)
		if index, size, err := auditlog.CheckInclusion(key.Public(), entry, proof); err != nil || index != int64(i) || size != 8 {
			t.Errorf("entry %d is proven as %d of %d, %v", i, index, size, err)
		}
	}
	if _, _, err := h.Prove(ctx, ids[8]); !errors.Is(err, ledger.ErrNotFound) || !strings.Contains(err.Error(), "over the 8 before") {
		t.Errorf("an entry behind the newest checkpoint: %v", err)
	}
	if _, _, err := h.Prove(ctx, strings.Repeat("0", 32)); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("an entry that is not there: %v", err)
	}
	for _, from := range [][]byte{older, newest} {
		proof, err := h.ProveGrowth(ctx, from)
		must(t, err)
		if _, size, err := auditlog.CheckConsistency(key.Public(), from, proof); err != nil || size != 8 {
			t.Errorf("growth to %d, %v", size, err)
		}
	}
	if _, err := h.ProveGrowth(ctx, []byte("no checkpoint")); !errors.Is(err, ledger.ErrInvalid) {
		t.Errorf("out of no checkpoint: %v", err)
	}
	other, _, _ := grow("other-", 10)
	if _, err := other.ProveGrowth(ctx, older); !errors.Is(err, ledger.ErrDamaged) {
		t.Errorf("out of another log's under the same key: %v", err)
	}
	short, _, _ := grow("cb-", 4)
	if _, err := short.ProveGrowth(ctx, newest); !errors.Is(err, ledger.ErrDamaged) || !strings.Contains(err.Error(), "an older copy") {
		t.Errorf("out of a newer one: %v", err)
	}
	empty := memstore.New()
	_, err = ledger.New(ctx, ledger.Config{Store: empty, Origin: ledgertest.Origin, LogKey: key})
	must(t, err)
	none, err := ledger.ReadHistory(ctx, empty)
	must(t, err)
	if _, err := none.Checkpoint(ctx); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("where none was signed: %v", err)
	}
}
