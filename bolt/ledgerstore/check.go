package ledgerstore

import (
	"context"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/countersign-mpc/countersign/ledger"
)

// checkKeep is how many findings Check names.
const checkKeep = 5

// Check reads the whole file: every value with its checksum, every page as bbolt knows it, and the list of free pages. It
// tells whether the file is whole, and ledger.Verify whether it says what was recorded. It takes time in proportion to the
// file's size, and updates wait for it.
func (s *Store) Check(ctx context.Context) error {
	s.commitMu.Lock() // bbolt's check looks at lists that a writer changes
	defer s.commitMu.Unlock()
	tx, err := s.beginView(ctx)
	if err != nil {
		return s.classify(err)
	}
	r := &reader{tx: tx}
	for _, name := range ledger.Buckets() {
		if err == nil {
			err = r.Scan(name, nil, nil, false, func(_, _ []byte) (bool, error) { return true, ctx.Err() })
		}
	}
	if err == nil { // not over values that are damaged: it runs on a goroutine of bbolt's, where a fault ends the process
		err = r.protect(func() error { return checkPages(tx, s.db.Info().PageSize) })
	}
	err = s.outcome(r, err)
	if rerr := s.guard(tx.Rollback); err == nil {
		err = rerr
	}
	if err != nil {
		return fmt.Errorf("check the ledger's file %s: %w", s.path, err)
	}
	return nil
}

func checkPages(tx *bolt.Tx, pageSize int) error {
	if err := checkHeaders(tx, int(tx.Size())/pageSize); err != nil {
		return err
	}
	var first []error
	n := 0
	for err := range tx.Check(bolt.WithKVStringer(silent{})) { // to the end, since its goroutine waits on the channel
		if n++; n <= checkKeep {
			first = append(first, err)
		}
	}
	if n > 0 {
		return fmt.Errorf("%w: %d findings in its pages, such as %v: stop the server, and restore the file from a backup", ledger.ErrDamaged, n, first)
	}
	return nil
}

// silent keeps keys out of bbolt's findings: one of them may be of any length that the damage made up.
type silent struct{}

func (silent) KeyToString([]byte) string   { return "..." }
func (silent) ValueToString([]byte) string { return "..." }

// checkHeaders goes from page to page. bbolt's check believes a page that claims to be longer than the file, and does not
// come to an end.
func checkHeaders(tx *bolt.Tx, pages int) error {
	for n := 0; n < pages; n++ {
		p, err := tx.Page(n)
		if err != nil {
			return err
		}
		switch p.Type {
		case "free":
		case "meta", "branch", "leaf", "freelist":
			if p.OverflowCount >= pages-n {
				return fmt.Errorf("%w: page %d claims to be longer than the file: stop the server, and restore the file from a backup", ledger.ErrDamaged, n)
			}
			n += p.OverflowCount
		default:
			return fmt.Errorf("%w: page %d is of no type: stop the server, and restore the file from a backup", ledger.ErrDamaged, n)
		}
	}
	return nil
}
