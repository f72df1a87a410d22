package keystore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// bbolt trusts its file: a damaged page makes it panic, some of them in a goroutine of its own, where nothing can
// recover. So the whole structure is checked here before bbolt sees it: both meta pages, then every page that can be
// reached: in range, used once, of a known kind, every element inside its page, keys in order and inside the range
// that the parent page gives. Numbers are in the machine's byte order, as bbolt writes them.

const (
	boltMagic   = 0xED0CDAED
	boltVersion = 2

	pageHeader     = 16 // id (8) ‖ flags (2) ‖ count (2) ‖ overflow (4)
	pageElement    = 16 // branch: pos (4) ‖ key size (4) ‖ page (8); leaf: flags (4) ‖ pos (4) ‖ key size (4) ‖ value size (4)
	bucketHeader   = 16 // root page, 0 if inline (8) ‖ sequence (8)
	metaSize       = 64
	flagBranch     = 0x01
	flagLeaf       = 0x02
	flagMeta       = 0x04
	flagBucket     = 0x01 // of a leaf element
	noFreelist     = ^uint64(0)
	firstTreePage  = 2
	deepestTree    = 32
	minPageSize    = 1 << 10
	maxPageSize    = 1 << 16
	bucketTopLevel = 0
	bucketRecord   = 1
)

var order = binary.NativeEndian

type meta struct {
	pageSize, root, freelist, pages, tx uint64
}

// pageCheck walks the pages of one file.
type pageCheck struct {
	file     io.ReaderAt
	pageSize uint64
	pages    uint64   // pages in use are below this number
	seen     []uint64 // bit set of pages reached
}

// checkFile checks the structure of the file, which must be locked. misplaced tells that its meta pages stand in each other's
// place.
func checkFile(file *os.File) (misplaced bool, err error) {
	info, err := file.Stat()
	if err != nil {
		return false, err
	}
	head := make([]byte, len(backupMark))
	if n, err := file.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return false, err
	} else if IsBackup(head[:n]) {
		return false, ErrBackup
	}
	if err := checkPages(file, info.Size()); err != nil {
		return false, err
	}
	first, err := readMeta(file, 0, 0)
	if err != nil {
		return false, err
	}
	second, err := readMeta(file, first.pageSize, 1)
	return max(first.tx, second.tx)%2 == 0 != (first.tx > second.tx), err
}

// metaPlacer writes a copy of a file as bbolt makes it, with the meta pages where they belong. bbolt puts the newer one first,
// but writes the meta of an odd transaction into page 1: the next commit would overwrite the newer of the two, and leave a
// file whose meta pages do not follow each other.
type metaPlacer struct {
	w        io.Writer
	pageSize int
	head     []byte // the two pages, until they are complete
}

// Write implements io.Writer.
func (m *metaPlacer) Write(b []byte) (int, error) {
	if m.head == nil && m.pageSize == 0 {
		return m.w.Write(b)
	}
	take := min(len(b), 2*m.pageSize-len(m.head))
	m.head = append(m.head, b[:take]...)
	if len(m.head) < 2*m.pageSize {
		return take, nil
	}
	first, second := m.head[pageHeader:pageHeader+metaSize], m.head[m.pageSize+pageHeader:m.pageSize+pageHeader+metaSize]
	if order.Uint64(first[48:])%2 == 1 {
		newer := bytes.Clone(first)
		copy(first, second)
		copy(second, newer)
	}
	head := m.head
	m.head, m.pageSize = nil, 0
	if _, err := m.w.Write(head); err != nil {
		return 0, err
	}
	n, err := m.w.Write(b[take:])
	return take + n, err
}

func checkPages(file io.ReaderAt, size int64) error {
	if size == 0 {
		return corrupt("file", "it is empty")
	}
	newest, err := readMetas(file)
	if err != nil {
		return err
	}
	if newest.pages > uint64(size)/newest.pageSize {
		return corrupt("file", "it was cut short: it has %d bytes, and its pages end at %d times %d", size, newest.pages, newest.pageSize)
	}
	if newest.freelist != noFreelist {
		return corrupt("page 0", "another program wrote to the file: it keeps a free list, and the node's has none")
	}
	c := &pageCheck{file: file, pageSize: newest.pageSize, pages: newest.pages, seen: make([]uint64, newest.pages/64+1)}
	return c.page(newest.root, bucketTopLevel, span{}, 0)
}

