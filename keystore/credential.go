package keystore

import (
	"errors"
	"fmt"

	"github.com/countersign-mpc/countersign/internal/secret"
	"github.com/countersign-mpc/countersign/keystore/segment"
)

// Credential is what a store is or will be sealed with: a password, or the secret of a set of segments. It holds a secret,
// and prints as one.
type Credential struct {
	secret secret.Bytes
	set    *segment.Manifest // nil: a password
}

// Password makes a credential of a password, which stays the caller's to wipe.
func Password(password secret.Bytes) Credential { return Credential{secret: password} }

// Segments makes a credential of t segments. It fails unless they are there and fit all others of the set. The caller wipes
// the credential.
func Segments(c *segment.Collection) (Credential, error) {
	s, err := c.Secret()
	if err != nil {
		return Credential{}, err
	}
	return Credential{secret: s, set: c.Manifest()}, nil
}

// Wipe overwrites the secret.
func (c Credential) Wipe() { c.secret.Wipe() }

// ErrKind: the store is sealed with segments and a password was given, or the other way round.
var ErrKind = errors.New("wrong kind of password")

// check refuses a new password that is too weak. Segments are random.
func (c Credential) check() error {
	if c.set == nil {
		return CheckPassword(c.secret)
	}
	return nil
}

// fits tells whether a record can be opened with a credential of this kind and set.
func (c Credential) fits(set *segment.Manifest) error {
	switch {
	case set == nil && c.set == nil:
		return nil
	case set == nil:
		return fmt.Errorf("%w: the store is sealed with one password, not with segments", ErrKind)
	case c.set == nil:
		return fmt.Errorf("%w: the store is sealed with segments, %d of %d of set %x are needed", ErrKind, set.T, set.N, set.ID)
	case !c.set.Equal(set):
		return fmt.Errorf("%w: the store is sealed with set %x, these are of set %x", segment.ErrOtherSet, set.ID, c.set.ID)
	}
	return nil
}

// SegmentSet describes the segments that the store is sealed with; nil if it has one password. ErrUninitialised.
func (s *Store) SegmentSet() (*segment.Manifest, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.done {
		return nil, ErrClosed
	}
	if s.state == Uninitialised {
		return nil, ErrUninitialised
	}
	record, _, err := s.sealed()
	if err != nil {
		return nil, err
	}
	return record.set, nil
}

// sealed reads the current seal record, parsed and as it stands in the file.
func (s *Store) sealed() (*sealRecord, []byte, error) {
	var raw []byte
	err := s.viewFile(func(f fileTx) error {
		raw = append(raw, f.get(keySeal)...)
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	record, err := parseSeal(raw, s.header)
	return record, raw, err
}
