package node_test

import (
	"context"
	"crypto/ecdsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/keystore"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/node"
	"github.com/countersign-mpc/countersign/wire"
)

// backup takes a backup of the running node and returns its path.
func (m *member) backup() string {
	m.h.t.Helper()
	node.SetBackupDir(m.node, filepath.Join(m.h.t.TempDir(), "backups"))
	path, _, err := m.node.Backup()
	must(m.h.t, err)
	return path
}

// restore loses the node and puts in its place one that is restored from a backup, as the command does, and starts it.
func (m *member) restore(backup string) {
	m.h.t.Helper()
	m.restoreAs(backup, func(s *keystore.Store) error { return node.AfterRestore(s, m.h.clock.Now()) })
	m.unseal()
}

// restoreAs is restore with what is done to the store, without unsealing the node.
func (m *member) restoreAs(backup string, then func(*keystore.Store) error) {
	m.h.t.Helper()
	t := m.h.t
	if err := m.node.Close(); !errors.Is(err, keystore.ErrClosed) {
		must(t, err)
	}
	m.h.do(func() { m.h.ports[m.id] = nil })
	m.path = mustCopyBackup(t, backup)
	s, err := keystore.Open(keystore.Config{Path: m.path, Argon2: cheap})
	must(t, err)
	must(t, s.Unseal(context.Background(), pass(password)))
	must(t, then(s))
	must(t, s.Close())
	m.open()
}

// refresh makes the share of a node one of another epoch, as a refresh would leave it; of is whose confirmations of it are
// held.
func (m *member) refresh(keyID string, epoch uint32, of map[byte]*member, active bool) {
	m.h.t.Helper()
	rec := m.record("key", keyID)
	hash := [32]byte{byte(epoch), 0xee}
	list := make([]any, len(hash))
	for i, b := range hash {
		list[i] = b
	}
	rec["epoch"], rec["statement_hash"] = epoch, list
	confirmed := rec["confirmed"].(map[string]any)
	for index, owner := range of {
		c := manifest.Confirmation{KeyID: keyID, Epoch: epoch, Index: index, StatementHash: hash, Active: active}
		must(m.h.t, c.Sign(owner.identity()))
		confirmed[string('0'+rune(index))] = map[string]any{"active": active, "signature": base64.StdEncoding.EncodeToString(c.Signature)}
	}
	m.rewrite(keyID, rec)
}

func (m *member) rewrite(keyID string, rec map[string]any) {
	m.h.t.Helper()
	data, err := json.Marshal(rec)
	must(m.h.t, err)
	must(m.h.t, m.store.Put("key", keyID, data))
}

func (m *member) identity() *ecdsa.PrivateKey {
	m.h.t.Helper()
	pem, err := base64.StdEncoding.DecodeString(m.record("identity", "p256")["private_key"].(string))
	must(m.h.t, err)
	key, err := wire.ParsePrivateKey(pem)
	must(m.h.t, err)
	return key
}

// awaitState waits until a node's share of a key is in a state and its note says something.
func (m *member) awaitState(keyID string, state node.KeyState, note string) {
	m.h.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		k := m.key(keyID)
		if k != nil && k.State == state && contains(k.Note, note) {
			return
		}
		if time.Now().After(deadline) {
			m.h.t.Fatalf("the key is %+v, want %s and %q in its note\n%s", k, state, note, m.log.bytes())
		}
		m.h.settle(m.id)
	}
}

// mustCount holds the metrics of restored shares against what they must be.
func (m *member) mustCount(unconfirmed, stale int) {
	m.h.t.Helper()
	w := httptest.NewRecorder()
	m.node.Health().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for name, want := range map[string]int{"unconfirmed": unconfirmed, "stale": stale} {
		if line := fmt.Sprintf("\ncountersign_node_%s_shares %d\n", name, want); !contains(w.Body.String(), line) {
			m.h.t.Errorf("the metrics do not say %q", line)
		}
	}
}

// mustNotSign demands that a node refuses to sign, and says why.
func (r *trio) mustNotSign(m *member, says string) {
	r.t.Helper()
	s := r.offer(r.signing())
	if a := r.awaitAnswer(s, m.id, linkv1.Answer_REFUSED); !contains(a.Reason, says) {
		r.t.Fatalf("it was refused with %q, want %q", a.Reason, says)
	}
	r.mustBeSilent(s, m.id)
}

