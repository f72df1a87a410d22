package keystore

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"

	"github.com/countersign-mpc/countersign/keystore/segment"
)

// Snapshot describes the copy that Backup wrote. It holds nothing secret.
type Snapshot struct {
	ID       string            // of the store
	Sequence uint64            // commits up to the copy
	Bytes    int64             // of the copy
	Password string            // names the password that opens it, as Stat does
	Segments *segment.Manifest // nil: one password
	Records  map[string]int    // records in each bucket
}

// Backup writes a consistent copy of the unsealed store to w while work goes on, sealed as the store is: it opens with the
// password of this moment, and holds nothing of an earlier one. list, if not nil, sees exactly the records that are in the copy; it must not call the store.
func (s *Store) Backup(w io.Writer, list func(*Tx) error) (Snapshot, error) {
	s.copying.RLock()
	defer s.copying.RUnlock()
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.usable(); err != nil {
		return Snapshot{}, err
	}
	s.writeMu.Lock() // so that the transaction and what is known of the last commit belong together
	file, err := s.begin(false)
	snap := s.committed.Load()
	s.writeMu.Unlock()
	if err != nil {
		return Snapshot{}, fmt.Errorf("back up key store: %w", err)
	}
	tx := &Tx{s: s, file: file, keys: s.keys}
	defer tx.end()
	out := Snapshot{ID: hex.EncodeToString(s.header.id[:]), Sequence: snap.root.seq, Records: maps.Clone(snap.counts)}
	err = guard("seal record", func() error {
		raw := file.get(keySeal)
		record, err := parseSeal(raw, s.header)
		if err == nil {
			out.Password, out.Segments = passwordName(s.header, raw), record.set
		}
		return err
	})
	if err == nil && list != nil {
		err = list(tx)
	}
	if err == nil {
		err = guard("file", func() error {
			out.Bytes, err = s.writeCopy(file, w)
			return err
		})
	}
	if err != nil {
		return Snapshot{}, fmt.Errorf("back up key store: %w", err)
	}
	return out, nil
}

// backupMark stands before the copy of a store in a backup's file. With it the file is no store: one that is copied into the place
// of asset.db, past restore, would use its shares without asking whether they are the newest.
const backupMark = "countersign/backup of asset.db: use mpc-node restore\n"

// ErrBackup: the file is a backup. It becomes a store by "restore".
var ErrBackup = errors.New("it is a backup, and no store: put it in place with mpc-node restore, which makes its shares ask the other parties whether they are the newest")

// MarkBackup writes what a backup's file begins with; Backup's copy comes behind it. It returns the number of bytes.
func MarkBackup(w io.Writer) (int, error) { return io.WriteString(w, backupMark) }

// CopyBackup copies the store in a backup's file. The backups of earlier versions are without a mark.
func CopyBackup(w io.Writer, backup io.Reader) error {
	r := bufio.NewReader(backup)
	if head, err := r.Peek(len(backupMark)); err == nil && IsBackup(head) {
		if _, err := r.Discard(len(backupMark)); err != nil {
			return err
		}
	}
	_, err := io.Copy(w, r)
	return err
}

// IsBackup tells whether what a file begins with is the mark of a backup.
func IsBackup(head []byte) bool { return bytes.HasPrefix(head, []byte(backupMark)) }

// WriteFile makes a new file of mode 0600 at path and lets write fill it. The file appears complete and on the disk or not at
// all, and what is there already is never replaced: the error is then fs.ErrExist.
func WriteFile(path string, write func(io.Writer) error) error {
	file, err := CreateTemp(path)
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	if err := write(file); err != nil {
		return errors.Join(err, file.Close())
	}
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := place(file.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}
