package auditlog

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/countersign-mpc/countersign/internal/secret"
)

// Key signs a log's checkpoints: an Ed25519 note key (golang.org/x/mod/sumdb/note) whose name is the log's origin. It
// prints as its public key. Safe for concurrent use.
type Key struct {
	signer note.Signer
	public string
	secret secret.Bytes // the encoded private key; only Marshal gives it out
}

// GenerateKey makes a key for the log of this origin: a name like "callback.example.com/countersign", without blanks and
// without '+', that tells one log from another.
func GenerateKey(origin string) (*Key, error) {
	if err := checkOrigin(origin); err != nil {
		return nil, err
	}
	encoded, _, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		return nil, fmt.Errorf("make the audit log's key: %w", err)
	}
	return ParseKey([]byte(encoded))
}

func checkOrigin(origin string) error {
	if origin == "" || len(origin) > 200 || strings.ContainsFunc(origin, func(r rune) bool {
		return r <= ' ' || r > '~' || r == '+'
	}) {
		return errors.New("the audit log's origin must be 1 to 200 printable ASCII characters without blanks and '+'")
	}
	return nil
}

// ParseKey reads what Marshal wrote. Its errors do not repeat the input.
func ParseKey(encoded []byte) (*Key, error) {
	text := bytes.TrimSpace(encoded)
	signer, err := note.NewSigner(string(text))
	if err != nil {
		return nil, errMalformedKey
	}
	if err := checkOrigin(signer.Name()); err != nil {
		return nil, err
	}
	public, err := publicOf(text, signer.Name())
	if err != nil {
		return nil, err
	}
	return &Key{signer: signer, public: public, secret: secret.Copy(text)}, nil
}

var errMalformedKey = errors.New("the audit log's key is not a note signing key (PRIVATE+KEY+name+hash+base64)")

// publicOf derives the verifier key, which package note gives out only when it makes a key. NewSigner has checked text.
func publicOf(text []byte, name string) (string, error) {
	parts := strings.SplitN(string(text), "+", 5) // base64 has '+' too: it is the rest
	if len(parts) != 5 {
		return "", errMalformedKey
	}
	raw, err := base64.StdEncoding.DecodeString(parts[4])
	if err != nil || len(raw) != 1+ed25519.SeedSize {
		return "", errMalformedKey
	}
	defer secret.Wipe(raw)
	pub := ed25519.NewKeyFromSeed(raw[1:]).Public().(ed25519.PublicKey)
	return note.NewEd25519VerifierKey(name, pub)
}

// Origin is the name of the log.
func (k *Key) Origin() string { return k.signer.Name() }

// Public is the verifier key: name+hash+base64, in the form of package note. It is what auditors hold.
func (k *Key) Public() string { return k.public }

// Marshal is the key with its secret, for the place where it is kept.
func (k *Key) Marshal() []byte { return bytes.Clone(k.secret.Expose()) }

// String is the public key.
func (k *Key) String() string { return k.public }

// GoString is the public key.
func (k *Key) GoString() string { return k.public }

// LogValue is the public key.
func (k *Key) LogValue() slog.Value { return slog.StringValue(k.public) }

// OpenKey reads the key in the file at path or, if there is no file, makes one for origin and writes it there with mode
// 0600. An existing key for another origin is refused, and so is a file that others may read.
func OpenKey(path, origin string) (*Key, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return createKey(path, origin)
	}
	if err != nil {
		return nil, fmt.Errorf("open the audit log's key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("open the audit log's key: %s can be read by others (mode %04o): chmod 600 it", path, info.Mode().Perm())
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("open the audit log's key: %w", err)
	}
	k, err := ParseKey(data)
	if err != nil {
		return nil, fmt.Errorf("open the audit log's key in %s: %w", path, err)
	}
	if k.Origin() != origin {
		return nil, fmt.Errorf("open the audit log's key: %s holds the key of %q, but the configured origin is %q", path, k.Origin(), origin)
	}
	return k, nil
}

// createKey writes a new key so that the file has it whole or does not exist, and a process that lost the race uses the
// winner's key.
func createKey(path, origin string) (*Key, error) {
	k, err := GenerateKey(origin)
	if err != nil {
		return nil, err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".key-*") // mode 0600
	if err != nil {
		return nil, fmt.Errorf("write the audit log's key: %w", err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(append(k.Marshal(), '\n'))
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err != nil {
		return nil, fmt.Errorf("write the audit log's key: %w", err)
	}
	if err := os.Link(tmp.Name(), path); errors.Is(err, fs.ErrExist) {
		return OpenKey(path, origin)
	} else if err != nil {
		return nil, fmt.Errorf("write the audit log's key: %w", err)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("write the audit log's key: %w", err)
	}
	if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
		return nil, fmt.Errorf("write the audit log's key: %w", err)
	}
	return k, nil
}
