package keystore

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"unicode"
	"unicode/utf8"

	"github.com/countersign-mpc/countersign/internal/secret"
	"github.com/countersign-mpc/countersign/wire"
)

// OutsideKey is a key that lives outside of the store, as in a PKCS #11 token, and wraps the master key beside the password,
// so that a store can be unsealed without people. It removes what t-of-n segments give: whoever can use that key opens the
// store alone.
type OutsideKey interface {
	// Name tells people which key it is: 1 to 200 bytes of printable UTF-8. It stands in the file in the clear.
	Name() string
	// Wrap encrypts the 32 bytes of the master key, bound to place, into at most 1024 bytes.
	Wrap(master, place []byte) ([]byte, error)
	// Unwrap is the inverse of Wrap; it fails for another place.
	Unwrap(wrapped, place []byte) ([]byte, error)
}

// ErrNoAuto: no key outside of the store opens it.
var ErrNoAuto = errors.New("auto-unseal is not enabled in this key store")

const (
	autoVersion    = 1
	maxAutoName    = 200  // bytes
	maxAutoWrapped = 1024 // bytes
)

// autoRecord holds the master key, wrapped by a key outside:
//
//	version (1) ‖ length of name (1) ‖ name ‖ length of wrapped (2) ‖ wrapped ‖ checksum (32)
//
// The root record covers it together with the seal record, so that it cannot be put back once it was removed.
type autoRecord struct {
	name    string
	wrapped []byte
}

func checkAutoName(name string) error {
	if name == "" || len(name) > maxAutoName || !utf8.ValidString(name) {
		return fmt.Errorf("its name must be 1 to %d bytes of UTF-8", maxAutoName)
	}
	for _, r := range name {
		if !unicode.IsPrint(r) {
			return errors.New("its name holds what cannot be printed")
		}
	}
	return nil
}

// autoPlace is what the wrapped key is bound to.
func autoPlace(h header, name string) []byte {
	return wire.SigningBytes("keystore-auto", h.encode(), []byte(name))
}

func newAuto(h header, key OutsideKey, master secret.Bytes) ([]byte, error) {
	r := autoRecord{name: key.Name()}
	if err := checkAutoName(r.name); err != nil {
		return nil, fmt.Errorf("key for auto-unseal: %w", err)
	}
	var err error
	if r.wrapped, err = key.Wrap(master.Expose(), autoPlace(h, r.name)); err != nil {
		return nil, err
	}
	if len(r.wrapped) == 0 || len(r.wrapped) > maxAutoWrapped {
		return nil, fmt.Errorf("key for auto-unseal: it made %d bytes of the master key, 1 to %d are needed", len(r.wrapped), maxAutoWrapped)
	}
	back, err := r.open(h, key) // a key that cannot undo it is found out now, not at the next start
	if err != nil {
		return nil, err
	}
	defer back.Wipe()
	if !back.Equal(master) {
		return nil, errors.New("key for auto-unseal: it does not give back what it wrapped")
	}
	return r.encode(h), nil
}

func (r autoRecord) open(h header, key OutsideKey) (secret.Bytes, error) {
	if name := key.Name(); name != r.name {
		return secret.Bytes{}, fmt.Errorf("auto-unseal was enabled with %q, and the configuration names %q", r.name, name)
	}
	master, err := key.Unwrap(r.wrapped, autoPlace(h, r.name))
	if err != nil {
		return secret.Bytes{}, err
	}
	if len(master) != masterSize {
		secret.Wipe(master)
		return secret.Bytes{}, fmt.Errorf("%q gave %d bytes, not a master key", r.name, len(master))
	}
	return secret.New(master), nil
}

func (r autoRecord) encode(h header) []byte {
	out := append([]byte{autoVersion, byte(len(r.name))}, r.name...)
	out = binary.BigEndian.AppendUint16(out, uint16(len(r.wrapped)))
	out = append(out, r.wrapped...)
	sum := autoChecksum(h, out)
	return append(out, sum[:]...)
}

func parseAuto(b []byte, h header) (autoRecord, error) {
	r, err := decodeAuto(b, h)
	if err != nil {
		return autoRecord{}, corrupt("auto-unseal record", "%v", err)
	}
	return r, nil
}

