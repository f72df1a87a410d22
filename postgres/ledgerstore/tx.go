package ledgerstore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/countersign-mpc/countersign/ledger"
)

const pageSize = 128 // rows of a scan that are fetched at once

// damagedError is a stored value that is not what was written.
type damagedError struct {
	bucket string
	key    []byte
}

// Altered is where the value stands, for who can do something about it.
func (e *damagedError) Altered() (bucket string, key []byte) { return e.bucket, e.key }

func (e *damagedError) Error() string {
	return fmt.Sprintf("%v: a value in bucket %s is not what was written there: verify the log, restore a backup", ledger.ErrDamaged, e.bucket)
}

func (e *damagedError) Unwrap() error { return ledger.ErrDamaged }

// checksum covers a value and its place: 16 bytes of SHA-256 over lengths, bucket, key and value.
func checksum(bucket string, key, value []byte) []byte {
	h := sha256.New()
	var lengths []byte
	lengths = binary.BigEndian.AppendUint32(lengths, uint32(len(bucket)))
	lengths = binary.BigEndian.AppendUint32(lengths, uint32(len(key)))
	for _, b := range [][]byte{lengths, []byte(bucket), key, value} {
		h.Write(b)
	}
	return h.Sum(nil)[:16]
}

// reader is a ledger.Reader. Its first failure is kept: a function that goes on over it does not succeed. A value that is not what was
// written is such a failure in an update only, which must not be built on it; who only reads gets the error for that one value and may
// look at others, so that a verification can name all that are damaged.
type reader struct {
	ctx     context.Context
	tx      pgx.Tx
	buckets map[string]bool
	update  bool // a damaged value ends it
	fault   error
	wall    time.Time // of the database; zero: not asked yet
}

var (
	_ ledger.Reader = (*reader)(nil)
	_ ledger.Timed  = (*reader)(nil)
)

// Time implements ledger.Timed: it is the database's clock, which all servers share. Within a transaction it is read once, after
// the lock of the writers was had, so that it does not go back from one decision to the next.
func (r *reader) Time() (time.Time, error) {
	if r.fault != nil {
		return time.Time{}, r.fault
	}
	if r.wall.IsZero() {
		if err := r.tx.QueryRow(r.ctx, "SELECT clock_timestamp()").Scan(&r.wall); err != nil {
			return time.Time{}, r.fail(err)
		}
	}
	return r.wall.UTC(), nil
}

func (r *reader) fail(err error) error {
	if r.fault == nil && err != nil {
		r.fault = classify(r.ctx, err)
	}
	return r.fault
}

// damaged is what comes of a value that is not what was written.
func (r *reader) damaged(bucket string, key []byte) error {
	err := &damagedError{bucket, bytes.Clone(key)}
	if r.update {
		return r.fail(err)
	}
	return err
}

// outcome is the error of a transaction's function, or the failure of the store over which it was made.
func (r *reader) outcome(err error) error {
	if r.fault != nil {
		return r.fault
	}
	return err
}

func (r *reader) known(bucket string) error {
	if r.fault != nil {
		return r.fault
	}
	if !r.buckets[bucket] {
		return fmt.Errorf("the ledger has no bucket %q", bucket)
	}
	return nil
}

// Get implements ledger.Reader.
func (r *reader) Get(bucket string, key []byte) ([]byte, error) {
	if err := r.known(bucket); err != nil {
		return nil, err
	}
	var value, sum []byte
	err := r.tx.QueryRow(r.ctx, "SELECT value, sum FROM kv WHERE bucket = $1 AND key = $2", bucket, key).Scan(&value, &sum)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, r.fail(err)
	}
	if !bytes.Equal(sum, checksum(bucket, key, value)) {
		return nil, r.damaged(bucket, key)
	}
	return present(value), nil
}

// present tells a value of no bytes from one that is not there.
func present(value []byte) []byte {
	if value == nil {
		return []byte{}
	}
	return value
}

// row is one key with its value.
type row struct {
	key, value []byte
	damaged    bool // it is not what was written
}

