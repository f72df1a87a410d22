package ledgertest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/auditlog"
	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/wire"
)

// Spoiled is a store of which values can be altered beneath what the store itself checks, as a disk or somebody with the
// database's tools does. What it has to clean up it has registered with the test.
type Spoiled interface {
	// Store is the store, opened anew if it had to be closed for Spoil.
	Store(t *testing.T) ledger.Store
	// Spoil changes a byte of a value, or of its checksum where the value has no bytes.
	Spoil(t *testing.T, bucket string, key []byte)
	// Close closes the store as the end of a process does, where that changes what is stored.
	Close(t *testing.T)
}

// RunVerify checks that a verification over a store names everything that was altered beneath it, and stops at nothing. create
// returns a new and empty store each time.
func RunVerify(t *testing.T, create func(t *testing.T) Spoiled) {
	t.Run("every kind at once", func(t *testing.T) { testVerifyKinds(t, create(t)) })
	for name, test := range spoilings {
		t.Run(name, func(t *testing.T) { testSpoiled(t, create(t), test) })
	}
	t.Run("beside where it begins", func(t *testing.T) { testBesideMeta(t, create(t)) })
	t.Run("staged", func(t *testing.T) { testStaged(t, create) })
}

// written is a ledger with decisions 0 to 11, of which 6 and 7 have something kept beside them and 8 to 10 spend and bind, an
// approval with a vote as entries 12 and 13, a policy's activation as entry 14, and a checkpoint over all.
func written(t *testing.T, store ledger.Store) (ids [][]byte) {
	t.Helper()
	clock := NewClock()
	l := MustOpen(t, store, clock)
	for i := range 12 {
		a, v := Ask(fmt.Sprint("cb-", i), "body"), Verdict(wire.Approve, nil)
		switch i {
		case 6, 7:
			v.Attachment = fmt.Appendf(nil, "beside %d", i)
		case 8, 9, 10:
			a = Spending(a.CallbackID, fmt.Sprint("anchor-", i), int64(100+i))
			a.Execution.Bindings = []ledger.Binding{{What: "a name", Name: sha256.Sum256([]byte(a.CallbackID)), Value: sha256.Sum256([]byte("content"))}}
		}
		id, err := hex.DecodeString(MustDecide(t, l, a, v).ID)
		must(t, err)
		ids = append(ids, id)
		clock.Advance(time.Hour)
	}
	alice := NewEd25519Approver(t, "alice")
	wait := Verdict(wire.Wait, Require(1, alice))
	rec, err := l.Decision(context.Background(), MustDecide(t, l, Ask("wait", "large"), wait).ID)
	must(t, err)
	mustVote(t, l, alice, rec.Approval, ledger.VoteApprove)
	MustActivate(t, l, Change(0, "rev-1"))
	_, err = l.Checkpoint(context.Background())
	must(t, err)
	return ids
}

func inspected(t *testing.T, s Spoiled) auditlog.Report {
	t.Helper()
	report, _, err := ledger.Inspect(context.Background(), ledger.Inspection{Store: s.Store(t)})
	must(t, err)
	return report
}

// nth is the key of the n'th value of a bucket.
func nth(t *testing.T, store ledger.Store, bucket string, n int) (found []byte) {
	t.Helper()
	mustView(t, store, func(r ledger.Reader) error {
		found = nil
		return r.Scan(bucket, nil, nil, false, func(key, _ []byte) (bool, error) {
			found = bytes.Clone(key)
			n--
			return n >= 0, nil
		})
	})
	if n >= 0 {
		t.Fatalf("bucket %s has too few values", bucket)
	}
	return found
}

func leafKey(index int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(index)) }

