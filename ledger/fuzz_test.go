package ledger

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math/big"
	"testing"

	"github.com/klauspost/compress/s2"
)

// FuzzWindowState: a window's sum and a reservation are refused as damaged, or are written again as they were read.
func FuzzWindowState(f *testing.F) {
	s := &sum{}
	s.used.SetInt64(1000)
	b, err := s.appendTo(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte{sumVersion, 0, 0, 0, 2, 0, 7, 0, 0, 0, 0}) // with a leading zero
	f.Add((&reservation{signed: true, approved: 2, released: 1, parts: []part{{amount: big.NewInt(7)}}}).appendTo(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		var s sum
		if err := s.parse(data); err == nil {
			if again, err := s.appendTo(nil); err != nil || !bytes.Equal(again, data) {
				t.Errorf("sum %x became %x (%v)", data, again, err)
			}
		} else if !errors.Is(err, ErrDamaged) {
			t.Errorf("%v is no ErrDamaged", err)
		}
		if v, err := parseReservation(data); err == nil {
			if again := v.appendTo(nil); !bytes.Equal(again, data) {
				t.Errorf("reservation %x became %x", data, again)
			}
		} else if !errors.Is(err, ErrDamaged) {
			t.Errorf("%v is no ErrDamaged", err)
		}
		if _, err := parseShadowSum(data); err != nil && !errors.Is(err, ErrDamaged) {
			t.Errorf("%v is no ErrDamaged", err)
		}
	})
}

// FuzzPackedEntry: what an entry is packed into is refused, or read in memory that is in proportion to it; and what is packed is read
// again as it was.
func FuzzPackedEntry(f *testing.F) {
	of := func(entry []byte) *recordRoom {
		return &recordRoom{written: append(make([]byte, recordHead), entry...)}
	}
	f.Add(of(bytes.Repeat([]byte("a long entry, "), 200)).value(7)[recordHead:])
	f.Add([]byte{0, 0, 0, 0, 0})
	bomb := s2.Encode(nil, make([]byte, 1<<20)) // which is no block of Snappy's, but the decoder knows it
	f.Add(append(binary.BigEndian.AppendUint32(nil, crc32.Checksum(bomb, castagnoli)), bomb...))
	f.Fuzz(func(t *testing.T, data []byte) {
		if entry, err := unpacked(data); err == nil && len(entry) > packedTimes*len(data) {
			t.Errorf("%d bytes became %d", len(data), len(entry))
		}
		entry := bytes.Repeat(data, 1+packedLeast/max(1, len(data)))
		stored := of(entry).value(7)
		again := stored[recordHead:]
		var err error
		if string(stored[:len(packedMagic)]) == packedMagic {
			again, err = unpacked(again)
		}
		if err != nil || !bytes.Equal(again, entry) {
			t.Errorf("%x was read again as %x (%v)", entry, again, err)
		}
	})
}