func decodeAuto(b []byte, h header) (autoRecord, error) {
	if len(b) < 4+sha256.Size {
		return autoRecord{}, errors.New("it is cut short")
	}
	if b[0] != autoVersion {
		return autoRecord{}, fmt.Errorf("its version is %d, this node reads version %d", b[0], autoVersion)
	}
	body, sum := b[:len(b)-sha256.Size], [sha256.Size]byte(b[len(b)-sha256.Size:])
	if autoChecksum(h, body) != sum {
		return autoRecord{}, errors.New("its checksum is wrong")
	}
	rest := body[2:]
	if len(rest) < int(body[1])+2 {
		return autoRecord{}, errors.New("its length is wrong")
	}
	r := autoRecord{name: string(rest[:body[1]])}
	rest = rest[body[1]:]
	r.wrapped = append(r.wrapped, rest[2:]...)
	if n := len(r.wrapped); int(binary.BigEndian.Uint16(rest)) != n || n == 0 || n > maxAutoWrapped {
		return autoRecord{}, errors.New("its length is wrong")
	}
	return r, checkAutoName(r.name)
}

func autoChecksum(h header, body []byte) [sha256.Size]byte {
	return sha256.Sum256(wire.SigningBytes("keystore-auto-checksum", h.encode(), body))
}

// EnableAuto ends a change that has begun in another way than Commit: the password stays, and key, too, opens the store from
// now on, by UnsealAuto. It replaces what was enabled before. Errors are those of Commit and of key.
func (c *Change) EnableAuto(ctx context.Context, key OutsideKey) error {
	release, err := c.s.acquire(ctx)
	if err != nil {
		return fmt.Errorf("enable auto-unseal: %w", err)
	}
	defer release()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.master.Len() == 0 {
		return errChangeOver
	}
	if err := c.s.wantState(Unsealed, ErrSealed); err != nil {
		return err
	}
	record, err := newAuto(c.s.header, key, c.master)
	if err != nil {
		return fmt.Errorf("enable auto-unseal: %w", err) // the change goes on: a token may have to be put in
	}
	defer c.master.Wipe()
	err = c.s.replaceSeal(c.record, c.record, record)
	if err == nil {
		err = c.s.scrub()
	}
	if err != nil {
		return fmt.Errorf("enable auto-unseal: %w", err)
	}
	return nil
}

// DisableAuto removes the wrapping of an unsealed store by a key outside. Copies that were made before still open with that
// key. ErrNoAuto: there is none.
func (s *Store) DisableAuto(ctx context.Context) error {
	release, err := s.acquire(ctx)
	if err != nil {
		return fmt.Errorf("disable auto-unseal: %w", err)
	}
	defer release()
	if err := s.wantState(Unsealed, ErrSealed); err != nil {
		return err
	}
	auto, err := s.auto()
	if err != nil {
		return err
	}
	if auto == nil {
		return ErrNoAuto
	}
	_, seal, err := s.sealed()
	if err == nil {
		err = s.replaceSeal(seal, seal, nil)
	}
	if err == nil {
		err = s.scrub()
	}
	if err != nil {
		return fmt.Errorf("disable auto-unseal: %w", err)
	}
	return nil
}

// UnsealAuto is Unseal by the key outside that EnableAuto was given. ErrNoAuto: there is none.
func (s *Store) UnsealAuto(ctx context.Context, key OutsideKey) error {
	release, err := s.acquire(ctx)
	if err != nil {
		return fmt.Errorf("unseal key store %s: %w", s.cfg.Path, err)
	}
	defer release()
	if err := s.wantState(Sealed, ErrUnsealed); err != nil {
		return err
	}
	raw, err := s.auto()
	if err != nil {
		return err
	}
	if raw == nil {
		return ErrNoAuto
	}
	record, err := parseAuto(raw, s.header)
	if err != nil {
		return err
	}
	master, err := record.open(s.header, key)
	if err != nil {
		return fmt.Errorf("unseal key store %s: %w", s.cfg.Path, err)
	}
	defer master.Wipe()
	_, seal, err := s.sealed()
	if err == nil {
		err = s.load(ctx, master, seal)
	}
	if err != nil {
		return fmt.Errorf("unseal key store %s: %w", s.cfg.Path, err)
	}
	return nil
}

// auto returns the auto-unseal record as it stands in the file; nil if there is none.
func (s *Store) auto() (raw []byte, err error) {
	err = s.viewFile(func(f fileTx) error {
		if b := f.get(keyAuto); b != nil {
			raw = append([]byte{}, b...)
		}
		return nil
	})
	return raw, err
}
