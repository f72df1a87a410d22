// Package label makes labelled bytes (docs/FORMATS.md): what a key of this project signs, or what is hashed into a name.
// It stands apart from package wire so that who needs no more of it gets nothing else, the threshold protocols above all.
package label

import (
	"encoding/binary"
	"fmt"
	"math"
)

const (
	start = "countersign/"
	end   = "/v1\x00" // of the purpose
)

// Bytes returns labelled bytes for one purpose: "countersign/" purpose "/v1" NUL, then each field as its length (uint32,
// big-endian) and its bytes. The purpose fixes how many fields there are and in which order, so no two meanings share
// bytes. A nil field equals an empty one.
//
// A purpose is a constant of the calling package: lower-case letters, digits, '-' and '/'. Anything else, and a field of
// 4 GiB or more, is a bug of the caller and panics.
func Bytes(purpose string, fields ...[]byte) []byte {
	size := len(start) + len(purpose) + len(end)
	for _, f := range fields {
		size += 4 + len(f)
	}
	out := Begin(make([]byte, 0, size), purpose)
	for _, f := range fields {
		out = Field(out, f)
	}
	return out
}

// Begin appends what labelled bytes for a purpose begin with, and each Field after it a field: for who has room for them and
// wants their hash only. The rules are those of Bytes.
func Begin(b []byte, purpose string) []byte {
	if !isPurpose(purpose) {
		panic(fmt.Sprintf("label: purpose %q: want lower-case letters, digits, '-' and '/'", purpose))
	}
	return append(append(append(b, start...), purpose...), end...)
}

func isPurpose(purpose string) bool {
	for i := range len(purpose) {
		if c := purpose[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '/' {
			return false
		}
	}
	return purpose != ""
}

// Field appends a field to labelled bytes.
func Field[F ~[]byte | ~string](b []byte, field F) []byte {
	if uint64(len(field)) > math.MaxUint32 {
		panic("label: a field of 4 GiB or more cannot be labelled")
	}
	return append(binary.BigEndian.AppendUint32(b, uint32(len(field))), field...)
}

// Close makes what was appended behind an empty Field that field's bytes: for who writes a field in place. at is where they
// begin.
func Close(b []byte, at int) {
	if uint64(len(b)-at) > math.MaxUint32 {
		panic("label: a field of 4 GiB or more cannot be labelled")
	}
	binary.BigEndian.PutUint32(b[at-4:], uint32(len(b)-at))
}
