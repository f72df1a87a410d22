package policy

import (
	"context"
	"errors"
	"sync/atomic"
)

// LiveConfig is what NewLive needs.
type LiveConfig struct {
	Read   func() (*Source, error) // reads the policy anew
	Engine Config                  // Source is left out
}

// Live holds the engine that decides now. Safe for concurrent use.
type Live struct {
	engine atomic.Pointer[Engine]
}

// NewLive reads and builds the first engine; without one there is nothing live.
func NewLive(ctx context.Context, cfg LiveConfig) (*Live, error) { return nil, errors.New("not built") }

// Engine returns the engine that decides now. A request keeps the one it started with.
func (l *Live) Engine() *Engine { return l.engine.Load() }

// Reload reads the policy anew, builds an engine from it and puts it in place of the present one, which stays when
// anything fails.
func (l *Live) Reload(ctx context.Context) (*Engine, error) { return nil, errors.New("not built") }
