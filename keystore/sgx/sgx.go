// Package sgx is storage engine "sgx": a key store whose file is text, sealed once more by a key that the processor gives to the
// enclave's signer, so that asset.db opens on this machine, in an enclave of this signer, with the password, and nowhere else.
//
// The store itself is package keystore's, over a working copy in the enclave's own memory; every commit is sealed and replaces
// the text file, durably and in one step, before it counts. What keystore promises so holds here, too. A commit costs time in
// proportion to the size of the store.
//
// One process at a time has the store. A lock beside the text file (PATH.lock) says so where locks are the kernel's; those of an
// enclave are its own, so that, before each commit, the text file must also be the one that this store read or wrote last.
//
// What it does not do. It proves to nobody that it runs in an enclave: that is remote attestation. An older copy of the text
// file is not noticed (see keystore). Backups are sealed by the password alone: with the processor's key they would die with it.
package sgx

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/countersign-mpc/countersign/internal/secret"
	"github.com/countersign-mpc/countersign/keystore"
	"github.com/countersign-mpc/countersign/wire"
)

const (
	blockType = "COUNTERSIGN SGX STORE"
	version   = "1"
	saltSize  = 32
	nonceSize = 12
	keySize   = 16      // bytes that the device gives
	maxText   = 1 << 30 // bytes of the text file
)

// ErrNoDevice: there is no sealing key: this is no enclave.
var ErrNoDevice = errors.New("storage.engine is \"sgx\", and there is no sealing key: this process is not in a Gramine enclave; start it with gramine-sgx as deploy/sgx/README.md says")

// Config says which store to open.
type Config struct {
	Path    string          // of the text file
	WorkDir string          // folder in the enclave's memory (a tmpfs mount of the manifest) for the working copy; it must exist
	Store   keystore.Config // Path, Persist and Release are set by Open
}

// Open opens the store in the text file, or makes a new, uninitialised one. Errors are those of keystore.Open, ErrNoDevice, and
// keystore.ErrCorrupt where the text was altered or was sealed for another signer or machine.
// keystore.ErrLocked: another process has it open.
func Open(cfg Config) (*keystore.Store, error) { return open(cfg, DevicePath()) }

func open(cfg Config, device string) (*keystore.Store, error) {
	key, err := sealingKey(device)
	if err != nil {
		return nil, err
	}
	key.Wipe() // it is there; each use reads it anew
	path, err := filepath.Abs(cfg.Path)
	if err != nil {
		return nil, fmt.Errorf("path of the key store: %w", err)
	}
	lock, err := lockText(path, cfg.Store.LockTimeout)
	if err != nil {
		return nil, fmt.Errorf("open key store %s: %w", path, err)
	}
	if err := keystore.RemoveUnfinished(path); err != nil {
		return nil, errors.Join(fmt.Errorf("open key store %s: %w", path, err), lock.Close())
	}
	store, err := openLocked(cfg, path, device, lock)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return store, nil
}

// lockText keeps other processes from the text file. The lock is on a file beside it, as each commit replaces the text file.
func lockText(path string, timeout time.Duration) (io.Closer, error) {
	if timeout == 0 {
		timeout = keystore.DefaultLockTimeout
	}
	return keystore.Lock(path+".lock", timeout)
}

// openLocked opens the store over a working copy. The store gives up copy and lock when it is closed.
func openLocked(cfg Config, path, device string, lock io.Closer) (*keystore.Store, error) {
	dir, err := os.MkdirTemp(cfg.WorkDir, "store-*") // mode 0700
	if err != nil {
		return nil, fmt.Errorf("storage.work-dir, which has to be a folder in the enclave's memory: %w", err)
	}
	c := cfg.Store
	c.Path = filepath.Join(dir, "asset.db")
	t := &textFile{path: path, device: device}
	if err := t.load(c.Path); err != nil {
		return nil, errors.Join(fmt.Errorf("open key store %s: %w", path, err), os.RemoveAll(dir))
	}
	c.Persist = t.replace
	c.Release = func() error { return errors.Join(os.RemoveAll(dir), lock.Close()) }
	store, err := keystore.Open(c)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open key store %s: %w", path, err), os.RemoveAll(dir))
	}
	return store, nil
}

// WriteFile makes a new text file of the bytes of a store, such as a backup's. It never replaces one: fs.ErrExist.
func WriteFile(path string, contents func(io.Writer) error) error {
	return writeFile(path, DevicePath(), contents)
}

func writeFile(path, device string, contents func(io.Writer) error) error {
	lock, err := lockText(path, 0)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer lock.Close()
	text, err := sealed(device, contents)
	if err != nil {
		return err
	}
	return keystore.WriteFile(path, func(w io.Writer) error { _, err := w.Write(text); return err })
}

// textFile is the file that outlives the process. Its methods are called one at a time.
type textFile struct {
	path, device string
	last         []byte // hash of what this store read or wrote last; nil: there was no file
}

// load puts the working copy where it belongs; a new store has none.
func (t *textFile) load(working string) error {
	text, err := t.read()
	if err != nil || text == nil {
		return err
	}
	if keystore.IsBackup(text) {
		return keystore.ErrBackup
	}
	plain, err := Unseal(text, func() (secret.Bytes, error) { return sealingKey(t.device) })
	if err != nil {
		return err
	}
	t.last = hashOf(text)
	return os.WriteFile(working, plain, 0o600)
}

