//go:build linux || darwin

package keystore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/countersign-mpc/countersign/internal/secret"
	"github.com/countersign-mpc/countersign/keystore"
	"github.com/countersign-mpc/countersign/keystore/segment"
)

const newPassword = "Another-Horse-8-Battery"

// set is a set of segments that a test made.
type set struct {
	t        testing.TB
	manifest *segment.Manifest
	texts    []secret.Bytes
}

func newSet(t testing.TB, threshold, n int) set {
	t.Helper()
	m, texts, err := segment.Generate(threshold, n)
	must(t, err)
	return set{t, m, texts}
}

// of makes a credential of some segments, by number.
func (s set) of(numbers ...int) keystore.Credential {
	s.t.Helper()
	c := segment.Collect(s.manifest)
	for _, n := range numbers {
		must(s.t, c.Add(s.texts[n-1]))
	}
	out, err := keystore.Segments(c)
	must(s.t, err)
	return out
}

func TestSegmentsSealAStore(t *testing.T) {
	ctx, segments := context.Background(), newSet(t, 2, 3)
	path := newPath(t)
	s := mustOpen(t, config(path))
	_, err := s.SegmentSet()
	mustBe(t, err, keystore.ErrUninitialised)
	must(t, s.InitWith(ctx, segments.of(1, 3)))
	must(t, s.Put("b", "k", []byte("v")))
	must(t, s.Close())
	for _, pair := range [][2]int{{1, 2}, {2, 3}, {3, 1}} {
		s := mustOpen(t, config(path))
		set, err := s.SegmentSet()
		must(t, err)
		if !set.Equal(segments.manifest) || mustStat(t, s).KDF != "hkdf" {
			t.Fatal("the store does not know its segments")
		}
		mustBe(t, s.Unseal(ctx, pass(goodPassword)), keystore.ErrKind)
		mustBe(t, s.UnsealWith(ctx, newSet(t, 2, 3).of(1, 2)), segment.ErrOtherSet)
		must(t, s.UnsealWith(ctx, segments.of(pair[0], pair[1])))
		mustGet(t, s, "b", "k", "v")
		must(t, s.Close())
	}
	s = mustInit(t, newPath(t))
	s.Seal()
	mustBe(t, s.UnsealWith(ctx, segments.of(1, 2)), keystore.ErrKind)
	if set, err := s.SegmentSet(); err != nil || set != nil {
		t.Fatalf("a store with a password has %v, %v", set, err)
	}
	c := segment.Collect(segments.manifest)
	if _, err := keystore.Segments(c); err == nil {
		t.Fatal("no segments made a credential")
	}
}

// Changes from and to each kind of password: afterwards the new one opens the store and the old one does not.
func TestChangePassword(t *testing.T) {
	ctx, one, two := context.Background(), newSet(t, 2, 2), newSet(t, 3, 5)
	path := newPath(t)
	s := mustInit(t, path)
	must(t, s.Put("b", "k", []byte("v")))
	present := func() keystore.Credential { return keystore.Password(pass(goodPassword)) }
	names := map[string]bool{mustStat(t, s).Password: true}
	for i, next := range []func() keystore.Credential{
		func() keystore.Credential { return keystore.Password(pass(newPassword)) },
		func() keystore.Credential { return one.of(2, 1) },
		func() keystore.Credential { return two.of(5, 1, 3) },
		func() keystore.Credential { return keystore.Password(pass(goodPassword)) },
	} {
		before := mustStat(t, s).Sequence
		change, err := s.BeginChange(ctx, present())
		must(t, err)
		must(t, s.Put("b", "meanwhile", []byte(fmt.Sprint(i)))) // work goes on
		must(t, change.Commit(ctx, next()))
		if after := mustStat(t, s); after.Sequence != before+2 || names[after.Password] {
			t.Fatalf("sequence %d after %d, password named %s", after.Sequence, before, after.Password)
		} else {
			names[after.Password] = true
		}
		must(t, s.Put("b", "after", []byte(fmt.Sprint(i)))) // and still can
		if err := change.Commit(ctx, next()); err == nil {
			t.Fatal("a change was committed twice")
		}
		must(t, s.Close())
		s = mustOpen(t, config(path))
		if err := s.UnsealWith(ctx, present()); err == nil {
			t.Fatal("the old password opens the store")
		}
		must(t, s.UnsealWith(ctx, next()))
		mustGet(t, s, "b", "k", "v")
		mustGet(t, s, "b", "meanwhile", fmt.Sprint(i))
		mustGet(t, s, "b", "after", fmt.Sprint(i))
		present = next
	}
}

