package auditlog_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/countersign-mpc/countersign/auditlog"
)

// merkle is RFC 6962, section 2.1, word for word: an independent account of what the root is.
func merkle(entries [][]byte) [32]byte {
	switch n := len(entries); n {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return sha256.Sum256(append([]byte{0}, entries[0]...))
	default:
		k := 1
		for k*2 < n {
			k *= 2
		}
		left, right := merkle(entries[:k]), merkle(entries[k:])
		return sha256.Sum256(append(append([]byte{1}, left[:]...), right[:]...))
	}
}

func TestTree(t *testing.T) {
	m, l := newMemory(), mustLog(t, mustKey(t))
	var entries [][]byte
	for i := range 70 {
		head, err := l.Head(m)
		must(t, err)
		if head.N != int64(i) || head.Hash != merkle(entries) {
			t.Fatalf("tree of %d: %v", i, head)
		}
		must(t, l.Quick(m))
		fill(t, l, m, i, i+1)
		entries = append(entries, entry(i))
		got, hash, err := l.Ref(m, int64(i))
		if err != nil || string(got) != string(ref(i)) || hash != merkle(entries[i:]) {
			t.Errorf("reference of %d: %q, %v, %v", i, got, hash, err)
		}
	}
}

// TestCheckpointForm reads a checkpoint as any tool for signed notes does.
func TestCheckpointForm(t *testing.T) {
	key := mustKey(t)
	m, l := newMemory(), mustLog(t, key)
	fill(t, l, m, 0, 5)
	signed := mustCheckpoint(t, l, m)
	v, err := note.NewVerifier(l.Public())
	must(t, err)
	n, err := note.Open(signed, note.VerifierList(v))
	must(t, err)
	head, err := l.Head(m)
	must(t, err)
	if want := fmt.Sprintf("%s\n5\n%s\n", origin, head.Hash); n.Text != want {
		t.Errorf("text %q, want %q", n.Text, want)
	}
	if again := mustCheckpoint(t, l, m); string(again) != string(signed) {
		t.Error("a second checkpoint of the same tree differs")
	}
	latest, size, err := l.LatestCheckpoint(m)
	if err != nil || string(latest) != string(signed) || size != 5 {
		t.Errorf("latest: %q of %d, %v", latest, size, err)
	}
}

func TestOpenCheckpointRefuses(t *testing.T) {
	key, other := mustKey(t), mustKey(t)
	m, l := newMemory(), mustLog(t, key)
	fill(t, l, m, 0, 3)
	good := string(mustCheckpoint(t, l, m))
	elsewhere, err := auditlog.GenerateKey("another.example/log")
	must(t, err)
	otherOrigin := newMemory()
	moved := string(mustCheckpoint(t, mustLog(t, elsewhere), otherOrigin))
	signer, err := note.NewSigner(string(key.Marshal()))
	must(t, err)
	sign := func(text string) string {
		signed, err := note.Sign(&note.Note{Text: text}, signer)
		must(t, err)
		return string(signed)
	}
	lines := strings.Split(good, "\n")
	tests := map[string]struct{ signed, public string }{
		"empty":             {"", l.Public()},
		"other key":         {good, other.Public()},
		"no key":            {good, ""},
		"other size":        {strings.Replace(good, "\n3\n", "\n4\n", 1), l.Public()},
		"no signature":      {strings.Join(lines[:3], "\n") + "\n", l.Public()},
		"other log":         {moved, l.Public()},
		"other origin line": {sign("another.example/log\n3\n" + lines[2] + "\n"), l.Public()},
		"extension":         {sign(origin + "\n3\n" + lines[2] + "\nmore\n"), l.Public()},
		"leading zero":      {sign(origin + "\n03\n" + lines[2] + "\n"), l.Public()},
		"plus":              {sign(origin + "\n+3\n" + lines[2] + "\n"), l.Public()},
		"negative":          {sign(origin + "\n-3\n" + lines[2] + "\n"), l.Public()},
		"too large":         {sign(origin + "\n9223372036854775807\n" + lines[2] + "\n"), l.Public()},
		"short hash":        {sign(origin + "\n3\nAAAA\n"), l.Public()},
		"too long":          {good + strings.Repeat("— x AAAA\n", 10000), l.Public()},
	}
	for name, test := range tests {
		if tree, err := auditlog.OpenCheckpoint([]byte(test.signed), test.public); err == nil {
			t.Errorf("%s: opened as %v", name, tree)
		}
	}
	if _, err := auditlog.OpenCheckpoint([]byte(good), l.Public()); err != nil {
		t.Error(err)
	}
}

