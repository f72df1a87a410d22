//go:build linux || darwin

package keystore_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/countersign-mpc/countersign/internal/secret"
	"github.com/countersign-mpc/countersign/keystore"
	"github.com/countersign-mpc/countersign/wire"
)

// outside is a key outside of the store: AES-256-GCM, as a token does it.
type outside struct {
	name   string
	key    []byte
	broken bool
}

func newOutside(t testing.TB, name string) *outside {
	t.Helper()
	o := &outside{name: name, key: make([]byte, 32)}
	rand.Read(o.key)
	return o
}

func (o *outside) Name() string { return o.name }

func (o *outside) aead() cipher.AEAD {
	block, err := aes.NewCipher(o.key)
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return aead
}

func (o *outside) Wrap(master, place []byte) ([]byte, error) {
	nonce := make([]byte, 12)
	rand.Read(nonce)
	return o.aead().Seal(nonce, nonce, master, place), nil
}

func (o *outside) Unwrap(wrapped, place []byte) ([]byte, error) {
	if o.broken {
		return make([]byte, 32), nil
	}
	return o.aead().Open(nil, wrapped[:12], wrapped[12:], place)
}

var _ keystore.OutsideKey = (*outside)(nil)

func enable(s *keystore.Store, password string, key keystore.OutsideKey) error {
	change, err := s.BeginChange(context.Background(), keystore.Password(pass(password)))
	if err != nil {
		return err
	}
	defer change.Cancel()
	return change.EnableAuto(context.Background(), key)
}

func TestAutoUnseal(t *testing.T) {
	ctx, path, key := context.Background(), newPath(t), newOutside(t, "token t, key k")
	s := mustOpen(t, config(path))
	mustBe(t, s.UnsealAuto(ctx, key), keystore.ErrUninitialised)
	must(t, s.Init(ctx, pass(goodPassword)))
	must(t, s.Put("b", "k", []byte("v")))
	mustBe(t, s.DisableAuto(ctx), keystore.ErrNoAuto)
	mustBe(t, enable(s, newPassword, key), keystore.ErrWrongPassword)
	before, err := s.Stat()
	must(t, err)
	must(t, enable(s, goodPassword, key))
	after, err := s.Stat()
	must(t, err)
	if before.Auto != "" || after.Auto != key.name || after.Password != before.Password || after.Sequence != before.Sequence+1 {
		t.Errorf("before %+v, after %+v", before, after)
	}
	mustBe(t, s.UnsealAuto(ctx, key), keystore.ErrUnsealed)
	s.Seal()
	must(t, s.UnsealAuto(ctx, key))
	mustGet(t, s, "b", "k", "v")
	must(t, s.Put("b", "k", []byte("w")))
	must(t, s.Close())

	s = mustOpen(t, config(path))
	if stat, err := s.Stat(); err != nil || stat.Auto != key.name {
		t.Errorf("sealed: %+v, %v", stat, err)
	}
	must(t, s.UnsealAuto(ctx, key))
	mustGet(t, s, "b", "k", "w")
	s.Seal()
	must(t, s.Unseal(ctx, pass(goodPassword)))
}

