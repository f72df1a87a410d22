package keystore_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/big"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/crypto/argon2"

	"github.com/countersign-mpc/countersign/wire"
)

// TestFormatsPage reads a file of the first version by the words of docs/FORMATS.md alone, with none of the package's
// code: what the page says is what the package does.
func TestFormatsPage(t *testing.T) {
	path := newPath(t)
	mustWrite(t, path, mustRead(t, "testdata/v1.db"))
	var header, seal, root []byte
	records := map[string][]byte{}
	edit(t, path, func(tx *bbolt.Tx) error {
		header, seal, root = raw(tx, "countersign", "header"), raw(tx, "countersign", "seal"), raw(tx, "countersign", "root")
		return tx.Bucket([]byte("records")).ForEach(func(k, v []byte) error {
			records[string(k)] = bytes.Clone(v)
			return nil
		})
	})
	if len(header) != 48 || !bytes.HasPrefix(header, []byte("countersign/asset.db/v1\n")) {
		t.Fatalf("header %q", header)
	}
	id, created := header[24:40], time.Unix(int64(binary.BigEndian.Uint64(header[40:])), 0)
	if !created.Equal(newClock().Now()) {
		t.Errorf("created %v", created)
	}

	master := openSealByPage(t, header, seal)
	place := wire.SigningBytes("keystore-root")
	plain := openByPage(t, derive(t, master, id, wire.SigningBytes("keystore-root-key")), place, root)
	if n := binary.BigEndian.Uint64(plain); n != 3 {
		t.Errorf("sequence %d", n)
	}
	if n := binary.BigEndian.Uint64(plain[8:]); n != uint64(len(records)) {
		t.Errorf("%d records", n)
	}
	if want := sha256.Sum256(wire.SigningBytes("keystore-seal-hash", header, seal)); !bytes.Equal(plain[48:], want[:]) {
		t.Error("hash of the seal record")
	}

	sum, setKey := new(big.Int), derive(t, master, id, wire.SigningBytes("keystore-set-key"))
	recordKey := derive(t, master, id, wire.SigningBytes("keystore-record-key"))
	for name, envelope := range records {
		bucket, key, _ := bytes.Cut([]byte(name), []byte{0})
		mac := hmac.New(sha256.New, setKey)
		mac.Write(append(wire.SigningBytes("keystore-element", bucket, key), envelope...))
		sum.Add(sum, new(big.Int).SetBytes(mac.Sum(nil)))
		records[name] = openByPage(t, recordKey, wire.SigningBytes("keystore-record", bucket, key), envelope)
	}
	sum.Mod(sum, new(big.Int).Lsh(big.NewInt(1), 256))
	if sum.Cmp(new(big.Int).SetBytes(plain[16:48])) != 0 {
		t.Error("sum over the records")
	}
	if got := fmt.Sprintf("%s", records); got != "map[requests\x00r-1:request shares\x00k1:first share]" {
		t.Errorf("records %q", got)
	}
}

func derive(t *testing.T, secret, salt, info []byte) []byte {
	t.Helper()
	key, err := hkdf.Key(sha256.New, secret, salt, string(info), 32)
	must(t, err)
	return key
}

func openByPage(t *testing.T, key, place, envelope []byte) []byte {
	t.Helper()
	if envelope[0] != 1 {
		t.Fatalf("envelope of version %d", envelope[0])
	}
	salt, nonce, sealed := envelope[1:17], envelope[17:29], envelope[29:]
	return gcmOpen(t, derive(t, key, salt, place), nonce, sealed, append([]byte{1}, place...))
}

func gcmOpen(t *testing.T, key, nonce, sealed, associated []byte) []byte {
	t.Helper()
	block, err := aes.NewCipher(key)
	must(t, err)
	aead, err := cipher.NewGCM(block)
	must(t, err)
	plain, err := aead.Open(nil, nonce, sealed, associated)
	must(t, err)
	return plain
}

func openSealByPage(t *testing.T, header, seal []byte) (master []byte) {
	t.Helper()
	if seal[0] != 1 || seal[1] != 1 || binary.BigEndian.Uint16(seal[2:]) != 41 || len(seal) != 169 {
		t.Fatalf("seal record %x", seal)
	}
	passes, memory, lanes, salt := binary.BigEndian.Uint32(seal[4:]), binary.BigEndian.Uint32(seal[8:]), seal[12], seal[13:45]
	prefix, check, nonce, wrapped, checksum := seal[:45], seal[45:77], seal[77:89], seal[89:137], seal[137:]
	stretched := argon2.IDKey([]byte(goodPassword), salt, passes, memory, lanes, 32)
	if want := derive(t, stretched, nil, wire.SigningBytes("keystore-password-check", header, prefix)); !bytes.Equal(check, want) {
		t.Error("check")
	}
	if want := sha256.Sum256(wire.SigningBytes("keystore-seal-checksum", header, seal[:137])); !bytes.Equal(checksum, want[:]) {
		t.Error("checksum")
	}
	kek := derive(t, stretched, nil, wire.SigningBytes("keystore-password-kek", header, prefix))
	return gcmOpen(t, kek, nonce, wrapped, wire.SigningBytes("keystore-seal", header, prefix, check))
}
