package main

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/countersign-mpc/countersign/ledger"
)

// killEnv is where, and at the how manieth time, a `callback-dies serve` kills itself with SIGKILL: "point number".
const killEnv = "CALLBACK_TEST_KILL"

// The points between the receipt of a request and its reply.
var killPoints = []string{"received", "update", "locked", "judged", "committed"}

// dying is `callback` that ends at a point.
func dying() {
	o := &options{}
	var point string
	var n int64
	if _, err := fmt.Sscan(os.Getenv(killEnv), &point, &n); err == nil {
		o.wrapStore = func(s store) store { return &deadlyStore{store: s, point: point, left: n} }
	}
	os.Exit(o.run(context.Background(), os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr}))
}

// deadlyStore kills the process at a point, once there were so many decisions that came to it.
type deadlyStore struct {
	store
	point string
	left  int64
}

func (s *deadlyStore) at(point string) {
	if point == s.point && atomic.AddInt64(&s.left, -1) == 0 {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

func (s *deadlyStore) View(ctx context.Context, fn func(ledger.Reader) error) error {
	asks := false
	err := s.store.View(ctx, func(r ledger.Reader) error { return fn(&watchingReader{r, &asks}) })
	if asks {
		s.at("received")
	}
	return err
}

func (s *deadlyStore) Update(ctx context.Context, fn func(ledger.Tx) error) error {
	s.at("update")
	decides := false
	err := s.store.Update(ctx, func(tx ledger.Tx) error {
		s.at("locked")
		w := &watchingTx{watchingReader{tx, &decides}, tx}
		err := fn(w)
		if err == nil && decides {
			s.at("judged")
		}
		return err
	})
	if err == nil && decides {
		s.at("committed")
	}
	return err
}

// watchingReader notes that a request was looked up, or decided.
type watchingReader struct {
	ledger.Reader
	seen *bool
}

func (r *watchingReader) Get(bucket string, key []byte) ([]byte, error) {
	*r.seen = *r.seen || bucket == "ask"
	return r.Reader.Get(bucket, key)
}

// Time is the database's.
func (r *watchingReader) Time() (time.Time, error) { return r.Reader.(ledger.Timed).Time() }

type watchingTx struct {
	watchingReader
	tx ledger.Tx
}

func (t *watchingTx) Put(bucket string, key, value []byte) error { return t.tx.Put(bucket, key, value) }
func (t *watchingTx) Delete(bucket string, key []byte) error     { return t.tx.Delete(bucket, key) }
