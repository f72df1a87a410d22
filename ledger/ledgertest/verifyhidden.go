package ledgertest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/ledger"
)

// unnamed is a store whose errors do not say which value was altered.
type unnamed struct{ ledger.Store }

func (u unnamed) View(ctx context.Context, fn func(ledger.Reader) error) error {
	return u.Store.View(ctx, func(r ledger.Reader) error { return fn(unnamedReader{r}) })
}

type unnamedReader struct{ ledger.Reader }

func (r unnamedReader) Get(bucket string, key []byte) ([]byte, error) {
	v, err := r.Reader.Get(bucket, key)
	return v, bare(err)
}

func (r unnamedReader) Scan(bucket string, from, to []byte, reverse bool, fn func(key, value []byte) (bool, error)) error {
	return bare(r.Reader.Scan(bucket, from, to, reverse, fn))
}

func bare(err error) error {
	if errors.Is(err, ledger.ErrDamaged) {
		return fmt.Errorf("%w: a value", ledger.ErrDamaged)
	}
	return err
}

// testHidden: where nobody can say whose a damaged value is, nothing is removed and that is no success.
func testHidden(t *testing.T, s Spoiled) {
	stagedBy(t, s.Store(t), 2)
	s.Spoil(t, "revision", pieceKeys(t, s.Store(t), "x-left")[0])
	s.Spoil(t, "meta", []byte("staged"))
	before := inspected(t, s)
	dropped, err := ledger.DropStaged(context.Background(), unnamed{s.Store(t)})
	wants(t, err, ledger.ErrDamaged)
	if len(dropped) > 0 || !strings.Contains(fmt.Sprint(err), "nothing was removed: restore a backup") {
		t.Errorf("%q, %v", dropped, err)
	}
	s.Close(t)
	if after := inspected(t, s); len(before.Problems) < 2 || fmt.Sprint(before) != fmt.Sprint(after) {
		t.Errorf("before %q, after %q", before.Problems, after.Problems)
	}
}

// between is a store in which something happens before an update.
type between struct {
	ledger.Store
	first func()
}

func (b *between) Update(ctx context.Context, fn func(ledger.Tx) error) error {
	if first := b.first; first != nil {
		b.first = nil
		first()
	}
	return b.Store.Update(ctx, fn)
}

// testStagedMeanwhile: what another server has begun to store meanwhile stays, with the note of it.
func testStagedMeanwhile(t *testing.T, s Spoiled) {
	stagedBy(t, s.Store(t), 3)
	store := s.Store(t)
	_, err := ledger.DropStaged(context.Background(), &between{store, func() {
		if _, err := MustOpen(t, &ending{store, 3}, NewClock()).Activate(context.Background(), long(1, "y-other")); !errors.Is(err, errEnded) {
			t.Fatal(err)
		}
	}})
	if !strings.Contains(fmt.Sprint(err), "another server stores the policy y-other now") {
		t.Error(err)
	}
	if n := len(pieceKeys(t, store, "y-other")); n == 0 {
		t.Error("its pieces are gone")
	}
	MustActivate(t, MustOpen(t, store, NewClock()), long(1, "a-next")) // removes those that the note names
	if n := len(pieceKeys(t, store, "y-other")); n != 0 {
		t.Errorf("%d pieces are left: the note is gone", n)
	}
}

// testBesideMeta: where a value is damaged that a check begins with, what can be checked without it is.
func testBesideMeta(t *testing.T, s Spoiled) {
	written(t, s.Store(t))
	mustUpdate(t, s.Store(t), func(tx ledger.Tx) error { return tx.Put("proposal", []byte{9}, []byte("none")) })
	for _, key := range []string{"active", "counts"} {
		s.Spoil(t, "meta", []byte(key))
	}
	for _, bucket := range []string{"revision", "window", "binding"} {
		s.Spoil(t, bucket, nth(t, s.Store(t), bucket, 0))
	}
	report := inspected(t, s)
	for _, want := range []string{"value in bucket revision", "value in bucket window", "value in bucket binding", "no part of a proposal"} {
		if !strings.Contains(fmt.Sprintf("%q", report.Problems), want) {
			t.Errorf("problems %q, want %q", report.Problems, want)
		}
	}
	if strings.Contains(fmt.Sprint(report.Problems), "drop-staged") {
		t.Errorf("problems %q", report.Problems)
	}
}
