package ledgerstore

import "time"

// smallTrack is room for a few groups.
const smallTrack = 16 * trackPage

// OpenTurning is Open of a store that moves what it has gathered to its buckets as soon as that is so many keys, with small tracks.
func OpenTurning(cfg Config, keys int) (*Store, error) { return open(cfg, keys, smallTrack) }

// Journaled is journaled.
func Journaled() []string { return journaled() }

// SetPatience sets for how long a group waits at most for updates that are on their way.
func (s *Store) SetPatience(d time.Duration) { s.patience = d }

// Gathered is how many updates have run and are not handed over to be committed.
func (s *Store) Gathered() int {
	s.groupMu.Lock()
	defer s.groupMu.Unlock()
	return len(s.open.calls)
}

// Committed is the number of the last group that is on disk.
func (s *Store) Committed() uint64 { return s.state().committed }
