//go:build linux || darwin

package sgx_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/internal/secret"
	"github.com/countersign-mpc/countersign/keystore"
	"github.com/countersign-mpc/countersign/keystore/sgx"
)

const password = "Correct-Horse-7-Battery"

// machine is a stand-in for one with an enclave.
type machine struct {
	t      testing.TB
	path   string // of the text file
	device string
	work   string
}

func newMachine(t testing.TB) machine {
	t.Helper()
	m := machineIn(t, t.TempDir())
	m.must(os.Mkdir(m.work, 0o700))
	m.must(os.WriteFile(m.device, []byte("0123456789abcdef"), 0o600))
	return m
}

func machineIn(t testing.TB, dir string) machine {
	return machine{t, filepath.Join(dir, "asset.db"), filepath.Join(dir, "device"), filepath.Join(dir, "work")}
}

func (m machine) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m machine) config() sgx.Config {
	return sgx.Config{Path: m.path, WorkDir: m.work, Store: keystore.Config{Argon2: keystore.Argon2{Time: 1, MemoryKiB: 8, Threads: 1}}}
}

func (m machine) open() *keystore.Store {
	m.t.Helper()
	s, err := sgx.OpenAt(m.config(), m.device)
	m.must(err)
	m.t.Cleanup(func() { _ = s.Close() })
	return s
}

func (m machine) unsealed() *keystore.Store {
	m.t.Helper()
	s := m.open()
	m.must(s.Unseal(context.Background(), secret.New([]byte(password))))
	return s
}

func (m machine) initialised() *keystore.Store {
	m.t.Helper()
	s := m.open()
	m.must(s.Init(context.Background(), secret.New([]byte(password))))
	return s
}

func (m machine) read() []byte {
	m.t.Helper()
	b, err := os.ReadFile(m.path)
	m.must(err)
	return b
}

func (m machine) wantRecord(s *keystore.Store, key, want string) {
	m.t.Helper()
	got, err := s.Get("b", key)
	if err != nil || string(got) != want {
		m.t.Errorf("%s is %q, %v, want %q", key, got, err, want)
	}
}