func TestChangeRefusals(t *testing.T) {
	ctx, clock := context.Background(), newClock()
	c := config(newPath(t))
	c.Now = clock.Now
	s := mustOpen(t, c)
	good, wrong := keystore.Password(pass(goodPassword)), keystore.Password(pass("Wrong-Horse-7-Battery"))
	_, err := s.BeginChange(ctx, good)
	mustBe(t, err, keystore.ErrUninitialised)
	must(t, s.Init(ctx, pass(goodPassword)))

	first, err := s.BeginChange(ctx, good)
	must(t, err)
	second, err := s.BeginChange(ctx, good)
	must(t, err)
	mustBe(t, first.Commit(ctx, keystore.Password(pass("weak"))), keystore.ErrWeakPassword)
	must(t, first.Commit(ctx, keystore.Password(pass(newPassword)))) // a weak one may be followed by a better one
	if err := second.Commit(ctx, good); err == nil || !strings.Contains(err.Error(), "is over") {
		t.Fatalf("a change of a password that is no more: %v", err)
	}
	third, err := s.BeginChange(ctx, keystore.Password(pass(newPassword)))
	must(t, err)
	third.Cancel()
	if err := third.Commit(ctx, good); err == nil {
		t.Fatal("a cancelled change was committed")
	}
	sealed, err := s.BeginChange(ctx, keystore.Password(pass(newPassword)))
	must(t, err)
	s.Seal()
	mustBe(t, sealed.Commit(ctx, good), keystore.ErrSealed)
	_, err = s.BeginChange(ctx, keystore.Password(pass(newPassword)))
	mustBe(t, err, keystore.ErrSealed)
	must(t, s.Unseal(ctx, pass(newPassword)))

	for range 3 {
		_, err = s.BeginChange(ctx, wrong)
		mustBe(t, err, keystore.ErrWrongPassword)
	}
	_, err = s.BeginChange(ctx, keystore.Password(pass(newPassword)))
	mustBe(t, err, keystore.ErrBackoff)
	s.Seal()
	mustBe(t, s.Unseal(ctx, pass(newPassword)), keystore.ErrBackoff) // the count is one for both
	clock.step(time.Minute)
	must(t, s.Unseal(ctx, pass(newPassword)))
}

// An older seal record that is put back, so that an old password would open the store again, is refused.
func TestOldPasswordPutBack(t *testing.T) {
	ctx, path := context.Background(), newPath(t)
	s := mustInit(t, path)
	must(t, s.Close())
	var old []byte
	edit(t, path, func(tx *bbolt.Tx) error { old = raw(tx, "countersign", "seal"); return nil })
	s = mustUnseal(t, path)
	change, err := s.BeginChange(ctx, keystore.Password(pass(goodPassword)))
	must(t, err)
	must(t, change.Commit(ctx, keystore.Password(pass(newPassword))))
	must(t, s.Close())
	edit(t, path, func(tx *bbolt.Tx) error { return putRaw(tx, "countersign", "seal", old) })
	err = mustOpen(t, config(path)).Unseal(ctx, pass(goodPassword))
	mustBe(t, err, keystore.ErrCorrupt)
	if !strings.Contains(err.Error(), "older password record") {
		t.Error(err)
	}
}

// numbered is the password after a number of changes.
func numbered(n int) secret.Bytes { return pass(fmt.Sprintf("Correct-Horse-%d-Battery", n)) }

// childChange changes the password for ever, saying each change that was acknowledged.
func childChange(path string) error {
	ctx := context.Background()
	s, err := keystore.Open(config(path))
	if err != nil {
		return err
	}
	if err := s.Unseal(ctx, numbered(0)); err != nil {
		return err
	}
	for n := 0; ; n++ {
		change, err := s.BeginChange(ctx, keystore.Password(numbered(n)))
		if err == nil {
			err = change.Commit(ctx, keystore.Password(numbered(n+1)))
		}
		if err != nil {
			return err
		}
		fmt.Println(n + 1)
	}
}

// TestKilledWhileChangingPassword: at whatever moment the process ends, the old password or the new one opens the store, and
// the new one if that was acknowledged.
func TestKilledWhileChangingPassword(t *testing.T) {
	for i := range 10 {
		path := newPath(t)
		s := mustOpen(t, config(path))
		must(t, s.Init(context.Background(), numbered(0)))
		must(t, s.Put("b", "k", []byte("v")))
		must(t, s.Close())
		acked := killAfter(t, "change", path, 1+3*i)
		s = mustOpen(t, config(path))
		err := s.Unseal(context.Background(), numbered(acked))
		if errors.Is(err, keystore.ErrWrongPassword) {
			err = s.Unseal(context.Background(), numbered(acked+1))
		}
		if err != nil {
			t.Fatalf("killed after change %d: %v", acked, err)
		}
		mustGet(t, s, "b", "k", "v")
		must(t, s.Close())
	}
}
