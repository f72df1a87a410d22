package node_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/countersign-mpc/countersign/keystore"
	"github.com/countersign-mpc/countersign/node"
)

// TestAStoreOfTheFirstVersion opens a node's file as the first version left it, with a key and a signature made with it: what
// is in docs/FORMATS.md has stayed readable, and a backup of then can be restored.
func TestAStoreOfTheFirstVersion(t *testing.T) {
	t.Parallel()
	old, err := os.ReadFile("testdata/asset-v1.db")
	must(t, err)
	h := newHall(t)
	m := &member{h: h, path: filepath.Join(t.TempDir(), "asset.db"), settings: &settings{}, toys: &toys{t: t}, log: &logBuffer{}}
	must(t, os.WriteFile(m.path, old, 0o600))
	m.open()
	must(t, m.node.Unseal(context.Background(), pass(password)))
	id, err := m.node.Identity()
	must(t, err)
	const public = "0363872f095469ea74ab0408b6ea19c04df6ff0c4d41f65399b2454d0c70937d43"
	if k := m.key("key-1"); k == nil || k.State != node.KeyActive || k.Epoch != 1 || k.PublicKey != public || k.T != 3 || k.N != 3 ||
		k.LastUsed.IsZero() || k.Created.IsZero() || k.EVM == "" || k.Note != "" || string(id.NodeID) != k.Parties[0] {
		t.Fatalf("the key is %+v of node %s", k, id.NodeID)
	}
	if _, _, err := node.CheckStore(m.store, good); err != nil {
		t.Fatal(err)
	}
	must(t, m.store.Put("fresh", "record", nil))
	backup := filepath.Join(t.TempDir(), "old.db")
	must(t, os.WriteFile(backup, old, 0o600))
	m.restoreAs(backup, func(s *keystore.Store) error { return node.AfterRestore(s, h.clock.Now()) })
	must(t, m.node.Unseal(context.Background(), pass(password)))
	if k := m.key("key-1"); k.State != node.KeyUnconfirmed || k.Note == "" {
		t.Fatalf("restored, the key is %+v", k)
	}
}
