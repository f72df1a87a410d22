//go:build linux || darwin

package keystore_test

import (
	"bytes"
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/countersign-mpc/countersign/keystore"
	"github.com/countersign-mpc/countersign/keystore/segment"
	"github.com/countersign-mpc/countersign/wire"
)

// sealOf returns header and seal record of a closed store.
func sealOf(t *testing.T, path string) (header, seal []byte) {
	t.Helper()
	edit(t, path, func(tx *bbolt.Tx) error {
		header, seal = raw(tx, "countersign", "header"), raw(tx, "countersign", "seal")
		return nil
	})
	return header, seal
}

// TestSegmentsFormatPage opens a store of segments by the words of docs/FORMATS.md, with none of the package's code but the
// combination of the segments.
func TestSegmentsFormatPage(t *testing.T) {
	path, segments := newPath(t), newSet(t, 2, 3)
	s := mustOpen(t, config(path))
	must(t, s.InitWith(context.Background(), segments.of(1, 2)))
	must(t, s.Close())
	header, seal := sealOf(t, path)
	size := 32 + 8 + 2 + 3*32
	if !bytes.HasPrefix(seal, []byte{1, 2, 0, byte(size)}) || len(seal) != 4+size+32+12+48+32 {
		t.Fatalf("seal record %x", seal)
	}
	prefix, salt := seal[:4+size], seal[4:36]
	if !bytes.Equal(seal[36:44], segments.manifest.ID[:]) || seal[44] != 2 || seal[45] != 3 || !bytes.Equal(seal[46:78], segments.manifest.Hashes[0][:]) {
		t.Error("the manifest in the record")
	}
	c := segment.Collect(segments.manifest)
	must(t, c.Add(segments.texts[2]))
	must(t, c.Add(segments.texts[0]))
	secret, err := c.Secret()
	must(t, err)
	stretched, err := hkdf.Key(sha256.New, secret.Expose(), salt, string(wire.SigningBytes("keystore-segments", header)), 32)
	must(t, err)
	check, nonce, wrapped := seal[4+size:36+size], seal[36+size:48+size], seal[48+size:96+size]
	if want := derive(t, stretched, nil, wire.SigningBytes("keystore-password-check", header, prefix)); !bytes.Equal(check, want) {
		t.Error("check")
	}
	kek := derive(t, stretched, nil, wire.SigningBytes("keystore-password-kek", header, prefix))
	if master := gcmOpen(t, kek, nonce, wrapped, wire.SigningBytes("keystore-seal", header, prefix, check)); len(master) != 32 {
		t.Error("master key")
	}
}

// TestDamagedSegmentSeal flips each byte of the seal record of a store of segments: it is damage, whatever the checksum says.
func TestDamagedSegmentSeal(t *testing.T) {
	path, segments := newPath(t), newSet(t, 2, 2)
	s := mustOpen(t, config(path))
	must(t, s.InitWith(context.Background(), segments.of(1, 2)))
	must(t, s.Close())
	header, seal := sealOf(t, path)
	for i := range seal {
		bad := bytes.Clone(seal)
		bad[i] ^= 1
		if _, _, _, err := keystore.ReencodeSeal(header, bad, false); !errors.Is(err, keystore.ErrCorrupt) {
			t.Errorf("byte %d: %v", i, err)
		}
		again, parsed, _, err := keystore.ReencodeSeal(header, bad, true)
		if err == nil && !bytes.Equal(again, parsed) {
			t.Errorf("byte %d: the record is read as another", i)
		}
	}
	for i := range seal {
		if _, _, _, err := keystore.ReencodeSeal(header, seal[:i], true); !errors.Is(err, keystore.ErrCorrupt) {
			t.Errorf("%d bytes: %v", i, err)
		}
	}
}
