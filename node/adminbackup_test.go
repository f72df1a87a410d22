package node_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/keystore"
	"github.com/countersign-mpc/countersign/node"
	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/signingtest"
)

func good(*signing.Share) error { return nil }

// mustCopyBackup gives the path of the store in a backup.
func mustCopyBackup(t testing.TB, backup string) string {
	t.Helper()
	file, err := os.Open(backup)
	must(t, err)
	defer file.Close()
	path := filepath.Join(t.TempDir(), "asset.db")
	must(t, keystore.WriteFile(path, func(w io.Writer) error { return keystore.CopyBackup(w, file) }))
	return path
}

// mustUnsealCopy opens a backup.
func mustUnsealCopy(t testing.TB, path string) *keystore.Store {
	t.Helper()
	if _, err := keystore.Open(keystore.Config{Path: path}); !errors.Is(err, keystore.ErrBackup) {
		t.Fatalf("a backup opens as a store: %v", err)
	}
	path = mustCopyBackup(t, path)
	store, err := keystore.Open(keystore.Config{Path: path, Argon2: cheap})
	must(t, err)
	t.Cleanup(func() { _ = store.Close() })
	must(t, store.Unseal(t.Context(), pass(password)))
	return store
}

// lastBackup is what the metric says of the newest backup.
func lastBackup(t *testing.T, n *node.Node) string {
	t.Helper()
	w := httptest.NewRecorder()
	n.Health().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	_, rest, found := strings.Cut(w.Body.String(), "\ncountersign_node_last_backup_timestamp_seconds ")
	if !found {
		t.Fatal("there is no metric of the last backup")
	}
	value, _, _ := strings.Cut(rest, "\n")
	return value
}

func TestBackupOfANodeWithAKey(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "backups")
	r := newSigners(t)
	node.SetBackupDir(r.a.node, dir)
	if got := lastBackup(t, r.a.node); got != "0" {
		t.Errorf("before the first backup the metric says %s", got)
	}
	path, m, err := r.a.node.Backup()
	must(t, err)
	if got, err := strconv.ParseFloat(lastBackup(t, r.a.node), 64); err != nil || int64(got*1000+0.5) != m.Created.UnixMilli() {
		t.Errorf("the metric says %f, the backup is of %v, %v", got, m.Created, err)
	}
	data, err := os.ReadFile(path)
	must(t, err)
	sum := sha256.Sum256(data)
	if filepath.Dir(path) != dir || m.SHA256 != hex.EncodeToString(sum[:]) || m.Bytes != int64(len(data)) || m.NodeID != r.a.id ||
		len(m.Keys) != 1 || m.Keys[0].KeyID != r.keyID || m.Keys[0].State != node.KeyActive {
		t.Fatalf("the manifest is %+v", m)
	}
	file, err := os.ReadFile(path + ".json")
	must(t, err)
	read, err := node.ParseBackupManifest(bytes.NewReader(file))
	must(t, err)
	share, _ := r.a.record("key", r.keyID)["share"].(string)
	if len(share) < 100 || contains(string(file), share[20:60]) {
		t.Fatal("the manifest tells a share, or there is none")
	}

	store := mustUnsealCopy(t, path)
	stat, err := store.Stat()
	must(t, err)
	id, keys, err := node.CheckStore(store, good)
	must(t, err)
	must(t, read.Compare(id, keys, stat))
	for name, change := range map[string]func(*node.BackupManifest){
		"node id": func(m *node.BackupManifest) { m.NodeID = r.b.id }, "store id": func(m *node.BackupManifest) { m.StoreID = "0" },
		"sequence": func(m *node.BackupManifest) { m.Sequence++ }, "password": func(m *node.BackupManifest) { m.Password = "0" },
		"records": func(m *node.BackupManifest) { m.Records = nil }, "keys": func(m *node.BackupManifest) { m.Keys[0].Epoch++ },
	} {
		other, err := node.ParseBackupManifest(bytes.NewReader(file))
		must(t, err)
		change(&other)
		if err := other.Compare(id, keys, stat); err == nil || !contains(err.Error(), "the manifest says "+name) {
			t.Errorf("another %s: %v", name, err)
		}
	}
	bad := errors.New("it cannot sign")
	if _, _, err := node.CheckStore(store, func(*signing.Share) error { return bad }); !errors.Is(err, bad) {
		t.Errorf("a share that its protocol refuses: %v", err)
	}

	// a share whose secret is not that of its public share, sealed as well as any
	raw, err := store.Get("key", r.keyID)
	must(t, err)
	var rec map[string]any
	must(t, json.Unmarshal(raw, &rec))
	for name, change := range map[string]func(){
		"index": func() { rec["index"] = rec["index"].(float64) + 1 },
		"share": func() { s := []byte(rec["share"].(string)); s[len(s)/2] ^= 1; rec["share"] = string(s) },
	} {
		must(t, json.Unmarshal(raw, &rec))
		change()
		changed, err := json.Marshal(rec)
		must(t, err)
		must(t, store.Put("key", r.keyID, changed))
		if _, _, err := node.CheckStore(store, good); err == nil {
			t.Errorf("a record with a wrong %s passed", name)
		}
	}
	must(t, store.Delete("key", r.keyID))
	must(t, store.Delete("identity", "p256"))
	if _, _, err := node.CheckStore(store, good); err == nil || !contains(err.Error(), "no identity key") {
		t.Errorf("a store without an identity: %v", err)
	}
}

// TestSharesThatCanSign: the check of a backup takes the shares that the protocols make, and none that looks like one.
func TestSharesThatCanSign(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"3of3", "2of3", "ed25519-3of3", "ed25519-2of3"} {
		for _, share := range signingtest.Shares(t, name) {
			must(t, node.Threshold{}.CheckShare(share))
			share.Wipe()
			if err := (node.Threshold{}).CheckShare(share); err == nil {
				t.Errorf("%s: a share without its secret passed", name)
			}
		}
	}
}

func TestBackupRefusals(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.mustRefuse("POST", "/sys/backup", "", "set backup.directory")
	o = newOffice(t, func(c *node.Config) { c.BackupDir = t.TempDir() })
	o.mustRefuse("POST", "/sys/backup", "", "run init")
	o.call("POST", "/sys/init", bkey(password))
	o.mustRefuse("POST", "/sys/backup", "", "run unseal")
	for _, text := range []string{"", "{}", `{"format":"countersign/backup/v2"}`, `{"format":"countersign/backup/v1","more":1}`, strings.Repeat(" ", 5<<20)} {
		if _, err := node.ParseBackupManifest(strings.NewReader(text)); err == nil {
			t.Errorf("%.40q was read as a manifest", text)
		}
	}
}

func FuzzBackupManifest(f *testing.F) {
	f.Add([]byte(`{"format":"countersign/backup/v1","created":"2026-11-21T00:00:00Z","keys":[{"key_id":"k"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := node.ParseBackupManifest(bytes.NewReader(b)); err == nil && m.Format != "countersign/backup/v1" {
			t.Fatal("another format was read")
		}
	})
}
