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
	// packedLeast is from which size on an entry is packed: what is shorter gains little.
	packedLeast = 1 << 10
	// packedMost bounds how many times as long as its block an entry may be: Snappy's copies give at most 64 bytes for two or three.
	packedMost = 32
	// keptRoom bounds what is kept in memory from one entry to the next.
	keptRoom = 64 << 10
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// recordRoom is memory in which an entry is written and packed before it is stored.
type recordRoom struct{ entry, block []byte }

var recordRooms = sync.Pool{New: func() any { return new(recordRoom) }}

// release gives the memory back for the next entry.
func (r *recordRoom) release() {
	if cap(r.entry)+cap(r.block) <= keptRoom {
		recordRooms.Put(r)
	}
}

// value returns what is stored of the entry in the room, which the log has at an index. It is not of the room.
func (r *recordRoom) value(index int64) []byte {
	if len(r.entry) >= packedLeast {
		r.block = s2.EncodeSnappy(r.block[:cap(r.block)], r.entry)
		if len(r.block) < len(r.entry)-len(r.entry)/8 {
			v := storedHead(packedMagic, index, crc32.Size+len(r.block))
			return append(binary.BigEndian.AppendUint32(v, crc32.Checksum(r.block, castagnoli)), r.block...)
		}
	}
	return append(storedHead(plainMagic, index, len(r.entry)), r.entry...)
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
	if err != nil || size > packedMost*len(block) || binary.BigEndian.Uint32(b) != crc32.Checksum(block, castagnoli) {
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
	const head = recordHead
	if len(v) < head {
		return 0, nil, fmt.Errorf("%w: entry %s is cut off", ErrDamaged, name)
	}
	index := int64(binary.BigEndian.Uint64(v[len(plainMagic):head]))
	switch string(v[:len(plainMagic)]) {
	case plainMagic:
		return index, v[head:], nil
	case packedMagic:
		entry, err := unpacked(v[head:])
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
