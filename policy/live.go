package policy

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/countersign-mpc/countersign/internal/pace"
)

// Prover finds out elsewhere than in this process whether a policy passes everything that [New] asks of it.
type Prover interface {
	// Prove is Prove's, about this very source. ErrNoProver: nothing was found out, and it is this process that has to; any other
	// error keeps the policy from going live.
	Prove(ctx context.Context, s *Source) (Proof, error)
}

// ErrNoProver says that a policy cannot be proven elsewhere.
var ErrNoProver = errors.New("the policy cannot be tested in a process of its own")

// LiveConfig is what NewLive needs.
type LiveConfig struct {
	Read   func() (*Source, error) // reads the policy anew
	Engine Config                  // its Source is left out
	Prover Prover                  // of what is to follow a live engine; nil: policies are linted and tested beside the requests
}

func (c LiveConfig) validate() error {
	switch {
	case c.Read == nil:
		return errors.New("nothing says where the policy is read from")
	case c.Engine.Source != nil:
		return errors.New("a policy is given although it is read anew on every reload")
	}
	return nil
}

// Live holds the engine that decides now. Safe for concurrent use.
type Live struct {
	cfg    LiveConfig
	engine atomic.Pointer[Engine]
	reload sync.Mutex // held while a new engine is built, so that reloads take effect in the order they began
}

// NewLive reads and builds the first engine; without one there is nothing live.
func NewLive(ctx context.Context, cfg LiveConfig) (*Live, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("load policy: %w", err)
	}
	l := &Live{cfg: cfg}
	if _, err := l.Reload(ctx); err != nil {
		return nil, err
	}
	return l, nil
}

// NewLiveOf makes what e is live in; a reload reads the policy as cfg says.
func NewLiveOf(e *Engine, cfg LiveConfig) (*Live, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("load policy: %w", err)
	}
	if e == nil {
		return nil, errors.New("load policy: no engine is given")
	}
	l := &Live{cfg: cfg}
	l.engine.Store(e)
	return l, nil
}

// Engine returns the engine that decides now. A request keeps the one it started with.
func (l *Live) Engine() *Engine { return l.engine.Load() }

// Reload reads the policy anew, builds an engine from it and puts it in place of the present one, which stays when
// anything fails. Evaluations that are under way are neither stopped nor held up.
func (l *Live) Reload(ctx context.Context) (*Engine, error) {
	l.reload.Lock()
	defer l.reload.Unlock()
	e, err := l.Read(ctx)
	if err != nil {
		return nil, err
	}
	l.engine.Store(e)
	return e, nil
}

// Read reads the policy anew and builds an engine from it, which is not live yet.
func (l *Live) Read(ctx context.Context) (*Engine, error) {
	source, err := l.cfg.Read()
	if err != nil {
		return nil, fmt.Errorf("load policy: %w", err)
	}
	return l.Build(ctx, source)
}

// Build builds an engine, as the live ones are built, which is not live yet.
func (l *Live) Build(ctx context.Context, source *Source) (*Engine, error) {
	e, err := l.build(ctx, source)
	if err != nil {
		return nil, fmt.Errorf("load policy: %w", err)
	}
	return e, nil
}

func (l *Live) build(ctx context.Context, source *Source) (*Engine, error) {
	cfg := l.cfg.Engine
	cfg.Source = source
	before := l.engine.Load()
	if before == nil {
		return New(ctx, cfg)
	}
	proof, err := l.prove(ctx, source)
	if errors.Is(err, ErrNoProver) {
		cfg.testsAtOnce = 1 // requests are being answered: tests leave them the other cores
		return New(ctx, cfg)
	}
	if err != nil {
		return nil, err
	}
	cfg.proven, cfg.like, cfg.pace = true, before, pace.New()
	e, err := NewUntested(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if proof.Revision != e.revision || proof.Passed < 1 {
		return nil, fmt.Errorf("policy %s was proven where %s was asked about", proof.Revision, e.revision)
	}
	return e, nil
}

func (l *Live) prove(ctx context.Context, source *Source) (Proof, error) {
	if l.cfg.Prover == nil {
		return Proof{}, ErrNoProver
	}
	return l.cfg.Prover.Prove(ctx, source)
}

// Warm lets e learn what it will be asked, from inputs that were recorded of requests: decided by whichever policy, since nothing
// comes of it but what e remembers. It ends early with ctx.
func (e *Engine) Warm(ctx context.Context, recorded [][]byte) {
	p := pace.New()
	for _, b := range recorded {
		if ctx.Err() != nil {
			return
		}
		_, _ = e.Replay(ctx, b) // what cannot be judged teaches nothing
		p.Pause()
	}
}

// Swap puts an engine in place of the present one. Evaluations that are under way are neither stopped nor held up.
func (l *Live) Swap(e *Engine) {
	l.reload.Lock()
	defer l.reload.Unlock()
	l.engine.Store(e)
}
