package callback

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// copyPatience is how long a client may take for one piece of a copy, some tens of kilobytes.
const copyPatience = 30 * time.Second

var (
	errNoCopy      = &adminError{http.StatusConflict, "the ledger is in a database and in no file: the commands that read it do so while servers run, and the database's own tools copy it"}
	errCopying     = &adminError{http.StatusConflict, "the ledger is being copied already: wait for that to end"}
	errCopyRefused = errors.New("the copy was given up")
)

// copyLog serves GET /admin/v1/log/copy: the ledger's file as it is at one moment. A copy that fails once it has begun is
// shorter than its Content-Length says.
func (s *Server) copyLog(w http.ResponseWriter, r *http.Request) {
	began, size := time.Now(), int64(-1)
	err := s.copyTo(r.Context(), w, &size)
	switch {
	case err == nil:
		s.log.InfoContext(r.Context(), "ledger copied", "operator", operatorOf(r.Context()), "bytes", size, "duration", time.Since(began))
	case size < 0: // nothing of an answer is on its way
		s.admin(func(*http.Request) (any, error) { return nil, err })(w, r)
	default:
		s.log.WarnContext(r.Context(), "a copy of the ledger was not finished", "operator", operatorOf(r.Context()), "error", err)
	}
}

// copyTo answers with a copy; size is set where the answer has begun.
func (s *Server) copyTo(ctx context.Context, w http.ResponseWriter, size *int64) error {
	if s.cfg.CopyStore == nil {
		return errNoCopy
	}
	if !s.copying.TryLock() {
		return errCopying
	}
	defer s.copying.Unlock()
	return s.cfg.CopyStore(ctx, func(ctx context.Context, bytes int64) (io.Writer, error) {
		*size = bytes
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.FormatInt(bytes, 10))
		w.Header().Set("Cache-Control", "no-store")
		paced := &pacedWriter{w: w, ctl: http.NewResponseController(w), left: bytes}
		context.AfterFunc(ctx, paced.end)
		return paced, nil
	})
}

// pacedWriter gives each Write some time of its own, and lets the one that is under way be ended.
type pacedWriter struct {
	w    io.Writer
	ctl  *http.ResponseController
	left int64 // bytes that are still to be written

	mu    sync.Mutex // guards the deadline and the field below
	ended bool       // or all is out
}

func (p *pacedWriter) Write(b []byte) (int, error) {
	if err := p.pace(); err != nil {
		return 0, err
	}
	n, err := p.w.Write(b)
	if p.left -= int64(n); err == nil && p.left == 0 {
		err = p.finish()
	}
	return n, err
}

// finish sees the last bytes out, which nothing ends any more.
func (p *pacedWriter) finish() error {
	if err := p.ctl.Flush(); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	return nil
}

func (p *pacedWriter) pace() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return errCopyRefused
	}
	return p.ctl.SetWriteDeadline(time.Now().Add(copyPatience))
}

// end lets no further byte out: what is under way fails.
func (p *pacedWriter) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ended {
		p.ended = true
		_ = p.ctl.SetWriteDeadline(time.Now())
	}
}