func TestProofs(t *testing.T) {
	const n = 40
	key := mustKey(t)
	m, l := newMemory(), mustLog(t, key)
	var checkpoints [][]byte
	for i := range n {
		checkpoints = append(checkpoints, mustCheckpoint(t, l, m))
		fill(t, l, m, i, i+1)
	}
	checkpoints = append(checkpoints, mustCheckpoint(t, l, m))
	for size := 1; size <= n; size++ {
		for i := range size {
			p, err := l.ProveInclusion(m, int64(i), checkpoints[size])
			must(t, err)
			index, got, err := auditlog.CheckInclusion(l.Public(), entry(i), p.Marshal())
			if err != nil || index != int64(i) || got != int64(size) {
				t.Fatalf("entry %d of %d: %d of %d, %v", i, size, index, got, err)
			}
			if _, _, err := auditlog.CheckInclusion(l.Public(), entry(i+1), p.Marshal()); err == nil {
				t.Fatalf("entry %d is proven as %d of %d", i+1, i, size)
			}
			if size > 1 {
				p.Index = int64((i + 1) % size)
				if _, _, err := auditlog.CheckInclusion(l.Public(), entry(i), p.Marshal()); err == nil {
					t.Fatalf("entry %d is proven as %d of %d", i, p.Index, size)
				}
			}
		}
		for old := range size + 1 {
			p, err := l.ProveConsistency(m, int64(old), checkpoints[size])
			must(t, err)
			before, after, err := auditlog.CheckConsistency(l.Public(), checkpoints[old], p.Marshal())
			if err != nil || before != int64(old) || after != int64(size) {
				t.Fatalf("growth from %d to %d: %d, %d, %v", old, size, before, after, err)
			}
		}
	}
	if _, err := l.ProveInclusion(m, 5, checkpoints[5]); err == nil {
		t.Error("an entry is proven in a tree that ends before it")
	}
	if _, err := l.ProveConsistency(m, 6, checkpoints[5]); err == nil {
		t.Error("a tree is proven to be the beginning of a smaller one")
	}
}

// TestRewrittenLog: a log that was written anew with one other entry, by who has the key, is found out by any checkpoint
// from before.
func TestRewrittenLog(t *testing.T) {
	key := mustKey(t)
	m, l := newMemory(), mustLog(t, key)
	fill(t, l, m, 0, 9)
	held := mustCheckpoint(t, l, m)
	forged := newMemory()
	for i := range 12 {
		e := entry(i)
		if i == 4 {
			e = []byte("another history")
		}
		_, err := l.Append(forged, ref(i), e)
		must(t, err)
	}
	newer := mustCheckpoint(t, l, forged)
	p, err := l.ProveConsistency(forged, 9, newer)
	must(t, err)
	if _, _, err := auditlog.CheckConsistency(l.Public(), held, p.Marshal()); err == nil {
		t.Error("a rewritten log is taken for one that grew")
	}
	shorter := newMemory()
	fill(t, l, shorter, 0, 7)
	p = auditlog.Consistency{OldSize: 9, Checkpoint: mustCheckpoint(t, l, shorter)}
	if _, _, err := auditlog.CheckConsistency(l.Public(), held, p.Marshal()); err == nil {
		t.Error("a log that was cut is taken for one that grew")
	}
	grown := newMemory()
	fill(t, l, grown, 0, 12)
	newest := mustCheckpoint(t, l, grown)
	p, err = l.ProveConsistency(grown, 9, newest)
	must(t, err)
	p.OldSize = 8
	if _, _, err := auditlog.CheckConsistency(l.Public(), held, p.Marshal()); err == nil {
		t.Error("a proof from another size is taken")
	}
	same := auditlog.Consistency{OldSize: 9, Checkpoint: held, Hashes: []auditlog.Hash{{}}}
	if _, _, err := auditlog.CheckConsistency(l.Public(), held, same.Marshal()); err == nil {
		t.Error("a proof with hashes that prove nothing is taken")
	}
}

