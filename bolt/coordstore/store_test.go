package coordstore_test

import (
	"path/filepath"
	"testing"

	"github.com/countersign-mpc/countersign/bolt/coordstore"
	"github.com/countersign-mpc/countersign/coordinator"
	"github.com/countersign-mpc/countersign/coordinator/storetest"
)

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func open(t *testing.T, path string) *coordstore.Store {
	t.Helper()
	return must(coordstore.Open(coordstore.Config{Path: path}))(t)
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) coordinator.Store {
		s := open(t, filepath.Join(t.TempDir(), "coordinator.db"))
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		return s
	})
}
