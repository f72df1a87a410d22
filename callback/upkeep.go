package callback

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/countersign-mpc/countersign/auditlog"
	"github.com/countersign-mpc/countersign/ledger"
)

const (
	// MinRetention is the least age of what may be removed from the log: an approval lives up to 30 days, and what it is
	// about stands in the entry that opened it.
	MinRetention = ledger.MaxLifetime + 24*time.Hour
	// DefaultCheckpointEvery is how often the log is signed and shown to witnesses, if it grew.
	DefaultCheckpointEvery = time.Minute
	retainEvery            = time.Hour
	upkeepTimeout          = 30 * time.Second // of signing and sending one checkpoint
)

// Witness keeps checkpoints outside the log. Send is called with the newest one until it returns nil for it, and must end
// soon after ctx does.
type Witness interface {
	Name() string // unique; what logs and metrics call it
	Send(ctx context.Context, checkpoint []byte) error
}

// upkeep is what has come of the log's upkeep.
type upkeep struct {
	turn      sync.Mutex // held while a checkpoint is signed and sent
	mu        sync.Mutex // guards the fields below
	signed    time.Time  // when a checkpoint over the whole log was last seen; zero: not yet
	retained  time.Time  // when retention last came to its end; zero: not yet
	witnesses map[string]witnessState
}

type witnessState struct {
	entries int64     // below the newest checkpoint that it keeps
	at      time.Time // when it last said so; zero: not yet
	failing bool
}

// read is a copy of the state.
func (u *upkeep) read() (signed, retained time.Time, witnesses map[string]witnessState) {
	u.mu.Lock()
	defer u.mu.Unlock()
	witnesses = map[string]witnessState{}
	for name, w := range u.witnesses {
		witnesses[name] = w
	}
	return u.signed, u.retained, witnesses
}

// Keep does the log's upkeep until ctx ends: it has the log signed and shown to witnesses as often as Config.CheckpointEvery
// says, and removes what is older than Config.Retention. What fails is logged, shown in metrics and tried again; decisions
// do not wait for it.
func (s *Server) Keep(ctx context.Context) {
	var wg sync.WaitGroup
	every := func(d time.Duration, do func(context.Context)) {
		wg.Go(func() {
			ticker := time.NewTicker(d)
			defer ticker.Stop()
			for do(ctx); ; do(ctx) {
				select {
				case <-ctx.Done():
					return
				case <-ticker.C:
				}
			}
		})
	}
	every(s.cfg.CheckpointEvery, func(ctx context.Context) { _ = s.Checkpoint(ctx) })
	every(probeEvery, func(ctx context.Context) { _ = s.probe(ctx) })
	every(followEvery, s.follow)
	every(followEvery, s.followShadow)
	wg.Go(func() { s.runShadow(ctx) })
	if s.cfg.Retention > 0 {
		every(retainEvery, func(ctx context.Context) { _, _ = s.Retain(ctx) })
	}
	wg.Wait()
}

// Checkpoint has the log signed, if it grew since, and shows the checkpoint to each witness that does not have it. The error,
// which is logged too, says only that something failed.
func (s *Server) Checkpoint(ctx context.Context) error {
	s.upkeep.turn.Lock()
	defer s.upkeep.turn.Unlock()
	ctx, cancel := context.WithTimeout(ctx, upkeepTimeout)
	defer cancel()
	sum, err := s.cfg.Ledger.Summary(ctx)
	if err == nil && sum.Checkpointed == sum.LogSize && s.witnessed(sum.LogSize) {
		s.upkeep.mu.Lock()
		s.upkeep.signed = s.clock.Now()
		s.upkeep.mu.Unlock()
		return nil
	}
	var signed []byte
	var size int64
	if err == nil {
		signed, size, err = s.sign(ctx)
	}
	if err != nil {
		s.unwritten(ctx, err)
		if ctx.Err() == nil {
			s.log.ErrorContext(ctx, "the log was not signed", "error", err)
		}
		return err
	}
	var wg sync.WaitGroup
	failed := make(chan error, len(s.cfg.Witnesses))
	for _, w := range s.cfg.Witnesses {
		if _, _, have := s.upkeep.read(); size == 0 || have[w.Name()].entries == size {
			continue
		}
		wg.Go(func() {
			err := w.Send(ctx, signed)
			s.told(ctx, w.Name(), size, err)
			failed <- err
		})
	}
	wg.Wait()
	close(failed)
	for e := range failed {
		if e != nil {
			err = e
		}
	}
	return err
}

