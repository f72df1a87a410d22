package ledgertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/ledger"
)

// long makes a policy of this revision the active one whose content takes five pieces.
func long(base uint64, revision string) ledger.Change {
	c := Change(base, revision)
	c.Content = bytes.Repeat([]byte("content of "+revision+"\x00"), 30_000)[:300_000]
	return c
}

// ending is a store whose process ends after so many updates.
type ending struct {
	ledger.Store
	left int
}

var errEnded = errors.New("the process has ended")

func (e *ending) Update(ctx context.Context, fn func(ledger.Tx) error) error {
	if e.left--; e.left < 0 {
		return errEnded
	}
	return e.Store.Update(ctx, fn)
}

// stagedBy has an activation of a long policy, beside the active "live", end after so many updates: the note of what is being stored
// and a piece each. The last of the pieces is beside the place of the policy "a-next".
func stagedBy(t *testing.T, store ledger.Store, updates int) {
	t.Helper()
	MustActivate(t, MustOpen(t, store, NewClock()), long(0, "live"))
	e := &ending{store, 1 + updates} // and one in which the ledger is opened
	if _, err := MustOpen(t, e, NewClock()).Activate(context.Background(), long(1, "x-left")); !errors.Is(err, errEnded) {
		t.Fatal(err)
	}
}

// pieceKeys are the keys of the stored pieces of a revision.
func pieceKeys(t *testing.T, store ledger.Store, revision string) (keys [][]byte) {
	t.Helper()
	mustView(t, store, func(r ledger.Reader) error {
		keys = nil
		return r.Scan("revision", []byte{0}, []byte{1}, false, func(key, _ []byte) (bool, error) {
			if bytes.HasPrefix(key[2:], []byte(revision)) {
				keys = append(keys, bytes.Clone(key))
			}
			return true, nil
		})
	})
	return keys
}

// testStaged: what is left over from a policy that never became active and is damaged is named as such, and can be removed; then long
// policies become active again.
func testStaged(t *testing.T, create func(t *testing.T) Spoiled) {
	note := func([][]byte) [][]byte { return nil }
	for name, test := range map[string]struct {
		updates int
		spoil   func(pieces [][]byte) [][]byte // what of the pieces
		mark    bool                           // the note of what is being stored, too
		blocked bool                           // a long policy cannot become active before
	}{
		"a piece":                 {3, func(p [][]byte) [][]byte { return p[1:2] }, false, false},
		"the only piece":          {2, func(p [][]byte) [][]byte { return p }, false, false},
		"all pieces":              {4, func(p [][]byte) [][]byte { return p }, false, false},
		"the note":                {3, note, true, true},
		"note and a piece":        {5, func(p [][]byte) [][]byte { return p[1:2] }, true, true},
		"note and both ends":      {5, func(p [][]byte) [][]byte { return [][]byte{p[0], p[len(p)-1]} }, true, true},
		"note and the only piece": {2, func(p [][]byte) [][]byte { return p }, true, true},
		"note and all pieces":     {4, func(p [][]byte) [][]byte { return p }, true, true},
		"note and the last":       {5, func(p [][]byte) [][]byte { return p[len(p)-1:] }, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			s := create(t)
			stagedBy(t, s.Store(t), test.updates)
			found := pieceKeys(t, s.Store(t), "x-left")
			if len(found) != test.updates-1 {
				t.Fatalf("%d pieces are left, want %d", len(found), test.updates-1)
			}
			for _, key := range test.spoil(found) {
				s.Spoil(t, "revision", key)
			}
			if test.mark {
				s.Spoil(t, "meta", []byte("staged"))
			}
			if report := inspected(t, s); report.OK() || !strings.Contains(fmt.Sprint(report.Problems), "callback policy drop-staged") {
				t.Errorf("problems %q", report.Problems)
			}
			if test.blocked {
				_, err := MustOpen(t, s.Store(t), NewClock()).Activate(ctx, long(1, "a-next"))
				wants(t, err, ledger.ErrDamaged)
			}
			dropped, err := ledger.DropStaged(ctx, s.Store(t))
			must(t, err)
			if fmt.Sprint(dropped) != "[x-left]" {
				t.Errorf("what was left over of %q is removed", dropped)
			}
			s.Close(t)
			l := MustOpen(t, s.Store(t), NewClock())
			verified(t, l)
			MustActivate(t, l, long(1, "a-next"))
			verified(t, l)
			if n, m := len(pieceKeys(t, s.Store(t), "live")), len(pieceKeys(t, s.Store(t), "a-next")); n != 5 || m != 5 || len(pieceKeys(t, s.Store(t), "x-left")) != 0 {
				t.Errorf("%d and %d pieces are stored", n, m)
			}
		})
	}
	t.Run("whose is not known", func(t *testing.T) { testHidden(t, create(t)) })
	t.Run("another meanwhile", func(t *testing.T) { testStagedMeanwhile(t, create(t)) })
	t.Run("of the active policy", func(t *testing.T) {
		s := create(t)
		stagedBy(t, s.Store(t), 3)
		s.Spoil(t, "revision", pieceKeys(t, s.Store(t), "live")[0])
		if report := inspected(t, s); report.OK() || strings.Contains(fmt.Sprint(report.Problems), "drop-staged") {
			t.Errorf("problems %q", report.Problems)
		}
		s.Spoil(t, "revision", []byte("live"))
		_, err := ledger.DropStaged(context.Background(), s.Store(t))
		wants(t, err, ledger.ErrDamaged)
	})
}
