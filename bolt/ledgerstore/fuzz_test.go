package ledgerstore

import (
	"errors"
	"testing"
)

// FuzzReadChanges: no commit in the journal makes its reader fail otherwise than by saying that it is not readable.
func FuzzReadChanges(f *testing.F) {
	f.Add([]byte{journalVersion})
	f.Add([]byte{journalVersion, opSet, 0, 0, 0, 0, 1, 'k', 0, 0, 0, 1, 'v'})
	f.Add([]byte{journalVersion, opDelete, 0, 0, 0, 0, 1, 'k'})
	f.Add([]byte{journalVersion, opSet, 0, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := readChanges(data, 1, newLayer(nil)); err != nil && !errors.Is(err, errJournal) {
			t.Errorf("%v is no errJournal", err)
		}
	})
}
