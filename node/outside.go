package node

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/countersign-mpc/countersign/internal/secret"
)

// DefaultAutoWait is how long the key of auto-unseal has for all that one use of it takes.
const DefaultAutoWait = 30 * time.Second

var (
	errEnded = errors.New("the key of auto-unseal was not waited for: the node was sealed or stopped meanwhile")
	errBusy  = errors.New("the key of auto-unseal still owes an answer to an earlier call: look at its token; if it has hung, restart the node")
)

// outsideUse is the use of the key outside of the store; there is one at a time, as a module that hangs holds all that follow.
type outsideUse struct {
	mu   sync.Mutex // guards busy and stop
	busy bool
	stop context.CancelCauseFunc
}

// begin starts a use. It lasts until done, which may be long after its context has ended.
func (u *outsideUse) begin(ctx context.Context) (_ context.Context, done func(), _ error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.busy {
		return nil, nil, errBusy
	}
	ctx, stop := context.WithCancelCause(ctx)
	u.busy, u.stop = true, stop
	return ctx, func() {
		stop(nil)
		u.mu.Lock()
		defer u.mu.Unlock()
		u.busy, u.stop = false, nil
	}, nil
}

// end gives up the use that goes on, if there is one: whoever waits for it goes on at once.
func (u *outsideUse) end() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.busy {
		u.stop(errEnded)
	}
}

// givenUp is the error of a call that was not waited for.
type givenUp struct{ cause error }

func (e *givenUp) Error() string { return e.cause.Error() }
func (e *givenUp) Unwrap() error { return e.cause }

func given(err error) bool {
	var g *givenUp
	return errors.As(err, &g)
}

// await waits for a call until ctx ends. A call into a module's C code cannot be ended: its goroutine is left then, and gives
// what it gets, if it ever does, to late.
func await[T any](ctx context.Context, call func() (T, error), late func(T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer) // without a buffer: an answer is taken, or late
	go func() {
		value, err := call()
		select {
		case answers <- answer{value, err}:
		case <-ctx.Done():
			late(value, err)
		}
	}()
	select {
	case a := <-answers:
		return a.value, a.err
	case <-ctx.Done():
		var none T
		return none, &givenUp{context.Cause(ctx)}
	}
}

// patientKey is a key whose calls end with ctx. What a call that was given up leaves behind is cleaned up when it returns.
type patientKey struct {
	AutoKey
	ctx  context.Context
	done func() // the use is over, and the key closed
	lost bool   // a call was given up
}

// Wrap implements keystore.OutsideKey.
func (k *patientKey) Wrap(master, place []byte) ([]byte, error) {
	own := bytes.Clone(master) // the caller wipes its own
	return k.await(func() ([]byte, error) {
		defer secret.Wipe(own)
		return k.AutoKey.Wrap(own, place)
	})
}

// Unwrap implements keystore.OutsideKey.
func (k *patientKey) Unwrap(wrapped, place []byte) ([]byte, error) {
	return k.await(func() ([]byte, error) { return k.AutoKey.Unwrap(wrapped, place) })
}

func (k *patientKey) await(call func() ([]byte, error)) ([]byte, error) {
	out, err := await(k.ctx, call, func(b []byte, _ error) {
		secret.Wipe(b)
		_ = k.AutoKey.Close()
		k.done()
	})
	k.lost = k.lost || given(err)
	return out, err
}

// close closes the key, unless a call that was given up still does it.
func (k *patientKey) close() error {
	if k.lost {
		return nil
	}
	_, err := await(k.ctx, func() (struct{}, error) { return struct{}{}, k.AutoKey.Close() }, func(struct{}, error) { k.done() })
	if !given(err) {
		k.done()
	}
	return err
}
