package ledgerstore_test

import (
	"path/filepath"
	"testing"

	"github.com/countersign-mpc/countersign/bolt/ledgerstore"
	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/ledger/ledgertest"
)

func mustOpen(t testing.TB, path string) *ledgerstore.Store {
	t.Helper()
	s, err := ledgerstore.Open(ledgerstore.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestSuite(t *testing.T) {
	ledgertest.Run(t, func(t *testing.T) ledger.Store { return mustOpen(t, filepath.Join(t.TempDir(), "ledger.db")) })
}
