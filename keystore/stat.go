package keystore

import (
	"encoding/hex"
	"fmt"
	"maps"
	"time"
)

// Stat describes a store. It holds nothing secret.
type Stat struct {
	State    State
	Bytes    int64          // of the file that are in use
	ID       string         // random id of the store, 32 hex digits; the same in its backups
	Created  time.Time      // when the file was made, UTC
	Format   int            // of the file
	KDF      string         // "argon2id", or "hkdf" of segments; empty if uninitialised
	Argon2   Argon2         // cost of the current password; zero if uninitialised or sealed with segments
	Password string         // names the current password: 16 hex digits, others after each change; empty if uninitialised
	Auto     string         // names the key outside of the store that opens it, too (auto-unseal); empty: none does
	Sequence uint64         // commits since Init; rises by one with each. 0 unless unsealed
	Records  map[string]int // records in each bucket that has any; nil unless unsealed
	// Unscrubbed: what a change of the password replaced may still be in the file, see ErrUnscrubbed.
	Unscrubbed bool
}

// Stat returns a description of the store. Until the first Unseal its ID, time and cost are what the file claims.
func (s *Store) Stat() (Stat, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.done {
		return Stat{}, ErrClosed
	}
	if failure := s.failed.Load(); failure != nil {
		return Stat{}, *failure
	}
	stat := Stat{
		State:   s.state,
		ID:      hex.EncodeToString(s.header.id[:]),
		Created: time.Unix(int64(s.header.created), 0).UTC(),
		Format:  1,

		Unscrubbed: s.unscrubbed.Load(),
	}
	err := s.viewFile(func(f fileTx) error {
		stat.Bytes = f.size()
		raw := f.get(keySeal)
		if raw == nil {
			return nil
		}
		record, err := parseSeal(raw, s.header)
		if err != nil {
			return err
		}
		stat.KDF, stat.Argon2, stat.Password = "argon2id", record.argon2, passwordName(s.header, raw)
		if record.set != nil {
			stat.KDF = "hkdf"
		}
		if raw := f.get(keyAuto); raw != nil {
			auto, err := parseAuto(raw, s.header)
			stat.Auto = auto.name
			return err
		}
		return nil
	})
	if err != nil {
		return Stat{}, fmt.Errorf("describe key store: %w", err)
	}
	if snap := s.committed.Load(); snap != nil {
		stat.Sequence, stat.Records = snap.root.seq, maps.Clone(snap.counts)
	}
	return stat, nil
}

// passwordName tells one password of a store from another, without saying anything of either.
func passwordName(h header, seal []byte) string {
	sum := sealHash(h, seal, nil)
	return hex.EncodeToString(sum[:8])
}
