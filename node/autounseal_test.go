package node_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/keystore"
	"github.com/countersign-mpc/countersign/node"
)

// slowKey is a key whose token answers when it is let. Its wrapping hides nothing.
type slowKey struct {
	gate   chan struct{} // closed: it answers at once
	called chan string
	closed chan struct{}
}

func newSlowKey() *slowKey {
	return &slowKey{gate: make(chan struct{}), called: make(chan string, 16), closed: make(chan struct{}, 16)}
}

func (k *slowKey) wait(call string) { k.called <- call; <-k.gate }

func (k *slowKey) Name() string                       { return "slow" }
func (k *slowKey) Wrap(m, _ []byte) ([]byte, error)   { k.wait("wrap"); return bytes.Clone(m), nil }
func (k *slowKey) Unwrap(w, _ []byte) ([]byte, error) { k.wait("unwrap"); return bytes.Clone(w), nil }
func (k *slowKey) Close() error                       { k.closed <- struct{}{}; return nil }
func (k *slowKey) open() func() (node.AutoKey, error) {
	return func() (node.AutoKey, error) { return k, nil }
}
func (k *slowKey) hung() func() (node.AutoKey, error) {
	return func() (node.AutoKey, error) { k.wait("open"); return k, nil }
}

// within demands that something ends although the token hangs.
func within(t testing.TB, what string, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); do() }()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("%s waits for the token", what)
	}
}

// slowNode is a node over a store; open gives it its key.
func slowNode(t *testing.T, path string, open func() (node.AutoKey, error), wait time.Duration) *node.Node {
	t.Helper()
	s, err := keystore.Open(keystore.Config{Path: path, Argon2: cheap})
	must(t, err)
	n, err := node.New(node.Config{Store: s, Settings: &settings{}, Protocols: &toys{t: t}, LinkURL: "ws://127.0.0.1:1/proxy", Software: "test",
		Log: slog.New(slog.DiscardHandler), AutoKey: open, AutoWait: wait})
	must(t, err)
	t.Cleanup(func() { _ = n.Close() })
	return n
}

// resetNode is a node whose present password has been given.
func resetNode(t *testing.T, path string, open func() (node.AutoKey, error), wait time.Duration) *node.Node {
	t.Helper()
	n := slowNode(t, path, open, wait)
	_, err := n.Init(context.Background(), pass(password))
	must(t, err)
	must(t, n.Unseal(context.Background(), pass(password)))
	_, err = n.Enter(context.Background(), node.EntryReset, pass(password))
	must(t, err)
	return n
}

// autoStore is the path of a store that a key of auto-unseal opens beside its password.
func autoStore(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "asset.db")
	key := newSlowKey()
	close(key.gate)
	n := resetNode(t, path, key.open(), 0)
	must(t, n.EnableAuto(context.Background()))
	must(t, n.Close())
	return path
}

func TestATokenThatHangsDuringEnable(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*node.Node){
		"seal":  func(n *node.Node) { n.Seal() },
		"close": func(n *node.Node) { _ = n.Close() },
		"drain": func(n *node.Node) {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			n.Drain(ctx)
		},
	} {
		for hangs, open := range map[string]func(*slowKey) func() (node.AutoKey, error){"open": (*slowKey).hung, "wrap": (*slowKey).open} {
			t.Run(name+" during "+hangs, func(t *testing.T) {
				t.Parallel()
				key := newSlowKey()
				n := resetNode(t, filepath.Join(t.TempDir(), "asset.db"), open(key), time.Hour)
				let := onceClose(key.gate)
				t.Cleanup(let)
				enabled := make(chan error, 1)
				go func() { enabled <- n.EnableAuto(context.Background()) }()
				if call := receive(t, key.called); call != hangs {
					t.Fatalf("it hangs in %s", call)
				}
				within(t, name, func() { end(n) })
				if err := receive(t, enabled); err == nil || !contains(err.Error(), "sealed or stopped meanwhile") {
					t.Fatalf("enable ended with %v", err)
				}
				let()
				receive(t, key.closed) // what hung cleans up
			})
		}
	}
}

func TestATokenThatHangsAtTheStart(t *testing.T) {
	t.Parallel()
	path := autoStore(t)

	key := newSlowKey()
	let := onceClose(key.gate)
	t.Cleanup(let)
	n := slowNode(t, path, key.hung(), time.Millisecond) // it is waited for so long, and no longer
	within(t, "auto-unseal", func() {
		if err := n.AutoUnseal(context.Background()); err == nil || !contains(err.Error(), "did not answer within 1ms") {
			t.Errorf("auto-unseal ended with %v", err)
		}
	})
	if err := n.AutoUnseal(context.Background()); err == nil || !contains(err.Error(), "still owes an answer") {
		t.Errorf("the next one ended with %v", err)
	}
	must(t, n.Unseal(context.Background(), pass(password))) // people can, all the while
	n.Seal()
	let()
	receive(t, key.closed)
	must(t, n.Close())

	key = newSlowKey()
	t.Cleanup(onceClose(key.gate))
	n = slowNode(t, path, key.open(), time.Hour)
	ctx, cancel := context.WithCancel(context.Background())
	unsealed := make(chan error, 1)
	go func() { unsealed <- n.AutoUnseal(ctx) }()
	receive(t, key.called)
	cancel() // SIGTERM
	if err := receive(t, unsealed); !errors.Is(err, context.Canceled) {
		t.Errorf("auto-unseal ended with %v", err)
	}
	within(t, "close", func() { must(t, n.Close()) })
}
