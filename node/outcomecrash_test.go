package node_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/keystore"
	"github.com/countersign-mpc/countersign/wire"
)

// moment is the node's disk when something was seen of it, and whether its share had gone out by then.
type moment struct {
	what     string
	disk     []byte
	released bool
}

// TestACrashAtEachPoint takes the disk at everything that a signing shows to the outside, and has the node go on from there:
// every check gets one word, and none is said to be unused whose share had gone out.
func TestACrashAtEachPoint(t *testing.T) {
	t.Parallel()
	r := newTold(t)
	a := r.signing()
	a.terms.SignType, a.terms.Message = wire.SignTypeMessage, "hello"
	a.expires = r.clock.Now().Add(time.Hour)
	var moments []moment
	path := r.a.path
	released := false
	take := func(what string) { // with h.mu held
		disk, err := os.ReadFile(path)
		must(t, err)
		moments = append(moments, moment{what, disk, released})
	}
	r.server.change(func(d *double) { d.seen = func(p wire.Path, _ string) { r.do(func() { take(string(p)) }) } })
	r.do(func() {
		r.seen = func(from wire.NodeID, f *linkv1.Frame) {
			if from != r.a.id {
				return
			}
			released = released || f.GetEnvelope().GetRound() == 3
			take(fmt.Sprintf("%T", f.Body))
		}
	})
	s := r.approved(a)
	r.clock.step(11 * time.Minute) // the approval grows old, and is asked for again
	r.do(func() { r.manual = false; r.begin(s) })
	r.mustBeSigned(t, s)
	r.server.mustHear(1, wire.OutcomeSigned)
	r.a.node.Seal()
	r.do(func() { r.seen, r.manual = nil, true })
	used := ""
	r.server.change(func(d *double) { d.seen, used = nil, d.checks[1] })
	r.clock.step(2 * time.Hour)

	heard := map[string]bool{}
	for i, m := range moments {
		r.server.forget()
		must(t, r.a.node.Close())
		r.a.path = fmt.Sprintf("%s/%d.db", t.TempDir(), i)
		must(t, os.WriteFile(r.a.path, m.disk, 0o600))
		r.do(func() { r.ports[r.a.id] = nil })
		r.a.open()
		r.a.unseal()
		expected := owed(t, m.disk)
		r.server.await(fmt.Sprintf("%d words after a crash at %d, %s", expected, i, m.what), func() bool { return len(r.server.words) >= expected })
		r.server.mustBeQuiet(r.a, expected)
		r.server.change(func(d *double) {
			for id, w := range d.words {
				heard[w.message] = true
				if w.message == wire.OutcomeNotSigned && m.released && id == used {
					t.Errorf("after a crash at %d, %s, a share that had gone out is said to be unused", i, m.what)
				}
			}
		})
		if left := owed(t, r.a.disk()); left != 0 {
			t.Errorf("after a crash at %d, %s, %d words are missing", i, m.what, left)
		}
	}
	if len(moments) < 10 || !heard[wire.OutcomeNotSigned] || !heard[wire.OutcomeUnknown] || !heard[wire.OutcomeSigned] {
		t.Errorf("%d moments, and the words were %v", len(moments), heard)
	}
}

func (m *member) disk() []byte {
	m.h.t.Helper()
	data, err := os.ReadFile(m.path)
	must(m.h.t, err)
	return data
}

// owed counts the words that are owed by what is on a disk: about questions that were approved, or may have been, and those
// that are stored and not acknowledged.
func owed(t testing.TB, disk []byte) int {
	t.Helper()
	path := filepath.Join(t.TempDir(), "asset.db")
	must(t, os.WriteFile(path, disk, 0o600))
	store, err := keystore.Open(keystore.Config{Path: path, Argon2: cheap})
	must(t, err)
	defer func() { must(t, store.Close()) }()
	must(t, store.Unseal(context.Background(), pass(password)))
	n := 0
	must(t, store.ForEach("outcome", "", func(string, []byte) error { n++; return nil }))
	must(t, store.ForEach("request", "", func(_ string, value []byte) error {
		var rec struct {
			Ask *struct{ Action, Outcome string }
		}
		must(t, json.Unmarshal(value, &rec))
		if rec.Ask != nil && rec.Ask.Outcome == "" && rec.Ask.Action != "Wait" && rec.Ask.Action != "Reject" {
			n++
		}
		return nil
	}))
	return n
}
