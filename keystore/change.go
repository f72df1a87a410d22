package keystore

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/countersign-mpc/countersign/internal/secret"
)

// Change is a change of the password (or of all segments) that has begun: the present one was right. It holds the master key
// until Commit or Cancel. Safe for concurrent use.
type Change struct {
	s      *Store
	record []byte // the seal record that the present password opened

	mu     sync.Mutex // guards master
	master secret.Bytes
}

// BeginChange checks the present password of an unsealed store. Errors are those of Unseal, back-off included; the count of
// wrong passwords is shared with it. Nothing is changed yet.
func (s *Store) BeginChange(ctx context.Context, present Credential) (*Change, error) {
	release, err := s.acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("check the present password: %w", err)
	}
	defer release()
	if err := s.wantState(Unsealed, ErrSealed); err != nil {
		return nil, err
	}
	master, record, err := s.attempt(present)
	if err != nil {
		return nil, fmt.Errorf("check the present password: %w", err)
	}
	return &Change{s: s, record: record, master: master}, nil
}

// attempt unwraps the master key and counts wrong passwords. The caller holds the barrier.
func (s *Store) attempt(present Credential) (secret.Bytes, []byte, error) {
	if err := s.backoff.check(s.cfg.Now()); err != nil {
		return secret.Bytes{}, nil, err
	}
	master, record, err := s.unwrap(present)
	if errors.Is(err, ErrWrongPassword) {
		s.backoff.fail(s.cfg.Now())
	}
	if err == nil {
		s.backoff = backoff{}
	}
	return master, record, err
}

var errChangeOver = errors.New("this change of the password is over: begin it again")

// Commit wraps the master key under the new password and makes that durable in one transaction: a crash leaves the old one
// or the new one, and after an error the old one holds (with ErrFailed that is unknown until the store is opened again).
// ErrUnscrubbed is the exception: the new one holds, and the old one may still be in the file.
// ErrWeakPassword leaves the change open for another try; whatever else ends it. The store stays unsealed. Copies of the
// file that were made before still open with the old password: Rekey is the answer to that.
func (c *Change) Commit(ctx context.Context, next Credential) error {
	if err := next.check(); err != nil {
		return err
	}
	release, err := c.s.acquire(ctx)
	if err != nil {
		return fmt.Errorf("change password: %w", err)
	}
	defer release()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.master.Len() == 0 {
		return errChangeOver
	}
	defer c.master.Wipe()
	if err := c.s.wantState(Unsealed, ErrSealed); err != nil {
		return err
	}
	record, err := newSeal(c.s.cfg.Argon2, c.s.header, next, c.master)
	if err != nil {
		return fmt.Errorf("change password: %w", err)
	}
	auto, err := c.s.auto() // wraps the same master key
	if err == nil {
		err = c.s.replaceSeal(c.record, record, auto)
	}
	if err == nil {
		err = c.s.scrub()
	}
	if err != nil {
		return fmt.Errorf("change password: %w", err)
	}
	return nil
}

// Cancel ends a change that was not committed.
func (c *Change) Cancel() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.master.Wipe()
}

// replaceSeal puts another seal record, another auto-unseal record (nil: none) and the root that names them in place of what is
// there, which must be the seal record expected. The caller holds the barrier.
func (s *Store) replaceSeal(expected, record, auto []byte) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	present, err := s.auto()
	if err != nil {
		return err
	}
	base := s.committed.Load()
	if base.root.seal != sealHash(s.header, expected, present) {
		return errChangeOver // another change was committed meanwhile
	}
	next := base.root
	next.seq++
	next.seal = sealHash(s.header, record, auto)
	envelope, err := s.keys.sealRoot(next)
	if err != nil {
		return err
	}
	file, err := s.begin(true)
	if err != nil {
		return err
	}
	tx := &Tx{s: s, file: file, base: base}
	defer tx.end()
	if err := tx.checkRoot(); err != nil {
		return err
	}
	err = guard("seal record", func() error {
		if auto == nil {
			return errors.Join(file.put(keySeal, record), file.delete(keyAuto), file.put(keyRoot, envelope))
		}
		return errors.Join(file.put(keySeal, record), file.put(keyAuto, auto), file.put(keyRoot, envelope))
	})
	if err != nil {
		return err
	}
	if err := s.commitFile(file, base.envelope); err != nil {
		return err
	}
	s.committed.Store(&snapshot{root: next, envelope: envelope, counts: base.counts})
	return nil
}
