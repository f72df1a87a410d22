package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"math"
	"math/big"
	"time"
)

// Shadow is the policy that runs beside the active one and only records what it would have decided. Nothing of it is in the log.
type Shadow struct {
	Revision string
	Content  []byte
	Since    time.Time
	Operator string
}

// ShadowSum counts differences of one kind; Key tells which, in the caller's words.
type ShadowSum struct {
	Key    string
	Count  uint64
	Amount *big.Int // not negative
}

// ShadowCounts is how often the shadow was asked.
type ShadowCounts struct {
	Judged      uint64 `json:"judged"`
	Differences uint64 `json:"differences"`
	Dropped     uint64 `json:"dropped"` // not judged, since the shadow was behind
	Skipped     uint64 `json:"skipped"` // could not be judged again
}

// ShadowWork is what a server has found out since it last said so.
type ShadowWork struct {
	ShadowCounts
	Sums     []ShadowSum
	Examples [][]byte // differences one by one, in the caller's form
}

// Bounds on what is kept of a shadow: differences one by one, and kinds of them; further kinds count under one key.
const (
	MaxShadowExamples = 10_000
	MaxShadowSums     = 500
	ShadowOther       = "other"
)

const shadowMagic = "CSLS\x01" // then fields

// The first byte of a key in bucketShadow.
const (
	shadowPolicy  = 'p'
	shadowTotals  = 't'
	shadowSum     = 's' // then SHA-256 of the key
	shadowExample = 'x' // then an id
)

// shadowTotal is what is kept of counts.
type shadowTotal struct {
	ShadowCounts
	sums, examples uint32
}

// SetShadow puts a policy beside the active one, and forgets what was found out about the one before. A nil content leaves none.
func (l *Ledger) SetShadow(ctx context.Context, s Shadow) error {
	if (s.Content == nil) != (s.Revision == "") || len(s.Content) > MaxPolicy || len(s.Revision) > MaxRevision || len(s.Operator) > maxOperator {
		return fmt.Errorf("set the shadow: %w: it needs a revision and a content of at most %d bytes", ErrInvalid, MaxPolicy)
	}
	err := l.update(ctx, func(tx Tx) error {
		now, err := l.now(tx)
		if err != nil {
			return err
		}
		if err := forgetShadow(tx, nil, nil, math.MaxInt); err != nil || s.Content == nil {
			return err
		}
		e := encoder{b: []byte(shadowMagic)}
		e.str(s.Revision)
		e.time(now)
		e.str(s.Operator)
		e.bytes(s.Content)
		return tx.Put(bucketShadow, []byte{shadowPolicy}, e.b)
	})
	if err != nil {
		return fmt.Errorf("set the shadow: %w", err)
	}
	return nil
}

func getShadow(r Reader) (Shadow, error) {
	v, err := r.Get(bucketShadow, []byte{shadowPolicy})
	if err != nil || v == nil {
		return Shadow{}, err
	}
	d := decoder{b: v}
	d.magic(shadowMagic)
	s := Shadow{Revision: d.str(), Since: d.time(), Operator: d.str(), Content: d.bytes()}
	return s, d.done("the shadow's policy")
}

// Shadow returns the policy beside the active one; its Revision is "" where there is none.
func (l *Ledger) Shadow(ctx context.Context) (Shadow, error) {
	var out Shadow
	err := l.view(ctx, func(r Reader) (err error) {
		out, err = getShadow(r)
		return err
	})
	if err != nil {
		return Shadow{}, fmt.Errorf("read the shadow: %w", err)
	}
	return out, nil
}

func getShadowTotal(r Reader) (shadowTotal, error) {
	v, err := r.Get(bucketShadow, []byte{shadowTotals})
	if err != nil || v == nil {
		return shadowTotal{}, err
	}
	d := decoder{b: v}
	d.magic(shadowMagic)
	t := shadowTotal{ShadowCounts: ShadowCounts{Judged: d.u64(), Differences: d.u64(), Dropped: d.u64(), Skipped: d.u64()}, sums: d.u32(), examples: d.u32()}
	return t, d.done("the shadow's counts")
}

func (t shadowTotal) marshal() []byte {
	e := encoder{b: []byte(shadowMagic)}
	for _, n := range []uint64{t.Judged, t.Differences, t.Dropped, t.Skipped} {
		e.u64(n)
	}
	e.u32(t.sums)
	e.u32(t.examples)
	return e.b
}

