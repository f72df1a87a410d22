package boltfile

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"syscall"

	bolt "go.etcd.io/bbolt"
)

// Space is bytes of the file that are written in place, outside of any transaction: those of a value that Reserve made and that no
// transaction writes again, so that its pages stay where they are. To write over bytes that the file has already and to sync them
// costs a fraction of a commit. Nothing here says what of them is whole. Its methods must not run at the same time.
type Space struct {
	f    *File
	at   int64 // in the file
	size int64
}

// A space lies apart, as values of Config.Apart do, behind a text that fills the rest of its first page, so that it begins with a page
// of its own. bbolt puts the only value of a leaf behind the page's header, one element's and the key.
const (
	elementHeader = 16
	spaceTitle    = "written in place"
)

// spaceValue is where in its first page the value of a space begins.
var spaceValue = pageHeader + elementHeader + len(apartKey)

// Reserve makes a space of size bytes, a multiple of a page's, under a key of Config.InPlace: what it begins with, then zero. The
// memory that it needs meanwhile is twice that.
func (t *Tx) Reserve(key []byte, size int, begin []byte) error {
	return t.protect(func() error {
		o, err := t.bucket(t.f.inPlace)
		if err != nil {
			return err
		}
		pageSize := t.f.db.Info().PageSize
		if size%pageSize != 0 || len(begin) > size {
			return fmt.Errorf("a space of %d bytes, %d of them given: it is made of pages of %d", size, len(begin), pageSize)
		}
		value := make([]byte, pageSize-spaceValue+size)
		copy(value, spaceTitle)
		binary.BigEndian.PutUint64(value[len(spaceTitle):], uint64(size))
		copy(value[pageSize-spaceValue:], begin)
		t.wrote = true
		return putApart(o.b, key, value)
	})
}

// Space returns the space that was reserved under a key; nil if none was. It fails with ErrDamaged if it is not where it has to be.
func (f *File) Space(ctx context.Context, key []byte) (s *Space, err error) {
	t, err := f.Begin(ctx, false)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.Rollback()) }()
	err = t.protect(func() error {
		o, err := t.bucket(f.inPlace)
		if err != nil {
			return err
		}
		inside := o.b.Bucket(key)
		if inside == nil {
			return nil
		}
		s, err = f.find(t.tx, inside)
		return err
	})
	return s, err
}

// find finds a space's place in the file, and sees that bbolt and the file agree on it.
func (f *File) find(tx *bolt.Tx, inside *bolt.Bucket) (*Space, error) {
	pageSize := f.db.Info().PageSize
	value, root := inside.Get(apartKey), int64(inside.Root())
	head := pageSize - spaceValue
	wrong := f.damaged("a space that is written in place is not where it has to be")
	if root < 2 || len(value) < head || !bytes.HasPrefix(value, []byte(spaceTitle)) {
		return nil, wrong
	}
	size := int64(len(value) - head)
	page, err := tx.Page(int(root))
	if err != nil {
		return nil, err
	}
	if page == nil || page.Type != "leaf" || page.Count != 1 || int64(page.OverflowCount) < size/int64(pageSize) || size%int64(pageSize) != 0 ||
		binary.BigEndian.Uint64(value[len(spaceTitle):]) != uint64(size) {
		return nil, wrong
	}
	at := root * int64(pageSize)
	first := make([]byte, head)
	if _, err := f.direct.ReadAt(first, at+int64(spaceValue)); err != nil {
		return nil, err
	}
	if !bytes.Equal(first, value[:head]) {
		return nil, wrong
	}
	return &Space{f, at + int64(pageSize), size}, nil
}

// Size is how many bytes it has.
func (s *Space) Size() int64 { return s.size }

// ReadAt implements io.ReaderAt.
func (s *Space) ReadAt(p []byte, off int64) (int, error) {
	if err := s.f.usable(context.Background()); err != nil {
		return 0, err
	}
	return io.NewSectionReader(s.f.direct, s.at, s.size).ReadAt(p, off)
}

// Write writes bytes at an offset. They are on disk after Sync. If it fails and the file is still used, nothing was written.
func (s *Space) Write(p []byte, off int64) error {
	if err := s.writable(len(p), off); err != nil {
		return err
	}
	n, err := s.f.direct.WriteAt(p, s.at+off)
	return s.written(err, err != nil && n == 0)
}

// WriteThrough is Write that returns nil once the bytes are on disk, while other parts of the file may be written and not be.
func (s *Space) WriteThrough(p []byte, off int64) error {
	if err := s.writable(len(p), off); err != nil {
		return err
	}
	n, err := writeThrough(s.f.through, p, s.at+off)
	return s.written(err, err != nil && n == 0 && !s.begins(p, off))
}

// writable sees that so many bytes at an offset are of the space, and the space of the file.
func (s *Space) writable(n int, off int64) error {
	if err := s.f.usable(context.Background()); err != nil {
		return err
	}
	if off < 0 || off+int64(n) > s.size {
		return fmt.Errorf("%d bytes at %d of a space of %d", n, off, s.size)
	}
	size, err := s.f.size()
	switch {
	case err != nil: // it was taken away: what would be written is not found again
		return fmt.Errorf("write %s: %w: nothing was stored", s.f.path, err)
	case size < s.at+s.size:
		return s.f.End(s.f.damaged("it was cut off, to %d bytes", size))
	}
	return nil
}

// written judges what a write came to. nothing says that none of it was written.
func (s *Space) written(err error, nothing bool) error {
	switch {
	case err == nil:
		return nil
	case nothing && isFull(err):
		return fmt.Errorf("write %s: %w: nothing was stored; make room, and it goes on", s.f.path, err)
	}
	return s.f.End(s.f.unknown(err))
}

// firstWritten is how many bytes tell whether a write has begun, which writes from the first byte on.
const firstWritten = 512

// begins reports whether what was to be written may stand there: a file system may find that it is full after it has taken the
// bytes, when it is to sync them.
func (s *Space) begins(p []byte, off int64) bool {
	p = p[:min(len(p), firstWritten)]
	there := make([]byte, len(p))
	_, err := s.f.direct.ReadAt(there, s.at+off)
	return err != nil || bytes.Equal(there, p)
}

// Sync returns nil once all that was written is on disk. If it fails the use of the file ends.
func (s *Space) Sync() error {
	if err := syncData(s.f.direct); err != nil {
		return s.f.End(s.f.unknown(err))
	}
	return nil
}

func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

// unknown is the error after which the file must not be used until somebody has looked at it.
func (f *File) unknown(err error) error {
	return fmt.Errorf("write %s: %w: it is not known what is on disk; stop the process, check the disk, and start it again", f.path, err)
}
