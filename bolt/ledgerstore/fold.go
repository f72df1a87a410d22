package ledgerstore

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/countersign-mpc/countersign/bolt/boltfile"
)

const (
	// turnKeys is how many keys the front layer gathers, and turnBytes how much, until they are to be moved to their buckets. Many
	// share a page then; they take as much memory, twice, and as much is read when the file is opened after a crash.
	turnKeys  = 1 << 15
	turnBytes = 8 << 20
	// foldKeys and foldBytes are how much a commit moves at least, and foldAll how many keys at most where the file is closed.
	foldKeys  = 128
	foldBytes = 64 << 10
	foldAll   = 1 << 14
	// behindKeys and behindBytes are after how many changes twice as many are moved, where groups are written into tracks: the back
	// layer is in its buckets before the front layer is full.
	behindKeys  = 1024
	behindBytes = 384 << 10
)

// folding is how far the back layer has come into the buckets.
type folding struct {
	bucket byte    // of the next key of back that is to be moved
	at     int     // its place in the order of the bucket's keys
	stored []place // of the commits in the journal's buckets, by their numbers
	end    uint64  // number of the first commit in the journal that is not, or not all, in back
}

// leftover reports whether a commit is in the journal's buckets that is altogether in the others.
func (f *folding) leftover() bool { return len(f.stored) > 0 && f.stored[0].number < f.end }

// order is the keys of a layer's bucket in the order in which they are moved.
type order struct {
	layer  *layer
	bucket byte
	slots  []headed
}

// of returns the keys of a bucket in order. They are put in order once, since a layer that is moved gets no more of them.
func (o *order) of(l *layer, bucket byte) []headed {
	if o.layer != l || o.bucket != bucket {
		*o = order{l, bucket, l.inOrder(bucket)}
	}
	return o.slots
}

// state is what one who moves keys begins with.
type state struct {
	folding
	back      *layer
	committed uint64
}

func (s *Store) state() state {
	s.seenMu.RLock()
	defer s.seenMu.RUnlock()
	return state{s.folding, s.back, s.committed}
}

// pending reports whether there is something to move.
func (s *Store) pending() bool {
	now := s.state()
	return now.pending()
}

func (f *state) pending() bool { return f.back != nil || f.leftover() }

// whole reports whether all that the back layer holds is on disk. What is not is not moved: the layer waits for its last group. From
// then on nobody changes its slots and cells, which may be read without its lock.
func (f *state) whole() bool { return f.end <= f.committed+1 }

// turnLayers makes the front layer, in which the group with a number was the last one, the one that is moved. Nothing is being
// moved.
func (s *Store) turnLayers(last uint64) {
	next := newLayer(s.front)
	s.seenMu.Lock()
	defer s.seenMu.Unlock()
	s.back, s.front = s.front, next
	s.folding.bucket, s.folding.at, s.folding.end = 0, 0, last+1
	s.turned, s.late = last+1, len(s.tracks) == 0
}

// fold moves about so many keys or bytes of the back layer to their buckets, in their order, and takes what is there altogether
// out of the journal, the oldest commits first. It reports whether nothing of the layer is left. It is called under foldMu.
func (s *Store) fold(t *boltfile.Tx, f *state, keys, bytes int) (done bool, err error) {
	if !f.whole() {
		return false, nil
	}
	for names := journaled(); f.back != nil && int(f.bucket) < len(names); f.bucket, f.at = f.bucket+1, 0 {
		for slots := s.order.of(f.back, f.bucket); f.at < len(slots); f.at++ {
			if keys <= 0 || bytes <= 0 {
				return false, nil
			}
			moved := slots[f.at].slot
			if err := s.move(t, names[f.bucket], moved); err != nil {
				return false, err
			}
			keys, bytes = keys-1, bytes-len(moved.key)-len(moved.top.value)
		}
	}
	if f.back != nil && len(s.tracks) > 0 {
		if err := t.Put(bucketTracks, keyFrom, binary.BigEndian.AppendUint64(nil, f.end)); err != nil {
			return false, err
		}
	}
	for ; f.leftover() && keys > 0; keys-- {
		if err := t.Delete(f.stored[0].bucket, journalKey(f.stored[0].number)); err != nil {
			return false, err
		}
		f.stored = f.stored[1:]
	}
	return true, nil
}