// readMetas checks both meta pages and returns the newer one. bbolt writes them in turn and would go on with one of
// them, silently going back by one transaction if the newer is damaged. That transaction was acknowledged (a meta fits
// into one disk sector, so a power cut does not tear it), so a damaged meta page is damage.
func readMetas(file io.ReaderAt) (meta, error) {
	first, err := readMeta(file, 0, 0)
	if err != nil {
		return meta{}, err
	}
	second, err := readMeta(file, first.pageSize, 1)
	if err != nil {
		return meta{}, err
	}
	if first.pageSize != second.pageSize {
		return meta{}, corrupt("page 1", "the two meta pages give different page sizes")
	}
	switch {
	case first.tx == second.tx+1:
		return first, nil
	case second.tx == first.tx+1:
		return second, nil
	}
	return meta{}, corrupt("page 1", "the meta pages are of transactions %d and %d, which do not follow each other", first.tx, second.tx)
}

func readMeta(file io.ReaderAt, offset, id uint64) (meta, error) {
	place := fmt.Sprintf("page %d", id)
	var b [pageHeader + metaSize]byte
	if _, err := file.ReadAt(b[:], int64(offset)); err != nil {
		return meta{}, corrupt(place, "cannot read it: %v", err)
	}
	body := b[pageHeader:]
	sum := fnv.New64a()
	sum.Write(body[:metaSize-8])
	switch {
	case order.Uint32(body) != boltMagic:
		return meta{}, corrupt(place, "it is not that of a bbolt file written on a machine of this byte order")
	case order.Uint32(body[4:]) != boltVersion:
		return meta{}, corrupt(place, "it is of bbolt's format %d, this node reads %d", order.Uint32(body[4:]), boltVersion)
	case order.Uint64(body[56:]) != sum.Sum64():
		return meta{}, corrupt(place, "its checksum is wrong")
	case order.Uint64(b[:]) != id || order.Uint16(b[8:]) != flagMeta || order.Uint16(b[10:]) != 0 || order.Uint32(b[12:]) != 0:
		return meta{}, corrupt(place, "it is not marked as meta page")
	}
	m := meta{
		pageSize: uint64(order.Uint32(body[8:])),
		root:     order.Uint64(body[16:]),
		freelist: order.Uint64(body[32:]),
		pages:    order.Uint64(body[40:]),
		tx:       order.Uint64(body[48:]),
	}
	if m.pageSize < minPageSize || m.pageSize > maxPageSize || m.pageSize&(m.pageSize-1) != 0 {
		return meta{}, corrupt(place, "a page size of %d bytes", m.pageSize)
	}
	return m, nil
}

// span is the range of keys that a page may hold: at least from, less than to; nil is open.
type span struct{ from, to []byte }

