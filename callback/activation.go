package callback

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/policy"
)

// PolicySource says what can make a policy the active one.
type PolicySource string

// The sources.
const (
	// PolicyFiles: the files of the server, when it starts and they have changed, and by a reload. What operators hand in, and a
	// rollback, holds until the files change or are reloaded.
	PolicyFiles PolicySource = "files"
	// PolicyActivated: operators alone. The files are for the first start, when there is no active policy.
	PolicyActivated PolicySource = "activated"
)

const (
	// followEvery is how often a server looks which policy is active, so that it follows also while nobody asks.
	followEvery = 2 * time.Second
	// catchUpTimeout bounds building the active policy, which runs its tests: as for whoever made it live.
	catchUpTimeout = patience
	// buildAgain is after how long a policy that could not be built is tried again; it doubles each time, up to buildAgainMost.
	buildAgain     = 10 * time.Second
	buildAgainMost = 5 * time.Minute
)

// errFilesNotRead: the files say nothing here.
var errFilesNotRead = errors.New("policy.source is \"activated\": the files are not read again; hand a policy in (callback policy activate, or propose)")

// activation is how a server holds to the active policy.
type activation struct {
	changing gate                          // held while the active policy is changed, or a new one is loaded
	failed   failedBuilds                  // of active policies
	behind   atomic.Pointer[string]        // why the server does not have the active policy; nil: it has
	old      atomic.Pointer[policy.Engine] // the last one that was built to judge again what another policy decided
}

// gate is a lock that can be waited for only as long as somebody waits for the answer.
type gate chan struct{}

func newGate() gate { return make(gate, 1) }

