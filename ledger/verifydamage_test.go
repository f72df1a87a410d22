package ledger_test

import (
	"bytes"
	"context"
	"path/filepath"
	"testing"

	bbolt "go.etcd.io/bbolt"

	boltstore "github.com/countersign-mpc/countersign/bolt/ledgerstore"
	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/ledger/ledgertest"
)

// spoiledFile is a ledger in a bbolt file, which is altered while it is closed.
type spoiledFile struct {
	path  string
	store *boltstore.Store // nil: it is closed
}

func (f *spoiledFile) Store(t *testing.T) ledger.Store {
	t.Helper()
	if f.store == nil {
		s, err := boltstore.Open(boltstore.Config{Path: f.path})
		must(t, err)
		f.store = s
	}
	return f.store
}

func (f *spoiledFile) Close(t *testing.T) {
	t.Helper()
	if f.store != nil {
		must(t, f.store.Close())
		f.store = nil
	}
}

func (f *spoiledFile) Spoil(t *testing.T, bucket string, key []byte) {
	t.Helper()
	f.Close(t)
	db, err := bbolt.Open(f.path, 0o600, nil)
	must(t, err)
	must(t, db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(bucket))
		value := bytes.Clone(b.Get(key)) // its checksum and what it covers
		value[len(value)-1] ^= 1
		return b.Put(key, value)
	}))
	must(t, db.Close())
}

// TestVerifyNamesAll: over a file, a verification names everything that was altered in it.
func TestVerifyNamesAll(t *testing.T) {
	ledgertest.RunVerify(t, func(t *testing.T) ledgertest.Spoiled {
		f := &spoiledFile{path: filepath.Join(t.TempDir(), "ledger.db")}
		t.Cleanup(func() { f.Close(t) })
		return f
	})
}

// TestVerifyWithoutSize: where not even the log's size can be read, nothing can be verified, and the error says so.
func TestVerifyWithoutSize(t *testing.T) {
	f := &spoiledFile{path: filepath.Join(t.TempDir(), "ledger.db")}
	defer f.Close(t)
	ledgertest.MustOpen(t, f.Store(t), ledgertest.NewClock())
	ledgertest.MustDecide(t, ledgertest.MustOpen(t, f.Store(t), ledgertest.NewClock()), ledgertest.Ask("cb", "body"), ledgertest.Verdict("Approve", nil))
	f.Spoil(t, "log.head", []byte("size"))
	_, _, err := ledger.Inspect(context.Background(), ledger.Inspection{Store: f.Store(t)})
	if err == nil || !bytes.Contains([]byte(err.Error()), []byte("read the size of the audit log")) {
		t.Errorf("%v, want one over the log's size", err)
	}
}
