package policy

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// LiveConfig is what NewLive needs.
type LiveConfig struct {
	Read   func() (*Source, error) // reads the policy anew
	Engine Config                  // its Source is left out
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

// Engine returns the engine that decides now. A request keeps the one it started with.
func (l *Live) Engine() *Engine { return l.engine.Load() }

// Reload reads the policy anew, builds an engine from it and puts it in place of the present one, which stays when
// anything fails. Evaluations that are under way are neither stopped nor held up.
func (l *Live) Reload(ctx context.Context) (*Engine, error) {
	l.reload.Lock()
	defer l.reload.Unlock()
	source, err := l.cfg.Read()
	if err != nil {
		return nil, fmt.Errorf("load policy: %w", err)
	}
	cfg := l.cfg.Engine
	cfg.Source = source
	if l.engine.Load() != nil { // requests are being answered: tests leave them the other cores
		cfg.testsAtOnce = 1
	}
	e, err := New(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("load policy: %w", err)
	}
	l.engine.Store(e)
	return e, nil
}
