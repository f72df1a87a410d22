package callback

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/countersign-mpc/countersign/ledger"
)

// probeEvery is how often a server that could not write its ledger tries whether it can again.
const probeEvery = 2 * time.Second

// writable knows whether the ledger could be written when it last was. A disk that is full takes what is small and refuses the
// rest, so that a decision which was recorded does not say that it is over: a probe does, which writes as much as a large one.
type writable struct {
	failures atomic.Int64 // since the last probe that was written
	turn     sync.Mutex   // held while a probe is written
}

// unwritten notes an error of the ledger, if it is one of its store. It is logged when that begins and when it ends.
func (s *Server) unwritten(ctx context.Context, err error) {
	if !errors.Is(err, ledger.ErrUnavailable) && !errors.Is(err, ledger.ErrDamaged) {
		return
	}
	if s.writable.failures.Add(1) == 1 {
		s.log.ErrorContext(ctx, "the ledger could not be read or written: the server is not ready until a probe is written", "error", err)
	}
}

// probe writes the ledger as a probe, if it could not be written before. It is nil where the ledger can be written.
func (s *Server) probe(ctx context.Context) error {
	if s.writable.failures.Load() == 0 {
		return nil
	}
	s.writable.turn.Lock()
	defer s.writable.turn.Unlock()
	before := s.writable.failures.Load()
	if before == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	if err := s.cfg.Ledger.Probe(ctx); err != nil {
		return err
	}
	if s.writable.failures.CompareAndSwap(before, 0) { // else another write failed meanwhile
		s.log.InfoContext(ctx, "the ledger can be written again")
	}
	return nil
}
