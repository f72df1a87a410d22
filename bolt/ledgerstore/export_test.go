package ledgerstore

import (
	"bytes"
	"errors"
	"time"
)

// smallTrack is room for a few groups.
const smallTrack = 16 * trackPage

// SmallTrack is smallTrack.
const SmallTrack = smallTrack

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

// Settled waits until nothing is written to the file.
func (s *Store) Settled() {
	s.groupMu.Lock()
	s.quiet()
	s.groupMu.Unlock()
	s.beside.Wait()
}

// Unsynced notes what was written into the tracks of a store and not synced.
type Unsynced struct {
	inPlace
	before map[int64][]byte // by offset: what stood there when all of it was on disk
}

// Watch watches a store's tracks, if they are not watched and there are some. Nothing may be written meanwhile.
func (s *Store) Watch() (tracks []*Unsynced) {
	for _, t := range s.tracks {
		u, ok := t.space.(*Unsynced)
		if !ok {
			u = &Unsynced{t.space, map[int64][]byte{}}
			t.space = u
		}
		tracks = append(tracks, u)
	}
	return tracks
}

func (u *Unsynced) Write(p []byte, off int64) error {
	if _, noted := u.before[off]; !noted {
		u.before[off] = make([]byte, len(p))
		if _, err := u.ReadAt(u.before[off], off); err != nil {
			return err
		}
	}
	return u.inPlace.Write(p, off)
}

func (u *Unsynced) WriteThrough(p []byte, off int64) error {
	delete(u.before, off)
	return u.inPlace.WriteThrough(p, off)
}

// Lose takes out of a file's bytes what was not synced, as far as it stands in the track's head.
func (u *Unsynced) Lose(file []byte) error {
	before, ok := u.before[0]
	if !ok {
		return nil
	}
	now := make([]byte, len(before))
	if _, err := u.ReadAt(now, 0); err != nil {
		return err
	}
	at := bytes.Index(file, now)
	if at < 0 {
		return errors.New("the track's head is not found in the file")
	}
	copy(file[at:], before)
	return nil
}

// FirstIn is track.firstIn of a track that holds nothing.
func FirstIn(pages []byte, most int64) (number uint64, summed int64) {
	t := track{salt: make([]byte, saltSize)}
	return t.firstIn(pages, 1, most)
}
