package keystore

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"math/bits"

	"github.com/countersign-mpc/countersign/internal/secret"
	"github.com/countersign-mpc/countersign/wire"
)

// root is what the root record says about the whole store. It is replaced in the transaction of every change.
//
// sum is an additive multiset hash (MSet-Add-Hash of Clarke, Devadas, van Dijk, Gassend, Suh, ASIACRYPT 2003, with
// HMAC-SHA-256 as the keyed function and the sum itself kept secret by sealing it): the sum modulo 2^256 of the
// elements of all records. It costs one addition to change a record, and it cannot be made to fit another set of
// records, old versions included, by somebody who sees none of the elements.
type root struct {
	seq   uint64            // commits since Init, which is 1
	count uint64            // records
	sum   element           // over all records
	seal  [sha256.Size]byte // of header and seal record, so that an older seal record cannot be put back
}

const rootSize = 8 + 8 + 32 + sha256.Size

// element is a number modulo 2^256, least significant word first.
type element [4]uint64

func elementOf(b [32]byte) (e element) {
	for i := range e {
		e[i] = binary.BigEndian.Uint64(b[8*(3-i):])
	}
	return e
}

func (e element) bytes() []byte {
	out := make([]byte, 0, 32)
	for i := range e {
		out = binary.BigEndian.AppendUint64(out, e[3-i])
	}
	return out
}

func (r *root) add(e element) {
	var carry uint64
	for i := range e {
		r.sum[i], carry = bits.Add64(r.sum[i], e[i], carry)
	}
	r.count++
}

func (r *root) remove(e element) {
	var borrow uint64
	for i := range e {
		r.sum[i], borrow = bits.Sub64(r.sum[i], e[i], borrow)
	}
	r.count--
}

func (r root) encode() []byte {
	out := make([]byte, 0, rootSize)
	out = binary.BigEndian.AppendUint64(out, r.seq)
	out = binary.BigEndian.AppendUint64(out, r.count)
	out = append(out, r.sum.bytes()...)
	return append(out, r.seal[:]...)
}

func parseRoot(b []byte) (root, error) {
	if len(b) != rootSize {
		return root{}, errors.New("its length is wrong")
	}
	r := root{seq: binary.BigEndian.Uint64(b), count: binary.BigEndian.Uint64(b[8:]), sum: elementOf([32]byte(b[16:]))}
	copy(r.seal[:], b[48:])
	return r, nil
}

func (k *keys) sealRoot(r root) ([]byte, error) {
	return sealEnvelope(k.roots, wire.SigningBytes("keystore-root"), r.encode())
}

func (k *keys) openRoot(envelope []byte) (root, error) {
	if envelope == nil {
		return root{}, corrupt("root record", "it is missing")
	}
	plain, err := openEnvelope(k.roots, wire.SigningBytes("keystore-root"), envelope)
	if err != nil {
		return root{}, corrupt("root record", "%v", err)
	}
	r, err := parseRoot(plain)
	if err != nil {
		return root{}, corrupt("root record", "%v", err)
	}
	return r, nil
}

// authenticate opens the root and every record, and compares the set of records with the root.
func authenticate(ctx context.Context, f fileTx, k *keys, seal [sha256.Size]byte) (*snapshot, error) {
	envelope := f.get(keyRoot)
	want, err := k.openRoot(envelope)
	if err != nil {
		return nil, err
	}
	if want.seal != seal {
		return nil, corrupt("seal record", "it is not the current one: an older password record was put back, or that of auto-unseal put back or removed")
	}
	got := root{seq: want.seq, seal: want.seal}
	counts := map[string]int{}
	c := f.cursor()
	for name, value := c.First(); name != nil; name, value = c.Next() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		bucket, key, err := splitRecordName(name)
		if err != nil {
			return nil, err
		}
		plain, err := k.openRecord(bucket, key, value)
		if err != nil {
			return nil, err
		}
		secret.Wipe(plain)
		got.add(k.element(bucket, key, value))
		counts[bucket]++
	}
	if got.count != want.count {
		return nil, corrupt("records", "there are %d, and %d were written: some were deleted from or added to the file", got.count, want.count)
	}
	if subtle.ConstantTimeCompare(got.sum.bytes(), want.sum.bytes()) != 1 {
		return nil, corrupt("records", "an older version of at least one record was put back")
	}
	return &snapshot{root: want, envelope: append([]byte(nil), envelope...), counts: counts}, nil
}
