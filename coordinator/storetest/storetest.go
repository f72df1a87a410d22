// Package storetest is what every coordinator.Store must pass. It is for tests only.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/countersign-mpc/countersign/coordinator"
)

// Run runs the suite. open gives a new, empty store for each test and closes it at the end of the test.
func Run(t *testing.T, open func(*testing.T) coordinator.Store) {
	for name, test := range map[string]func(*testing.T, coordinator.Store){
		"values": values, "tables": tables, "bounds": bounds, "rollback": rollback, "panic": panics, "read only": readOnly,
		"scan": scan, "isolation": isolation, "serial": serial, "cancelled": cancelled,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
	t.Run("model", func(t *testing.T) { model(t, open) })
}

const table = coordinator.TableRequests

func update(t *testing.T, s coordinator.Store, f func(coordinator.Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), f); err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, s coordinator.Store, pairs ...string) {
	t.Helper()
	update(t, s, func(tx coordinator.Tx) error {
		for i := 0; i < len(pairs); i += 2 {
			if err := tx.Put(table, pairs[i], []byte(pairs[i+1])); err != nil {
				return err
			}
		}
		return nil
	})
}

// get reads a value; "-" stands for none.
func get(t *testing.T, s coordinator.Store, key string) string {
	t.Helper()
	out := "-"
	err := s.View(t.Context(), func(tx coordinator.Tx) error {
		v, err := tx.Get(table, key)
		if v != nil {
			out = string(v)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func want(t *testing.T, s coordinator.Store, key, value string) {
	t.Helper()
	if got := get(t, s, key); got != value {
		t.Errorf("%s is %q, want %q", key, got, value)
	}
}

func values(t *testing.T, s coordinator.Store) {
	want(t, s, "a", "-")
	put(t, s, "a", "1", "empty", "")
	want(t, s, "a", "1")
	want(t, s, "empty", "")
	put(t, s, "a", "2")
	want(t, s, "a", "2")
	update(t, s, func(tx coordinator.Tx) error {
		v, err := tx.Get(table, "a")
		if err != nil {
			return err
		}
		v[0] = 'x' // a copy: the store keeps its own
		if err := tx.Delete(table, "empty"); err != nil {
			return err
		}
		if v, err := tx.Get(table, "empty"); v != nil || err != nil {
			return fmt.Errorf("deleted value is still there: %q, %v", v, err)
		}
		return tx.Delete(table, "never there")
	})
	want(t, s, "a", "2")
	want(t, s, "empty", "-")
}

func tables(t *testing.T, s coordinator.Store) {
	update(t, s, func(tx coordinator.Tx) error {
		for _, name := range coordinator.Tables() {
			if err := tx.Put(name, "k", []byte(name)); err != nil {
				return err
			}
		}
		return nil
	})
	err := s.View(t.Context(), func(tx coordinator.Tx) error {
		for _, name := range coordinator.Tables() {
			if v, err := tx.Get(name, "k"); string(v) != string(name) || err != nil {
				t.Errorf("table %s holds %q, %v", name, v, err)
			}
		}
		_, err := tx.Get("no such table", "k")
		return err
	})
	if err == nil {
		t.Error("a table that does not exist can be read")
	}
}

func bounds(t *testing.T, s coordinator.Store) {
	for name, pair := range map[string][2]int{"empty key": {0, 1}, "long key": {coordinator.MaxStoreKey + 1, 1}, "large value": {1, coordinator.MaxStoreValue + 1}} {
		err := s.Update(t.Context(), func(tx coordinator.Tx) error {
			return tx.Put(table, strings.Repeat("k", pair[0]), make([]byte, pair[1]))
		})
		if err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	key, value := strings.Repeat("k", coordinator.MaxStoreKey), strings.Repeat("v", coordinator.MaxStoreValue)
	put(t, s, key, value)
	want(t, s, key, value)
}

func rollback(t *testing.T, s coordinator.Store) {
	put(t, s, "a", "1")
	mine := errors.New("mine")
	err := s.Update(t.Context(), func(tx coordinator.Tx) error {
		if err := errors.Join(tx.Put(table, "a", []byte("2")), tx.Put(table, "b", []byte("2"))); err != nil {
			return err
		}
		return mine
	})
	if err != mine {
		t.Errorf("the function's error came back as %v", err)
	}
	want(t, s, "a", "1")
	want(t, s, "b", "-")
}

func panics(t *testing.T, s coordinator.Store) {
	func() {
		defer func() {
			if recover() == nil {
				t.Error("a panic of the function was swallowed")
			}
		}()
		_ = s.Update(context.Background(), func(tx coordinator.Tx) error {
			if err := tx.Put(table, "a", []byte("1")); err != nil {
				return err
			}
			panic("mine")
		})
	}()
	want(t, s, "a", "-")
	put(t, s, "a", "2") // and it goes on
	want(t, s, "a", "2")
}

func readOnly(t *testing.T, s coordinator.Store) {
	put(t, s, "a", "1")
	_ = s.View(t.Context(), func(tx coordinator.Tx) error {
		if tx.Put(table, "a", nil) == nil || tx.Delete(table, "a") == nil {
			t.Error("a read-only transaction writes")
		}
		return nil
	})
	want(t, s, "a", "1")
}

func scan(t *testing.T, s coordinator.Store) {
	put(t, s, "a", "0", "b|1", "1", "b|10", "2", "b|2", "3", "b}", "4", "c", "5")
	all := func(string) bool { return false }
	for _, c := range []struct {
		prefix, from string
		stop         func(string) bool
		want         string
	}{
		{"", "", all, "a=0 b|1=1 b|10=2 b|2=3 b}=4 c=5"},
		{"b|", "b|", all, "b|1=1 b|10=2 b|2=3"},
		{"b|", "b|10", all, "b|10=2 b|2=3"},
		{"b|", "b|11", all, "b|2=3"},
		{"b|", "z", all, ""},
		{"b|", "", all, "b|1=1 b|10=2 b|2=3"},
		{"x", "x", all, ""},
		{"", "", func(k string) bool { return k == "b|1" }, "a=0 b|1=1"},
	} {
		var got []string
		err := s.View(t.Context(), func(tx coordinator.Tx) error {
			got = nil
			return tx.Scan(table, c.prefix, c.from, func(k string, v []byte) (bool, error) {
				got = append(got, k+"="+string(v))
				return c.stop(k), nil
			})
		})
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("scan of %q from %q: %q, %v; want %q", c.prefix, c.from, got, err, c.want)
		}
	}
	mine := errors.New("mine")
	err := s.View(t.Context(), func(tx coordinator.Tx) error {
		return tx.Scan(table, "", "", func(string, []byte) (bool, error) { return false, mine })
	})
	if !errors.Is(err, mine) {
		t.Errorf("the error of a scan's function came back as %v", err)
	}
}

// isolation: a reader sees the state before or after a change, never one in between.
func isolation(t *testing.T, s coordinator.Store) {
	put(t, s, "a", "1", "b", "1")
	var reader sync.WaitGroup
	began, changed := make(chan struct{}), make(chan struct{})
	reader.Go(func() {
		_ = s.View(context.Background(), func(tx coordinator.Tx) error {
			a, _ := tx.Get(table, "a")
			close(began)
			<-changed
			b, _ := tx.Get(table, "b")
			if string(a) != "1" || string(b) != "1" {
				t.Errorf("a reader sees a = %s, b = %s across a change", a, b)
			}
			return nil
		})
	})
	<-began
	put(t, s, "a", "2", "b", "2")
	close(changed)
	reader.Wait()
	want(t, s, "b", "2")
}

// serial: changes that run at once count as if one ran after the other.
func serial(t *testing.T, s coordinator.Store) {
	const writers, rounds = 4, 10
	put(t, s, "n", "")
	var group sync.WaitGroup
	for range writers {
		group.Go(func() {
			for range rounds {
				err := s.Update(context.Background(), func(tx coordinator.Tx) error {
					v, err := tx.Get(table, "n")
					if err != nil {
						return err
					}
					return tx.Put(table, "n", append(v, 'i'))
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	want(t, s, "n", strings.Repeat("i", writers*rounds))
}

func cancelled(t *testing.T, s coordinator.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ran := false
	f := func(tx coordinator.Tx) error { ran = true; return nil }
	if err := s.Update(ctx, f); !errors.Is(err, context.Canceled) {
		t.Errorf("update under an ended context: %v", err)
	}
	if err := s.View(ctx, f); !errors.Is(err, context.Canceled) || ran {
		t.Errorf("view under an ended context: %v", err)
	}
}

// model holds a store against a map, over random transactions that write, delete and scan.
func model(t *testing.T, open func(*testing.T) coordinator.Store) {
	s := open(t)
	kept := make(map[string]string)
	key := rapid.StringMatching(`[ab]\|[0-9a-f]{1,3}`)
	rapid.Check(t, func(r *rapid.T) {
		now := maps.Clone(kept)
		fails := rapid.Bool().Draw(r, "fails")
		mine := errors.New("mine")
		err := s.Update(t.Context(), func(tx coordinator.Tx) error {
			for range rapid.IntRange(1, 40).Draw(r, "operations") {
				if err := operation(r, tx, now, key); err != nil {
					return err
				}
			}
			if fails {
				return mine
			}
			return nil
		})
		switch {
		case fails && errors.Is(err, mine):
		case !fails && err == nil:
			kept = now
		default:
			r.Fatal(err)
		}
		if err := s.View(t.Context(), func(tx coordinator.Tx) error { return compare(tx, kept, "") }); err != nil {
			r.Fatal(err)
		}
	})
}

func operation(r *rapid.T, tx coordinator.Tx, now map[string]string, key *rapid.Generator[string]) error {
	switch rapid.IntRange(0, 4).Draw(r, "operation") {
	case 0:
		k := key.Draw(r, "key")
		delete(now, k)
		return tx.Delete(table, k)
	case 1: // as the coordinator clears what belongs to a session
		prefix := rapid.SampledFrom([]string{"a|", "b|", "a|1"}).Draw(r, "prefix")
		for k := range now {
			if strings.HasPrefix(k, prefix) {
				delete(now, k)
				if err := tx.Delete(table, k); err != nil {
					return err
				}
			}
		}
		return compare(tx, now, "")
	case 2:
		return compare(tx, now, "b|")
	default:
		k, v := key.Draw(r, "key"), strings.Repeat("v", rapid.IntRange(0, 9000).Draw(r, "size"))
		now[k] = v
		return tx.Put(table, k, []byte(v))
	}
}

func compare(tx coordinator.Tx, model map[string]string, prefix string) error {
	var keys []string
	for _, k := range slices.Sorted(maps.Keys(model)) {
		if strings.HasPrefix(k, prefix) {
			keys = append(keys, k)
		}
	}
	i := 0
	err := tx.Scan(table, prefix, prefix, func(k string, v []byte) (bool, error) {
		if i >= len(keys) || k != keys[i] || string(v) != model[k] {
			return false, fmt.Errorf("scan of %q gives %q at %d, want one of %q", prefix, k, i, keys)
		}
		i++
		return false, nil
	})
	if err == nil && i != len(keys) {
		err = fmt.Errorf("scan of %q ends after %d of %d keys", prefix, i, len(keys))
	}
	return err
}
