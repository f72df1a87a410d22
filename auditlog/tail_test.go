package auditlog_test

import (
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/countersign-mpc/countersign/auditlog"
)

// counted is a memory that counts what is read of the stored hashes.
type counted struct {
	*memory
	reads int
}

func (c *counted) Get(bucket string, key []byte) ([]byte, error) {
	if bucket == auditlog.BucketLeaf {
		c.reads++
	}
	return c.memory.Get(bucket, key)
}

func (c *counted) Scan(bucket string, from, to []byte, reverse bool, fn func(key, value []byte) (bool, error)) error {
	if bucket == auditlog.BucketLeaf {
		c.reads++
	}
	return c.memory.Scan(bucket, from, to, reverse, fn)
}

// TestTail: what is stored is the same whether the end of the log is known, in part or not at all, and what is known is not read.
func TestTail(t *testing.T) {
	l, plain := mustLog(t, mustKey(t)), newMemory()
	kept, mixed := &counted{memory: newMemory()}, newMemory()
	var keptTail, mixedTail auditlog.Tail
	random := rand.New(rand.NewPCG(1, 2))
	add := func(s auditlog.Storage, tail *auditlog.Tail, i int) {
		t.Helper()
		index, err := l.AppendTo(s, tail, ref(i), entry(i))
		must(t, err)
		if index != int64(i) {
			t.Fatalf("entry %d got index %d", i, index)
		}
	}
	for i := range 600 {
		fill(t, l, plain, i, i+1)
		add(kept, &keptTail, i)
		switch random.IntN(10) {
		case 0:
			mixedTail = auditlog.Tail{}
		case 1: // by one who does not know of it
			fill(t, l, mixed, i, i+1)
			continue
		}
		add(mixed, &mixedTail, i)
	}
	for name, m := range map[string]*memory{"kept": kept.memory, "mixed": mixed} {
		if !maps.EqualFunc(m.values[auditlog.BucketLeaf], plain.values[auditlog.BucketLeaf], slices.Equal) {
			t.Errorf("%s: other hashes are stored than without a tail", name)
		}
	}
	if kept.reads != 1 {
		t.Errorf("hashes were read %d times, want once, before the first entry", kept.reads)
	}
}

func TestTailIsForgotten(t *testing.T) {
	m, l := newMemory(), mustLog(t, mustKey(t))
	var tail auditlog.Tail
	for i := range 5 {
		_, err := l.AppendTo(m, &tail, ref(i), entry(i))
		must(t, err)
	}
	m.fail = errors.New("full")
	if _, err := l.AppendTo(m, &tail, ref(5), entry(5)); !errors.Is(err, m.fail) || tail != (auditlog.Tail{}) {
		t.Errorf("%v, want that of the store, and the tail is %v", err, tail)
	}
}

// TestAppendBehindGap: a size that was set back is found also where the hashes next to it are gone.
func TestAppendBehindGap(t *testing.T) {
	m, l := newMemory(), mustLog(t, mustKey(t))
	fill(t, l, m, 0, 3)
	size := slices.Clone(m.values[auditlog.BucketHead]["size"])
	fill(t, l, m, 3, 7)
	m.values[auditlog.BucketHead]["size"] = size
	delete(m.values[auditlog.BucketLeaf], key8(3))
	var tail auditlog.Tail
	for range 2 {
		if _, err := l.AppendTo(m, &tail, ref(3), entry(3)); !errors.Is(err, auditlog.ErrDamaged) {
			t.Errorf("%v; an entry is put before others", err)
		}
	}
}