// page checks the tree below page id. level is that of the bucket; depth that of the page in its tree.
func (c *pageCheck) page(id uint64, level int, keys span, depth int) error {
	if depth > deepestTree {
		return corrupt(fmt.Sprintf("page %d", id), "the tree is deeper than %d pages", deepestTree)
	}
	b, err := c.read(id)
	if err != nil {
		return err
	}
	p, err := parsePage(id, b)
	if err != nil {
		return err
	}
	if need := p.size()/int(c.pageSize) + 1; len(b) > need*int(c.pageSize) {
		return p.corrupt("it takes more pages than its elements need")
	}
	if err := p.checkOrder(keys); err != nil {
		return err
	}
	if p.flags == flagLeaf {
		return c.leaf(p, level)
	}
	for i := range p.elements {
		next := span{p.elements[i].key, keys.to}
		if i+1 < len(p.elements) {
			next.to = p.elements[i+1].key
		}
		if err := c.page(p.elements[i].child, level, next, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// leaf checks the buckets of the top level, and that there are none below it.
func (c *pageCheck) leaf(p *page, level int) error {
	for _, e := range p.elements {
		if (e.flags == flagBucket) != (level == bucketTopLevel) || e.flags&^uint32(flagBucket) != 0 {
			return p.corrupt("an element of a wrong kind")
		}
		if level != bucketTopLevel {
			continue
		}
		if len(e.value) < bucketHeader {
			return p.corrupt("a bucket that is cut short")
		}
		if order.Uint64(e.value[8:]) != 0 {
			return p.corrupt("a bucket that counts what the node never counts")
		}
		root := order.Uint64(e.value)
		if root != 0 {
			if len(e.value) != bucketHeader {
				return p.corrupt("a bucket that is too long")
			}
			if err := c.page(root, bucketRecord, span{}, 0); err != nil {
				return err
			}
			continue
		}
		if err := c.inline(p, e.value[bucketHeader:]); err != nil {
			return err
		}
	}
	return nil
}

// inline checks a small bucket, whose only page stands in the value that describes it.
func (c *pageCheck) inline(parent *page, b []byte) error {
	if len(b) < pageHeader || order.Uint64(b) != 0 || order.Uint16(b[8:]) != flagLeaf || order.Uint32(b[12:]) != 0 {
		return parent.corrupt("an inline bucket that is not a leaf")
	}
	p, err := parsePage(0, b)
	if err != nil {
		return parent.corrupt("an inline bucket with an element outside of it")
	}
	if p.size() != len(b) {
		return parent.corrupt("an inline bucket with bytes that belong to no element")
	}
	if err := p.checkOrder(span{}); err != nil {
		return err
	}
	return c.leaf(p, bucketRecord)
}

// read returns page id with its overflow, and marks them as reached.
func (c *pageCheck) read(id uint64) ([]byte, error) {
	place := fmt.Sprintf("page %d", id)
	if id < firstTreePage || id >= c.pages {
		return nil, corrupt(place, "it is referred to, and the file has pages %d to %d", firstTreePage, c.pages-1)
	}
	var head [pageHeader]byte
	if _, err := c.file.ReadAt(head[:], int64(id*c.pageSize)); err != nil {
		return nil, corrupt(place, "cannot read it: %v", err)
	}
	more := uint64(order.Uint32(head[12:]))
	if order.Uint64(head[:]) != id {
		return nil, corrupt(place, "it says that it is page %d", order.Uint64(head[:]))
	}
	if more >= c.pages-id {
		return nil, corrupt(place, "it continues behind the last page")
	}
	for i := id; i <= id+more; i++ {
		if c.seen[i/64]&(1<<(i%64)) != 0 {
			return nil, corrupt(fmt.Sprintf("page %d", i), "it is referred to twice")
		}
		c.seen[i/64] |= 1 << (i % 64)
	}
	b := make([]byte, (more+1)*c.pageSize)
	if _, err := c.file.ReadAt(b, int64(id*c.pageSize)); err != nil {
		return nil, corrupt(place, "cannot read it: %v", err)
	}
	return b, nil
}

// page is one parsed page of a tree. Its slices are those of the bytes it was parsed from.
type page struct {
	id       uint64
	flags    uint16
	elements []pageItem
}

type pageItem struct {
	flags      uint32 // of a leaf
	key, value []byte
	child      uint64 // of a branch
}

func (p *page) corrupt(reason string) error {
	return corrupt(fmt.Sprintf("page %d", p.id), "%s", reason)
}

func parsePage(id uint64, b []byte) (*page, error) {
	p := &page{id: id, flags: order.Uint16(b[8:])}
	count := int(order.Uint16(b[10:]))
	if p.flags != flagLeaf && p.flags != flagBranch {
		return nil, p.corrupt("it is neither a branch nor a leaf")
	}
	if p.flags == flagBranch && count == 0 {
		return nil, p.corrupt("it is a branch without children")
	}
	low := uint64(pageHeader + count*pageElement)
	if low > uint64(len(b)) {
		return nil, p.corrupt("it has more elements than room")
	}
	p.elements = make([]pageItem, count)
	for i := range p.elements {
		at := uint64(pageHeader + i*pageElement)
		e := b[at : at+pageElement]
		var item pageItem
		var pos, keySize, valueSize uint64
		if p.flags == flagBranch {
			pos, keySize, item.child = uint64(order.Uint32(e)), uint64(order.Uint32(e[4:])), order.Uint64(e[8:])
		} else {
			item.flags, pos = order.Uint32(e), uint64(order.Uint32(e[4:]))
			keySize, valueSize = uint64(order.Uint32(e[8:])), uint64(order.Uint32(e[12:]))
		}
		start := at + pos
		if start < low || start+keySize+valueSize > uint64(len(b)) || keySize == 0 {
			return nil, p.corrupt(fmt.Sprintf("element %d is not inside it", i))
		}
		item.key, item.value = b[start:start+keySize], b[start+keySize:start+keySize+valueSize]
		p.elements[i] = item
	}
	return p, nil
}

// size is how many bytes a page's elements take, its header included.
func (p *page) size() int {
	size := pageHeader
	for _, e := range p.elements {
		size += pageElement + len(e.key) + len(e.value)
	}
	return size
}

// checkOrder makes sure that looking up a key finds what a walk finds.
func (p *page) checkOrder(keys span) error {
	for i, e := range p.elements {
		switch {
		case i > 0 && bytes.Compare(p.elements[i-1].key, e.key) >= 0,
			keys.from != nil && bytes.Compare(e.key, keys.from) < 0,
			keys.to != nil && bytes.Compare(e.key, keys.to) >= 0:
			return p.corrupt(fmt.Sprintf("the key of element %d is out of order", i))
		}
	}
	return nil
}
