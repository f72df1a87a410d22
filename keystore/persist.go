package keystore

import (
	"errors"
	"io"
	"os"
)

// persist hands the whole file to Config.Persist.
func (s *Store) persist() error {
	if s.cfg.Persist == nil {
		return nil
	}
	return s.cfg.Persist(func(w io.Writer) error {
		return s.viewFile(func(f fileTx) error {
			_, err := s.writeCopy(f, w)
			return err
		})
	})
}

// persistFrom hands a closed file to Config.Persist.
func (s *Store) persistFrom(path string) error {
	if s.cfg.Persist == nil {
		return nil
	}
	return s.cfg.Persist(func(w io.Writer) error {
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		_, err = io.Copy(w, file)
		return errors.Join(err, file.Close())
	})
}

// SyncDir makes the names in a folder durable, where its file system knows that.
func SyncDir(dir string) error { return syncDir(dir) }
