package keystore_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/internal/secret"
	"github.com/countersign-mpc/countersign/keystore"
)

func TestDefaults(t *testing.T) {
	for _, c := range []keystore.Config{
		{},
		{Path: "x", Argon2: keystore.Argon2{Time: 0, MemoryKiB: 8, Threads: 1}},
		{Path: "x", Argon2: keystore.Argon2{Time: 17, MemoryKiB: 8, Threads: 1}},
		{Path: "x", Argon2: keystore.Argon2{Time: 1, MemoryKiB: 7, Threads: 1}},
		{Path: "x", Argon2: keystore.Argon2{Time: 1, MemoryKiB: 2 << 20, Threads: 1}},
		{Path: "x", Argon2: keystore.Argon2{Time: 1, MemoryKiB: 8 << 10, Threads: 17}},
		{Path: "x", Argon2: keystore.Argon2{Time: 1, MemoryKiB: 8 << 10}},
	} {
		if _, err := keystore.Open(c); err == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
	// With the cost that is used in production, once.
	s := mustOpen(t, keystore.Config{Path: newPath(t)})
	must(t, s.Init(context.Background(), pass(goodPassword)))
	if stat := mustStat(t, s); stat.Argon2 != keystore.DefaultArgon2() {
		t.Errorf("a store was made with %+v", stat.Argon2)
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	path := newPath(t)
	s := mustOpen(t, config(path))
	mustBe(t, s.Init(ctx, pass(goodPassword)), context.Canceled)
	if s.State() != keystore.Uninitialised {
		t.Fatal("a cancelled Init went through")
	}
	must(t, s.Init(context.Background(), pass(goodPassword)))
	s.Seal()
	mustBe(t, s.Unseal(ctx, pass(goodPassword)), context.Canceled)
	if s.State() != keystore.Sealed {
		t.Fatal("a cancelled Unseal went through")
	}
}

func TestSealWaitsForTransactions(t *testing.T) {
	s := mustInit(t, newPath(t))
	for i := range 20 {
		started := make(chan struct{})
		var finished atomic.Bool
		var all sync.WaitGroup
		all.Go(func() {
			err := s.Update(func(tx *keystore.Tx) error {
				close(started)
				for range 100 {
					runtime.Gosched() // lets Seal get as far as it can
				}
				defer finished.Store(true)
				return tx.Put("b", "k", []byte(fmt.Sprint(i)))
			})
			if err != nil {
				t.Error(err)
			}
		})
		<-started
		s.Seal()
		if !finished.Load() {
			t.Error("Seal did not wait for a running transaction")
		}
		all.Wait()
		_, err := s.Get("b", "k")
		mustBe(t, err, keystore.ErrSealed)
		must(t, s.Unseal(context.Background(), pass(goodPassword)))
		mustGet(t, s, "b", "k", fmt.Sprint(i))
	}
}

func TestErrorsHoldNoPassword(t *testing.T) {
	s := mustOpen(t, config(newPath(t)))
	ctx, weak, wrong := context.Background(), "weakweakweakweak", "Wrong-Horse-7-Battery"
	errs := []error{s.Init(ctx, pass(weak))}
	must(t, s.Init(ctx, pass(goodPassword)))
	s.Seal()
	for range 5 {
		errs = append(errs, s.Unseal(ctx, pass(wrong)))
	}
	errs = append(errs, fmt.Errorf("%v", s))
	for _, err := range errs {
		text := fmt.Sprintf("%v %+v", err, err)
		if strings.Contains(text, weak) || strings.Contains(text, wrong) || strings.Contains(text, goodPassword) {
			t.Errorf("an error holds a password")
		}
	}
}

func TestBackoff(t *testing.T) {
	clock, ctx := newClock(), context.Background()
	c := config(newPath(t))
	c.Now = clock.Now
	s := mustOpen(t, c)
	must(t, s.Init(ctx, pass(goodPassword)))
	s.Seal()
	wrong := pass("Wrong-Horse-7-Battery")
	for range 3 {
		mustBe(t, s.Unseal(ctx, wrong), keystore.ErrWrongPassword)
	}
	var waits []time.Duration
	for range 8 {
		err := s.Unseal(ctx, pass(goodPassword)) // right, and still refused
		mustBe(t, err, keystore.ErrBackoff)
		var backoff *keystore.BackoffError
		if !errors.As(err, &backoff) {
			t.Fatalf("got %T", err)
		}
		waits = append(waits, backoff.Wait)
		clock.step(backoff.Wait - 1)
		mustBe(t, s.Unseal(ctx, wrong), keystore.ErrBackoff)
		clock.step(1)
		mustBe(t, s.Unseal(ctx, wrong), keystore.ErrWrongPassword)
	}
	if got, want := fmt.Sprint(waits), "[1s 2s 4s 8s 16s 32s 1m0s 1m0s]"; got != want {
		t.Errorf("waits %v, want %v", got, want)
	}
	clock.step(-24 * time.Hour) // a clock that was set back does not lock the operator out for a day
	var backoff *keystore.BackoffError
	if err := s.Unseal(ctx, wrong); !errors.As(err, &backoff) || backoff.Wait > time.Minute {
		t.Errorf("after the clock went back: %v", err)
	}
	clock.step(24*time.Hour + time.Minute)
	must(t, s.Unseal(ctx, pass(goodPassword)))
	s.Seal()
	for range 3 { // the count begins anew
		mustBe(t, s.Unseal(ctx, wrong), keystore.ErrWrongPassword)
	}
}

func TestCheckPassword(t *testing.T) {
	good := []string{goodPassword, "aB3!aB3!aB3!", "Pässwörter-sind-1", "密码密码密码密码aB3!", strings.Repeat("aB3!", 256)}
	for _, p := range good {
		if err := keystore.CheckPassword(pass(p)); err != nil {
			t.Errorf("%q: %v", p, err)
		}
	}
	for _, c := range []struct{ password, says string }{
		{"", "at least 12 characters, an upper-case letter, a lower-case letter, a digit, a special character"},
		{"aB3!aB3!aB3", "at least 12 characters"},
		{"äB3!äB3!äB3", "at least 12 characters"}, // counted in characters, not bytes
		{"ab3!ab3!ab3!", "an upper-case letter"},
		{"AB3!AB3!AB3!", "a lower-case letter"},
		{"aBc!aBc!aBc!", "a digit"},
		{"aB3caB3caB3c", "a special character"},
		{"aB3 aB3 aB3 ", "a special character"},
		{"aB3!aB3!aB3!\n", "no control characters"},
		{"aB3!aB3!aB3!\xff", "UTF-8"},
		{strings.Repeat("aB3!", 256) + "a", "longer than 1024 bytes"},
	} {
		err := keystore.CheckPassword(pass(c.password))
		mustBe(t, err, keystore.ErrWeakPassword)
		if !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q: got %v, want it to say %q", c.password, err, c.says)
		}
	}
	mustBe(t, keystore.CheckPassword(secret.Bytes{}), keystore.ErrWeakPassword)
	path := newPath(t)
	mustBe(t, mustOpen(t, config(path)).Init(context.Background(), pass("weak")), keystore.ErrWeakPassword)
}

func TestFailedStore(t *testing.T) {
	path := newPath(t)
	s := mustInit(t, path)
	must(t, s.Put("b", "k", []byte("v")))
	keystore.Fail(s, errors.New("the disk went away"))
	_, err := s.Get("b", "k")
	mustBe(t, err, keystore.ErrFailed)
	mustBe(t, s.Put("b", "k", nil), keystore.ErrFailed)
	mustBe(t, s.Unseal(context.Background(), pass(goodPassword)), keystore.ErrFailed)
	_, err = s.Stat()
	mustBe(t, err, keystore.ErrFailed)
	err = s.Close()
	mustBe(t, err, keystore.ErrFailed)
	if !strings.Contains(err.Error(), "the disk went away") {
		t.Errorf("the cause is lost: %v", err)
	}
}
