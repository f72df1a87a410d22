package callback

import (
	"context"
	"sync"
	"time"
)

// reloadState remembers when the policy was loaded and how the last reload ended.
type reloadState struct {
	mu    sync.Mutex // guards value
	value reloadResult
}

type reloadResult struct {
	loaded  time.Time // when the policy that decides now was loaded
	tried   time.Time // when a reload was last tried
	failure string    // why that failed; "" if it did not
}

func (r *reloadState) read() reloadResult {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.value
}

func (r *reloadState) succeeded(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.value = reloadResult{loaded: now.UTC(), tried: now.UTC()}
}

func (r *reloadState) failed(now time.Time, why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.value.tried, r.value.failure = now.UTC(), why.Error()
}

// ReloadPolicy reads the policy anew. When it does not compile, lint or pass its own tests the one before stays, and
// the error says why. It returns the revision that decides from now on.
func (s *Server) ReloadPolicy(ctx context.Context) (string, error) {
	before := ""
	if e := s.cfg.Policy.Engine(); e != nil {
		before = e.Revision()
	}
	e, err := s.cfg.Policy.Reload(ctx)
	if err != nil {
		s.reload.failed(s.clock.Now(), err)
		s.metrics.reloaded("failed")
		s.log.ErrorContext(ctx, "the policy was not reloaded; the one before decides on", "revision", before, "operator", operatorOf(ctx), "error", err)
		return before, err
	}
	s.reload.succeeded(s.clock.Now())
	s.metrics.reloaded("loaded")
	s.log.InfoContext(ctx, "policy loaded", "revision", e.Revision(), "before", before, "operator", operatorOf(ctx))
	return e.Revision(), nil
}
