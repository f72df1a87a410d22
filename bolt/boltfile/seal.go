package boltfile

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

// sumSize is how many bytes of CRC-32C stand before each value. It finds what a disk or memory does to a value; it is no
// defence against who writes the file.
const sumSize = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (t *Tx) checksum(bucket string, key, value []byte) uint32 {
	t.scratch = t.f.place(t.scratch[:0], bucket, key)
	return crc32.Update(crc32.Checksum(t.scratch, castagnoli), castagnoli, value)
}

func (t *Tx) seal(bucket string, key, value []byte) []byte {
	out := make([]byte, sumSize+len(value))
	copy(out[sumSize:], value)
	t.sealIn(bucket, key, out)
	return out
}

// sealIn writes the checksum of a value before it, where there is room for it.
func (t *Tx) sealIn(bucket string, key, room []byte) {
	binary.BigEndian.PutUint32(room, t.checksum(bucket, key, room[sumSize:]))
}

func (t *Tx) unseal(bucket string, key, stored []byte) ([]byte, error) {
	if len(stored) < sumSize || binary.BigEndian.Uint32(stored) != t.checksum(bucket, key, stored[sumSize:]) {
		return nil, &alteredError{t.f.damaged("a value in bucket %s does not have its checksum", bucket), bucket, bytes.Clone(key)}
	}
	return stored[sumSize:len(stored):len(stored)], nil
}

// alteredError is an ErrDamaged over one value, for who can do something about that one.
type alteredError struct {
	error
	bucket string
	key    []byte
}

func (e *alteredError) Unwrap() error { return e.error }

// Altered is where the value stands.
func (e *alteredError) Altered() (bucket string, key []byte) { return e.bucket, e.key }