func TestAutoUnsealIsRefused(t *testing.T) {
	ctx, key := context.Background(), newOutside(t, "token t, key k")
	s := mustInit(t, newPath(t))
	for name, tc := range map[string]struct {
		key  keystore.OutsideKey
		says string
	}{
		"a name that is empty":    {newOutside(t, ""), "its name must be 1 to 200 bytes"},
		"a name that is long":     {newOutside(t, strings.Repeat("x", 201)), "its name must be 1 to 200 bytes"},
		"a name with a line end":  {newOutside(t, "x\n"), "cannot be printed"},
		"a key that cannot undo":  {&outside{name: "x", key: key.key, broken: true}, "does not give back what it wrapped"},
		"a key that is not there": {absent{}, "no token"},
	} {
		if err := enable(s, goodPassword, tc.key); err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if stat, err := s.Stat(); err != nil || stat.Auto != "" {
		t.Fatalf("%+v, %v", stat, err)
	}
	must(t, enable(s, goodPassword, key))
	s.Seal()
	mustBe(t, s.DisableAuto(ctx), keystore.ErrSealed)
	if err := s.UnsealAuto(ctx, newOutside(t, "token t, key k")); err == nil {
		t.Error("another key of the same name opens the store")
	}
	if err := s.UnsealAuto(ctx, &outside{name: "other", key: key.key}); err == nil || !strings.Contains(err.Error(), `was enabled with "token t, key k", and the configuration names "other"`) {
		t.Errorf("got %v", err)
	}
	if err := s.UnsealAuto(ctx, absent{}); err == nil || s.State() != keystore.Sealed {
		t.Errorf("got %v in state %v", err, s.State())
	}
	must(t, s.UnsealAuto(ctx, key))
}

type absent struct{}

func (absent) Name() string                           { return "token t, key k" }
func (absent) Wrap(_, _ []byte) ([]byte, error)       { return nil, errors.New("no token") }
func (absent) Unwrap(_, _ []byte) (b []byte, e error) { return nil, errors.New("no token") }

// A changed password keeps auto-unseal: the master key is the same. Rekey makes another, and so ends it.
func TestAutoUnsealAndChangesOfThePassword(t *testing.T) {
	ctx, path, key := context.Background(), newPath(t), newOutside(t, "token t, key k")
	s := mustInit(t, path)
	must(t, enable(s, goodPassword, key))
	change, err := s.BeginChange(ctx, keystore.Password(pass(goodPassword)))
	must(t, err)
	must(t, change.Commit(ctx, keystore.Password(pass(newPassword))))
	s.Seal()
	must(t, s.UnsealAuto(ctx, key))
	s.Seal()
	must(t, s.Unseal(ctx, pass(newPassword)))
	stat, err := s.Rekey(ctx, keystore.Password(pass(newPassword)))
	must(t, err)
	if stat.Auto != "" {
		t.Errorf("after rekey: %+v", stat)
	}
	mustBe(t, mustOpen(t, config(path)).UnsealAuto(ctx, key), keystore.ErrNoAuto)
}

// A second change that began before one was committed finds the store changed.
func TestAutoUnsealOfAnOldChange(t *testing.T) {
	ctx, key := context.Background(), newOutside(t, "k")
	s := mustInit(t, newPath(t))
	old, err := s.BeginChange(ctx, keystore.Password(pass(goodPassword)))
	must(t, err)
	change, err := s.BeginChange(ctx, keystore.Password(pass(goodPassword)))
	must(t, err)
	must(t, change.Commit(ctx, keystore.Password(pass(newPassword))))
	if err := old.EnableAuto(ctx, key); err == nil || !strings.Contains(err.Error(), "is over") {
		t.Errorf("got %v", err)
	}
	if err := old.EnableAuto(ctx, key); err == nil {
		t.Error("a change was used twice")
	}
}

// What was removed cannot be put back, what is there cannot be removed, and damage is named, by whoever writes the file.
func TestAutoUnsealRecordIsAuthenticated(t *testing.T) {
	ctx, path, key := context.Background(), newPath(t), newOutside(t, "token t, key k")
	s := mustInit(t, path)
	must(t, enable(s, goodPassword, key))
	must(t, s.Close())
	with := mustRead(t, path)
	var record []byte
	edit(t, path, func(tx *bbolt.Tx) error { record = raw(tx, "countersign", "auto"); return nil })

	s = mustUnseal(t, path)
	must(t, s.DisableAuto(ctx))
	s.Seal()
	mustBe(t, s.UnsealAuto(ctx, key), keystore.ErrNoAuto)
	must(t, s.Close())

	damaged := func(name string, fn func(tx *bbolt.Tx) error, says string) {
		t.Helper()
		edit(t, path, fn)
		s, err := keystore.Open(config(path))
		if err == nil {
			defer s.Close()
			err = s.UnsealAuto(ctx, key)
			if again := s.Unseal(ctx, pass(goodPassword)); again == nil {
				t.Errorf("%s: the password opens the store", name)
			}
		}
		mustBe(t, err, keystore.ErrCorrupt)
		if !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	damaged("put back", func(tx *bbolt.Tx) error { return putRaw(tx, "countersign", "auto", record) }, "that of auto-unseal put back or removed")
	mustWrite(t, path, with)
	edit(t, path, func(tx *bbolt.Tx) error { return tx.Bucket([]byte("countersign")).Delete([]byte("auto")) })
	_, err := check(path)
	mustBe(t, err, keystore.ErrCorrupt)
	for at := range record {
		mustWrite(t, path, with)
		flipped := bytes.Clone(record)
		flipped[at] ^= 1
		damaged("flipped", func(tx *bbolt.Tx) error { return putRaw(tx, "countersign", "auto", flipped) }, "auto-unseal record")
	}
	mustWrite(t, path, with)
	must(t, mustOpen(t, config(path)).UnsealAuto(ctx, key))
}

// TestAutoByPage reads an auto-unseal record by the words of docs/FORMATS.md.
func TestAutoByPage(t *testing.T) {
	path, key := newPath(t), newOutside(t, "token t, key k")
	s := mustInit(t, path)
	must(t, enable(s, goodPassword, key))
	must(t, s.Close())
	edit(t, path, func(tx *bbolt.Tx) error {
		header, seal, auto := raw(tx, "countersign", "header"), raw(tx, "countersign", "seal"), raw(tx, "countersign", "auto")
		name, rest := string(auto[2:2+auto[1]]), auto[2+auto[1]:]
		if auto[0] != 1 || name != key.name {
			t.Errorf("version %d, name %q", auto[0], name)
		}
		wrapped := rest[2 : 2+binary.BigEndian.Uint16(rest)]
		master, err := key.Unwrap(wrapped, wire.SigningBytes("keystore-auto", header, []byte(name)))
		must(t, err)
		if sum := sha256.Sum256(wire.SigningBytes("keystore-auto-checksum", header, auto[:len(auto)-32])); !bytes.Equal(sum[:], auto[len(auto)-32:]) {
			t.Error("checksum")
		}
		root := openByPage(t, derive(t, master, header[24:40], wire.SigningBytes("keystore-root-key")), wire.SigningBytes("keystore-root"), raw(tx, "countersign", "root"))
		if want := sha256.Sum256(wire.SigningBytes("keystore-seal-auto-hash", header, seal, auto)); !bytes.Equal(root[48:], want[:]) {
			t.Error("hash of seal and auto-unseal record")
		}
		return nil
	})
}

func FuzzAutoRecord(f *testing.F) {
	header, _, err := keystore.NewSeal(cheap, pass(goodPassword), secret.New(make([]byte, 32)))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(append([]byte{1, 1, 'k', 0, 2, 'w', 'w'}, make([]byte, 32)...))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, record []byte) {
		again, parsed, err := keystore.ReencodeAuto(header, record, true)
		if err == nil && !bytes.Equal(again, parsed) {
			t.Fatalf("%x became %x", parsed, again)
		}
	})
}
