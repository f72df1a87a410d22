package ledgerstore_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/countersign-mpc/countersign/bolt/ledgerstore"
	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/ledger/ledgertest"
	"github.com/countersign-mpc/countersign/wire"
)

// decided fills a file, without free pages, and returns it with the replies that left.
func decided(t *testing.T, n int) (file []byte, replies map[string][]byte) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ledger.db")
	store, err := ledgerstore.Open(ledgerstore.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	l := ledgertest.MustOpen(t, store, nil)
	replies = map[string][]byte{}
	for i := range n {
		name := fmt.Sprint("ask-", i)
		replies[name] = ledgertest.MustDecide(t, l, ledgertest.Ask(name, name), ledgertest.Verdict(wire.Approve, nil)).Reply
	}
	if _, err := l.Checkpoint(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	return compact(t, path), replies
}

func compact(t *testing.T, path string) []byte {
	t.Helper()
	from, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	path += ".compact"
	to, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := bolt.Compact(to, from, 0); err != nil {
		t.Fatal(err)
	}
	var size int64
	if err := to.View(func(tx *bolt.Tx) error { size = tx.Size(); return nil }); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return file[:size]
}

// useDamaged opens a file that may be damaged and asks everything again. It reports whether the damage was noticed. A
// reply that is not the one that left, or a decision made a second time, is an error.
func useDamaged(path string, file []byte, replies map[string][]byte) (noticed bool, err error) {
	if err := os.WriteFile(path, file, 0o600); err != nil {
		return false, err
	}
	store, err := ledgerstore.Open(ledgerstore.Config{Path: path})
	if err != nil {
		return true, nil
	}
	defer store.Close()
	l, err := ledger.New(context.Background(), ledger.Config{Store: store, Origin: ledgertest.Origin})
	if err != nil {
		return true, nil
	}
	for name, reply := range replies {
		res, err := l.Decide(context.Background(), ledgertest.Ask(name, name), ledgertest.Give(ledgertest.Verdict(wire.Reject, nil)), ledgertest.Reply)
		switch {
		case err != nil:
			noticed = true
		case !res.Replayed || !bytes.Equal(res.Reply, reply):
			return noticed, fmt.Errorf("%s was answered with %q (replayed %v) after %q", name, res.Reply, res.Replayed, reply)
		}
	}
	report, err := l.Verify(context.Background())
	if err != nil || !report.OK() {
		noticed = true
	}
	if err := store.Check(context.Background()); err != nil {
		noticed = true
	}
	return noticed, nil
}

// damage is a byte of a file that is changed.
type damage struct {
	At   int
	Flip byte
}

// job is what a child that uses damaged files reads from standard input.
type job struct {
	Dir     string
	File    []byte
	Replies map[string][]byte
	Damages []damage
}

// useDamagedFiles is the child's part. It says before each damage which it is, and after it whether it was noticed: a
// pointer that leads in a circle ends the process, which is not a wrong reply.
func useDamagedFiles() error {
	var j job
	if err := json.NewDecoder(os.Stdin).Decode(&j); err != nil {
		return err
	}
	for i, d := range j.Damages {
		fmt.Println("try", i)
		file := bytes.Clone(j.File)
		file[d.At] ^= d.Flip
		noticed, err := useDamaged(filepath.Join(j.Dir, fmt.Sprint("ledger-", i)), file, j.Replies)
		if err != nil {
			return fmt.Errorf("byte %d (page %d+%d): %w", d.At, d.At/os.Getpagesize(), d.At%os.Getpagesize(), err)
		}
		fmt.Println("noticed", noticed)
	}
	return nil
}

// tryDamages uses a file with each of the damages and returns how many were noticed.
func tryDamages(t *testing.T, file []byte, replies map[string][]byte, damages []damage) (noticed int) {
	t.Helper()
	died := 0
	for done := 0; done < len(damages); {
		input, err := json.Marshal(job{Dir: t.TempDir(), File: file, Replies: replies, Damages: damages[done:]})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, os.Args[0])
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGQUIT) } // so that it tells where it hangs
		cmd.Env = append(os.Environ(), damageEnv+"=1")
		cmd.Stdin = bytes.NewReader(input)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		noticed += bytes.Count(out, []byte("noticed true"))
		done += bytes.Count(out, []byte("try"))
		switch {
		case err == nil:
		case bytes.Contains(stderr.Bytes(), []byte("fatal error: stack overflow")), bytes.Contains(stderr.Bytes(), []byte("fatal error: fault")):
			noticed++
			died++
		default:
			t.Fatalf("%v: %.2000s", err, stderr.String())
		}
	}
	t.Logf("%d of %d were noticed, %d of them by the end of the process", noticed, len(damages), died)
	return noticed
}

