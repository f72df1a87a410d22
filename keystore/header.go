package keystore

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"time"
)

const (
	headerMagic   = "countersign/asset.db/"
	headerVersion = "v1\n"
	headerSize    = len(headerMagic) + len(headerVersion) + storeIDSize + 8
	storeIDSize   = 16
)

// header is the record that says what the file is. It is readable without a key, and is authenticated at Unseal by
// the seal record and the root record.
type header struct {
	id      [storeIDSize]byte // random; salts the keys of this store
	created uint64            // Unix seconds
}

func newHeader(now time.Time) header {
	h := header{created: uint64(max(0, now.Unix()))}
	rand.Read(h.id[:])
	return h
}

func (h header) encode() []byte {
	out := make([]byte, 0, headerSize)
	out = append(out, headerMagic+headerVersion...)
	out = append(out, h.id[:]...)
	return binary.BigEndian.AppendUint64(out, h.created)
}

func parseHeader(b []byte) (header, error) {
	rest, ok := bytes.CutPrefix(b, []byte(headerMagic))
	if !ok {
		return header{}, corrupt("header", "it is missing, or does not begin with %q", headerMagic)
	}
	rest, ok = bytes.CutPrefix(rest, []byte(headerVersion))
	if !ok {
		return header{}, corrupt("header", "this version of the node reads format v1 only; if a newer one wrote the file, use that")
	}
	if len(b) != headerSize {
		return header{}, corrupt("header", "it has %d bytes instead of %d", len(b), headerSize)
	}
	var h header
	copy(h.id[:], rest)
	h.created = binary.BigEndian.Uint64(rest[storeIDSize:])
	return h, nil
}
