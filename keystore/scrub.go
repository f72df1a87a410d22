package keystore

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"go.etcd.io/bbolt"
)

// bbolt never writes over a page that is in use: what a commit replaces stays in the file, in a free page, until that is used
// again. So a replaced seal record would go on opening the file, and every copy of it, with the old password, for who puts it back
// or merely reads it. Copies are written without what is in free pages, and the file itself is scrubbed after each change of what
// wraps the master key and, in case the process was killed in between, at each unseal.

// ErrUnscrubbed: the change was made, and what it replaced could not be overwritten. The next change or Unseal tries again.
var ErrUnscrubbed = errors.New("the change was made and holds, but what it replaced could not be overwritten in the file: the old password may still open it; make room on the disk, seal the node and unseal it")

// scrubWait is how long scrub waits for a backup that is being written, to a slow disk perhaps.
const scrubWait = 10 * time.Second

// pageSet are the pages of a file that one commit reaches.
type pageSet struct {
	pageSize int64
	seen     []uint64 // bit set; the two meta pages are always in
}

func (p pageSet) has(id int64) bool {
	return id < firstTreePage || id/64 < int64(len(p.seen)) && p.seen[id/64]&(1<<(id%64)) != 0
}

// reached walks the pages of a transaction.
func (s *Store) reached(f fileTx) (pageSet, error) {
	size := uint64(s.db.Info().PageSize)
	c := &pageCheck{file: s.file, pageSize: size, pages: uint64(f.tx.Size()) / size}
	c.seen = make([]uint64, c.pages/64+1)
	if err := c.page(uint64(f.tx.Cursor().Bucket().RootPage()), bucketTopLevel, span{}, 0); err != nil {
		return pageSet{}, err
	}
	return pageSet{int64(size), c.seen}, nil
}

// writeCopy writes the file as a transaction sees it, with zeros in the pages that it does not reach.
func (s *Store) writeCopy(f fileTx, w io.Writer) (int64, error) {
	pages, err := s.reached(f)
	if err != nil {
		return 0, err
	}
	return f.tx.WriteTo(&blanker{w: &metaPlacer{w: w, pageSize: int(pages.pageSize)}, pages: pages})
}

// blanker passes on a file that is written from its start, with zeros in the pages that are not in a set.
type blanker struct {
	w     io.Writer
	pages pageSet
	at    int64
}

// Write implements io.Writer.
func (b *blanker) Write(data []byte) (n int, err error) {
	for n < len(data) {
		id := b.at / b.pages.pageSize
		part := data[n:min(len(data), n+int((id+1)*b.pages.pageSize-b.at))]
		if !b.pages.has(id) {
			part = make([]byte, len(part))
		}
		wrote, err := b.w.Write(part)
		n, b.at = n+wrote, b.at+int64(wrote)
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// scrub overwrites what is in the file and belongs to its last commit no more. The caller holds the barrier. Readers go on
// meanwhile, writers wait.
func (s *Store) scrub() error {
	// Whoever waits for mu keeps new readers out: so it waits only for transactions that are soon over, which a backup's is not.
	for give := time.Now().Add(s.scrubWait); !s.copying.TryLock(); time.Sleep(lockPoll) {
		if time.Now().After(give) {
			s.unscrubbed.Store(true)
			return fmt.Errorf("%w: a backup is being written", ErrUnscrubbed)
		}
	}
	defer s.copying.Unlock()
	s.mu.Lock() // no transaction goes on that sees an earlier state
	err := guard("file", s.leaveOneState)
	s.writeMu.Lock() // nobody has it without mu
	s.mu.Unlock()
	defer s.writeMu.Unlock()
	if err == nil {
		err = guard("file", s.overwriteFree)
	}
	s.unscrubbed.Store(err != nil)
	if err == nil && s.failed.Load() == nil {
		s.unwritten.Store(nil)
	}
	if err != nil {
		return fmt.Errorf("%w: %v", ErrUnscrubbed, err)
	}
	return nil
}

// leaveOneState makes both meta pages lead to the last state, and none to the one before, by a commit that changes nothing. Where
// they do already, nothing is written: a page is never used again by the commit that frees it, so one root is one state.
func (s *Store) leaveOneState() error {
	first, err := readMeta(s.file, 0, 0)
	if err != nil {
		return err
	}
	second, err := readMeta(s.file, first.pageSize, 1)
	if err != nil || first.root == second.root {
		return err
	}
	return s.db.Update(func(*bbolt.Tx) error { return nil })
}

// overwriteFree puts zeros into all pages that no commit reaches, durably.
func (s *Store) overwriteFree() error {
	var pages pageSet
	err := s.viewFile(func(f fileTx) (err error) {
		pages, err = s.reached(f)
		return err
	})
	if err != nil {
		return err
	}
	content, zeros, changed := make([]byte, pages.pageSize), make([]byte, pages.pageSize), false
	for id := int64(firstTreePage); id < math.MaxInt64/pages.pageSize; id++ {
		if pages.has(id) {
			continue
		}
		n, err := s.file.ReadAt(content, id*pages.pageSize)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if !bytes.Equal(content[:n], zeros[:n]) {
			if _, err := s.file.WriteAt(zeros[:n], id*pages.pageSize); err != nil {
				return err
			}
			changed = true
		}
		if n < len(content) { // the end of the file
			break
		}
	}
	if !changed {
		return nil
	}
	return s.file.Sync()
}
