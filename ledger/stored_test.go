package ledger_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"testing"

	"github.com/klauspost/compress/s2"

	"github.com/countersign-mpc/countersign/auditlog"
	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/ledger/ledgertest"
	"github.com/countersign-mpc/countersign/ledger/memstore"
	"github.com/countersign-mpc/countersign/wire"
)

const (
	plainStored  = "CSLR\x01"
	packedStored = "CSLR\x02"
	storedHead   = len(plainStored) + 8 // before the entry, or the checksum of what it is packed into
)

// newPacked is a ledger with one decision whose entry is long enough to be packed, and what is stored of that.
func newPacked(t *testing.T) (x *tampered, stored []byte) {
	t.Helper()
	x = &tampered{t: t, store: memstore.New()}
	x.l = ledgertest.MustOpen(t, x.store, ledgertest.NewClock())
	v := ledgertest.Verdict(wire.Approve, nil)
	v.Input = json.RawMessage(`{"outputs":[` + strings.Repeat(`{"address":"bc1q","amount":"1000"},`, 99) + `0]}`)
	x.ids = []string{ledgertest.MustDecide(t, x.l, ledgertest.Ask("long", "body"), v).ID}
	_, err := x.l.Checkpoint(context.Background())
	must(t, err)
	must(t, x.store.View(context.Background(), func(r ledger.Reader) error {
		return r.Scan("record", nil, nil, false, func(_, v []byte) (bool, error) { stored = bytes.Clone(v); return false, nil })
	}))
	return x, stored
}

// storeEntry stores something else in place of the only entry.
func (x *tampered) storeEntry(value []byte) {
	x.edit("record", func(_, _ []byte) []byte { return value })
}

// TestPackedEntry: a long entry is stored shorter than it is, as any program reads Snappy's blocks, and is what the log has.
func TestPackedEntry(t *testing.T) {
	x, stored := newPacked(t)
	entry, proof, err := x.l.Prove(context.Background(), x.ids[0])
	must(t, err)
	if !bytes.HasPrefix(stored, []byte(packedStored)) || 2*len(stored) > len(entry) {
		t.Fatalf("an entry of %d bytes is stored as %d bytes, %q...", len(entry), len(stored), stored[:storedHead])
	}
	if block, err := s2.Decode(nil, stored[storedHead+4:]); err != nil || !bytes.Equal(block, entry) {
		t.Errorf("the block holds %q (%v), want %q", block, err, entry)
	}
	if _, _, err := auditlog.CheckInclusion(x.l.LogPublic(), entry, proof); err != nil {
		t.Errorf("the proof of the entry: %v", err)
	}
	rec, err := x.l.Decision(context.Background(), x.ids[0])
	must(t, err)
	if want, err := ledger.ParseEntry(entry); err != nil || !bytes.Equal(rec.Input, want.Decision.Input) {
		t.Errorf("input %s (%v), want that of the entry", rec.Input, err)
	}
	x.healthy()
}

func (x *tampered) healthy() {
	x.t.Helper()
	if report, err := x.l.Verify(context.Background()); err != nil || len(report.Problems) > 0 {
		x.t.Errorf("verify: %v, %v", report.Problems, err)
	}
}

// TestPlainEntry: a long entry of a program that packed none, and short ones of this one, stand as they are.
func TestPlainEntry(t *testing.T) {
	x, stored := newPacked(t)
	entry, _, err := x.l.Prove(context.Background(), x.ids[0])
	must(t, err)
	x.storeEntry(append(append([]byte(plainStored), stored[len(plainStored):storedHead]...), entry...))
	x.healthy()
	if again, _, err := x.l.Prove(context.Background(), x.ids[0]); err != nil || !bytes.Equal(again, entry) {
		t.Errorf("it is read as %q (%v)", again, err)
	}
	must(t, newTampered(t).store.View(context.Background(), func(r ledger.Reader) error {
		return r.Scan("record", nil, nil, false, func(_, v []byte) (bool, error) {
			if !bytes.HasPrefix(v, []byte(plainStored)) {
				t.Errorf("a short entry is stored as %q", v)
			}
			return true, nil
		})
	}))
}

// TestPackedEntryChanged: no byte of what is stored can change, nor be missing or one too many, without being found.
func TestPackedEntryChanged(t *testing.T) {
	x, stored := newPacked(t)
	found := func(what string, changed []byte) {
		t.Helper()
		x.storeEntry(changed)
		_, err := x.l.Decision(context.Background(), x.ids[0])
		report, verr := x.l.Verify(context.Background())
		if must(t, verr); len(report.Problems) == 0 {
			t.Errorf("%s: verify finds nothing", what)
		}
		if outside := strings.HasPrefix(what, "index"); !errors.Is(err, ledger.ErrDamaged) && !outside {
			t.Errorf("%s: read: %v, want ErrDamaged", what, err)
		}
		x.storeEntry(stored)
	}
	for i := range stored {
		what := fmt.Sprint("byte ", i)
		if i >= len(plainStored) && i < storedHead {
			what = fmt.Sprint("index, byte ", i)
		}
		changed := bytes.Clone(stored)
		changed[i] ^= 0x10
		found(what, changed)
	}
	for n := range stored {
		found(fmt.Sprint("cut off at ", n), stored[:n:n])
	}
	found("a byte more", append(bytes.Clone(stored), 0))
	// A block of another entry, with its own checksum.
	other, _ := newPacked(t)
	entry, _, err := other.l.Prove(context.Background(), other.ids[0])
	must(t, err)
	found("another entry", packed(stored[:storedHead], s2.EncodeSnappy(nil, entry)))
	found("a megabyte in few bytes", packed(stored[:storedHead], s2.Encode(nil, make([]byte, 1<<20))))
	x.healthy()
}

// packed is what is stored of a block, with the right checksum.
func packed(head, block []byte) []byte {
	sum := crc32.Checksum(block, crc32.MakeTable(crc32.Castagnoli))
	return append(binary.BigEndian.AppendUint32(bytes.Clone(head), sum), block...)
}
