package keystore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/countersign-mpc/countersign/internal/secret"
)

// Init makes the master key, wraps it under password and leaves the store Unsealed and empty, durably. The password
// must pass CheckPassword (ErrWeakPassword). A store that has a master key already is not touched (ErrInitialised).
// The caller keeps and wipes password. A cancelled ctx stops Init before the file is changed, never in between.
func (s *Store) Init(ctx context.Context, password secret.Bytes) error {
	return s.InitWith(ctx, Password(password))
}

// InitWith is Init with a password or with segments.
func (s *Store) InitWith(ctx context.Context, under Credential) error {
	if err := under.check(); err != nil {
		return err
	}
	release, err := s.acquire(ctx)
	if err != nil {
		return fmt.Errorf("initialise key store %s: %w", s.cfg.Path, err)
	}
	defer release()
	if err := s.wantState(Uninitialised, ErrInitialised); err != nil {
		return err
	}
	master := secret.New(make([]byte, masterSize))
	defer master.Wipe()
	rand.Read(master.Expose()) // never fails: crypto/rand ends the process instead
	record, err := newSeal(s.cfg.Argon2, s.header, under, master)
	if err != nil {
		return fmt.Errorf("initialise key store %s: %w", s.cfg.Path, err)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("initialise key store %s: %w", s.cfg.Path, err)
	}
	if err := s.writeInit(master, record); err != nil {
		return fmt.Errorf("initialise key store %s: %w", s.cfg.Path, err)
	}
	return nil
}

// writeInit stores the first seal record with an empty root, and unseals. The caller holds the barrier.
func (s *Store) writeInit(master secret.Bytes, record []byte) error {
	k, err := deriveKeys(master, s.header)
	if err != nil {
		return err
	}
	first := root{seq: 1, seal: sealHash(s.header, record, nil)}
	envelope, err := k.sealRoot(first)
	if err != nil {
		k.wipe()
		return err
	}
	err = s.writeFile(func(f fileTx) error {
		return errors.Join(f.put(keySeal, record), f.put(keyRoot, envelope))
	})
	if err != nil {
		k.wipe()
		return err
	}
	s.install(k, &snapshot{root: first, envelope: envelope, counts: map[string]int{}})
	return nil
}

// Unseal opens the store with password and authenticates every record in it, which takes time in proportion to the
// size of the file (some seconds for a gigabyte). Errors: ErrWrongPassword; ErrBackoff, after more than a few wrong
// passwords in a row, without looking at the password; ErrCorrupt, naming what is damaged; ErrUninitialised; ErrUnsealed.
// The caller keeps and wipes password. ctx is looked at before and after the key derivation, and between records.
func (s *Store) Unseal(ctx context.Context, password secret.Bytes) error {
	return s.UnsealWith(ctx, Password(password))
}

// UnsealWith is Unseal with a password or with segments; ErrKind if the store is sealed with the other.
func (s *Store) UnsealWith(ctx context.Context, under Credential) error {
	release, err := s.acquire(ctx)
	if err != nil {
		return fmt.Errorf("unseal key store %s: %w", s.cfg.Path, err)
	}
	defer release()
	if err := s.wantState(Sealed, ErrUnsealed); err != nil {
		return err
	}
	master, record, err := s.attempt(under)
	if err != nil {
		return fmt.Errorf("unseal key store %s: %w", s.cfg.Path, err)
	}
	defer master.Wipe()
	if err := s.load(ctx, master, record); err != nil {
		return fmt.Errorf("unseal key store %s: %w", s.cfg.Path, err)
	}
	return nil
}

// unwrap returns the master key and the seal record that it came from.
func (s *Store) unwrap(under Credential) (secret.Bytes, []byte, error) {
	record, raw, err := s.sealed()
	if err != nil {
		return secret.Bytes{}, nil, err
	}
	master, err := record.open(s.header, under)
	return master, raw, err
}

// load authenticates the whole content under master and installs the keys.
func (s *Store) load(ctx context.Context, master secret.Bytes, record []byte) error {
	k, err := deriveKeys(master, s.header)
	if err != nil {
		return err
	}
	var snap *snapshot
	err = s.viewFile(func(f fileTx) error {
		snap, err = authenticate(ctx, f, k, sealHash(s.header, record, f.get(keyAuto)))
		return err
	})
	if err != nil {
		k.wipe()
		return err
	}
	_ = s.scrub() // Stat tells if that failed: a full disk is no reason not to open
	s.install(k, snap)
	return nil
}

// Seal wipes the keys. It waits for running transactions; those that start later get ErrSealed. It must not be called
// from inside View or Update. On a store that is not unsealed it does nothing.
func (s *Store) Seal() {
	<-s.barrier
	defer func() { s.barrier <- struct{}{} }()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget()
}

// forget wipes the keys; the caller holds mu.
func (s *Store) forget() {
	if s.state != Unsealed {
		return
	}
	s.keys.wipe()
	s.keys = nil
	s.committed.Store(nil)
	s.state = Sealed
}

func (s *Store) install(k *keys, snap *snapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = k
	s.committed.Store(snap)
	s.state = Unsealed
}

// acquire takes the barrier, so that key derivations run one at a time and their memory is bounded.
func (s *Store) acquire(ctx context.Context) (release func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case <-s.barrier:
		return func() { s.barrier <- struct{}{} }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// wantState returns nil in state want, ErrUninitialised where there is nothing to unseal, else otherwise.
func (s *Store) wantState(want State, otherwise error) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.done {
		return ErrClosed
	}
	if failure := s.failed.Load(); failure != nil {
		return *failure
	}
	if s.state == want {
		return nil
	}
	if s.state == Uninitialised {
		return ErrUninitialised
	}
	return otherwise
}
