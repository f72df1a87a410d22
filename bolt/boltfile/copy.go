package boltfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// ErrInTheWay is wrapped by Copy where a commit had to wait for it, so that it gave up.
var ErrInTheWay = errors.New("a commit had to wait for the copy, which was given up: copy again")

// A commit for which the file outgrows its mapping waits for every reader, and a copy is a long one: it is given up when a
// commit has been under way for so long.
const (
	longestCommit = time.Second
	watchCommits  = 100 * time.Millisecond
)

// Copy writes the whole file, as the last commit left it, to the writer that to returns; to is told the size of the copy in
// bytes, and gets a context that is done when the copy is given up, so that it can end a Write which is under way. Other
// transactions go on meanwhile; what they commit is not in the copy. It fails with ctx's error, with ErrInTheWay, and as
// Begin does. Of a copy that failed nothing can be used.
func (f *File) Copy(ctx context.Context, to func(ctx context.Context, size int64) (io.Writer, error)) (err error) {
	ctx, giveUp := context.WithCancelCause(ctx)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer giveUp(nil)
	t, err := f.Begin(ctx, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.Rollback()) }()
	watching.Go(func() { f.watch(ctx, giveUp) })
	w, err := to(ctx, t.tx.Size())
	if err != nil {
		return err
	}
	var copied int64
	err = t.protect(func() (err error) {
		copied, err = t.tx.WriteTo(&endingWriter{ctx, w})
		return err
	})
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("copy %s: %w", f.path, context.Cause(ctx))
	case err != nil:
		return fmt.Errorf("copy %s: %w", f.path, err)
	case copied != t.tx.Size():
		return f.damaged("%d bytes of %d could be copied", copied, t.tx.Size())
	}
	return nil
}

// watch gives a copy up for a commit that waits. It returns when ctx is done.
func (f *File) watch(ctx context.Context, giveUp context.CancelCauseFunc) {
	look := time.NewTicker(watchCommits)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
			if began := f.committing.Load(); began != nil && time.Since(*began) > longestCommit {
				giveUp(ErrInTheWay)
			}
		}
	}
}

// endingWriter writes nothing more once its context is done.
type endingWriter struct {
	ctx context.Context
	w   io.Writer
}

func (e *endingWriter) Write(p []byte) (int, error) {
	if err := e.ctx.Err(); err != nil {
		return 0, err
	}
	return e.w.Write(p)
}