func TestStoreIsTextAndSurvives(t *testing.T) {
	m := newMachine(t)
	s := m.initialised()
	m.must(s.Put("b", "k", []byte("first")))
	text := m.read()
	if !bytes.HasPrefix(text, []byte("-----BEGIN COUNTERSIGN SGX STORE-----\n")) || bytes.ContainsFunc(text, func(r rune) bool { return r > 126 || r < 10 }) {
		t.Errorf("the file is no text: %.80q", text)
	}
	if info, err := os.Stat(m.path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	// the process is killed: nothing of the working copy is left
	m.must(os.RemoveAll(m.work))
	m.must(os.Mkdir(m.work, 0o700))
	m.must(s.Close()) // the lock of a killed process is gone
	again := m.unsealed()
	m.wantRecord(again, "k", "first")
	m.must(again.Put("b", "k", []byte("second")))
	m.must(again.Close())
	m.wantRecord(m.unsealed(), "k", "second")
	left, err := filepath.Glob(filepath.Join(filepath.Dir(m.path), ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

func TestChangesOfThePasswordAndRekey(t *testing.T) {
	m := newMachine(t)
	ctx, next := context.Background(), secret.New([]byte("Another-Horse-8-Battery"))
	s := m.initialised()
	m.must(s.Put("b", "k", []byte("v")))
	change, err := s.BeginChange(ctx, keystore.Password(secret.New([]byte(password))))
	m.must(err)
	m.must(change.Commit(ctx, keystore.Password(next)))
	m.must(s.Close())
	s = m.open()
	if err := s.Unseal(ctx, secret.New([]byte(password))); !errors.Is(err, keystore.ErrWrongPassword) {
		t.Errorf("the old password: %v", err)
	}
	m.must(s.Unseal(ctx, next))
	before, err := s.Stat()
	m.must(err)
	after, err := s.Rekey(ctx, keystore.Password(secret.New([]byte(password))))
	m.must(err)
	if before.ID == after.ID {
		t.Error("rekey made no other store")
	}
	s = m.unsealed()
	m.wantRecord(s, "k", "v")
	if stat, err := s.Stat(); err != nil || stat.ID != after.ID {
		t.Errorf("the text file holds store %s, %v, want %s", stat.ID, err, after.ID)
	}
}

// A commit whose text cannot be written does not count, and the store says so until it is opened anew.
func TestFailedWritesFailTheStore(t *testing.T) {
	for name, spoil := range map[string]func(m machine){
		"the device goes away": func(m machine) { m.must(os.Remove(m.device)) },
		"a folder in its place": func(m machine) {
			m.must(os.Rename(m.path, m.path+".old"))
			m.must(os.MkdirAll(filepath.Join(m.path, "x"), 0o700))
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			s := m.initialised()
			m.must(s.Put("b", "k", []byte("first")))
			old := m.read()
			spoil(m)
			if err := s.Put("b", "k", []byte("second")); !errors.Is(err, keystore.ErrFailed) {
				t.Errorf("got %v", err)
			}
			if _, err := s.Get("b", "k"); !errors.Is(err, keystore.ErrFailed) {
				t.Errorf("the store goes on: %v", err)
			}
			if err := s.Close(); !errors.Is(err, keystore.ErrFailed) {
				t.Errorf("closed: %v", err)
			}
			m.must(os.RemoveAll(m.path))
			m.must(os.WriteFile(m.path, old, 0o600))
			m.must(os.WriteFile(m.device, []byte("0123456789abcdef"), 0o600))
			m.wantRecord(m.unsealed(), "k", "first")
		})
	}
}

// One process has the store: the file of working copies is each process's own, so that a lock on it would keep nobody out.
func TestSecondOpenerIsRefused(t *testing.T) {
	m := newMachine(t)
	s := m.initialised()
	m.must(s.Put("b", "k", []byte("v")))
	second := m.config()
	second.Store.LockTimeout = time.Millisecond
	if other, err := sgx.OpenAt(second, m.device); !errors.Is(err, keystore.ErrLocked) {
		if err == nil {
			_ = other.Close()
		}
		t.Errorf("a second opener: %v", err)
	}
	m.must(os.Rename(m.path, m.path+".away"))
	if err := sgx.WriteFileAt(m.path, m.device, func(io.Writer) error { return nil }); !errors.Is(err, keystore.ErrLocked) {
		t.Errorf("a restore below an open store: %v", err)
	}
	m.must(os.Rename(m.path+".away", m.path))
	m.must(s.Put("b", "k", []byte("w")))
	if _, err := s.Rekey(context.Background(), keystore.Password(secret.New([]byte(password)))); err != nil {
		t.Fatal(err)
	}
	m.wantRecord(m.unsealed(), "k", "w") // closed by Rekey, and so let go of
}

// Where the lock of another process is not seen, as between enclaves, a commit still overwrites nothing of another's.
func TestCommitOverwritesOnlyItsOwn(t *testing.T) {
	for name, change := range map[string]func(m machine){
		"replaced": func(m machine) {
			m.must(os.Remove(m.path + ".lock")) // the other has a lock of its own
			other := m.unsealed()
			m.must(other.Put("b", "k", []byte("other")))
			m.must(other.Close())
		},
		"moved away": func(m machine) { m.must(os.Rename(m.path, m.path+".away")) },
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			s := m.initialised()
			m.must(s.Put("b", "k", []byte("mine")))
			change(m)
			before, _ := os.ReadFile(m.path)
			if err := s.Put("b", "k", []byte("lost")); !errors.Is(err, keystore.ErrFailed) || !strings.Contains(err.Error(), "while this process had it open") {
				t.Errorf("got %v", err)
			}
			if after, _ := os.ReadFile(m.path); !bytes.Equal(before, after) {
				t.Error("what another wrote was overwritten")
			}
		})
	}
}

func TestCloseRemovesTheWorkingCopy(t *testing.T) {
	m := newMachine(t)
	m.must(m.initialised().Close())
	if left, err := os.ReadDir(m.work); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestWithoutTheDevice(t *testing.T) {
	m := newMachine(t)
	for name, tc := range map[string]struct {
		content string
		says    string
	}{"short": {"0123", "it gives 4 bytes"}, "long": {"0123456789abcdef0", "it gives 17 bytes or more"}, "zeros": {strings.Repeat("\x00", 16), "it gives zeros"}} {
		m.must(os.WriteFile(m.device, []byte(tc.content), 0o600))
		if _, err := sgx.OpenAt(m.config(), m.device); err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	m.must(os.Remove(m.device))
	if _, err := sgx.OpenAt(m.config(), m.device); !errors.Is(err, sgx.ErrNoDevice) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(m.path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a store was made: %v", err)
	}
}

// Another machine, or another signer, has another key; and every change of the text is found.
func TestTextIsAuthenticated(t *testing.T) {
	m := newMachine(t)
	m.must(m.initialised().Close())
	text := m.read()
	refused := func(name string, changed []byte, device string) {
		t.Helper()
		m.must(os.WriteFile(m.path, changed, 0o600))
		if s, err := sgx.OpenAt(m.config(), device); !errors.Is(err, keystore.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
			if err == nil {
				_ = s.Close()
			}
		}
	}
	other := m.device + "2"
	m.must(os.WriteFile(other, []byte("fedcba9876543210"), 0o600))
	refused("another machine", text, other)
	for at := 0; at < len(text); at += 1 + at/40 { // the headers byte by byte, the rest here and there
		changed := bytes.Clone(text)
		changed[at] ^= 1
		refused("a changed byte", changed, m.device)
	}
	refused("cut", text[:len(text)-100], m.device)
	refused("more behind it", append(bytes.Clone(text), "x\n"...), m.device)
	refused("more before it", append([]byte("x\n"), text...), m.device)
	refused("nothing", nil, m.device)
	m.must(os.WriteFile(m.path, text, 0o600))
	m.must(m.unsealed().Close())
	m.must(os.Chmod(m.path, 0o640))
	if _, err := sgx.OpenAt(m.config(), m.device); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a file for the group: %v", err)
	}
}

// A backup is sealed by the password alone, and so restores on another machine.
func TestBackupRestoresElsewhere(t *testing.T) {
	m, other := newMachine(t), newMachine(t)
	other.must(os.WriteFile(other.device, []byte("fedcba9876543210"), 0o600))
	s := m.initialised()
	m.must(s.Put("b", "k", []byte("v")))
	var backup bytes.Buffer
	_, err := s.Backup(&backup, nil)
	m.must(err)
	write := func(w io.Writer) error { _, err := w.Write(backup.Bytes()); return err }
	m.must(sgx.WriteFileAt(other.path, other.device, write))
	if err := sgx.WriteFileAt(other.path, other.device, write); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a store was replaced: %v", err)
	}
	other.wantRecord(other.unsealed(), "k", "v")
}

func FuzzUnseal(f *testing.F) {
	key := func() (secret.Bytes, error) { return secret.New([]byte("0123456789abcdef")), nil }
	k, _ := key()
	text, err := sgx.Seal([]byte("plain"), k)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte("-----BEGIN COUNTERSIGN SGX STORE-----\nVersion: 1\n\n-----END COUNTERSIGN SGX STORE-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		plain, err := sgx.Unseal(data, key)
		if err == nil && string(plain) != "plain" { // each process of the fuzzer has sealed a text of its own
			t.Fatalf("%q was opened as %q", data, plain)
		}
	})
}

func BenchmarkCommit(b *testing.B) {
	m := newMachine(b)
	s := m.initialised()
	for i := range 64 { // a store of some megabytes
		m.must(s.Put("b", string(rune('a'+i)), make([]byte, 64<<10)))
	}
	for b.Loop() {
		m.must(s.Put("b", "k", []byte("v")))
	}
}
