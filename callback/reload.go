package callback

import (
	"context"
	"sync"
	"time"

	"github.com/countersign-mpc/countersign/ledger"
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

// passed notes that the files were read, and that nothing changes by them.
func (r *reloadState) passed(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.value.tried, r.value.failure = now.UTC(), ""
}

// ReloadPolicy reads the policy anew and makes it the active one, also where it was replaced by hand and the files have not changed
// since: somebody has asked for that. When it does not compile, lint or pass its own tests, or the active policy asks for approvals
// of its change, the one before stays, and the error says why. It returns the revision that decides from now on.
func (s *Server) ReloadPolicy(ctx context.Context) (string, error) { return s.reloadFiles(ctx, true) }

// RereadPolicy is ReloadPolicy where nobody has asked for the policy in particular, as at SIGHUP: files that hold what was replaced
// by hand and have not changed since change nothing.
func (s *Server) RereadPolicy(ctx context.Context) (string, error) { return s.reloadFiles(ctx, false) }

func (s *Server) reloadFiles(ctx context.Context, force bool) (string, error) {
	before := s.revision()
	if err := s.active.changing.lock(ctx); err != nil {
		return before, err
	}
	defer s.active.changing.unlock()
	before = s.revision()
	err := s.readFiles(ctx, force)
	if err != nil {
		s.reload.failed(s.clock.Now(), err)
		s.metrics.reloaded("failed")
		s.log.ErrorContext(ctx, "the policy was not reloaded; the one before decides on", "revision", before, "operator", operatorOf(ctx), "error", err)
		return before, err
	}
	return s.revision(), nil
}

func (s *Server) readFiles(ctx context.Context, force bool) error {
	if s.cfg.PolicySource == PolicyActivated {
		return errFilesNotRead
	}
	active, err := s.cfg.Ledger.Active(ctx)
	if err != nil {
		return err
	}
	if err := s.standing(ctx, active); err != nil {
		return err
	}
	e, err := s.cfg.Policy.Read(ctx)
	if err != nil {
		return err
	}
	if !force && active.Files == e.Revision() && active.Revision != e.Revision() {
		s.reload.passed(s.clock.Now())
		s.log.WarnContext(ctx, filesReplaced, "active", active.Revision, "files", e.Revision())
		return nil
	}
	_, err = s.activate(ctx, active.Number, change{engine: e, how: ledger.ActivatedFiles, reason: "the files were read again"})
	return err
}

// filesReplaced is said where the files are read and nobody asked for what they hold.
const filesReplaced = "the files hold what was replaced by the active policy and have not changed since: it stays; callback policy reload makes them live"