// TestFlippedBytes damages a file one byte at a time. In no case may a reply be wrong or a decision be made twice, and
// damage in anything that is stored must be noticed; the rest of a page means nothing.
func TestFlippedBytes(t *testing.T) {
	file, replies := decided(t, 60)
	rng := rand.New(rand.NewPCG(3, 4))
	flips := 500
	if testing.Short() {
		flips = 60
	}
	var damages []damage
	for len(damages) < flips {
		if at := rng.IntN(len(file)); file[at] != 0 { // most of a page that is not full is zero
			damages = append(damages, damage{at, byte(1 + rng.IntN(255))})
		}
	}
	noticed := tryDamages(t, file, replies, damages)
	if noticed < len(damages)*9/10 {
		t.Errorf("only %d of %d were noticed", noticed, len(damages))
	}
}

// TestFlippedStructure changes each byte at the start of all pages, where bbolt keeps what it trusts blindly.
func TestFlippedStructure(t *testing.T) {
	file, replies := decided(t, 40)
	var damages []damage
	for start := 0; start < len(file); start += os.Getpagesize() {
		for i := range 64 {
			if !testing.Short() || (i+start/os.Getpagesize())%8 == 0 {
				damages = append(damages, damage{start + i, byte(1 << (i % 8))})
			}
		}
	}
	if noticed := tryDamages(t, file, replies, damages); noticed < len(damages)/2 {
		t.Errorf("only %d of %d were noticed", noticed, len(damages))
	}
}

func TestCutOff(t *testing.T) {
	file, replies := decided(t, 60)
	for _, size := range []int{1, 100, 4096, 8192, 12288, len(file) / 4, len(file) / 2, len(file) - 1} {
		noticed, err := useDamaged(filepath.Join(t.TempDir(), "ledger.db"), file[:size], replies)
		if err != nil || !noticed {
			t.Errorf("a file of %d of %d bytes is taken for whole: %v", size, len(file), err)
		}
	}
}

