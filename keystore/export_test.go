package keystore

import (
	"bytes"
	"fmt"

	"github.com/countersign-mpc/countersign/internal/secret"
)

// What the tests of the parsers reach of the package's inside.

// ReencodeSeal parses a seal record under the header and returns it encoded again. fix puts a fitting checksum first.
func ReencodeSeal(headerBytes, record []byte, fix bool) (again, parsed []byte, cost Argon2, err error) {
	h, err := parseHeader(headerBytes)
	if err != nil {
		return nil, nil, Argon2{}, err
	}
	if at := len(record) - masterSize; fix && at >= 0 {
		sum := sealChecksum(h, record[:at])
		record = append(bytes.Clone(record[:at]), sum[:]...)
	}
	r, err := parseSeal(record, h)
	if err != nil {
		return nil, nil, Argon2{}, err
	}
	return r.encode(h), record, r.argon2, nil
}

// OpenSeal unwraps the master key of a record and returns its length.
func OpenSeal(headerBytes, record []byte, password secret.Bytes) (int, error) {
	h, err := parseHeader(headerBytes)
	if err != nil {
		return 0, err
	}
	r, err := parseSeal(record, h)
	if err != nil {
		return 0, err
	}
	master, err := r.open(h, Password(password))
	return master.Len(), err
}

// NewSeal returns a header and a seal record for it.
func NewSeal(cost Argon2, password, master secret.Bytes) (headerBytes, record []byte, err error) {
	h := header{created: 1}
	record, err = newSeal(cost, h, Password(password), master)
	return h.encode(), record, err
}

// ReencodeHeader parses a header and returns it encoded again.
func ReencodeHeader(b []byte) ([]byte, error) {
	h, err := parseHeader(b)
	return h.encode(), err
}

// ReencodeRoot parses the plaintext of a root record and returns it encoded again.
func ReencodeRoot(b []byte) ([]byte, error) {
	r, err := parseRoot(b)
	return r.encode(), err
}

// SetHash adds the elements and then removes some of them, and returns count and sum.
func SetHash(add, remove [][32]byte) string {
	var r root
	for _, e := range add {
		r.add(elementOf(e))
	}
	for _, e := range remove {
		r.remove(elementOf(e))
	}
	return fmt.Sprintf("%d %x", r.count, r.sum.bytes())
}

// ReencodeName splits a record's name and joins it again.
func ReencodeName(name []byte) ([]byte, error) {
	bucket, key, err := splitRecordName(name)
	return recordName(bucket, key), err
}

// SealRecord and OpenRecord seal and open one record under the keys of a master key.
func SealRecord(master secret.Bytes, bucket, key string, value []byte) ([]byte, error) {
	k, err := deriveKeys(master, header{})
	if err != nil {
		return nil, err
	}
	return k.sealRecord(bucket, key, value)
}

func OpenRecord(master secret.Bytes, bucket, key string, envelope []byte) ([]byte, error) {
	k, err := deriveKeys(master, header{})
	if err != nil {
		return nil, err
	}
	return k.openRecord(bucket, key, envelope)
}

// CheckPages is the check of a file's structure.
func CheckPages(b []byte) error { return checkPages(bytes.NewReader(b), int64(len(b))) }

// Fail puts the store where a write of unknown outcome puts it.
func Fail(s *Store, err error) { _ = s.fail(err) }

// RewrapSeal returns a seal record that opens the master key of record with another password.
func RewrapSeal(headerBytes, record []byte, old, new secret.Bytes) ([]byte, error) {
	h, err := parseHeader(headerBytes)
	if err != nil {
		return nil, err
	}
	r, err := parseSeal(record, h)
	if err != nil {
		return nil, err
	}
	master, err := r.open(h, Password(old))
	if err != nil {
		return nil, err
	}
	return newSeal(r.argon2, h, Password(new), master)
}

// ReencodeAuto parses an auto-unseal record under the header and returns it encoded again. fix puts a fitting checksum first.
func ReencodeAuto(headerBytes, record []byte, fix bool) (again, parsed []byte, err error) {
	h, err := parseHeader(headerBytes)
	if err != nil {
		return nil, nil, err
	}
	if at := len(record) - masterSize; fix && at >= 0 {
		sum := autoChecksum(h, record[:at])
		record = append(bytes.Clone(record[:at]), sum[:]...)
	}
	r, err := parseAuto(record, h)
	if err != nil {
		return nil, nil, err
	}
	return r.encode(h), record, nil
}

// PathOf is where a store is.
func PathOf(s *Store) string { return s.cfg.Path }

// ImpatientScrub gives up at once where a backup is being written.
func ImpatientScrub(s *Store) { s.scrubWait = 0 }