// without drops what kind tells on the way to a node.
func without(kind func(to wire.NodeID, f *linkv1.Frame) bool) func(wire.NodeID, *linkv1.Frame) []*linkv1.Frame {
	return func(to wire.NodeID, f *linkv1.Frame) []*linkv1.Frame {
		if kind(to, f) {
			return nil
		}
		return []*linkv1.Frame{f}
	}
}

func isQuestion(f *linkv1.Frame) bool  { return f.GetEpochQuestion() != nil }
func isStatement(f *linkv1.Frame) bool { return f.GetEpochStatement() != nil }

func TestARestoredShareWaitsForThePeers(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	path := r.a.backup()
	r.do(func() { r.route = without(func(_ wire.NodeID, f *linkv1.Frame) bool { return isQuestion(f) }) }) // nobody hears it
	r.a.restore(path)
	r.a.awaitState(r.keyID, node.KeyUnconfirmed, "party 2 has not answered, party 3 has not answered")
	if k := r.a.key(r.keyID); k.EVM != "" {
		t.Error("the address of an unconfirmed share is shown")
	}
	r.a.mustCount(1, 0)
	r.mustNotSign(r.a, "restored from a backup and is unconfirmed")
	for name, again := range map[string]func(){"crash": r.a.crash, "restart": r.a.restart} {
		again()
		r.a.awaitState(r.keyID, node.KeyUnconfirmed, "")
		r.mustNotSign(r.a, "unconfirmed")
		t.Log("as much after a", name)
	}
	// one of two is not enough: t = 3
	r.do(func() {
		r.route = without(func(to wire.NodeID, f *linkv1.Frame) bool { return isQuestion(f) && to == r.c.id })
	})
	r.a.tend = time.Millisecond
	r.a.restart()
	r.a.awaitState(r.keyID, node.KeyUnconfirmed, "party 2 has the same share, party 3 has not answered")
	r.mustNotSign(r.a, "unconfirmed")
	r.do(func() { r.route = nil })
	r.a.awaitState(r.keyID, node.KeyActive, "")
	r.a.mustCount(0, 0)
	r.mustSign(r.signing())
	r.a.crash()
	r.a.awaitState(r.keyID, node.KeyActive, "")
	if log := string(r.a.log.bytes()); !contains(log, "does not sign until") || !contains(log, "confirmed by the other parties") {
		t.Errorf("the log is %s", log)
	}
	if rec := r.a.record("key", r.keyID); rec["restored"] != nil {
		t.Error("a confirmed share is still marked")
	}
}

// What was approved before the backup does not make a restored share sign either.
func TestARestoredShareDoesNotJoin(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	r.do(func() { r.manual = true })
	s := r.offer(r.signing())
	for _, m := range []*member{r.a, r.b, r.c} {
		r.awaitAnswer(s, m.id, linkv1.Answer_APPROVED)
	}
	path := r.a.backup()
	r.do(func() { r.route = without(func(_ wire.NodeID, f *linkv1.Frame) bool { return isQuestion(f) }) })
	r.a.restore(path)
	if a := r.awaitAnswer(s, r.a.id, linkv1.Answer_REFUSED); !contains(a.Reason, "unconfirmed") {
		t.Fatalf("it was refused with %q", a.Reason)
	}
	r.do(func() { r.begin(s) })
	r.mustBeSilent(s, r.a.id)
}

func TestARestoredShareOfAnOldEpoch(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	path := r.a.backup()
	all := map[byte]*member{1: r.a, 2: r.b, 3: r.c}
	r.b.refresh(r.keyID, 2, all, true)
	r.c.refresh(r.keyID, 2, all, true)
	r.a.restore(path)
	for range 2 {
		r.a.awaitState(r.keyID, node.KeyStale, "has a share of epoch 2; this one never signs; restore a newer backup")
		r.mustNotSign(r.a, "too old, and never signs")
		r.a.mustCount(0, 1)
		r.a.crash()
	}
	// Whatever the parties say later.
	r.b.refresh(r.keyID, 1, nil, false)
	r.c.refresh(r.keyID, 1, nil, false)
	r.a.restart()
	r.a.awaitState(r.keyID, node.KeyStale, "")
	if !contains(string(r.a.log.bytes()), "too old, and never signs") {
		t.Error("the log does not say it")
	}
	id, keys, err := node.CheckStore(r.a.store, good)
	must(t, err)
	if id != r.a.id || keys[0].State != node.KeyStale {
		t.Errorf("a backup of it would say %+v", keys)
	}
	must(t, node.AcceptEpochs(r.a.store))
	r.a.awaitState(r.keyID, node.KeyStale, "")
}