// TestCutOffWhileOpen cuts the file beneath the mapping: reading beyond its end is a fault, and must be an error.
func TestCutOffWhileOpen(t *testing.T) {
	file, replies := decided(t, 60)
	path := filepath.Join(t.TempDir(), "ledger.db")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	store, err := ledgerstore.Open(ledgerstore.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	l := ledgertest.MustOpen(t, store, nil)
	if err := os.Truncate(path, 8192); err != nil {
		t.Fatal(err)
	}
	for name := range replies {
		if res, err := l.Decide(context.Background(), ledgertest.Ask(name, name), ledgertest.Give(ledgertest.Verdict(wire.Approve, nil)), ledgertest.Reply); err == nil {
			t.Fatalf("%s was answered with %q over a file that was cut off", name, res.Reply)
		}
	}
	_, err = l.Decide(context.Background(), ledgertest.Ask("new", "new"), ledgertest.Give(ledgertest.Verdict(wire.Approve, nil)), ledgertest.Reply)
	if !errors.Is(err, ledger.ErrUnavailable) && !errors.Is(err, ledger.ErrDamaged) {
		t.Errorf("a new ask: %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	file, _ := decided(t, 1)
	file[16+40] ^= 1 // in a meta page
	path := filepath.Join(t.TempDir(), "ledger.db")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ledgerstore.Open(ledgerstore.Config{Path: path}); !errors.Is(err, ledger.ErrDamaged) || !strings.Contains(err.Error(), path) {
		t.Errorf("a damaged file: %v, want ErrDamaged with its path", err)
	}
	path = filepath.Join(t.TempDir(), "ledger.db")
	mustOpen(t, path)
	if _, err := ledgerstore.Open(ledgerstore.Config{Path: path, OpenTimeout: 50 * time.Millisecond}); err == nil || errors.Is(err, ledger.ErrDamaged) {
		t.Errorf("a file that is held: %v", err)
	}
	if _, err := ledgerstore.Open(ledgerstore.Config{}); err == nil {
		t.Error("a store without a path is opened")
	}
}

// TestFormat reads with bbolt alone what docs/FORMATS.md describes.
func TestFormat(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	store, err := ledgerstore.Open(ledgerstore.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	err = store.Update(context.Background(), func(tx ledger.Tx) error { return tx.Put("ask", []byte("key1 5"), []byte("v1")) })
	if err := errors.Join(err, store.Close()); err != nil {
		t.Fatal(err)
	}
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.View(func(tx *bolt.Tx) error {
		for _, c := range [][3]string{
			{"store", "format", "\x9d\xe4\xd6\xcdcountersign ledger in bbolt, version 7"}, {"ask", "key1 5", "\xc3\x01\xd8\xacv1"},
		} {
			if got := tx.Bucket([]byte(c[0])).Get([]byte(c[1])); string(got) != c[2] {
				t.Errorf("%s, %s: %q, want %q", c[0], c[1], got, c[2])
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestEarlierVersion: a file of a version before may lack buckets; it is taken over with all that it holds.
func TestEarlierVersion(t *testing.T) {
	for version, lacks := range map[string]string{"1": "attachment", "2": "revision", "3": "journal", "4": "commits", "5": "tracks", "6": ""} {
		t.Run(version, func(t *testing.T) { takenOver(t, version, lacks) })
	}
}

// readOnly opens a file that is only read, which is done to one of an earlier version if it lacks nothing.
func readOnly(t *testing.T, path string, whole bool) {
	t.Helper()
	store, err := ledgerstore.Open(ledgerstore.Config{Path: path, ReadOnly: true})
	if !whole {
		if err == nil || !strings.Contains(err.Error(), "of an earlier version") {
			t.Errorf("read only: %v", err)
		}
		return
	}
	if err != nil {
		t.Fatalf("read only: %v", err)
	}
	err = store.View(context.Background(), func(r ledger.Reader) error {
		v, err := r.Get("ask", []byte("key"))
		if string(v) != "value" {
			t.Errorf("read only it holds %q", v)
		}
		return err
	})
	if err := errors.Join(err, store.Close()); err != nil {
		t.Error(err)
	}
}

func takenOver(t *testing.T, version, lacks string) {
	text := "countersign ledger in bbolt, version " + version
	sum := crc32.Checksum([]byte("store\x00\x00\x00\x06format"+text), crc32.MakeTable(crc32.Castagnoli))
	record := append(binary.BigEndian.AppendUint32(nil, sum), text...)
	path := filepath.Join(t.TempDir(), "ledger.db")
	store, err := ledgerstore.Open(ledgerstore.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	err = store.Update(context.Background(), func(tx ledger.Tx) error { return tx.Put("ask", []byte("key"), []byte("value")) })
	if err := errors.Join(err, store.Close()); err != nil {
		t.Fatal(err)
	}
	edit := func(fn func(tx *bolt.Tx) error) {
		db, err := bolt.Open(path, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(db.Update(fn), db.Close()); err != nil {
			t.Fatal(err)
		}
	}
	earlier := func(tx *bolt.Tx) error {
		err := tx.Bucket([]byte("store")).Put([]byte("format"), record)
		if lacks != "" {
			err = errors.Join(err, tx.DeleteBucket([]byte(lacks)))
		}
		return err
	}
	edit(earlier)
	readOnly(t, path, lacks == "")
	for range 2 { // as that version, then as what it has become
		store, err = ledgerstore.Open(ledgerstore.Config{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		err = store.Update(context.Background(), func(tx ledger.Tx) error {
			if v, err := tx.Get("ask", []byte("key")); err != nil || string(v) != "value" {
				t.Errorf("it holds %q (%v)", v, err)
			}
			return tx.Put("attachment", []byte("k"), []byte("v"))
		})
		if err := errors.Join(err, store.Close()); err != nil {
			t.Fatal(err)
		}
	}
	edit(func(tx *bolt.Tx) error { return errors.Join(earlier(tx), tx.DeleteBucket([]byte("approval"))) })
	if _, err := ledgerstore.Open(ledgerstore.Config{Path: path}); !errors.Is(err, ledger.ErrDamaged) || !strings.Contains(err.Error(), "approval is missing") {
		t.Errorf("a file of version %s without one of its buckets: %v", version, err)
	}
}

func TestClosed(t *testing.T) {
	s, err := ledgerstore.Open(ledgerstore.Config{Path: filepath.Join(t.TempDir(), "ledger.db")})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Update(context.Background(), func(ledger.Tx) error { return nil }); !errors.Is(err, ledger.ErrUnavailable) {
		t.Errorf("Update: %v", err)
	}
	if err := s.View(context.Background(), func(ledger.Reader) error { return nil }); !errors.Is(err, ledger.ErrUnavailable) {
		t.Errorf("View: %v", err)
	}
}