func (g gate) lock(ctx context.Context) error {
	select {
	case g <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g gate) unlock() { <-g }

// failedBuild is a policy that could not be built here, why, and until when that is not tried again.
type failedBuild struct {
	revision    string
	why         error
	wait, until time.Duration // until is of the clock's Elapsed
}

func (f *failedBuild) Error() string { return f.why.Error() }
func (f *failedBuild) Unwrap() error { return f.why }

// failedBuilds remembers the last policy that could not be built. Safe for concurrent use; the zero value knows none.
type failedBuilds struct{ last atomic.Pointer[failedBuild] }

// before returns the failure of a policy that is not to be tried again yet, by the clock's Elapsed; nil if it is.
func (f *failedBuilds) before(revision string, now time.Duration) error {
	if last := f.last.Load(); last != nil && last.revision == revision && now < last.until {
		return last
	}
	return nil
}

// remember keeps why a policy could not be built. What a store could not read is tried again at once.
func (f *failedBuilds) remember(revision string, why error, now time.Duration) {
	if errors.Is(why, ledger.ErrUnavailable) {
		return
	}
	next := &failedBuild{revision: revision, why: why, wait: buildAgain}
	if last := f.last.Load(); last != nil && last.revision == revision {
		next.wait = min(2*last.wait, buildAgainMost)
	}
	next.until = now + next.wait
	f.last.Store(next)
}

// guardOf is what a policy asks of its change, in the ledger's terms.
func guardOf(e *policy.Engine) (*ledger.Guard, error) {
	c := e.PolicyChanges()
	if c == nil {
		return nil, nil
	}
	r, err := ledgerRequirement(e, c.Requirement)
	if err != nil {
		return nil, err
	}
	return &ledger.Guard{Requirement: r, MinJudged: c.BacktestMinEntries, RollbackSeconds: c.RollbackSeconds}, nil
}

// contentOf is a policy as it is stored. Where its data was read from is no part of it.
func contentOf(e *policy.Engine) []byte {
	s := e.Source()
	s.DataName = "data.json"
	return s.Archive()
}

// stored builds a policy that was active out of what is stored of it.
func stored(ctx context.Context, l *ledger.Ledger, revision string, build func(context.Context, *policy.Source) (*policy.Engine, error)) (*policy.Engine, error) {
	content, err := l.Revision(ctx, revision)
	if err != nil {
		return nil, err
	}
	source, err := policy.ParseArchive(content)
	if err != nil {
		return nil, fmt.Errorf("%w: policy %s: %w", ledger.ErrDamaged, revision, err)
	}
	e, err := build(ctx, source)
	if err != nil {
		return nil, fmt.Errorf("the stored policy %s: %w", revision, err)
	}
	if e.Revision() != revision {
		return nil, fmt.Errorf("%w: what is stored as the policy %s is %s", ledger.ErrDamaged, revision, e.Revision())
	}
	return e, nil
}

// storedActive is stored for the active policy; what the ledger asks of its change has to be what the policy says.
func storedActive(ctx context.Context, l *ledger.Ledger, active ledger.Active, build func(context.Context, *policy.Source) (*policy.Engine, error)) (*policy.Engine, error) {
	e, err := stored(ctx, l, active.Revision, build)
	if err != nil {
		return nil, err
	}
	return e, sameGuard(e, active)
}

// sameGuard finds out when somebody has changed, in the store alone, what a change of the active policy has to pass.
func sameGuard(e *policy.Engine, active ledger.Active) error {
	guard, err := guardOf(e)
	if err != nil {
		return err
	}
	same := (guard == nil) == (active.Guard == nil)
	if same && guard != nil {
		same = guard.Requirement.Hash() == active.Guard.Requirement.Hash() && guard.MinJudged == active.Guard.MinJudged && guard.RollbackSeconds == active.Guard.RollbackSeconds
	}
	if !same {
		return fmt.Errorf("%w: the ledger asks for something else before the active policy is changed than that policy does (policy_changes): verify the log", ledger.ErrDamaged)
	}
	return nil
}

// standing holds what the ledger asks of a change of the active policy against that policy itself, before one is made.
func (s *Server) standing(ctx context.Context, active ledger.Active) error {
	if active.Number == 0 {
		return nil
	}
	if e := s.cfg.Policy.Engine(); e != nil && e.Revision() == active.Revision {
		return sameGuard(e, active)
	}
	_, err := storedActive(ctx, s.cfg.Ledger, active, s.cfg.Policy.Build)
	return err
}

// CatchUp makes the active policy this server's, if it is another: it was activated through another server. Until it has
// succeeded the server decides nothing about checks. A policy that could not be built is not tried for each request: until it is time
// the failure before is returned. Who has asked and gone does not end what others wait for too. Who was only overtaken by a change, and
// finds the new policy here, does not wait for the next one.
func (s *Server) CatchUp(ctx context.Context) error {
	active, err := s.cfg.Ledger.Active(ctx)
	if err != nil {
		return err
	}
	if active.Number != 0 && active.Revision == s.revision() {
		return nil
	}
	return s.catchUpWithin(ctx, context.WithoutCancel(ctx))
}

// catchUpWithin is CatchUp that waits for its turn until ctx ends, and then works until working does.
func (s *Server) catchUpWithin(ctx, working context.Context) error {
	if err := s.active.changing.lock(ctx); err != nil {
		return err
	}
	defer s.active.changing.unlock()
	working, cancel := context.WithTimeout(working, catchUpTimeout)
	defer cancel()
	err := s.catchUp(working)
	if before := (*failedBuild)(nil); errors.As(err, &before) {
		return err
	}
	if err == nil {
		s.active.behind.Store(nil)
		return nil
	}
	if ctx.Err() == nil {
		text := err.Error()
		s.active.behind.Store(&text)
		s.log.ErrorContext(ctx, "the active policy could not be loaded; nothing is decided", "error", err)
	}
	return err
}

func (s *Server) catchUp(ctx context.Context) error {
	active, err := s.cfg.Ledger.Active(ctx)
	if err != nil {
		return err
	}
	before := s.revision()
	if active.Number == 0 || active.Revision == before {
		return nil
	}
	if err := s.active.failed.before(active.Revision, s.clock.Elapsed()); err != nil {
		return err
	}
	e, err := storedActive(ctx, s.cfg.Ledger, active, s.cfg.Policy.Build)
	if err != nil {
		s.active.failed.remember(active.Revision, err, s.clock.Elapsed())
		s.reload.failed(s.clock.Now(), err)
		s.metrics.reloaded("failed")
		return err
	}
	s.swap(ctx, e, before, "the active one")
	return nil
}

// revision is that of the policy that this server has; "" for none.
func (s *Server) revision() string {
	if e := s.cfg.Policy.Engine(); e != nil {
		return e.Revision()
	}
	return ""
}

// swap makes an engine decide from now on.
func (s *Server) swap(ctx context.Context, e *policy.Engine, before, why string) {
	s.cfg.Policy.Swap(e)
	s.reload.succeeded(s.clock.Now())
	s.metrics.reloaded("loaded")
	s.log.InfoContext(ctx, "policy loaded", "revision", e.Revision(), "before", before, "why", why, "operator", operatorOf(ctx))
}

// behind says why the server does not have the active policy; "" if it has.
func (s *Server) behind(active ledger.Active) string {
	if text := s.active.behind.Load(); text != nil && active.Revision != s.revision() {
		return *text
	}
	if active.Number != 0 && active.Revision != s.revision() {
		return "it is being loaded"
	}
	return ""
}

// follow catches up if that is needed.
func (s *Server) follow(ctx context.Context) {
	active, err := s.cfg.Ledger.Active(ctx)
	if err == nil && active.Number != 0 && active.Revision != s.revision() {
		_ = s.catchUpWithin(ctx, ctx) // it logs what came of it
	}
}

// change is what becomes of a policy that is handed in, read, proposed or taken again.
type change struct {
	engine   *policy.Engine
	how      ledger.ActivationKind
	reason   string
	proposal string
}

// activate makes a policy the active one in the ledger, and then this server's. s.active.changing is held.
func (s *Server) activate(ctx context.Context, base uint64, c change) (ledger.ActivationRecord, error) {
	guard, err := guardOf(c.engine)
	if err != nil {
		return ledger.ActivationRecord{}, err
	}
	request := ledger.Change{
		Base: base, Revision: c.engine.Revision(), How: c.how, Operator: changer(ctx), Reason: c.reason, Guard: guard, Proposal: c.proposal,
	}
	if c.how == ledger.ActivatedFiles || c.how == ledger.ActivatedPolicy {
		request.Content = contentOf(c.engine)
	}
	c.engine.Warm(ctx, s.recent.all()) // now: once it is the active one, requests wait until it decides
	before := s.revision()
	rec, err := s.cfg.Ledger.Activate(ctx, request)
	if err != nil && !(errors.Is(err, ledger.ErrUnchanged) && c.how == ledger.ActivatedFiles) {
		return rec, err
	}
	s.swap(ctx, c.engine, before, string(c.how))
	s.active.behind.Store(nil)
	s.accepted(ctx, c.engine.Revision())
	return rec, nil
}

// onlySigned refuses a policy that is not that of the signed bundle, where one is asked for: a handed-in policy carries no signature.
func (s *Server) onlySigned(source *policy.Source) error {
	if s.cfg.SignedPolicy == nil {
		return nil
	}
	refuse := func(why string) error {
		return &adminError{http.StatusUnprocessableEntity, "only signed policies are taken (policy.bundle-key-paths): " + why +
			"; sign the bundle, put it on the server where policy.bundle points, and try again or reload"}
	}
	signed, err := s.cfg.SignedPolicy()
	if err != nil {
		return refuse(err.Error())
	}
	want, err := signed.Revision()
	if err != nil {
		return refuse(err.Error())
	}
	got, err := source.Revision()
	if err != nil {
		return &adminError{http.StatusUnprocessableEntity, "the policy does not pass: " + err.Error()}
	}
	if got != want {
		return refuse("this one is " + got + ", and the server's signed bundle holds " + want)
	}
	return nil
}

// accepted tells whoever remembers which policy was accepted. The policy is live by then, so a failure is said and undoes nothing.
func (s *Server) accepted(ctx context.Context, revision string) {
	if s.cfg.PolicyAccepted == nil {
		return
	}
	if err := s.cfg.PolicyAccepted(revision); err != nil {
		s.log.ErrorContext(ctx, "the policy is live, but it could not be noted as the newest: an older one would be taken; mend what is wrong and reload the policy",
			"revision", revision, "error", err)
	}
}

// changer names who changes the policy, as it is recorded.
func changer(ctx context.Context) string {
	if name := operatorOf(ctx); name != "" {
		return name
	}
	return serverItself
}

// serverItself is who reads files at a start and at SIGHUP.
const serverItself = "server"
