package coordstore_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/countersign-mpc/countersign/bolt/coordstore"
	"github.com/countersign-mpc/countersign/coordinator"
)

const writerPath = "COORDSTORE_TEST_WRITER"

func TestMain(m *testing.M) {
	if path := os.Getenv(writerPath); path != "" {
		write(path)
		return
	}
	os.Exit(m.Run())
}

// write changes two records at once, again and again, and says so after each time. It is killed.
func write(path string) {
	s, err := coordstore.Open(coordstore.Config{Path: path})
	if err != nil {
		fmt.Println("error", err)
		return
	}
	for {
		n := 0
		err := s.Update(context.Background(), func(tx coordinator.Tx) error {
			v, err := tx.Get(coordinator.TableRequests, "n")
			if err != nil {
				return err
			}
			if v != nil {
				if n, err = strconv.Atoi(string(v)); err != nil {
					return err
				}
			}
			n++
			text := []byte(strconv.Itoa(n))
			filler := []byte(strings.Repeat("f", rand.IntN(20000)))
			return errors.Join(tx.Put(coordinator.TableRequests, "n", text), tx.Put(coordinator.TableSessions, "n", text),
				tx.Put(coordinator.TableMail, fmt.Sprint(n%50), filler))
		})
		if err != nil {
			fmt.Println("error", err)
			return
		}
		fmt.Println(n)
	}
}

// A process that is killed at any time has kept every change that it has said it made, each whole.
func TestKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "coordinator.db")
	said := 0
	for range 5 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), writerPath+"="+path)
		out := must(cmd.StdoutPipe())(t)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for range 5 + rand.IntN(60) {
			if !lines.Scan() {
				t.Fatalf("the writer ended: %v", lines.Err())
			}
			n, err := strconv.Atoi(lines.Text())
			if err != nil {
				t.Fatal(lines.Text())
			}
			said = n
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() { // what it said before it died
			if n, err := strconv.Atoi(lines.Text()); err == nil {
				said = n
			}
		}
		_ = cmd.Wait()
		s := open(t, path)
		err := s.View(t.Context(), func(tx coordinator.Tx) error {
			a, errA := tx.Get(coordinator.TableRequests, "n")
			b, errB := tx.Get(coordinator.TableSessions, "n")
			n, _ := strconv.Atoi(string(a))
			if string(a) != string(b) || n < said {
				t.Errorf("after %d: %s and %s", said, a, b)
			}
			return errors.Join(errA, errB)
		})
		if err := errors.Join(err, s.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

// filled makes a file with records in several tables.
func filled(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "coordinator.db")
	s := open(t, path)
	err := s.Update(t.Context(), func(tx coordinator.Tx) error {
		for i := range 200 {
			if err := tx.Put(coordinator.TableRequests, fmt.Sprint("key", i), fmt.Append(nil, "value ", i, strings.Repeat("v", i*10))); err != nil {
				return err
			}
		}
		return nil
	})
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	db := must(bolt.Open(path, 0o600, nil))(t) // cut off what bbolt keeps in reserve behind its pages
	size := int64(0)
	err = db.View(func(tx *bolt.Tx) error { size = tx.Size(); return nil })
	if err := errors.Join(err, db.Close(), os.Truncate(path, size)); err != nil {
		t.Fatal(err)
	}
	return path
}

// read reads all records; an error is a finding of damage.
func read(t *testing.T, path string) error {
	t.Helper()
	s, err := coordstore.Open(coordstore.Config{Path: path})
	if err != nil {
		return err
	}
	defer s.Close()
	return s.View(t.Context(), func(tx coordinator.Tx) error {
		for i := range 200 {
			v, err := tx.Get(coordinator.TableRequests, fmt.Sprint("key", i))
			if err != nil {
				return err
			}
			if v != nil && string(v) != fmt.Sprint("value ", i, strings.Repeat("v", i*10)) {
				t.Errorf("key%d reads as something else than was written", i)
			}
		}
		return tx.Scan(coordinator.TableRequests, "", "", func(string, []byte) (bool, error) { return false, nil })
	})
}

// A file with a flipped byte, or cut short anywhere, is read as it was written or refused; it never panics and never gives
// another value.
func TestDamage(t *testing.T) {
	whole := must(os.ReadFile(filled(t)))(t)
	readAs := func(name string, data []byte) error {
		path := filepath.Join(t.TempDir(), name) // a new one each time: bbolt may hold on to a file that it failed over
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return read(t, path)
	}
	found := 0
	for at := 0; at < len(whole); at += 1 + rand.IntN(len(whole)/300) {
		data := append([]byte{}, whole...)
		data[at] ^= 1 << rand.IntN(8)
		if err := readAs("flipped", data); errors.Is(err, coordstore.ErrDamaged) {
			found++
		} else if err != nil && !strings.Contains(err.Error(), "something else") {
			t.Errorf("byte %d: %v", at, err)
		}
	}
	if found < 50 {
		t.Errorf("damage was found %d times only", found)
	}
	for size := len(whole) / 40; size < len(whole); size += len(whole) / 40 {
		if err := readAs("cut", whole[:size]); err == nil {
			t.Errorf("a file of %d of %d bytes is taken", size, len(whole))
		}
	}
}

// A value that was moved to another key or table, or changed, does not pass its checksum.
func TestMisplaced(t *testing.T) {
	for name, edit := range map[string]func(tx *bolt.Tx) error{
		"another key": func(tx *bolt.Tx) error {
			b := tx.Bucket([]byte("requests"))
			return b.Put([]byte("key1"), append([]byte{}, b.Get([]byte("key2"))...))
		},
		"another table": func(tx *bolt.Tx) error {
			return tx.Bucket([]byte("requests")).Put([]byte("key1"), append([]byte{}, tx.Bucket([]byte("store")).Get([]byte("format"))...))
		},
		"short": func(tx *bolt.Tx) error { return tx.Bucket([]byte("requests")).Put([]byte("key1"), []byte{1}) },
		"bit": func(tx *bolt.Tx) error {
			v := append([]byte{}, tx.Bucket([]byte("requests")).Get([]byte("key1"))...)
			v[len(v)-1] ^= 1
			return tx.Bucket([]byte("requests")).Put([]byte("key1"), v)
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filled(t)
			edited(t, path, edit)
			if err := read(t, path); !errors.Is(err, coordstore.ErrDamaged) {
				t.Errorf("the file reads: %v", err)
			}
		})
	}
}

