// Package label makes labelled bytes (docs/FORMATS.md): what a key of this project signs, or what is hashed into a name.
// It stands apart from package wire so that who needs no more of it gets nothing else, the threshold protocols above all.
package label

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
)

// Bytes returns labelled bytes for one purpose: "countersign/" purpose "/v1" NUL, then each field as its length (uint32,
// big-endian) and its bytes. The purpose fixes how many fields there are and in which order, so no two meanings share
// bytes. A nil field equals an empty one.
//
// A purpose is a constant of the calling package: lower-case letters, digits, '-' and '/'. Anything else, and a field of
// 4 GiB or more, is a bug of the caller and panics.
func Bytes(purpose string, fields ...[]byte) []byte {
	if purpose == "" || strings.Trim(purpose, "abcdefghijklmnopqrstuvwxyz0123456789-/") != "" {
		panic(fmt.Sprintf("label: purpose %q: want lower-case letters, digits, '-' and '/'", purpose))
	}
	size := len("countersign/") + len(purpose) + len("/v1\x00")
	for _, f := range fields {
		if uint64(len(f)) > math.MaxUint32 {
			panic("label: a field of 4 GiB or more cannot be labelled")
		}
		size += 4 + len(f)
	}
	out := make([]byte, 0, size)
	out = append(out, "countersign/"...)
	out = append(out, purpose...)
	out = append(out, "/v1\x00"...)
	for _, f := range fields {
		out = binary.BigEndian.AppendUint32(out, uint32(len(f)))
		out = append(out, f...)
	}
	return out
}