// testVerifyKinds: entries that were altered, beneath the store and through it, that are missing and that stand in each other's
// place, and hashes that cannot be read, are all named in one report.
func testVerifyKinds(t *testing.T, s Spoiled) {
	store := s.Store(t)
	ids := written(t, store)
	if report := inspected(t, s); !report.OK() || len(report.Notes) > 0 || report.Size != 15 {
		t.Fatalf("before: %d entries, %q %q", report.Size, report.Problems, report.Notes)
	}
	mustUpdate(t, store, func(tx ledger.Tx) error {
		four, err4 := tx.Get("record", ids[4])
		five, err5 := tx.Get("record", ids[5])
		ten, err10 := tx.Get("record", ids[10])
		four, five, ten = bytes.Clone(four), bytes.Clone(five), bytes.Replace(ten, []byte("cb-10"), []byte("CB-10"), 1)
		return errors.Join(err4, err5, err10, tx.Put("record", ids[4], five), tx.Put("record", ids[5], four), tx.Put("record", ids[10], ten),
			tx.Delete("record", ids[2]))
	})
	s.Spoil(t, "record", ids[0])
	s.Spoil(t, "record", ids[7])
	s.Spoil(t, "record", ids[11])
	s.Spoil(t, auditlog.BucketLeaf, leafKey(8))
	report := inspected(t, s)
	for index, want := range map[int64]string{
		0: "value in bucket record", 2: "it is missing", 4: "it stands in that of entry 5", 5: "it stands in that of entry 4", 7: "value in bucket record",
		8: "its hashes are missing or not readable", 10: "it is not what was recorded", 11: "value in bucket record",
	} {
		found := false
		for _, p := range report.Problems {
			found = found || p.Index == index && p.End == index+1 && strings.Contains(p.Detail, want)
		}
		if !found {
			t.Errorf("entry %d is not named with %q: %q", index, want, report.Problems)
		}
	}
	for _, p := range report.Problems {
		if slices.Contains([]int64{1, 3, 6, 9, 12, 13, 14}, p.Index) {
			t.Errorf("an entry that is whole is named: %q", p)
		}
	}
}

// spoiling alters values, each a bucket and which of its values it is or its key, and says what is reported of that.
type spoiling struct {
	bucket string
	which  []int
	key    string   // instead of which
	want   []string // in a problem each
	note   string   // in a note
}

var spoilings = map[string]spoiling{
	"entries":        {bucket: "record", which: []int{0, 3, 11}, want: []string{"entry 0: ", "entry 3: ", "entry 11: "}, note: "stored in record"},
	"hashes":         {bucket: auditlog.BucketLeaf, which: []int{0, 7, 14}, want: []string{"entry 0: ", "entry 7: ", "entry 14: "}},
	"checkpoints":    {bucket: auditlog.BucketCheckpoint, which: []int{0}, want: []string{"value in bucket log.checkpoint"}},
	"callback_ids":   {bucket: "ask", which: []int{0, 5}, want: []string{"its callback_id does not lead to it"}, note: "stored in ask"},
	"approvals":      {bucket: "approval", which: []int{0}, want: []string{"approval: "}, note: "stored in approval"},
	"attachments":    {bucket: "attachment", which: []int{0, 1}, want: []string{"entry 6: ", "entry 7: "}, note: "stored in attachment"},
	"reservations":   {bucket: "reservation", which: []int{0, 2}, want: []string{"reservation: "}, note: "stored in reservation"},
	"bindings":       {bucket: "binding", which: []int{1}, want: []string{"binding: "}, note: "stored in binding"},
	"windows":        {bucket: "window", which: []int{0}, want: []string{"value in bucket window"}, note: "stored in window"},
	"policies":       {bucket: "revision", which: []int{0}, want: []string{"value in bucket revision"}},
	"activations":    {bucket: "activation", which: []int{0}, want: []string{"value in bucket activation"}},
	"active policy":  {bucket: "meta", key: "active", want: []string{"which policy is active: "}, note: "whether the activations end with"},
	"where it began": {bucket: "meta", key: "counts", want: []string{"value in bucket meta"}, note: "reservations and bindings against the entries"},
}

// testSpoiled spoils one value after the other of a bucket, and another bucket's entry at the end: that it is named too shows that
// nothing has ended the verification.
func testSpoiled(t *testing.T, s Spoiled, test spoiling) {
	store := s.Store(t)
	ids := written(t, store)
	var keys [][]byte
	for _, n := range test.which {
		keys = append(keys, nth(t, store, test.bucket, n))
	}
	if test.key != "" {
		keys = append(keys, []byte(test.key))
	}
	for _, key := range keys {
		s.Spoil(t, test.bucket, key)
	}
	report := inspected(t, s)
	for _, want := range test.want {
		if !strings.Contains(fmt.Sprintf("%q", report.Problems), want) {
			t.Errorf("problems %q, want %q", report.Problems, want)
		}
	}
	if !strings.Contains(fmt.Sprint(report.Notes), test.note) {
		t.Errorf("notes %q, want %q", report.Notes, test.note)
	}
	if report.Size != 15 {
		t.Errorf("%d entries were verified", report.Size)
	}
	if test.bucket == "record" {
		return
	}
	before := len(report.Problems)
	s.Spoil(t, "record", ids[11])
	if report = inspected(t, s); len(report.Problems) <= before || !strings.Contains(fmt.Sprintf("%q", report.Problems), "entry 11: ") {
		t.Errorf("an entry behind it is not named: %q", report.Problems)
	}
}
