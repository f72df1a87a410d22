package keystore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/countersign-mpc/countersign/internal/secret"
)

// rekeySuffix names the new file while it is being made. One that a killed Rekey left behind is of no use, and is removed by
// the next.
const rekeySuffix = ".rekey"

const (
	rekeyBatch = 256     // records in a transaction of the new file
	rekeyBytes = 8 << 20 // of values in one
)

// Rekey makes a new file with a new id and a new master key under next, copies every record into it, opens it again with next,
// compares every record with the old one, and only then puts it in the place of the old file, atomically: a crash leaves the
// old file or the new one, complete. It is the answer to a leaked password: what was known of the old master key opens nothing
// that is written from now on. Copies made before still hold the shares of then.
//
// The store must be unsealed and be in nobody else's use; it is closed when Rekey has succeeded, and unchanged when it has
// not, or the error says otherwise. The caller opens the file again.
func (s *Store) Rekey(ctx context.Context, next Credential) (Stat, error) {
	if err := next.check(); err != nil {
		return Stat{}, err
	}
	if err := s.wantState(Unsealed, ErrSealed); err != nil {
		return Stat{}, err
	}
	c := s.cfg
	c.Path += rekeySuffix
	c.Persist, c.Release = nil, nil // until the copy is proven; the lock stays with this store
	if err := os.Remove(c.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Stat{}, fmt.Errorf("rekey: remove what an earlier one left: %w", err)
	}
	stat, err := s.rekeyInto(ctx, c, next)
	if err != nil {
		return Stat{}, errors.Join(fmt.Errorf("rekey (the store is as it was): %w", err), removeIfThere(c.Path))
	}
	if err := s.persistFrom(c.Path); err != nil {
		return Stat{}, errors.Join(fmt.Errorf("rekey: %w", err), removeIfThere(c.Path))
	}
	if err := os.Rename(c.Path, s.cfg.Path); err != nil {
		left := "the store is as it was"
		if s.cfg.Persist != nil {
			left = "the new file is where this store is kept, and counts when it is opened again"
		}
		return Stat{}, errors.Join(fmt.Errorf("rekey (%s): %w", left, err), removeIfThere(c.Path))
	}
	if err := errors.Join(syncDir(filepath.Dir(s.cfg.Path)), s.Close()); err != nil {
		return Stat{}, fmt.Errorf("rekey: the new file is in place, but: %w", err)
	}
	return stat, nil
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// rekeyInto makes the new file and proves it.
func (s *Store) rekeyInto(ctx context.Context, c Config, next Credential) (stat Stat, err error) {
	fresh, err := Open(c)
	if err != nil {
		return Stat{}, err
	}
	err = fresh.InitWith(ctx, next)
	if err == nil {
		err = s.View(func(tx *Tx) error { return copyRecords(ctx, tx, fresh) })
	}
	if err = errors.Join(err, fresh.Close()); err != nil {
		return Stat{}, err
	}
	again, err := Open(c)
	if err != nil {
		return Stat{}, err
	}
	defer func() { err = errors.Join(err, again.Close()) }()
	if err := again.UnsealWith(ctx, next); err != nil {
		return Stat{}, err
	}
	if err := s.View(func(tx *Tx) error { return compareRecords(ctx, tx, again) }); err != nil {
		return Stat{}, err
	}
	return again.Stat()
}

// buckets are those that have records, as of the last commit.
func (s *Store) buckets() map[string]int { return s.committed.Load().counts }

type copied struct {
	bucket, key string
	value       []byte
}

// copyRecords puts every record that tx sees into another store, some in each transaction.
func copyRecords(ctx context.Context, tx *Tx, to *Store) error {
	var batch []copied
	size := 0
	flush := func() error {
		err := to.Update(func(out *Tx) error {
			for _, r := range batch {
				if err := out.Put(r.bucket, r.key, r.value); err != nil {
					return err
				}
			}
			return ctx.Err()
		})
		for _, r := range batch {
			secret.Wipe(r.value)
		}
		batch, size = batch[:0], 0
		return err
	}
	for bucket := range tx.s.buckets() {
		err := tx.ForEach(bucket, "", func(key string, value []byte) error {
			batch, size = append(batch, copied{bucket, key, bytes.Clone(value)}), size+len(value)
			if len(batch) < rekeyBatch && size < rekeyBytes {
				return nil
			}
			return flush()
		})
		if err != nil {
			return err
		}
	}
	return flush()
}

// compareRecords makes sure that another store holds what tx sees, and no more.
func compareRecords(ctx context.Context, tx *Tx, other *Store) error {
	total := 0
	for bucket, n := range tx.s.buckets() {
		if other.buckets()[bucket] != n {
			return fmt.Errorf("the copy has %d records in %s, the store %d", other.buckets()[bucket], bucket, n)
		}
		total += n
		err := tx.ForEach(bucket, "", func(key string, value []byte) error {
			got, err := other.Get(bucket, key)
			defer secret.Wipe(got)
			if err == nil && !secret.New(got).Equal(secret.New(value)) {
				err = fmt.Errorf("the copy of %s/%q differs", bucket, key)
			}
			return errors.Join(err, ctx.Err())
		})
		if err != nil {
			return err
		}
	}
	if n := other.committed.Load().root.count; n != uint64(total) {
		return fmt.Errorf("the copy has %d records, the store %d", n, total)
	}
	return nil
}
