package callback_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-mpc/countersign/callback"
)

// TestWithin: a context that arms no timer of its own ends when one would that has, for whoever looks and whoever waits.
func TestWithin(t *testing.T) {
	type key struct{}
	gone := errors.New("gone")
	for name, c := range map[string]struct {
		end   func(cancel context.CancelCauseFunc, release func()) // nil: time
		err   error
		cause error
	}{
		"time":    {nil, context.DeadlineExceeded, context.DeadlineExceeded},
		"parent":  {func(cancel context.CancelCauseFunc, _ func()) { cancel(gone) }, context.Canceled, gone},
		"release": {func(_ context.CancelCauseFunc, release func()) { release() }, context.Canceled, context.Canceled},
	} {
		for _, waiting := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					parent, cancel := context.WithCancelCause(context.WithValue(t.Context(), key{}, 7))
					defer cancel(nil)
					ctx, release := callback.Within(parent, time.Minute)
					defer release()
					var child context.Context
					if waiting {
						var stop context.CancelFunc
						child, stop = context.WithCancel(ctx)
						defer stop()
						select {
						case <-ctx.Done():
							t.Fatal("it is over at once")
						default:
						}
					}
					if at, has := ctx.Deadline(); !has || time.Until(at) != time.Minute || ctx.Err() != nil || context.Cause(ctx) != nil || ctx.Value(key{}) != 7 {
						t.Fatalf("at the beginning: until %v (%v), %v, %v", at, has, ctx.Err(), ctx.Value(key{}))
					}
					time.Sleep(time.Minute - 1)
					if ctx.Err() != nil {
						t.Fatalf("too early: %v", ctx.Err())
					}
					if c.end == nil {
						time.Sleep(time.Nanosecond)
					} else {
						c.end(cancel, release)
					}
					synctest.Wait()
					if !errors.Is(ctx.Err(), c.err) || !errors.Is(context.Cause(ctx), c.cause) {
						t.Errorf("error %v, cause %v", ctx.Err(), context.Cause(ctx))
					}
					select {
					case <-ctx.Done():
					default:
						t.Error("who waits is not told")
					}
					if waiting && !errors.Is(context.Cause(child), c.cause) {
						t.Errorf("what was made of it: %v", context.Cause(child))
					}
					if !errors.Is(ctx.Err(), c.err) {
						t.Errorf("and then %v", ctx.Err())
					}
				})
			})
		}
	}
}

// TestWithinItsParentsTime: the earlier end counts.
func TestWithinItsParentsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		ctx, release := callback.Within(parent, time.Minute)
		defer release()
		if at, has := ctx.Deadline(); !has || time.Until(at) != time.Second {
			t.Errorf("until %v (%v)", at, has)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			t.Error(ctx.Err())
		}
	})
}

// TestWithinLeavesNothing: where nobody waits, no timer and no goroutine is started; and whatever was made of it ends with it.
func TestWithinLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithCancel(t.Context())
		defer cancel()
		ctx, release := callback.Within(parent, time.Hour)
		if allocated := testing.AllocsPerRun(100, func() { _, _ = ctx.Err(), ctx.Value(t) }); allocated != 0 {
			t.Errorf("to look allocates %v times", allocated)
		}
		told := make(chan struct{})
		stop := context.AfterFunc(ctx, func() { close(told) })
		defer stop()
		release()
		<-told
	})
}