func TestAppendRefuses(t *testing.T) {
	m, l := newMemory(), mustLog(t, mustKey(t))
	if _, err := l.Append(m, make([]byte, 65), nil); err == nil {
		t.Error("a reference of 65 bytes is taken")
	}
	m.fail = errors.New("full")
	if _, err := l.Append(m, nil, nil); !errors.Is(err, m.fail) {
		t.Errorf("%v, want that of the store", err)
	}
	m.fail = nil
	fill(t, l, m, 0, 3)
	delete(m.values[auditlog.BucketHead], "size")
	if _, err := l.Append(m, nil, nil); !errors.Is(err, auditlog.ErrDamaged) {
		t.Errorf("%v; an entry is written over another", err)
	}
	if _, err := auditlog.New(nil); err == nil {
		t.Error("a log without a key")
	}
}

func TestKey(t *testing.T) {
	for range 20 { // base64 of a key has any character
		k := mustKey(t)
		again, err := auditlog.ParseKey(append(k.Marshal(), '\n'))
		must(t, err)
		if again.Public() != k.Public() || again.Origin() != origin {
			t.Errorf("%v, want %v", again, k)
		}
		secret := strings.SplitN(string(k.Marshal()), "+", 5)[4]
		for _, printed := range []string{fmt.Sprint(k), fmt.Sprintf("%v %+v %#v", k, k, k), fmt.Sprintf("%+v", struct{ K *auditlog.Key }{k}), fmt.Sprintf("%+v", *k), k.LogValue().String()} {
			if strings.Contains(printed, secret) {
				t.Errorf("the key is printed: %s", printed)
			}
		}
	}
	for _, bad := range []string{"", "PRIVATE+KEY+x+00000000+AAAA", "no key", mustKey(t).Public()} {
		if _, err := auditlog.ParseKey([]byte(bad)); err == nil || bad != "" && strings.Contains(err.Error(), bad) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for _, bad := range []string{"", "with blank", "with+plus", "with\nline", "ümlaut", strings.Repeat("x", 201)} {
		if _, err := auditlog.GenerateKey(bad); err == nil {
			t.Errorf("origin %q is taken", bad)
		}
	}
}

func TestOpenKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.key")
	k, err := auditlog.OpenKey(path, origin)
	must(t, err)
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	again, err := auditlog.OpenKey(path, origin)
	must(t, err)
	if again.Public() != k.Public() {
		t.Error("opening it again gives another key")
	}
	if _, err := auditlog.OpenKey(path, "another.example"); err == nil || !strings.Contains(err.Error(), "origin") {
		t.Errorf("another origin: %v", err)
	}
	must(t, os.Chmod(path, 0o640))
	if _, err := auditlog.OpenKey(path, origin); err == nil || !strings.Contains(err.Error(), "chmod") {
		t.Errorf("readable by others: %v", err)
	}
	must(t, os.Chmod(path, 0o600))
	must(t, os.WriteFile(path, []byte("PRIVATE+KEY+hush"), 0o600))
	if _, err := auditlog.OpenKey(path, origin); err == nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("no key: %v", err)
	}
	if _, err := auditlog.OpenKey(filepath.Join(t.TempDir(), "none", "log.key"), origin); err == nil {
		t.Error("a key in no directory")
	}
}