// move writes the newest value of a key into its bucket, also where the front layer has a newer one by now, which lies over it.
func (s *Store) move(t *boltfile.Tx, bucket string, from *slot) error {
	s.key = append(s.key[:0], from.key...)
	if from.top.gone {
		return t.Delete(bucket, s.key)
	}
	room := s.moved.take(boltfile.Room + len(from.top.value))
	copy(room[boltfile.Room:], from.top.value)
	return t.PutRoom(bucket, s.key, room)
}

// arena gives out memory for what a transaction writes, and takes it back when that has ended. It is for one goroutine.
type arena struct{ free []byte }

const (
	arenaLeast = 64 << 10
	arenaMost  = 4 << 20 // is kept
)

// take returns size bytes, which hold anything.
func (a *arena) take(size int) []byte {
	if size > cap(a.free)-len(a.free) {
		a.free = make([]byte, 0, max(2*cap(a.free), size, arenaLeast))
	}
	at := len(a.free)
	a.free = a.free[:at+size]
	return a.free[at : at+size : at+size]
}

func (a *arena) reset() {
	if a.free = a.free[:0]; cap(a.free) > arenaMost {
		a.free = nil
	}
}

// write writes a group into the journal. When it returns nil it is on disk.
func (s *Store) write(g *group) error {
	if len(g.changed) == 0 {
		return nil
	}
	defer s.arena.reset()
	if written, err := s.writeTrack(g); written || err != nil {
		return err
	}
	s.foldMu.Lock()
	defer s.foldMu.Unlock()
	defer s.moved.reset()
	t, err := s.file.Begin(context.Background(), true)
	if err != nil {
		return err
	}
	f, value := s.state(), marshalChanges(g.changed, boltfile.Room, s.arena.take)
	if err := t.PutRoom(bucketCommits, journalKey(g.number), value); err != nil {
		return errors.Join(err, t.Rollback())
	}
	f.stored = append(f.stored, place{g.number, bucketCommits})
	done, err := s.fold(t, &f, max(min(foldKeys, s.turn), 4*len(g.changed)), max(foldBytes, 4*len(value)))
	if err != nil {
		return errors.Join(err, t.Rollback())
	}
	return s.end(t, f, done, g.number)
}

// catchUp has a part of the back layer moved to its place, beside the groups that follow, after a group was written into a track and
// its callers know. What cannot be written stays in the track; once there is no room in that, groups fail.
func (s *Store) catchUp(g *group) {
	s.makeTracks()
	if len(s.tracks) == 0 || !s.pending() {
		return
	}
	s.behind.keys += len(g.changed)
	for _, c := range g.changed {
		s.behind.bytes += len(c.slot.key) + len(c.to.value)
	}
	if s.behind.keys < min(behindKeys, s.turn) && s.behind.bytes < behindBytes || !s.besides.CompareAndSwap(false, true) {
		return
	}
	keys, bytes := 2*max(behindKeys, s.behind.keys), 2*max(behindBytes, s.behind.bytes)
	s.behind.keys, s.behind.bytes = 0, 0
	s.beside.Go(func() {
		defer s.besides.Store(false)
		_ = s.foldApart(keys, bytes)
	})
}

// foldApart moves what fold does in a transaction of its own.
func (s *Store) foldApart(keys, bytes int) error {
	s.foldMu.Lock()
	defer s.foldMu.Unlock()
	defer s.moved.reset()
	f := s.state()
	if !f.pending() || !f.whole() {
		return nil
	}
	t, err := s.file.Begin(context.Background(), true)
	if err != nil {
		return err
	}
	done, err := s.fold(t, &f, keys, bytes)
	if err != nil {
		return errors.Join(err, t.Rollback())
	}
	return s.end(t, f, done, f.committed)
}

// end commits; a view sees either all of it or nothing. Groups may have been committed since f was read.
func (s *Store) end(t *boltfile.Tx, f state, done bool, committed uint64) error {
	if err := t.Commit(); err != nil {
		return err
	}
	s.seenMu.Lock()
	defer s.seenMu.Unlock()
	s.folding = f.folding
	if committed > s.committed {
		s.committed = committed
	}
	if done {
		s.back, s.order = nil, order{}
	}
	return nil
}

// settle moves everything to its bucket, before the file is closed. What cannot be written stays in the journal.
func (s *Store) settle() error {
	for {
		if keys, _ := s.front.size(); !s.pending() && keys > 0 {
			s.turnLayers(s.committed)
		}
		if !s.pending() {
			return nil
		}
		if err := s.foldApart(foldAll, turnBytes); err != nil {
			return err
		}
	}
}