// AddShadow adds what a server has found out with the shadow of this revision; ErrRevision if another one is set meanwhile. Beyond
// MaxShadowExamples the oldest are forgotten.
func (l *Ledger) AddShadow(ctx context.Context, revision string, w ShadowWork) error {
	err := l.update(ctx, func(tx Tx) error {
		s, err := getShadow(tx)
		if err != nil {
			return err
		}
		if s.Revision != revision {
			return ErrRevision
		}
		t, err := getShadowTotal(tx)
		if err != nil {
			return err
		}
		t.Judged, t.Differences, t.Dropped, t.Skipped = t.Judged+w.Judged, t.Differences+w.Differences, t.Dropped+w.Dropped, t.Skipped+w.Skipped
		for _, sum := range w.Sums {
			if err := addShadowSum(tx, &t, sum); err != nil {
				return err
			}
		}
		now, err := l.now(tx)
		if err != nil {
			return err
		}
		for _, example := range w.Examples {
			name := newID(now)
			if err := tx.Put(bucketShadow, append([]byte{shadowExample}, name[:]...), append([]byte(shadowMagic), example...)); err != nil {
				return err
			}
		}
		if t.examples += uint32(len(w.Examples)); t.examples > MaxShadowExamples {
			if err := forgetShadow(tx, []byte{shadowExample}, []byte{shadowExample + 1}, int(t.examples-MaxShadowExamples)); err != nil {
				return err
			}
			t.examples = MaxShadowExamples
		}
		return tx.Put(bucketShadow, []byte{shadowTotals}, t.marshal())
	})
	if err != nil {
		return fmt.Errorf("record what the shadow would have decided: %w", err)
	}
	return nil
}

func shadowSumKey(key string) []byte {
	sum := sha256.Sum256([]byte(key))
	return append([]byte{shadowSum}, sum[:]...)
}

func addShadowSum(tx Tx, t *shadowTotal, add ShadowSum) error {
	v, err := tx.Get(bucketShadow, shadowSumKey(add.Key))
	if err != nil {
		return err
	}
	if v == nil && t.sums >= MaxShadowSums && add.Key != ShadowOther {
		return addShadowSum(tx, t, ShadowSum{Key: ShadowOther, Count: add.Count, Amount: new(big.Int)})
	}
	have := ShadowSum{Key: add.Key, Amount: new(big.Int)}
	if v == nil {
		t.sums++
	} else if have, err = parseShadowSum(v); err != nil {
		return err
	}
	e := encoder{b: []byte(shadowMagic)}
	e.str(have.Key)
	e.u64(have.Count + add.Count)
	e.amount(new(big.Int).Add(have.Amount, add.Amount))
	return tx.Put(bucketShadow, shadowSumKey(add.Key), e.b)
}

func parseShadowSum(v []byte) (ShadowSum, error) {
	d := decoder{b: v}
	d.magic(shadowMagic)
	s := ShadowSum{Key: d.str(), Count: d.u64(), Amount: d.amount()}
	return s, d.done("a sum of the shadow")
}

// forgetShadow removes the first n of what is kept between two keys: of differences the oldest.
func forgetShadow(tx Tx, from, to []byte, n int) error {
	var keys [][]byte
	err := tx.Scan(bucketShadow, from, to, false, func(key, _ []byte) (bool, error) {
		keys = append(keys, bytes.Clone(key))
		return len(keys) < n, nil
	})
	if err != nil {
		return err
	}
	for _, key := range keys {
		if err := tx.Delete(bucketShadow, key); err != nil {
			return err
		}
	}
	return nil
}

// ShadowReport is what was found out since the shadow was set.
type ShadowReport struct {
	Shadow
	ShadowCounts
	Sums     []ShadowSum
	Examples [][]byte // newest first
}

// ShadowReport returns it, with at most limit examples.
func (l *Ledger) ShadowReport(ctx context.Context, limit int) (ShadowReport, error) {
	var out ShadowReport
	err := l.view(ctx, func(r Reader) error {
		out = ShadowReport{}
		var err error
		if out.Shadow, err = getShadow(r); err != nil {
			return err
		}
		t, err := getShadowTotal(r)
		if err != nil {
			return err
		}
		out.ShadowCounts = t.ShadowCounts
		err = r.Scan(bucketShadow, []byte{shadowSum}, []byte{shadowSum + 1}, false, func(_, v []byte) (bool, error) {
			s, err := parseShadowSum(v)
			out.Sums = append(out.Sums, s)
			return true, err
		})
		if err != nil || limit <= 0 {
			return err
		}
		return r.Scan(bucketShadow, []byte{shadowExample}, []byte{shadowExample + 1}, true, func(_, v []byte) (bool, error) {
			example, found := bytes.CutPrefix(v, []byte(shadowMagic))
			if !found {
				return false, fmt.Errorf("%w: a difference of the shadow is of another format", ErrDamaged)
			}
			out.Examples = append(out.Examples, bytes.Clone(example))
			return len(out.Examples) < limit, nil
		})
	})
	if err != nil {
		return ShadowReport{}, fmt.Errorf("read what the shadow would have decided: %w", err)
	}
	return out, nil
}
