package boltfile_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/countersign-mpc/countersign/bolt/boltfile"
)

// writerFunc is a Write.
type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// TestCopy: a copy has what was committed before it and nothing of what is committed while it is made, which does not wait.
func TestCopy(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "file"))
	if err := update(f, put("cat", "purrs")); err != nil {
		t.Fatal(err)
	}
	var copied bytes.Buffer
	var said int64
	err := f.Copy(t.Context(), func(_ context.Context, size int64) (io.Writer, error) {
		said = size
		return writerFunc(func(p []byte) (int, error) {
			if err := update(f, put("cat", "barks")); err != nil {
				return 0, err
			}
			return copied.Write(p)
		}), nil
	})
	if err != nil || said != int64(copied.Len()) {
		t.Fatalf("%d bytes of %d: %v", copied.Len(), said, err)
	}
	made := open(t, write(t, copied.Bytes()))
	if v, err := get(made, "cat"); string(v) != "purrs" || err != nil {
		t.Errorf("the copy has %q, %v", v, err)
	}
	if err := made.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if v, err := get(f, "cat"); string(v) != "barks" || err != nil {
		t.Errorf("the file has %q, %v", v, err)
	}
}

// TestCopyGivesWay: a commit for which the mapping has to grow waits for readers, and a copy whose receiver takes nothing
// more lets it go on.
func TestCopyGivesWay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	f := open(t, path)
	if err := update(f, put("cat", "purrs")); err != nil {
		t.Fatal(err)
	}
	large := make([]byte, 257<<20) // more than what is mapped at first
	committed := make(chan error, 1)
	err := f.Copy(t.Context(), func(ctx context.Context, _ int64) (io.Writer, error) {
		return writerFunc(func([]byte) (int, error) {
			go func() {
				committed <- update(f, func(tx *boltfile.Tx) error { return tx.Put(bucket, []byte("whale"), large) })
			}()
			<-ctx.Done()
			return 0, os.ErrDeadlineExceeded
		}), nil
	})
	if !errors.Is(err, boltfile.ErrInTheWay) {
		t.Errorf("the copy ends with %v", err)
	}
	if err := <-committed; err != nil {
		t.Error(err)
	}
}

// A copy ends with its context, with an error of its receiver, and does not begin on a file that is closed.
func TestCopyEnds(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "file"))
	full := errors.New("full")
	refusing := func(context.Context, int64) (io.Writer, error) { return nil, full }
	if err := f.Copy(t.Context(), refusing); !errors.Is(err, full) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ending := func(context.Context, int64) (io.Writer, error) {
		return writerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil }), nil
	}
	if err := f.Copy(ctx, ending); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := update(f, put("cat", "purrs")); err != nil { // nothing is left locked
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Copy(t.Context(), refusing); !errors.Is(err, boltfile.ErrEnded) {
		t.Error(err)
	}
}
