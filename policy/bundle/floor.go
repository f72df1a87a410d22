package bundle

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/go-json-experiment/json"
)

// FloorFormat is the version of a floor's file.
const FloorFormat = "countersign/policy-bundle-floor/v1"

// ErrOlder says that a bundle is older than one that was accepted before, or another one of the same number.
var ErrOlder = errors.New("the bundle is older than one that was accepted before")

// Floor remembers the newest bundle that was accepted, in a file, so that nobody brings back an older policy. Safe for
// concurrent use by one process.
type Floor struct {
	path string

	mu sync.Mutex // held while the file is read and written
}

// floorFile is the file of a Floor (docs/FORMATS.md, "policy bundle").
type floorFile struct {
	Format string `json:"format"`
	Number uint64 `json:"number"`
	Digest string `json:"digest"`
}

// OpenFloor names the file, which need not be there: then nothing was accepted yet.
func OpenFloor(path string) *Floor { return &Floor{path: path} }

// Check says whether a bundle is the newest that was accepted, or newer; otherwise the error is ErrOlder.
func (f *Floor) Check(b *Bundle) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, err := f.check(b)
	return err
}

// Accept notes that a bundle is the newest one. It is on the disk when Accept returns without an error.
func (f *Floor) Accept(b *Bundle) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	known, err := f.check(b)
	if err != nil || known.Number == b.Number {
		return err
	}
	text, err := json.Marshal(floorFile{Format: FloorFormat, Number: b.Number, Digest: b.Digest()}, json.Deterministic(true))
	if err != nil {
		return fmt.Errorf("note the newest bundle: %w", err)
	}
	if err := replace(f.path, append(text, '\n')); err != nil {
		return fmt.Errorf("note the newest bundle: %w", err)
	}
	return nil
}

func (f *Floor) check(b *Bundle) (floorFile, error) {
	known, err := f.read()
	switch {
	case err != nil:
		return known, fmt.Errorf("read which bundle is the newest: %w", err)
	case b.Number < known.Number:
		return known, fmt.Errorf("%w: its revision is %d, and %d was accepted (%s remembers it)", ErrOlder, b.Number, known.Number, f.path)
	case b.Number == known.Number && b.Digest() != known.Digest:
		return known, fmt.Errorf("%w: another bundle of revision %d was accepted; give this one a higher number (%s remembers it)", ErrOlder, b.Number, f.path)
	}
	return known, nil
}

func (f *Floor) read() (floorFile, error) {
	var out floorFile
	b, err := os.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return out, nil
	}
	if err != nil {
		return out, err
	}
	if err := json.Unmarshal(b, &out, json.RejectUnknownMembers(true)); err != nil || out.Format != FloorFormat || out.Number == 0 || len(out.Digest) != 64 {
		return out, fmt.Errorf("%s is damaged: put it back from a backup, or delete it to begin anew with whatever bundle is there", f.path)
	}
	return out, nil
}

// replace writes a file anew beside the old one, and puts it in its place when it is on the disk.
func replace(path string, b []byte) error {
	temporary, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name()) // is gone when all went well
	_, err = temporary.Write(b)
	if err = errors.Join(err, temporary.Chmod(0o600), temporary.Sync(), temporary.Close()); err != nil {
		return err
	}
	if err := os.Rename(temporary.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