func edited(t *testing.T, path string, edit func(*bolt.Tx) error) {
	t.Helper()
	db := must(bolt.Open(path, 0o600, nil))(t)
	if err := errors.Join(db.Update(edit), db.Close()); err != nil {
		t.Fatal(err)
	}
}

// Damage that was found ends the use of the file: also what else is asked, and what makes light of it.
func TestDamageEndsUse(t *testing.T) {
	path := filled(t)
	edited(t, path, func(tx *bolt.Tx) error { return tx.Bucket([]byte("requests")).Put([]byte("key1"), []byte("12345")) })
	s := open(t, path)
	err := s.Update(t.Context(), func(tx coordinator.Tx) error {
		_, _ = tx.Get(coordinator.TableRequests, "key1")
		return tx.Put(coordinator.TableRequests, "key2", nil)
	})
	if !errors.Is(err, coordstore.ErrDamaged) {
		t.Errorf("a change beside damage: %v", err)
	}
	for _, key := range []string{"key1", "key2"} {
		err := s.View(t.Context(), func(tx coordinator.Tx) error { _, err := tx.Get(coordinator.TableRequests, key); return err })
		if !errors.Is(err, coordstore.ErrUnusable) {
			t.Errorf("%s is read after damage was found: %v", key, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	path := filled(t)
	edited(t, path, func(tx *bolt.Tx) error { return tx.DeleteBucket([]byte("mail")) })
	_, err := coordstore.Open(coordstore.Config{Path: path})
	if !errors.Is(err, coordstore.ErrDamaged) || !strings.Contains(err.Error(), "mail is missing") || !strings.Contains(err.Error(), path) {
		t.Errorf("a file without a table: %v", err)
	}
	if _, err := coordstore.Open(coordstore.Config{}); err == nil {
		t.Error("a store without a path is opened")
	}
}

func TestClosed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "coordinator.db")
	s := open(t, path)
	if _, err := coordstore.Open(coordstore.Config{Path: path, OpenTimeout: 1}); err == nil || errors.Is(err, coordstore.ErrDamaged) {
		t.Errorf("opened twice: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.View(t.Context(), func(coordinator.Tx) error { return nil }); !errors.Is(err, coordstore.ErrUnusable) {
		t.Errorf("a closed store reads: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
}

// TestFormat reads with bbolt alone what docs/FORMATS.md describes.
func TestFormat(t *testing.T) {
	path := filepath.Join(t.TempDir(), "coordinator.db")
	s := open(t, path)
	err := s.Update(t.Context(), func(tx coordinator.Tx) error {
		return tx.Put(coordinator.TableRequests, "key1 5", []byte("v1"))
	})
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	edited(t, path, func(tx *bolt.Tx) error {
		for _, c := range [][3]string{
			{"store", "format", "\x30\xf3\x11\xb1countersign coordinator in bbolt, version 1"}, {"requests", "key1 5", "\x3b\x4f\x08\xd8v1"},
		} {
			if got := tx.Bucket([]byte(c[0])).Get([]byte(c[1])); string(got) != c[2] {
				t.Errorf("%s, %s: %q, want %q", c[0], c[1], got, c[2])
			}
		}
		return nil
	})
}

// A file that is cut off while it is in use becomes an error, not a crash, and ends the use of the store.
func TestCutOffInUse(t *testing.T) {
	path := filled(t)
	s := open(t, path)
	if err := os.Truncate(path, 8<<10); err != nil {
		t.Fatal(err)
	}
	err := s.View(t.Context(), func(tx coordinator.Tx) error {
		for i := range 200 {
			if _, err := tx.Get(coordinator.TableRequests, fmt.Sprint("key", i)); err != nil {
				return err
			}
		}
		return nil
	})
	if !errors.Is(err, coordstore.ErrDamaged) {
		t.Errorf("the cut file reads: %v", err)
	}
	if err := s.Update(t.Context(), func(coordinator.Tx) error { return nil }); !errors.Is(err, coordstore.ErrUnusable) {
		t.Errorf("the store is used further: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
