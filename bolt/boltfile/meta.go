package boltfile

import (
	"encoding/binary"
	"errors"
	"hash/fnv"
	"io"
	"os"
)

// A bbolt file begins with two meta pages, written in turn by each commit. In each, after a page header, stand magic,
// version, page size, flags (4 bytes each), root bucket (16), freelist, high-water mark, transaction (8 each) and FNV-64a
// of what stands before, in the machine's byte order. A page header is id (8), flags, count (2 each), overflow (4).
const (
	pageHeader  = 16
	metaSummed  = 56
	metaSize    = metaSummed + 8
	metaMagic   = 0xED0CDAED
	metaVersion = 2

	freelistFlag = 0x10
	manyFree     = 0xFFFF // as count: the first id is the count
)

// meta is what is needed of a meta page.
type meta struct {
	freelist, pages, txid uint64
}

// checkStart looks at what bbolt trusts blindly when it opens a file. It refuses one of which one of the two meta pages is
// damaged: bbolt would go on with the other and so with the state before the last commit, in which what was stored last is
// missing. A commit that was interrupted damages neither, since a meta page's content lies in one sector. And it
// refuses a list of free pages that cannot be one, since bbolt would write over what is not free.
func (f *File) checkStart(pageSize int) error {
	file, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer file.Close()
	var newest meta
	for page := range 2 {
		m, ok, err := readMeta(file, int64(page*pageSize+pageHeader))
		if err != nil {
			return err
		}
		if !ok {
			return f.damaged("meta page %d, and with it perhaps the last commit (\"bbolt surgery revert-meta-page\" goes back to the one before)", page)
		}
		if page == 0 || m.txid > newest.txid {
			newest = m
		}
	}
	ok, err := readFreelist(file, newest, uint64(pageSize))
	switch {
	case errors.Is(err, io.EOF):
		return f.damaged("it was cut off")
	case err != nil:
		return err
	case !ok:
		return f.damaged("its list of free pages")
	}
	return nil
}

// readMeta reports whether the meta at an offset is whole.
func readMeta(file io.ReaderAt, at int64) (m meta, ok bool, err error) {
	var b [metaSize]byte
	_, err = file.ReadAt(b[:], at)
	if err != nil && !errors.Is(err, io.EOF) {
		return meta{}, false, err
	}
	sum := fnv.New64a()
	sum.Write(b[:metaSummed])
	if err != nil || binary.NativeEndian.Uint32(b[:]) != metaMagic || binary.NativeEndian.Uint32(b[4:]) != metaVersion ||
		binary.NativeEndian.Uint64(b[metaSummed:]) != sum.Sum64() {
		return meta{}, false, nil
	}
	return meta{
		freelist: binary.NativeEndian.Uint64(b[32:]),
		pages:    binary.NativeEndian.Uint64(b[40:]),
		txid:     binary.NativeEndian.Uint64(b[48:]),
	}, true, nil
}

// readFreelist reports whether the list of free pages can be one.
func readFreelist(file io.ReaderAt, m meta, pageSize uint64) (ok bool, err error) {
	if m.freelist < 2 || m.freelist >= m.pages {
		return false, nil
	}
	var head [pageHeader + 8]byte
	start := int64(m.freelist * pageSize)
	if _, err := file.ReadAt(head[:], start); err != nil {
		return false, err
	}
	count, at := uint64(binary.NativeEndian.Uint16(head[10:])), start+pageHeader
	if count == manyFree {
		count, at = binary.NativeEndian.Uint64(head[pageHeader:]), at+8
	}
	overflow := uint64(binary.NativeEndian.Uint32(head[12:]))
	room := (overflow+1)*pageSize - uint64(at-start)
	if binary.NativeEndian.Uint64(head[:]) != m.freelist || binary.NativeEndian.Uint16(head[8:]) != freelistFlag ||
		overflow >= m.pages-m.freelist || count > room/8 {
		return false, nil
	}
	ids := make([]byte, count*8)
	if _, err := file.ReadAt(ids, at); err != nil && len(ids) > 0 {
		return false, err
	}
	last := uint64(1) // the meta pages are never free
	for i := range count {
		id := binary.NativeEndian.Uint64(ids[i*8:])
		if id <= last || id >= m.pages || id >= m.freelist && id <= m.freelist+overflow {
			return false, nil
		}
		last = id
	}
	return true, nil
}
