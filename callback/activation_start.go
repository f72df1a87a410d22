package callback

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/policy"
)

// PolicyStart is what OpenPolicy needs.
type PolicyStart struct {
	Ledger *ledger.Ledger
	Source PolicySource // "": PolicyFiles
	Live   policy.LiveConfig
	Log    *slog.Logger
	// Accepted is told the revision of the files' policy once that is the active one; nil: nobody. An error keeps the server from
	// starting.
	Accepted func(revision string) error

	fromFiles *policy.Engine // nil: not read yet
}

// ReadFiles reads and builds the files' policy now, before there is a ledger, so that nothing is made where it does not pass.
func (p *PolicyStart) ReadFiles(ctx context.Context) error {
	_, err := p.files(ctx)
	return err
}

// OpenPolicy says which policy a server begins with, and makes it the active one where that is the files': at the first start,
// and with PolicyFiles where the files have changed since they were last made live. Elsewhere the active policy stays, built
// from what is stored of it, and what the files hold instead is said.
func OpenPolicy(ctx context.Context, start PolicyStart) (*policy.Live, error) {
	for range 3 { // other servers may start at the same time
		e, err := start.engine(ctx)
		if errors.Is(err, ledger.ErrRevision) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("open the policy: %w", err)
		}
		return policy.NewLiveOf(e, start.Live)
	}
	return nil, fmt.Errorf("open the policy: %w: others change it again and again", ledger.ErrRevision)
}

func (p *PolicyStart) build(ctx context.Context, source *policy.Source) (*policy.Engine, error) {
	cfg := p.Live.Engine
	cfg.Source = source
	return policy.New(ctx, cfg)
}

func (p *PolicyStart) files(ctx context.Context) (*policy.Engine, error) {
	if p.fromFiles == nil {
		source, err := p.Live.Read()
		if err != nil {
			return nil, err
		}
		if p.fromFiles, err = p.build(ctx, source); err != nil {
			return nil, err
		}
	}
	return p.fromFiles, nil
}

func (p *PolicyStart) engine(ctx context.Context) (*policy.Engine, error) {
	active, err := p.Ledger.Active(ctx)
	if err != nil {
		return nil, err
	}
	if active.Number != 0 && p.Source == PolicyActivated {
		p.sayFiles(ctx, active)
		return storedActive(ctx, p.Ledger, active, p.build)
	}
	e, err := p.files(ctx)
	if err != nil {
		return nil, err
	}
	why := ""
	switch {
	case active.Number == 0:
		why = "first start"
	case active.Revision == e.Revision():
		if err := sameGuard(e, active); err != nil {
			return nil, err
		}
	case active.Guard != nil:
		p.Log.WarnContext(ctx, "the files hold another policy than the active one, which asks for approvals before it is changed: propose them (callback policy propose)",
			"active", active.Revision, "files", e.Revision())
		return storedActive(ctx, p.Ledger, active, p.build)
	case active.Files == e.Revision():
		p.Log.WarnContext(ctx, filesReplaced, "active", active.Revision, "files", e.Revision())
		return storedActive(ctx, p.Ledger, active, p.build)
	default:
		why = "the files have changed"
	}
	return e, p.activate(ctx, active, e, why)
}

// activate makes the files' policy the active one, or notes that it is.
func (p *PolicyStart) activate(ctx context.Context, active ledger.Active, e *policy.Engine, why string) error {
	guard, err := guardOf(e)
	if err != nil {
		return err
	}
	_, err = p.Ledger.Activate(ctx, ledger.Change{
		Base: active.Number, Revision: e.Revision(), Content: contentOf(e), How: ledger.ActivatedFiles, Operator: serverItself, Reason: why, Guard: guard,
	})
	switch {
	case errors.Is(err, ledger.ErrUnchanged):
	case err != nil:
		return err
	default:
		p.Log.InfoContext(ctx, "policy activated", "revision", e.Revision(), "before", active.Revision, "why", why)
	}
	if p.Accepted != nil {
		return p.Accepted(e.Revision())
	}
	return nil
}

// sayFiles says when the files hold another policy than the active one. They need not be there.
func (p *PolicyStart) sayFiles(ctx context.Context, active ledger.Active) {
	source, err := p.Live.Read()
	if err != nil {
		return
	}
	if revision, err := source.Revision(); err == nil && revision != active.Revision {
		p.Log.WarnContext(ctx, "the files hold another policy than the active one; policy.source is \"activated\", so they are not read", "active", active.Revision, "files", revision)
	}
}