// read gives the text; nil: there is no file.
func (t *textFile) read() ([]byte, error) {
	info, err := os.Lstat(t.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	switch {
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("it is not a regular file, but %v", info.Mode().Type())
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("group or others have access to it, mode %v: chmod 600 %s", info.Mode(), t.path)
	case info.Size() > maxText:
		return nil, fmt.Errorf("it has %d bytes, at most %d are read", info.Size(), maxText)
	}
	return os.ReadFile(t.path)
}

func hashOf(text []byte) []byte {
	if text == nil {
		return nil
	}
	sum := sha256.Sum256(text)
	return sum[:]
}

// replace seals the contents and puts them in the place of the text file, durably. It overwrites nothing but what this store
// read or wrote last.
func (t *textFile) replace(contents func(io.Writer) error) error {
	now, err := t.read()
	if err != nil {
		return fmt.Errorf("read %s again: %w", t.path, err)
	}
	if !bytes.Equal(hashOf(now), t.last) {
		return fmt.Errorf("%s was replaced, or moved away, while this process had it open, and is left as it is: only one process may use it", t.path)
	}
	text, err := sealed(t.device, contents)
	if err != nil {
		return fmt.Errorf("seal %s: %w", t.path, err)
	}
	dir := filepath.Dir(t.path)
	file, err := keystore.CreateTemp(t.path)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), t.path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", t.path, err), os.Remove(file.Name()))
	}
	t.last = hashOf(text)
	return keystore.SyncDir(dir)
}

func sealed(device string, contents func(io.Writer) error) ([]byte, error) {
	var plain bytes.Buffer
	if err := contents(&plain); err != nil {
		return nil, err
	}
	key, err := sealingKey(device)
	if err != nil {
		return nil, err
	}
	defer key.Wipe()
	return Seal(plain.Bytes(), key)
}

// sealingKey reads the device. The caller wipes the key.
func sealingKey(device string) (secret.Bytes, error) {
	file, err := os.Open(device)
	if errors.Is(err, fs.ErrNotExist) {
		return secret.Bytes{}, fmt.Errorf("%w (%s)", ErrNoDevice, device)
	}
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("%w (%v)", ErrNoDevice, err)
	}
	key, err := io.ReadAll(io.LimitReader(file, keySize+1))
	err = errors.Join(err, file.Close())
	if err == nil && len(key) != keySize {
		err = fmt.Errorf("it gives %d bytes or more, %d are needed", len(key), keySize)
	}
	if err == nil && bytes.Equal(key, make([]byte, keySize)) {
		err = errors.New("it gives zeros")
	}
	if err != nil {
		secret.Wipe(key)
		return secret.Bytes{}, fmt.Errorf("sealing key %s: %w", device, err)
	}
	return secret.New(key), nil
}

// Seal makes the text of a store: PEM (RFC 7468's form, with headers) of nonce ‖ AES-256-GCM, under a key derived from the
// processor's for this text alone.
func Seal(plain []byte, key secret.Bytes) ([]byte, error) {
	random := make([]byte, saltSize+nonceSize)
	rand.Read(random)
	salt, nonce := random[:saltSize], random[saltSize:]
	aead, err := newAEAD(key, salt)
	if err != nil {
		return nil, err
	}
	return encode(salt, aead.Seal(nonce, nonce, plain, place(salt))), nil
}

func encode(salt, body []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: blockType, Headers: map[string]string{"Version": version, "Salt": hex.EncodeToString(salt)}, Bytes: body})
}

// Unseal is the inverse of Seal; what key returns is wiped. Text that is not exactly as Seal writes it is keystore.ErrCorrupt.
func Unseal(text []byte, key func() (secret.Bytes, error)) ([]byte, error) {
	block, rest := pem.Decode(text)
	if block == nil || block.Type != blockType || len(rest) > 0 {
		return nil, corrupt("it is no text of engine \"sgx\"")
	}
	if v := block.Headers["Version"]; v != version {
		return nil, corrupt(fmt.Sprintf("its version is %.20q, this node reads version %q", v, version))
	}
	salt, err := hex.DecodeString(block.Headers["Salt"])
	if err != nil || len(salt) != saltSize || len(block.Bytes) < nonceSize || !bytes.Equal(encode(salt, block.Bytes), text) {
		return nil, corrupt("it is not as this node writes it")
	}
	k, err := key()
	if err != nil {
		return nil, err
	}
	defer k.Wipe()
	aead, err := newAEAD(k, salt)
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, block.Bytes[:nonceSize], block.Bytes[nonceSize:], place(salt))
	if err != nil {
		return nil, corrupt("it was altered, or sealed on another machine, for another signer or for a newer version of the enclave")
	}
	return plain, nil
}

func corrupt(reason string) error { return &keystore.CorruptError{Place: "text file", Reason: reason} }

func place(salt []byte) []byte {
	return wire.SigningBytes("keystore-sgx", []byte(version), salt)
}

func newAEAD(key secret.Bytes, salt []byte) (cipher.AEAD, error) {
	derived, err := hkdf.Key(sha256.New, key.Expose(), salt, string(wire.SigningBytes("keystore-sgx-key")), 32)
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	defer secret.Wipe(derived)
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, fmt.Errorf("AES-256: %w", err)
	}
	return cipher.NewGCM(block)
}
