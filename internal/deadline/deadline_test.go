package deadline_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-mpc/countersign/internal/deadline"
)

type key struct{}

// TestLikeWithTimeout: whatever happens to it, and whether and when somebody waits for it, such a context says what that of
// context.WithTimeout says.
func TestLikeWithTimeout(t *testing.T) {
	type ends struct{ own, parent func() }
	for name, happens := range map[string]func(ends){
		"nothing":                func(ends) {},
		"time passes":            func(ends) { time.Sleep(time.Second - 1) },
		"its time comes":         func(ends) { time.Sleep(time.Second) },
		"its work ends":          func(e ends) { e.own() },
		"the parent ends":        func(e ends) { e.parent() },
		"its work ends in time":  func(e ends) { e.own(); time.Sleep(time.Second) },
		"its work ends too late": func(e ends) { time.Sleep(time.Second + 1); e.own() },
	} {
		for _, early := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				parent, endParent := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
				defer endParent()
				got := deadline.After(parent, time.Second)
				want, end := context.WithTimeout(parent, time.Second)
				defer end()
				if early {
					got.Done()
				}
				happens(ends{func() { got.End(); end() }, endParent})
				synctest.Wait()
				same := func(when string, ctx context.Context) {
					if ctx.Err() != want.Err() || context.Cause(ctx) != context.Cause(want) {
						t.Errorf("%s, %s (waited for early: %v): %v, %v, want %v", name, when, early, ctx.Err(), context.Cause(ctx), want.Err())
					}
				}
				same("looked at", got)
				child, endChild := context.WithCancel(got)
				defer endChild()
				synctest.Wait()
				same("what is made of it", child)
				same("after that", got)
				select {
				case <-got.Done():
					if want.Err() == nil {
						t.Errorf("%s: it is done and should not be", name)
					}
				default:
					if want.Err() != nil {
						t.Errorf("%s: it is not done", name)
					}
				}
				at, _ := got.Deadline()
				if wantAt, _ := want.Deadline(); !at.Equal(wantAt) || got.Value(key{}) != "value" {
					t.Errorf("%s: it ends at %v and has %v", name, at, got.Value(key{}))
				}
			})
		}
	}
}

// TestEarlierParent: a parent that ends before is what counts.
func TestEarlierParent(t *testing.T) {
	parent, end := context.WithTimeout(t.Context(), time.Minute)
	defer end()
	got := deadline.After(parent, time.Hour)
	defer got.End()
	if at, _ := got.Deadline(); time.Until(at) > time.Minute {
		t.Errorf("it ends at %v", at)
	}
}

// TestLooksOnly: who only looks pays for no timer.
func TestLooksOnly(t *testing.T) {
	parent, end := context.WithCancel(t.Context())
	defer end()
	made := testing.AllocsPerRun(100, func() {
		c := deadline.After(parent, time.Hour)
		if c.Err() != nil {
			t.Error("it has ended")
		}
		c.End()
	})
	if made > 1 {
		t.Errorf("%v allocations", made)
	}
}
