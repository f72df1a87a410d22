package ledger

import "encoding/binary"

// labelled begins in b what package wire/label makes of a purpose and fields, so that a name that is hashed with every decision
// needs no space of its own. The fields follow by appendField.
func labelled(b []byte, purpose string) []byte {
	return append(append(append(b, "countersign/"...), purpose...), "/v1\x00"...)
}

func appendField[T string | []byte](b []byte, v T) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...)
}
