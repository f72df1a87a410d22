package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/countersign-mpc/countersign/auditlog"
)

// foundBy looks whether an entry is found by its callback_id and its request_id: an ask whose name is lost is known by the former, and
// who looks into the log finds it by both.
func (v *verification) foundBy(r Reader, rec *Record, index int64) error {
	for _, by := range indexes {
		text := by.text(rec)
		if by.bucket == bucketRequest && text == "" {
			continue
		}
		there, err := isKey(r, by.bucket, indexKey(text, index))
		switch {
		case errors.Is(err, ErrDamaged):
			continue // indexes reports it
		case err != nil:
			return err
		case !there:
			return fmt.Errorf("%w: it is not found by its %s", auditlog.ErrDamaged, by.name)
		}
		v.found[by.bucket]++
	}
	return nil
}

// indexes are the buckets by whose keys entries are found.
var indexes = []struct {
	bucket, name string
	text         func(*Record) string
}{
	{bucketCallback, "callback_id", func(r *Record) string { return r.Ask.CallbackID }},
	{bucketRequest, "request_id", func(r *Record) string { return r.Ask.RequestID }},
}

// isKey reports whether a bucket has a key, whatever is stored under it.
func isKey(r Reader, bucket string, key []byte) (there bool, err error) {
	err = r.Scan(bucket, key, append(key[:len(key):len(key)], 0), false, func(_, _ []byte) (bool, error) {
		there = true
		return false, nil
	})
	return there, err
}

// indexes looks for keys that lead to entries of something else, where there are more keys, or fewer, than entries that were found by
// theirs.
func (v *verification) indexes(ctx context.Context) error {
	for _, by := range indexes {
		keys := 0
		err := v.sweep(ctx, by.bucket, func(r Reader, key, _ []byte) error {
			index, err := indexOf(key)
			if err != nil {
				return err
			}
			later := false // decided since, unless there is no such entry
			if index >= v.report.Size {
				size, err := v.log.Size(r)
				if err != nil {
					return err
				}
				later = index < size
			}
			if !later {
				keys++
			}
			return nil
		})
		if err != nil {
			return err
		}
		if keys == v.found[by.bucket] {
			continue
		}
		err = v.sweep(ctx, by.bucket, func(r Reader, key, _ []byte) error {
			index, err := indexOf(key)
			if err != nil || v.reported(index) {
				return err
			}
			rec, err := v.decisionAt(r, index)
			if err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, auditlog.ErrDamaged) && !errors.Is(err, ErrNotFound) {
				return err
			}
			if err != nil || rec == nil || string(indexKey(by.text(rec), index)) != string(key) {
				v.report.Add("a %s leads to entry %d, which is not of it", by.name, index)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// reported reports whether something of an entry is in the report, or may be where that ends.
func (v *verification) reported(index int64) bool {
	return v.report.More || slices.ContainsFunc(v.report.Problems, func(p auditlog.Problem) bool { return p.Index <= index && index < p.End })
}

// charged looks for what says where a check is counted beside an entry that says so itself.
func (v *verification) charged(ctx context.Context) error {
	return v.sweep(ctx, bucketCharged, func(r Reader, key, _ []byte) error {
		if len(key) != len(Hash{}) {
			return fmt.Errorf("%w: where a check is counted is stored under a key that is none", ErrDamaged)
		}
		if _, err := charged(r, Hash(key)); err != nil {
			return err
		}
		k, ok, err := getKnown(r, key)
		if err != nil {
			return err
		}
		if ok && v.unreadable[k.record] {
			return nil
		}
		older := false
		if ok {
			index, _, err := getRecord(r, k.record)
			if err != nil && !errors.Is(err, ErrExpired) {
				if errors.Is(err, ErrNotFound) || errors.Is(err, ErrDamaged) {
					return nil // its entry, or the callback_id that leads there, is reported
				}
				return err
			}
			if older, err = mayBeCharged(r, index); err != nil {
				return err
			}
		}
		if !older {
			v.report.Add("where a check is counted is stored under %x, and no entry before they said so themselves is of it", key[:8])
		}
		return nil
	})
}

// executions looks for keys by which approvals are found that are not those of it.
func (v *verification) executions(ctx context.Context) error {
	return v.sweep(ctx, bucketExecution, func(r Reader, key, _ []byte) error {
		if len(key) != len(Hash{})+len(id{}) {
			return fmt.Errorf("%w: an approval is found under a key that is none", ErrDamaged)
		}
		name := id(key[len(Hash{}):])
		a, err := getApproval(r, name)
		switch {
		case errors.Is(err, ErrNotFound):
			v.report.Add("an execution leads to approval %s, which is missing", name)
			return nil
		case errors.Is(err, ErrDamaged):
			return nil // that approval is reported
		case err == nil && a.execution() != Hash(key[:len(Hash{})]):
			v.report.Add("approval %s is found by another execution than its own", name)
		}
		return err
	})
}
