package boltfile

import (
	"context"

	bolt "go.etcd.io/bbolt"
)

// checkKeep is how many findings Check names.
const checkKeep = 5

// Check reads the whole file: every value with its checksum, every page as bbolt knows it, and the list of free pages. It
// fails with ErrDamaged if it is not whole. It takes time in proportion to the file's size, and transactions that write wait
// for it.
func (f *File) Check(ctx context.Context) (err error) {
	f.writing.Lock() // bbolt's check looks at lists that a writer changes
	defer f.writing.Unlock()
	t, err := f.Begin(ctx, false)
	if err != nil {
		return err
	}
	defer func() {
		if rerr := t.Rollback(); err == nil {
			err = rerr
		}
	}()
	for _, name := range f.buckets {
		if name == f.inPlace {
			continue // who writes it knows what of it counts
		}
		err := t.Scan(name, nil, nil, false, func(_, _ []byte) (bool, error) { return true, ctx.Err() })
		if err != nil {
			return err
		}
	}
	// Not over values that are damaged: it runs on a goroutine of bbolt's, where a fault ends the process.
	return t.protect(func() error { return f.checkPages(t.tx) })
}

func (f *File) checkPages(tx *bolt.Tx) error {
	if err := f.checkHeaders(tx, int(tx.Size())/f.db.Info().PageSize); err != nil {
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
		return f.damaged("%d findings in its pages, such as %v", n, first)
	}
	return nil
}

// silent keeps keys out of bbolt's findings: one of them may be of any length that the damage made up.
type silent struct{}

func (silent) KeyToString([]byte) string   { return "..." }
func (silent) ValueToString([]byte) string { return "..." }

// checkHeaders goes from page to page. bbolt's check believes a page that claims to be longer than the file, and does not
// come to an end.
func (f *File) checkHeaders(tx *bolt.Tx, pages int) error {
	for n := 0; n < pages; n++ {
		p, err := tx.Page(n)
		if err != nil {
			return err
		}
		switch p.Type {
		case "free":
		case "meta", "branch", "leaf", "freelist":
			if p.OverflowCount >= pages-n {
				return f.damaged("page %d claims to be longer than the file", n)
			}
			n += p.OverflowCount
		default:
			return f.damaged("page %d is of no type", n)
		}
	}
	return nil
}
