package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"sync"

	"github.com/klauspost/compress/s2"
)

// An entry is stored as it stands in the log, or packed as a block of the Snappy format, of which a decision's is about half as long.
// What the log commits to is the entry, however it is stored.
const (
	plainMagic  = "CSLR\x01" // then log index and entry
	packedMagic = "CSLR\x02" // then log index, CRC-32C of the block, block
	prunedMagic = "CSLP\x01" // then log index

	recordHead = len(plainMagic) + 8 // before the entry, or the checksum
)

const (
	// packedLeast and packedMost are between which sizes an entry is packed: what is shorter gains little, and what is longer, a large
	// payment, would take several times as much memory as it has bytes.
	packedLeast = 1 << 10
	packedMost  = 128 << 10
	// packedTimes bounds how many times as long as its block an entry may be: Snappy gives at most 64 bytes for three.
	packedTimes = 32
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// recordRoom is memory in which an entry is written, behind the head of what is stored, and packed.
type recordRoom struct {
	written, block []byte
	given          bool // written is stored as it is, and not used again
}

var recordRooms = sync.Pool{New: func() any { return new(recordRoom) }}

// roomFor returns memory for an entry of about so many bytes.
func roomFor(size int) *recordRoom {
	r := recordRooms.Get().(*recordRoom)
	r.written = slices.Grow(r.written[:0], recordHead+size)
	return r
}

// release gives the memory back for the next entry. That of a long one is not kept.
func (r *recordRoom) release() {
	if r.given || cap(r.written) > 2*packedMost {
		r.written, r.given = nil, false
	}
	recordRooms.Put(r)
}

// write writes an entry.
func (r *recordRoom) write(e Entry) (err error) {
	r.written, err = e.appendTo(r.written[:recordHead])
	return err
}

func (r *recordRoom) entry() []byte { return r.written[recordHead:] }

// value returns what is stored of the entry, which the log has at an index. The room may be used again once it is released; the value
// is not of it then.
func (r *recordRoom) value(index int64) []byte {
	entry := r.entry()
	if packedLeast <= len(entry) && len(entry) <= packedMost {
		r.block = s2.EncodeSnappy(r.block, entry)
		if len(r.block) < len(entry)-len(entry)/8 {
			v := storedHead(packedMagic, index, crc32.Size+len(r.block))
			return append(binary.BigEndian.AppendUint32(v, crc32.Checksum(r.block, castagnoli)), r.block...)
		}
	}
	if len(entry) <= packedMost {
		return append(storedHead(plainMagic, index, len(entry)), entry...)
	}
	r.given = true
	binary.BigEndian.PutUint64(r.written[copy(r.written, plainMagic):], uint64(index))
	return r.written
}

// storedHead is what a stored entry begins with, with room for so many bytes behind it.
func storedHead(magic string, index int64, room int) []byte {
	return binary.BigEndian.AppendUint64(append(make([]byte, 0, recordHead+room), magic...), uint64(index))
}

func prunedValue(index int64) []byte { return storedHead(prunedMagic, index, 0) }

var errPacked = errors.New("what it was packed into has changed")

// unpacked returns the entry that a checksum and a block hold. It takes memory in proportion to them, whatever they say.
func unpacked(b []byte) ([]byte, error) {
	if len(b) < crc32.Size {
		return nil, errPacked
	}
	block := b[crc32.Size:]
	size, err := s2.DecodedLen(block)
	if err != nil || size > packedTimes*len(block) || binary.BigEndian.Uint32(b) != crc32.Checksum(block, castagnoli) {
		return nil, errPacked
	}
	entry, err := s2.Decode(slices.Grow([]byte(nil), size), block)
	if err != nil {
		return nil, errPacked
	}
	return entry, nil
}

// getRecord returns the log index and the bytes of the entry with this id: ErrNotFound if there is none, ErrExpired if
// retention removed it.
func getRecord(r Reader, name id) (int64, []byte, error) {
	v, err := r.Get(bucketRecord, name[:])
	if err != nil {
		return 0, nil, fmt.Errorf("read entry %s: %w", name, err)
	}
	if v == nil {
		return 0, nil, fmt.Errorf("entry %s: %w", name, ErrNotFound)
	}
	if len(v) < recordHead {
		return 0, nil, fmt.Errorf("%w: entry %s is cut off", ErrDamaged, name)
	}
	index := int64(binary.BigEndian.Uint64(v[len(plainMagic):recordHead]))
	switch string(v[:len(plainMagic)]) {
	case plainMagic:
		return index, v[recordHead:], nil
	case packedMagic:
		entry, err := unpacked(v[recordHead:])
		if err != nil {
			return 0, nil, fmt.Errorf("%w: entry %s: %w", ErrDamaged, name, err)
		}
		return index, entry, nil
	case prunedMagic:
		return index, nil, fmt.Errorf("entry %s: %w", name, ErrExpired)
	}
	return 0, nil, fmt.Errorf("%w: entry %s is of an unknown version", ErrDamaged, name)
}

// getEntry is getRecord, parsed.
func getEntry(r Reader, name id) (int64, Entry, error) {
	index, data, err := getRecord(r, name)
	if err != nil {
		return index, Entry{}, err
	}
	e, err := ParseEntry(data)
	if err != nil {
		return index, Entry{}, fmt.Errorf("entry %s: %w", name, err)
	}
	if e.ID() != name.String() {
		return index, Entry{}, fmt.Errorf("%w: under the id %s stands entry %s", ErrDamaged, name, e.ID())
	}
	if e.Decision != nil {
		e.Decision.Index = index
	}
	return index, e, nil
}