// After a disaster all shares come from backups, and nobody can say that his is the newest. All of them together can.
func TestAllAreRestored(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	members := []*member{r.a, r.b, r.c}
	for _, m := range members {
		m.tend = time.Millisecond
		m.restoreAs(m.backup(), func(s *keystore.Store) error { return node.AfterRestore(s, r.clock.Now()) })
	}
	r.a.unseal()
	r.b.unseal()
	r.a.awaitState(r.keyID, node.KeyUnconfirmed, "party 2 has the same share, restored from a backup too, party 3 has not answered")
	r.c.unseal()
	for _, m := range members {
		m.awaitState(r.keyID, node.KeyActive, "")
	}
	r.mustSign(r.signing())
}

// A backup from before the share was active becomes active by what the others say.
func TestARestoredPendingShare(t *testing.T) {
	t.Parallel()
	r := newTrio(t)
	r.do(func() { r.route = confirmationsTo(r.a.id) })
	s := r.offer(r.keygen(3))
	r.awaitActive(r.keyID, r.b, r.c)
	r.awaitReport(s, r.a.id)
	r.settle(r.a.id)
	path := r.a.backup()
	r.a.restore(path)
	r.awaitActive(r.keyID, r.a, r.b, r.c) // no confirmation has reached it
	r.mustSign(r.signing())
}

// With t of n, t words do: one of them is honest. Those of parties that do not know count only if all have spoken.
func TestSomeOfManyConfirm(t *testing.T) {
	t.Parallel()
	r := newTrio(t)
	d := r.member()
	r.introduce(r.a, r.b, r.c, d)
	r.all = parties(r.a.id, r.b.id, r.c.id, d.id)
	for _, m := range []*member{r.b, r.c, d} {
		m.guarded(wire.Approve)
	}
	r.offer(keygenOf("sino-many", r.keyID, 2, r.all))
	r.awaitActive(r.keyID, r.a, r.b, r.c, d)
	path := r.a.backup()
	r.do(func() {
		r.route = without(func(to wire.NodeID, f *linkv1.Frame) bool { return isQuestion(f) && to == d.id })
	})
	r.a.restore(path)
	r.a.awaitState(r.keyID, node.KeyActive, "")
	s := r.signing()
	s.parties = only(r.all, 1, 2)
	r.mustSign(s)

	// While one of them says that there is a newer share it is not used, whatever the others say.
	honest := d.record("key", r.keyID)
	d.refresh(r.keyID, 7, nil, false)
	r.do(func() {
		r.route = without(func(to wire.NodeID, f *linkv1.Frame) bool { return isQuestion(f) && to != d.id })
	})
	r.a.tend = time.Millisecond
	r.a.restore(path)
	r.a.awaitState(r.keyID, node.KeyUnconfirmed, "party 4 says that there is a newer share")
	r.do(func() { r.route = nil })
	r.a.awaitState(r.keyID, node.KeyUnconfirmed, "party 2 has the same share, party 3 has the same share, party 4 says")
	d.rewrite(r.keyID, honest)
	r.a.awaitState(r.keyID, node.KeyActive, "")

	r.do(func() { r.route = without(func(_ wire.NodeID, f *linkv1.Frame) bool { return isQuestion(f) }) })
	r.b.restore(r.b.backup())
	r.do(func() {
		r.route = without(func(to wire.NodeID, f *linkv1.Frame) bool { return isQuestion(f) && to != r.b.id && to != r.c.id })
	})
	r.a.restore(path)
	r.a.awaitState(r.keyID, node.KeyUnconfirmed, "party 2 has the same share, restored from a backup too, party 3 has the same share, party 4 has not answered")
}

// An operator who has asked by other means may say so when restoring.
func TestAcceptEpochs(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	path := r.a.backup()
	r.do(func() { r.route = without(func(_ wire.NodeID, f *linkv1.Frame) bool { return isQuestion(f) }) })
	r.a.restoreAs(path, func(s *keystore.Store) error {
		return errors.Join(node.AfterRestore(s, r.clock.Now()), node.AfterRestore(s, r.clock.Now()), node.AcceptEpochs(s))
	})
	r.a.unseal()
	r.a.awaitState(r.keyID, node.KeyActive, "")
	r.mustSign(r.signing())
	if r.count(r.a.id, isQuestion) != 0 {
		t.Error("it asks all the same")
	}
}
