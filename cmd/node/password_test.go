package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/countersign-mpc/countersign/internal/secret"
	"github.com/countersign-mpc/countersign/keystore/segment"
)

// TestSegmentsForAgeRecipients: each recipient can read the own segment and no other, and they open together.
func TestSegmentsForAgeRecipients(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	manifest := filepath.Join(dir, "segments.json")
	args := []string{"password", "generate", "-t", "3", "-n", "3", "--manifest", manifest, "--output-dir", dir}
	var people []*age.X25519Identity
	for range 3 {
		person, err := age.GenerateX25519Identity()
		if err != nil {
			t.Fatal(err)
		}
		people = append(people, person)
		args = append(args, "--age-recipient", person.Recipient().String())
	}
	try := func(args []string) (int, string) {
		var out bytes.Buffer
		code := run(t.Context(), args, streams{in: strings.NewReader(""), out: &out, err: &out})
		return code, out.String()
	}
	for name, tc := range map[string]struct {
		args []string
		says string
	}{
		"too few":    {args[:len(args)-2], "2 --age-recipient for 3 segments"},
		"twice":      {append(append([]string{}, args[:len(args)-1]...), people[0].Recipient().String()), "number 3 is there twice"},
		"no key":     {append(append([]string{}, args[:len(args)-1]...), "age1nobody"), "--age-recipient number 3"},
		"no folder":  {append(append([]string{}, args[:8]...), args[10:]...), "and --output-dir"},
		"no numbers": {[]string{"password", "generate", "--manifest", manifest}, "2 <= t <= n <= 16"},
	} {
		if code, out := try(tc.args); code != exitFailed || !strings.Contains(out, tc.says) {
			t.Errorf("%s: exit code %d: %s", name, code, out)
		}
	}
	if _, err := os.Stat(manifest); err == nil {
		t.Fatal("a refused command wrote a manifest")
	}
	if code, out := try(args); code != exitOK {
		t.Fatalf("exit code %d: %s", code, out)
	}
	data, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	m, err := segment.ParseManifest(data)
	if err != nil {
		t.Fatal(err)
	}
	segments := segment.Collect(m)
	for i, person := range people {
		sealed, err := os.ReadFile(filepath.Join(dir, "segment-"+string(rune('1'+i))+".txt.age"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := age.Decrypt(bytes.NewReader(sealed), people[(i+1)%3]); err == nil {
			t.Error("another can read the segment")
		}
		plain, err := age.Decrypt(bytes.NewReader(sealed), person)
		if err != nil {
			t.Fatal(err)
		}
		line, err := io.ReadAll(plain)
		if err != nil || bytes.Contains(sealed, line[12:30]) {
			t.Fatalf("%v, or the file holds the segment in the clear", err)
		}
		if err := segments.Add(secret.New(line)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := segments.Secret(); err != nil {
		t.Fatal(err)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "*")); len(files) != 4 {
		t.Errorf("written were %v", files)
	}
}

// TestSegmentsOfEverybody: who can write the manifest could have the node take other segments than were made for it.
func TestSegmentsOfEverybody(t *testing.T) {
	t.Parallel()
	c := defaults()
	c.Storage.T, c.Storage.N, c.Storage.SegmentsPath = 2, 3, filepath.Join(t.TempDir(), "segments.json")
	m, _, err := segment.Generate(2, 3)
	must(t, err)
	must(t, os.WriteFile(c.Storage.SegmentsPath, m.Encode(), 0o644))
	if got, err := c.loadSegments(); err != nil || got.ID != m.ID {
		t.Fatalf("got %v, %v", got, err)
	}
	must(t, os.Chmod(c.Storage.SegmentsPath, 0o646))
	if _, err := c.loadSegments(); err == nil || !strings.Contains(err.Error(), "everybody can write "+c.Storage.SegmentsPath) {
		t.Fatalf("it is taken: %v", err)
	}
}
