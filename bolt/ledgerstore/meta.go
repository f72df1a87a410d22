package ledgerstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"

	"github.com/countersign-mpc/countersign/ledger"
)

// A bbolt file begins with two meta pages, written in turn by each commit; in each, after a page header, stand magic,
// version, page size, flags (4 bytes each), root bucket (16), freelist, high-water mark, transaction (8 each) and FNV-64a
// of what stands before, in the machine's byte order.
const (
	pageHeader  = 16
	metaSummed  = 56
	metaSize    = metaSummed + 8
	metaMagic   = 0xED0CDAED
	metaVersion = 2
)

// checkMeta refuses a file of which one of the two meta pages is damaged. bbolt would go on with the other and so with
// the state before the last commit, in which what was decided last is undecided. A commit that was interrupted damages
// neither, since a meta page's content lies in one sector.
func checkMeta(path string, pageSize int) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for page := range 2 {
		var b [metaSize]byte
		_, err := f.ReadAt(b[:], int64(page*pageSize+pageHeader))
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		sum := fnv.New64a()
		sum.Write(b[:metaSummed])
		if err != nil || binary.NativeEndian.Uint32(b[:]) != metaMagic || binary.NativeEndian.Uint32(b[4:]) != metaVersion ||
			binary.NativeEndian.Uint64(b[metaSummed:]) != sum.Sum64() {
			return fmt.Errorf("%w: meta page %d is damaged, and with it perhaps the last commit: restore the file from a backup; \"bbolt surgery revert-meta-page\" goes back to the commit before", ledger.ErrDamaged, page)
		}
	}
	return nil
}
