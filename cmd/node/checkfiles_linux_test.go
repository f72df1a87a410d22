package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/countersign-mpc/countersign/internal/certtest"
	"github.com/countersign-mpc/countersign/keystore"
)

// badFindings are what check finds that is not ok.
func badFindings(m machine, c config) (bad []finding) {
	for _, f := range all(m, c) {
		if f.Level != levelOK {
			bad = append(bad, f)
		}
	}
	return bad
}

// TestFilesOfStrangers: who owns a file, or a folder on the way to it, decides what is in it, whatever its mode is.
func TestFilesOfStrangers(t *testing.T) {
	for path, mode := range map[string]fs.FileMode{
		"srv": fs.ModeDir | 0o755, "srv/node": fs.ModeDir | 0o700, "srv/node/config.toml": 0o644, "srv/node/parties.txt": 0o644,
		"srv/node/requester_public.pem": 0o644, "srv/node/node_client_key.pem": 0o600, "srv/node/asset.db": 0o600,
	} {
		for _, tc := range []struct {
			uid   int
			owner uint32
			level string // empty: nothing is found
		}{{1000, 1000, ""}, {1000, 0, ""}, {1000, 65534, levelFail}, {0, 65534, levelWarn}} {
			m, c := fit()
			m.uid = tc.uid
			m.root.(fstest.MapFS)[path] = &fstest.MapFile{Mode: mode, ModTime: checkTime.Add(-time.Hour), Sys: &syscall.Stat_t{Uid: tc.owner}}
			bad := badFindings(m, c)
			if tc.uid == 0 {
				bad = bad[:len(bad)-1] // "this is root"
			}
			if tc.level == "" && len(bad) == 0 {
				continue
			}
			if len(bad) != 1 || bad[0].Level != tc.level || !strings.Contains(bad[0].Found, "belongs to user 65534, who can replace it: /"+path) ||
				!strings.HasPrefix(bad[0].Fix, "chown ") {
				t.Errorf("%s of %d, for %d: %+v", path, tc.owner, tc.uid, bad)
			}
		}
	}
	m, c := fit()
	m.root.(fstest.MapFS)["srv"] = &fstest.MapFile{Mode: fs.ModeDir | 0o777} // who can rename srv/node has replaced all that is in it
	if bad := badFindings(m, c); len(bad) != 1 || bad[0].Level != levelFail || !strings.Contains(bad[0].Found, "everybody can replace files in /srv, mode") {
		t.Errorf("a folder of everybody on the way: %+v", bad)
	}
	m.root.(fstest.MapFS)["srv"] = &fstest.MapFile{Mode: fs.ModeDir | fs.ModeSticky | 0o777} // as /tmp is
	if bad := badFindings(m, c); len(bad) != 0 {
		t.Errorf("a folder in which everybody has only what is theirs: %+v", bad)
	}
}

// TestCheckFindsWhatStartWouldRefuse: the store's file, the log's, and the certificate of the admin interface.
func TestCheckFindsWhatStartWouldRefuse(t *testing.T) {
	root := certtest.NewRoot(t, t.TempDir(), "operators")
	pair, other := root.Server("node"), root.Server("other")
	certificate := func(cert, key string) func(*machine, *config) {
		return func(m *machine, c *config) {
			m.now = time.Now()
			m.root.(fstest.MapFS)["srv/node/asset.db"] = &fstest.MapFile{Mode: 0o600}
			c.AdminTLS.Cert, c.AdminTLS.Key = cert, key
		}
	}
	log := func(path string, writable error) func(*machine, *config) {
		return func(m *machine, c *config) {
			c.Log.File = logConfig{Enable: true, Path: path, Level: 4}
			m.mayWrite = func(string) error { return writable }
		}
	}
	look := func(err error) func(*machine, *config) {
		return func(m *machine, _ *config) { m.look = func(string) error { return err } }
	}
	for name, tc := range map[string]struct {
		spoil       func(*machine, *config)
		level, says string // level empty: nothing is found
	}{
		"a backup as store": {look(keystore.ErrBackup), levelFail, "the sealed store cannot be opened: /srv/node/asset.db: it is a backup, and no store"},
		"a store in use":    {look(keystore.ErrLocked), "", ""},
		"a folder as store": {func(m *machine, _ *config) {
			m.root.(fstest.MapFS)["srv/node/asset.db"] = &fstest.MapFile{Mode: fs.ModeDir | 0o755}
		}, levelFail, "the sealed store"},
		"a log in a missing folder": {log("/srv/node/logs/node.log", nil), "", ""},
		"a log nowhere":             {log("/proc/x/y", errors.New("/proc: permission denied")), levelFail, "the log file cannot be made: /proc: permission denied"},
		"a log below a file":        {log("/srv/node/config.toml/x", nil), levelFail, "/srv/node/config.toml is no folder"},
		"a folder as log":           {log("/srv/node/backups", nil), levelFail, "the log file is no file"},
		"what verify left": {func(m *machine, _ *config) {
			m.forgotten = func() []string { return []string{"/tmp/mpc-node-verify-1"} }
		},
			levelWarn, "has left a sealed copy of all shares: /tmp/mpc-node-verify-1"},
		"no certificate":        {certificate("/nope", pair.Key), levelFail, "no such file"},
		"a certificate of none": {certificate(pair.Certificate, other.Key), levelFail, "private key does not match"},
		"an old certificate": {func(m *machine, c *config) {
			certificate(pair.Certificate, pair.Key)(m, c)
			m.now = m.now.Add(2 * time.Hour)
		}, levelWarn, "which is past: no command reaches the node"},
		"a certificate that ends": {certificate(pair.Certificate, pair.Key), levelWarn, "the certificate runs out at "},
	} {
		m, c := fit()
		tc.spoil(&m, &c)
		bad := badFindings(m, c)
		if tc.level == "" {
			if len(bad) > 0 {
				t.Errorf("%s: %+v", name, bad)
			}
			continue
		}
		if len(bad) != 1 || bad[0].Level != tc.level || !strings.Contains(bad[0].Found, tc.says) || bad[0].Fix == "" {
			t.Errorf("%s: %+v, want %s %q", name, bad, tc.level, tc.says)
		}
	}
}

// TestForgottenFolders: what a verify that was killed has left goes with the next one; what is in use, young or not ours stays.
func TestForgottenFolders(t *testing.T) {
	temp, now := t.TempDir(), time.Now()
	make := func(name string, mode fs.FileMode, age time.Duration) {
		t.Helper()
		dir := filepath.Join(temp, name)
		for _, err := range []error{os.Mkdir(dir, mode), os.WriteFile(filepath.Join(dir, "asset.db"), nil, 0o600), os.Chtimes(dir, now, now.Add(-age))} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	make("mpc-node-verify-1", 0o700, 2*time.Hour)
	make("mpc-node-verify-2", 0o700, time.Minute)
	make("mpc-node-verify-3", 0o755, 2*time.Hour)
	make("other", 0o700, 2*time.Hour)
	if err := removeForgotten(temp, now); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(temp, "*"))
	if err != nil || len(left) != 3 || filepath.Base(left[0]) != "mpc-node-verify-2" {
		t.Errorf("left are %v, %v", left, err)
	}
}