// sign has the log signed as it is.
func (s *Server) sign(ctx context.Context) ([]byte, int64, error) {
	signed, err := s.cfg.Ledger.Checkpoint(ctx)
	if err != nil {
		return nil, 0, err
	}
	tree, err := auditlog.OpenCheckpoint(signed, s.cfg.Ledger.LogPublic())
	if err != nil {
		return nil, 0, err
	}
	s.upkeep.mu.Lock()
	defer s.upkeep.mu.Unlock()
	s.upkeep.signed = s.clock.Now()
	return signed, tree.N, nil
}

// witnessed tells whether every witness has a checkpoint over a log of this size.
func (s *Server) witnessed(size int64) bool {
	_, _, have := s.upkeep.read()
	for _, w := range s.cfg.Witnesses {
		if have[w.Name()].entries != size {
			return false
		}
	}
	return true
}

// told notes what a witness answered. A failure is logged when it begins and when it ends, not each time.
func (s *Server) told(ctx context.Context, name string, size int64, err error) {
	s.upkeep.mu.Lock()
	defer s.upkeep.mu.Unlock()
	state := s.upkeep.witnesses[name]
	was := state.failing
	if state.failing = err != nil; err == nil {
		state.entries, state.at = size, s.clock.Now()
	}
	s.upkeep.witnesses[name] = state
	switch {
	case err != nil:
		s.metrics.witnessFailures.WithLabelValues(name).Inc()
		if !was {
			s.log.ErrorContext(ctx, "a witness did not take the log's checkpoint; it is tried again", "witness", name, "error", err)
		}
	case was:
		s.log.InfoContext(ctx, "the witness takes checkpoints again", "witness", name, "entries", size)
	}
}

// Retain removes what is older than Config.Retention and returns how many entries that were. Age is counted back from the last
// entry, and nothing is removed while the clock is in doubt: a clock that is wrong must not empty the log.
func (s *Server) Retain(ctx context.Context) (int, error) {
	if s.cfg.Retention <= 0 {
		return 0, nil
	}
	sum, err := s.cfg.Ledger.Summary(ctx)
	if err == nil && (sum.ClockJumped || sum.LastRecord.IsZero()) {
		return 0, nil
	}
	removed := 0
	if err == nil {
		removed, err = s.prune(ctx, sum.LastRecord.Add(-s.cfg.Retention))
	}
	if err != nil {
		if ctx.Err() == nil {
			s.log.ErrorContext(ctx, "old entries of the log were not removed", "error", err)
		}
		return removed, err
	}
	s.upkeep.mu.Lock()
	defer s.upkeep.mu.Unlock()
	s.upkeep.retained = s.clock.Now()
	return removed, nil
}

func (s *Server) prune(ctx context.Context, before time.Time) (int, error) {
	removed, err := s.cfg.Ledger.Prune(ctx, before)
	s.metrics.pruned.Add(float64(removed))
	if removed > 0 {
		s.log.InfoContext(ctx, "old entries of the log removed; their hashes stay", "before", before, "entries", removed, "operator", operatorOf(ctx))
	}
	return removed, err
}

// PruneRequest is the body of POST /admin/v1/log/prune.
type PruneRequest struct {
	Before time.Time `json:"before"`
}

// PruneView is the answer to it.
type PruneView struct {
	Before  time.Time `json:"before"`
	Removed int       `json:"removed"` // entries
}

// pruneLog serves POST /admin/v1/log/prune.
func (s *Server) pruneLog(r *http.Request) (any, error) {
	var asked PruneRequest
	if err := readJSON(r, &asked); err != nil {
		return nil, err
	}
	sum, err := s.cfg.Ledger.Summary(r.Context())
	if err != nil {
		return nil, err
	}
	latest := s.clock.Now().Add(-MinRetention)
	switch {
	case sum.ClockJumped:
		return nil, &adminError{http.StatusConflict, "the clock is in doubt, and what is old is not known: see clock confirm"}
	case asked.Before.IsZero() || asked.Before.After(latest):
		return nil, &adminError{http.StatusBadRequest, fmt.Sprintf("before has to be %d days ago or earlier: approvals may still need what is newer", MinRetention/(24*time.Hour))}
	}
	removed, err := s.prune(r.Context(), asked.Before)
	if err != nil {
		return nil, err
	}
	return PruneView{asked.Before.UTC(), removed}, nil
}
