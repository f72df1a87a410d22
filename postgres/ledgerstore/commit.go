package ledgerstore

import (
	"context"
	"fmt"
	"maps"
	"runtime/debug"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/countersign-mpc/countersign/internal/groupcommit"
	"github.com/countersign-mpc/countersign/ledger"
)

const (
	maxBatch        = 64               // updates that share a commit, so that none waits for long
	transactionTime = 30 * time.Second // that one batch may take
)

type call = groupcommit.Call[func(ledger.Tx) error]

// commit runs all calls of the batch in one transaction, or in several where one fails after a part of what it wrote was
// sent. Each call is finished when what it wrote is durable, or when it has failed.
func (s *Store) commit(batch []*call) {
	for len(batch) > 0 {
		batch = s.commitOnce(batch)
	}
}

func finishAll(calls []*call, err error) {
	for _, c := range calls {
		c.Finish(err)
	}
}

// commitOnce runs calls in one transaction and returns those that have to be run again.
func (s *Store) commitOnce(batch []*call) []*call {
	live := batch[:0:0]
	for _, c := range batch { // nobody waits for these, and the database need not be asked
		if err := c.Ctx.Err(); err != nil {
			c.Finish(err)
		} else {
			live = append(live, c)
		}
	}
	if len(live) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), transactionTime)
	defer cancel()
	at, err := s.begin(ctx)
	if err != nil {
		finishAll(live, unavailable(err))
		return nil
	}
	tx := at.tx
	defer rollback(tx)
	w := &writer{reader: reader{ctx: ctx, tx: tx, buckets: s.buckets, update: true, wall: at.wall}, batch: make(changes)}
	var succeeded []*call
	for i, c := range live {
		w.own, w.sent = make(changes), false
		err := runCall(w, c)
		switch {
		case w.fault != nil: // the transaction is lost, and with it what the others wrote
			finishAll(append(succeeded, live[i:]...), w.fault)
			return nil
		case err == nil:
			succeeded = append(succeeded, c)
			maps.Copy(w.batch, w.own)
		default:
			c.Finish(err)
			if w.sent { // what the others wrote is undone with it
				return append(succeeded, live[i+1:]...)
			}
		}
	}
	if len(succeeded) > 0 {
		finishAll(succeeded, s.end(ctx, w, at.xid))
	}
	return nil
}

// runCall runs one call. A panic in it must not reach the others of its batch: it comes back as its error.
func runCall(w *writer, c *call) (err error) {
	if err := c.Ctx.Err(); err != nil {
		return err
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in an update of the ledger: %v\n%s", p, debug.Stack())
		}
	}()
	return c.Fn(w)
}

// locked is a transaction that has the lock of all writers.
type locked struct {
	tx   pgx.Tx
	xid  string
	wall time.Time // the database's clock, once it had the lock
}

// begin opens a transaction that alone writes, of a schema of this version, after settling what became of the one before.
func (s *Store) begin(ctx context.Context) (locked, error) {
	if s.doubt != "" {
		if _, err := s.settle(ctx); err != nil {
			return locked{}, err
		}
	}
	return s.lock(ctx)
}

// lock opens a transaction under the lock of all writers. Each of its statements sees what was committed before.
func (s *Store) lock(ctx context.Context) (l locked, err error) {
	l.tx, err = s.pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted})
	if err != nil {
		return locked{}, err
	}
	var b pgx.Batch
	b.Queue("SELECT pg_advisory_xact_lock($1)", s.cfg.lockKey())
	version := 0
	b.Queue("SELECT version FROM schema_version").QueryRow(func(row pgx.Row) error { return row.Scan(&version) })
	b.Queue("SELECT pg_current_xact_id()::text, clock_timestamp()").QueryRow(func(row pgx.Row) error { return row.Scan(&l.xid, &l.wall) })
	if err = l.tx.SendBatch(ctx, &b).Close(); err == nil {
		err = s.checkVersion(version)
	}
	if err != nil {
		rollback(l.tx)
		return locked{}, err
	}
	return l, nil
}

// end sends what the batch wrote and commits. If the answer to COMMIT is lost, the server is asked for it.
func (s *Store) end(ctx context.Context, w *writer, xid string) error {
	if err := w.send(w.batch); err != nil {
		return err
	}
	err := w.tx.Commit(ctx)
	if err == nil {
		return nil
	}
	s.doubt = xid
	again, cancel := context.WithTimeout(context.Background(), transactionTime)
	defer cancel()
	committed, settleErr := s.settle(again)
	switch {
	case settleErr != nil:
		return fmt.Errorf("%w: it is not known whether the last decisions were recorded: %w", ledger.ErrUnavailable, connectError(settleErr))
	case !committed:
		return unavailable(err)
	}
	return nil
}

// settle finds out what became of the transaction in doubt. It waits for its lock: who has that knows that it has ended.
func (s *Store) settle(ctx context.Context) (committed bool, err error) {
	l, err := s.lock(ctx)
	if err != nil {
		return false, err
	}
	defer rollback(l.tx)
	var status string
	if err := l.tx.QueryRow(ctx, "SELECT pg_xact_status($1::text::xid8)", s.doubt).Scan(&status); err != nil {
		return false, err
	}
	switch status {
	case "committed", "aborted":
		s.doubt = ""
		return status == "committed", nil
	}
	return false, fmt.Errorf("transaction %s is %s", s.doubt, status)
}

// unavailable is classify for a context that is the store's own.
func unavailable(err error) error { return classify(context.Background(), err) }
