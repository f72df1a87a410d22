package asking

import (
	"context"
	"time"
)

// DefaultHeadStart is how long one replica has alone, in mode first, before the next one is tried beside it.
const DefaultHeadStart = 2 * time.Second

// tried is what came of one try at one server.
type tried[T any] struct {
	server endpoints
	value  T
	err    error
	took   time.Duration
}

// firstOf tries servers in turn until one succeeds: the next as soon as one has failed, and beside those that have not answered
// after a head start, so that a server that hangs delays nothing for long. What still runs then is ended. failed hears of each
// failure; ok is false where all have failed.
func firstOf[T any](ctx context.Context, servers []endpoints, headStart time.Duration, try func(context.Context, endpoints) (T, error), failed func(tried[T])) (got tried[T], ok bool) {
	ctx, cancel := context.WithCancel(ctx)
	results, running := make(chan tried[T]), 0
	defer func() {
		cancel()
		for ; running > 0; running-- {
			<-results
		}
	}()
	begin := func() {
		server := servers[0]
		servers = servers[1:]
		running++
		go func() {
			began := time.Now()
			value, err := try(ctx, server)
			results <- tried[T]{server, value, err, time.Since(began)}
		}()
	}
	for running > 0 || len(servers) > 0 {
		var late <-chan time.Time
		if running == 0 {
			begin()
		}
		timer := time.NewTimer(headStart)
		if len(servers) > 0 {
			late = timer.C
		}
		select {
		case got = <-results:
			running--
			if got.err == nil {
				timer.Stop()
				return got, true
			}
			failed(got)
			if len(servers) > 0 && ctx.Err() == nil {
				begin()
			}
		case <-late:
			begin()
		}
		timer.Stop()
		if ctx.Err() != nil {
			return got, false
		}
	}
	return got, false
}
