package ledgerstore

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"

	"github.com/countersign-mpc/countersign/bolt/boltfile"
)

const (
	// bucketTracks holds what was said of the tracks in transactions: keyFrom -> the first commit that is not in the buckets altogether;
	// the key of a track -> that there is one.
	bucketTracks = "tracks"
	// bucketSpace holds the tracks themselves: a boltfile.Space each.
	bucketSpace = "space"
	// trackCount: what one layer has gathered lies in one track. While that is moved to its buckets the next layer has the other one.
	trackCount = 2
	// trackBytes is how large a track is: that much lies on disk twice, once a layer was full for the first time.
	trackBytes = 12 << 20
	// trackFull is the part of a track, in hundredths, from which on a new layer begins where one can.
	trackFull = 80
)

var keyFrom = []byte("from")

// A track begins with a head of one sector on a page of its own; each record begins with a page. Nothing that was synced is written
// again, but for the head, and the last record when the file is opened.
//
// head:   trackMagic, salt, number of its last commit that is known to be on disk (uint64), CRC-32C of what stands before
// record: length of the changes (uint32), number of the commit (uint64), CRC-32C of salt, length, number and changes; changes
const (
	trackMagic   = "track 01"
	saltSize     = 16
	headSize     = len(trackMagic) + saltSize + 8 + crc32.Size
	recordHeader = 4 + 8 + crc32.Size
	trackPage    = 4096
	// markThrough is after how many commits the head is synced at the latest: so many records at the end of a track may be lost
	// without a word by a disk that loses what it has synced, together with power.
	markThrough = 64
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// inPlace is a boltfile.Space.
type inPlace interface {
	Size() int64
	ReadAt(p []byte, off int64) (int, error)
	Write(p []byte, off int64) error
	WriteThrough(p []byte, off int64) error
	Sync() error
}

// track is one journal of groups that is written in place. It belongs to the one that commits.
type track struct {
	space inPlace
	salt  []byte // of this lap; nil: none has begun
	last  uint64 // number of its last commit; 0: none
	at    int64  // where that begins, as it was read
	used  int64  // where the next record begins
}

// fits reports whether a record of so many bytes does.
func (t *track) fits(size int) bool { return t.salt != nil && t.used+int64(size) <= t.space.Size() }

// begin begins the track anew. What it held is in the buckets. The head is on disk before the first record is written, which is none
// without its salt.
func (t *track) begin() error {
	salt, err := newSalt()
	if err != nil {
		return err
	}
	if err := t.space.WriteThrough(head(salt, 0), 0); err != nil {
		return err
	}
	t.salt, t.last, t.used = salt, 0, trackPage
	return nil
}

func newSalt() ([]byte, error) {
	salt := make([]byte, saltSize)
	_, err := rand.Read(salt)
	return salt, err
}

// head says that the track's commits up to a number are known to be on disk.
func head(salt []byte, known uint64) []byte {
	b := append(append(make([]byte, 0, headSize), trackMagic...), salt...)
	b = binary.BigEndian.AppendUint64(b, known)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// append writes a commit. room is its changes behind recordHeader bytes, which are written. When it returns nil it is on disk.
func (t *track) append(number uint64, room []byte) error {
	binary.BigEndian.PutUint32(room, uint32(len(room)-recordHeader))
	binary.BigEndian.PutUint64(room[4:], number)
	binary.BigEndian.PutUint32(room[12:], t.sum(room))
	if err := t.space.WriteThrough(room, t.used); err != nil {
		return err
	}
	t.last = number
	t.used += pages(len(room))
	// Who reads what a killed process left knows by the head that nothing is missing. The commit is on disk whether the head is or not.
	mark := t.space.Write // goes to disk when something else syncs it
	if number%markThrough == 0 {
		mark = t.space.WriteThrough
	}
	_ = mark(head(t.salt, number), 0)
	return nil
}

func (t *track) sum(record []byte) uint32 {
	sum := crc32.Update(crc32.Checksum(t.salt, castagnoli), castagnoli, record[:12])
	return crc32.Update(sum, castagnoli, record[recordHeader:])
}

// whole reports whether a record has its checksum.
func (t *track) whole(record []byte) bool {
	return binary.BigEndian.Uint32(record[12:]) == t.sum(record)
}

// pages is how much of a track a record takes.
func pages(size int) int64 { return int64(size+trackPage-1) / trackPage * trackPage }

var errTrack = errors.New("a track of the journal is damaged")

// read gives each commit of the track to fn, and finds where the next one goes. What is older than a number is in the buckets and
// need not be whole. Whether something stands behind the last one is for ends to find.
func (t *track) read(from uint64, fn func(number uint64, changes []byte)) error {
	head := make([]byte, headSize)
	if _, err := t.space.ReadAt(head, 0); err != nil {
		return err
	}
	summed := head[:headSize-crc32.Size]
	if string(head[:len(trackMagic)]) != trackMagic || binary.BigEndian.Uint32(head[len(summed):]) != crc32.Checksum(summed, castagnoli) {
		return fmt.Errorf("%w: its head is not readable", errTrack)
	}
	t.salt, t.last, t.used = head[len(trackMagic):][:saltSize], 0, trackPage
	for {
		number, changes, err := t.next()
		if err != nil {
			return err
		}
		if changes == nil {
			break
		}
		fn(number, changes)
		t.last, t.at = number, t.used
		t.used += pages(recordHeader + len(changes))
	}
	if known := binary.BigEndian.Uint64(summed[len(trackMagic)+saltSize:]); t.last < known && known >= from {
		return fmt.Errorf("%w: it ends with commit %d, and commit %d was on disk", errTrack, t.last, known)
	}
	return nil
}

// endsWork bounds by how many bytes, in sizes of the track, records are looked for behind its end: what an older lap has left may look
// like the begin of many.
const endsWork = 8

// ends sees that no record from a number on, of this lap, stands behind the last one that was read.
func (t *track) ends(from uint64) error {
	rest := make([]byte, max(0, t.space.Size()-t.used))
	if len(rest) == 0 {
		return nil
	}
	if _, err := t.space.ReadAt(rest, t.used); err != nil {
		return err
	}
	if number, _ := t.firstIn(rest, from, endsWork*t.space.Size()); number > 0 {
		return fmt.Errorf("%w: commit %d stands behind one that is not readable", errTrack, number)
	}
	return nil
}

// firstIn finds the first whole record in pages behind the last one, with a number from from on; 0 for none. It looks no further once
// it has computed checksums of so many bytes, and says of how many it has.
func (t *track) firstIn(pages []byte, from uint64, most int64) (number uint64, summed int64) {
	for ; len(pages) >= recordHeader && summed < most; pages = pages[min(trackPage, len(pages)):] {
		size, number := int64(binary.BigEndian.Uint32(pages)), binary.BigEndian.Uint64(pages[4:])
		if size == 0 || size > int64(len(pages)-recordHeader) || number <= t.last || number < from {
			continue
		}
		summed += size
		if t.whole(pages[:recordHeader+size]) {
			return number, summed
		}
	}
	return 0, summed
}

// renew writes the last record that was read once more, and the head, and syncs them. Where the sync of a process before has failed
// the system may have them in memory and never write them.
func (t *track) renew() error {
	if t.last == 0 {
		return nil
	}
	record := make([]byte, t.used-t.at)
	if n, err := t.space.ReadAt(record, t.at); err != nil && !(errors.Is(err, io.EOF) && n > 0) {
		return err
	} else if err := t.space.Write(record[:n], t.at); err != nil {
		return err
	}
	if err := t.space.Write(head(t.salt, t.last), 0); err != nil {
		return err
	}
	return t.space.Sync()
}

// next reads the record at t.used; changes is nil if there is none, or none that is whole.
func (t *track) next() (number uint64, changes []byte, err error) {
	header := make([]byte, recordHeader)
	room := t.space.Size() - t.used - recordHeader
	if room < 0 {
		return 0, nil, nil
	}
	if _, err := t.space.ReadAt(header, t.used); err != nil {
		return 0, nil, err
	}
	size := int64(binary.BigEndian.Uint32(header))
	if number = binary.BigEndian.Uint64(header[4:]); size == 0 || size > room || number <= t.last {
		return 0, nil, nil
	}
	record := append(header, make([]byte, size)...)
	if _, err := t.space.ReadAt(record[recordHeader:], t.used+recordHeader); err != nil {
		return 0, nil, err
	}
	if !t.whole(record) {
		return 0, nil, nil
	}
	return number, record[recordHeader:], nil
}

// openTracks opens the tracks, if the file has them.
func (s *Store) openTracks() error {
	t, err := s.file.Begin(context.Background(), false)
	if err != nil {
		return err
	}
	defer func() { _ = t.Rollback() }()
	var found []*track
	for i := range byte(trackCount) {
		made, err := t.Get(bucketTracks, []byte{i})
		if err != nil {
			return err
		}
		space, err := s.file.Space(context.Background(), []byte{i})
		switch {
		case err != nil:
			return err
		case (made == nil) != (space == nil):
			return fmt.Errorf("%w: %w: it is not found: stop the process and restore the file from a backup", boltfile.ErrDamaged, errTrack)
		case space == nil:
			return nil
		}
		found = append(found, &track{space: space})
	}
	s.trackMu.Lock()
	defer s.trackMu.Unlock()
	s.tracks = found
	return nil
}

// makeTrack makes one of the tracks that are missing. A ledger in which little happens never needs them.
func (s *Store) makeTrack() error {
	for i := range byte(trackCount) {
		there, err := s.file.Space(context.Background(), []byte{i})
		if err != nil {
			return err
		}
		if there != nil {
			continue
		}
		salt, err := newSalt()
		if err != nil {
			return err
		}
		t, err := s.file.Begin(context.Background(), true)
		if err != nil {
			return err
		}
		if err := errors.Join(t.Reserve([]byte{i}, s.trackSize, head(salt, 0)), t.Put(bucketTracks, []byte{i}, []byte{1})); err != nil {
			return errors.Join(err, t.Rollback())
		}
		if err := t.Commit(); err != nil {
			return err
		}
		break
	}
	return s.openTracks()
}

// makeTracks makes a track if they are missing and the layers have been turned. Where it fails it is tried again at the next turn.
func (s *Store) makeTracks() {
	if !s.late {
		return
	}
	s.foldMu.Lock()
	defer s.foldMu.Unlock()
	s.late = s.makeTrack() == nil && len(s.tracks) == 0
}

// full reports whether it is time for a new layer, which has the other track.
func (s *Store) full() bool {
	if len(s.tracks) == 0 || s.turned > 0 {
		return false
	}
	t := s.tracks[s.track]
	return t.used*100 >= t.space.Size()*trackFull
}

// writeTrack writes a group into the track of its layer, if there is one with room for it.
func (s *Store) writeTrack(g *group) (written bool, err error) {
	s.trackMu.Lock()
	defer s.trackMu.Unlock()
	if s.readOnly || len(s.tracks) == 0 || s.copying > 0 {
		return false, nil
	}
	if s.turned > 0 && g.number >= s.turned { // the first group of a layer; what the other track held is in the buckets
		other := (s.track + 1) % trackCount
		if err := s.tracks[other].begin(); err != nil {
			return false, err
		}
		s.turned, s.track = 0, other
	}
	room := marshalChanges(g.changed, recordHeader, s.arena.take)
	t := s.tracks[s.track]
	if !t.fits(len(room)) {
		return false, nil
	}
	if err := t.append(g.number, room); err != nil {
		return false, err
	}
	s.seenMu.Lock()
	defer s.seenMu.Unlock()
	s.committed = g.number
	return true, nil
}

// checkTracks reads the tracks as Open does, and sees that they hold what they held.
func (s *Store) checkTracks() error {
	s.trackMu.Lock()
	defer s.trackMu.Unlock()
	for _, t := range s.tracks {
		again := track{space: t.space}
		err := again.read(math.MaxUint64, func(uint64, []byte) {})
		if err == nil && again.last != t.last {
			err = fmt.Errorf("%w: it ends with commit %d, and commit %d was on disk", errTrack, again.last, t.last)
		}
		if err != nil {
			return fmt.Errorf("%w: %w", boltfile.ErrDamaged, err)
		}
	}
	return nil
}