// Scan implements ledger.Reader.
func (r *reader) Scan(bucket string, from, to []byte, reverse bool, fn func(key, value []byte) (bool, error)) error {
	if err := r.known(bucket); err != nil {
		return err
	}
	if from == nil {
		from = []byte{}
	}
	first := true
	for {
		rows, err := r.page(bucket, from, to, reverse, first)
		if err != nil {
			return r.fail(err)
		}
		for _, row := range rows {
			if row.damaged {
				return r.damaged(bucket, row.key)
			}
			more, err := fn(row.key, row.value)
			if err != nil || !more {
				return err
			}
			if r.fault != nil {
				return r.fault
			}
		}
		if len(rows) < pageSize {
			return nil
		}
		last := rows[len(rows)-1].key
		if reverse {
			to = last // exclusive
		} else {
			from = append(bytes.Clone(last), 0)
		}
		first = false
	}
}

// page fetches the next rows of a scan.
func (r *reader) page(bucket string, from, to []byte, reverse, first bool) ([]row, error) {
	order := "ASC"
	if reverse {
		order = "DESC"
	}
	query := "SELECT key, value, sum FROM kv WHERE bucket = $1 AND key >= $2 AND ($3::bytea IS NULL OR key < $3) ORDER BY key " + order + fmt.Sprintf(" LIMIT %d", pageSize)
	found, err := r.tx.Query(r.ctx, query, bucket, from, to)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(found, func(raw pgx.CollectableRow) (row, error) {
		var out row
		var sum []byte
		if err := raw.Scan(&out.key, &out.value, &sum); err != nil {
			return row{}, err
		}
		out.damaged = !bytes.Equal(sum, checksum(bucket, out.key, out.value))
		out.key, out.value = present(out.key), present(out.value)
		return out, nil
	})
}

// change is a value to be put, or a key to be deleted.
type change struct {
	bucket string
	key    []byte
	value  []byte
	remove bool
}

// changes are what was written and not sent to the database yet, by place.
type changes map[string]change

func placeOf(bucket string, key []byte) string { return bucket + "\x00" + string(key) }

// writer is a ledger.Tx, for the calls of a batch one after the other. What a call writes is sent when a scan needs it, or
// with what the whole batch wrote.
type writer struct {
	reader
	batch changes // of the calls that have succeeded
	own   changes // of the present call
	sent  bool    // a part of what the present call wrote
}

var _ ledger.Tx = (*writer)(nil)

// Get implements ledger.Tx.
func (w *writer) Get(bucket string, key []byte) ([]byte, error) {
	if err := w.known(bucket); err != nil {
		return nil, err
	}
	for _, written := range []changes{w.own, w.batch} {
		if c, ok := written[placeOf(bucket, key)]; ok {
			if c.remove {
				return nil, nil
			}
			return c.value, nil
		}
	}
	return w.reader.Get(bucket, key)
}

// Scan implements ledger.Tx.
func (w *writer) Scan(bucket string, from, to []byte, reverse bool, fn func(key, value []byte) (bool, error)) error {
	if err := w.send(w.batch); err != nil {
		return err
	}
	w.sent = w.sent || len(w.own) > 0
	if err := w.send(w.own); err != nil {
		return err
	}
	return w.reader.Scan(bucket, from, to, reverse, fn)
}

// Put implements ledger.Tx.
func (w *writer) Put(bucket string, key, value []byte) error {
	return w.write(change{bucket: bucket, key: bytes.Clone(key), value: present(bytes.Clone(value))})
}

// Delete implements ledger.Tx.
func (w *writer) Delete(bucket string, key []byte) error {
	return w.write(change{bucket: bucket, key: bytes.Clone(key), remove: true})
}

func (w *writer) write(c change) error {
	if err := w.known(c.bucket); err != nil {
		return err
	}
	w.own[placeOf(c.bucket, c.key)] = c
	return nil
}

// send writes changes to the database, all in one go, and forgets them.
func (w *writer) send(written changes) error {
	if w.fault != nil || len(written) == 0 {
		return w.fault
	}
	var b pgx.Batch
	for _, c := range written {
		if c.remove {
			b.Queue("DELETE FROM kv WHERE bucket = $1 AND key = $2", c.bucket, present(c.key))
		} else {
			b.Queue("INSERT INTO kv (bucket, key, value, sum) VALUES ($1, $2, $3, $4) ON CONFLICT (bucket, key) DO UPDATE SET value = excluded.value, sum = excluded.sum",
				c.bucket, present(c.key), c.value, checksum(c.bucket, c.key, c.value))
		}
	}
	err := w.tx.SendBatch(w.ctx, &b).Close()
	clear(written)
	return w.fail(err)
}
