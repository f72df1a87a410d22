package ledgerstore_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/countersign-mpc/countersign/bolt/ledgerstore"
	"github.com/countersign-mpc/countersign/ledger"
)

// TestReadOnly: what a killed process left in the journal is read, and the file stays as it was, byte for byte.
func TestReadOnly(t *testing.T) {
	live := filepath.Join(t.TempDir(), "ledger.db")
	s := openTurning(t, live, 1000)
	put := func(tx ledger.Tx) error { return tx.Put("ask", []byte("k"), []byte("v")) }
	must(t, s.Update(t.Context(), put))
	before, err := os.ReadFile(live)
	must(t, err)
	killed := filepath.Join(t.TempDir(), "left.db")
	must(t, os.WriteFile(killed, before, 0o400))
	r, err := ledgerstore.Open(ledgerstore.Config{Path: killed, ReadOnly: true})
	must(t, err)
	must(t, r.View(t.Context(), func(r ledger.Reader) error {
		v, err := r.Get("ask", []byte("k"))
		if string(v) != "v" {
			t.Errorf("read %q", v)
		}
		return err
	}))
	must(t, r.Check(t.Context()))
	if err := r.Update(t.Context(), put); err == nil {
		t.Error("it was written to")
	}
	must(t, r.Close())
	after, err := os.ReadFile(killed)
	must(t, err)
	if !bytes.Equal(before, after) {
		t.Error("the file is another one than before")
	}
	if _, err := ledgerstore.Open(ledgerstore.Config{Path: filepath.Join(t.TempDir(), "none.db"), ReadOnly: true}); err == nil {
		t.Error("a file that is not there was opened")
	}
}
