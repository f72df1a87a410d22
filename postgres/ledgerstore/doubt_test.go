package ledgerstore_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/postgres/ledgerstore"
)

// cutter stands between a store and the database, and breaks the connection on which the next COMMIT is sent.
type cutter struct {
	listener net.Listener
	database string

	mu    sync.Mutex // guards the fields below
	armed bool
	after bool // the database gets the COMMIT, and only its answer is lost
	down  bool // no new connection gets through
}

func newCutter(t *testing.T) (*cutter, ledgerstore.Config) {
	t.Helper()
	cfg := migrated(t)
	u, err := url.Parse(cfg.URL)
	must(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	c := &cutter{listener: l, database: u.Host}
	u.Host = l.Addr().String()
	query := u.Query()
	query.Set("sslmode", "disable")
	u.RawQuery = query.Encode()
	cfg.URL = u.String()
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { c.carry(client) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	return c, cfg
}

func (c *cutter) set(armed, after, down bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.armed, c.after, c.down = armed, after, down
}

func (c *cutter) isDown() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.down
}

// strikes tells whether what a client sent is to be cut, and whether the database gets it.
func (c *cutter) strikes(sent []byte) (cut, after bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.armed || !bytes.Contains(sent, []byte("commit\x00")) {
		return false, false
	}
	c.armed = false
	return true, c.after
}

func (c *cutter) carry(client net.Conn) {
	defer client.Close()
	if c.isDown() {
		return
	}
	server, err := net.Dial("tcp", c.database)
	if err != nil {
		return
	}
	defer server.Close()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		_, _ = io.Copy(client, server)
		_ = client.Close()
		_, _ = io.Copy(io.Discard, server) // so that the database is not disturbed in what it was given
	})
	buffer := make([]byte, 1<<16)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			_ = server.Close()
			return
		}
		cut, after := c.strikes(buffer[:n])
		if cut {
			_ = client.Close() // before the database can answer
		}
		if !cut || after {
			if _, err := server.Write(buffer[:n]); err != nil {
				return
			}
		}
		if cut {
			if after { // it ends the connection by itself after the answer
				_ = server.(*net.TCPConn).CloseWrite()
			} else {
				_ = server.Close()
			}
			return
		}
	}
}

func get(t *testing.T, store *ledgerstore.Store, key string) string {
	t.Helper()
	var out string
	must(t, store.View(context.Background(), func(r ledger.Reader) error {
		v, err := r.Get(bucket, []byte(key))
		out = string(v)
		return err
	}))
	return out
}

// If the answer to COMMIT is lost, the update succeeds exactly if it was committed.
func TestLostCommit(t *testing.T) {
	for name, after := range map[string]bool{"before the database": false, "after the database": true} {
		t.Run(name, func(t *testing.T) {
			c, cfg := newCutter(t)
			store := mustOpen(t, cfg)
			must(t, store.Update(context.Background(), put("a", "1")))
			c.set(true, after, false)
			err := store.Update(context.Background(), put("a", "2"))
			if after && err != nil {
				t.Errorf("a committed update fails: %v", err)
			}
			if !after && !errors.Is(err, ledger.ErrUnavailable) {
				t.Errorf("an update that was not committed: %v", err)
			}
			if got, want := get(t, store, "a"), map[bool]string{true: "2", false: "1"}[after]; got != want {
				t.Errorf("the value is %q, want %q", got, want)
			}
			must(t, store.Update(context.Background(), put("a", "3")))
		})
	}
}

// While it cannot be found out what became of an update, nothing else is written; then it goes on.
func TestDoubtHoldsUpdates(t *testing.T) {
	c, cfg := newCutter(t)
	store := mustOpen(t, cfg)
	must(t, store.Update(context.Background(), put("a", "1")))
	c.set(true, true, true)
	if err := store.Update(context.Background(), put("a", "2")); !errors.Is(err, ledger.ErrUnavailable) {
		t.Errorf("an update whose fate is not known: %v", err)
	}
	ran := false
	err := store.Update(context.Background(), func(ledger.Tx) error { ran = true; return nil })
	if !errors.Is(err, ledger.ErrUnavailable) || ran {
		t.Errorf("an update during the doubt: %v, ran %v", err, ran)
	}
	c.set(false, false, false)
	must(t, store.Update(context.Background(), func(tx ledger.Tx) error {
		if v, err := tx.Get(bucket, []byte("a")); err != nil || string(v) != "2" {
			t.Errorf("the committed value is %q, %v", v, err)
		}
		return nil
	}))
}
