package boltfile

import (
	"encoding/binary"
	"hash/crc32"
)

// sumSize is how many bytes of CRC-32C stand before each value. It finds what a disk or memory does to a value; it is no
// defence against who writes the file.
const sumSize = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (f *File) checksum(bucket string, key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(f.place(bucket, key), castagnoli), castagnoli, value)
}

func (f *File) seal(bucket string, key, value []byte) []byte {
	out := make([]byte, sumSize, sumSize+len(value))
	binary.BigEndian.PutUint32(out, f.checksum(bucket, key, value))
	return append(out, value...)
}

func (f *File) unseal(bucket string, key, stored []byte) ([]byte, error) {
	if len(stored) < sumSize || binary.BigEndian.Uint32(stored) != f.checksum(bucket, key, stored[sumSize:]) {
		return nil, f.damaged("a value in bucket %s does not have its checksum", bucket)
	}
	return stored[sumSize:len(stored):len(stored)], nil
}
