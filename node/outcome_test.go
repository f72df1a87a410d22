package node_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/ecies"
	"github.com/countersign-mpc/countersign/keystore"
	"github.com/countersign-mpc/countersign/node"
	"github.com/countersign-mpc/countersign/node/asking"
	"github.com/countersign-mpc/countersign/wire"
)

// told is a trio whose first party has a callback server over HTTP that is told of outcomes.
type told struct {
	*trio
	server *double
}

func newTold(t testing.TB) *told {
	t.Helper()
	r := &told{trio: newSigners(t)}
	r.a.node.Seal()
	r.a.tend = 10 * time.Millisecond
	r.a.restart()
	r.server = r.a.double()
	return r
}

func sumOf(parts ...[]byte) string {
	sum := sha256.Sum256(bytes.Join(parts, nil))
	return hexOf(sum[:])
}

// approved offers a request that is approved everywhere and not begun.
func (r *told) approved(a ask) *session {
	r.t.Helper()
	r.do(func() { r.manual = true })
	s := r.offer(a)
	for _, m := range []*member{r.a, r.b, r.c} {
		r.awaitAnswer(s, m.id, linkv1.Answer_APPROVED)
	}
	return s
}

func TestASignatureIsToldByItsHash(t *testing.T) {
	t.Parallel()
	r := newTold(t)
	tx := transactionNamed(t, "legacy-eip155-erc20-transfer")
	for i, c := range []struct {
		signType, message string
		txInfo            []byte
		firstV            int // -1: there is no v
	}{
		{"1", "", tx.info(t), 0},
		{"2", "hello", nil, 27},
		{"3", tx.Digest, nil, -1},
	} {
		a := r.signing()
		a.terms.SignType, a.terms.Message, a.terms.TxInfo = c.signType, c.message, c.txInfo
		report := r.mustSign(a)
		var v []byte
		if c.firstV >= 0 {
			v = []byte{byte(c.firstV) + byte(report.RecoveryId&1)}
		}
		if got := r.server.mustHear(i, wire.OutcomeSigned); got.signature != sumOf(report.Result, v) {
			t.Fatalf("sign_type %s: the hash is %s", c.signType, got.signature)
		}
	}
	r.server.mustBeQuiet(r.a, 3)
	if stat, err := r.a.store.Stat(); err != nil || stat.Records["outcome"] != 0 {
		t.Fatalf("the store holds %v outcomes (%v)", stat.Records["outcome"], err)
	}
}

func TestWhoKnowsTheSignatureSaysSo(t *testing.T) {
	t.Parallel()
	r := newSecluded(t, wire.ECDSASecp256k1, 3)
	first, second := r.a.double(), r.b.double()
	s := r.offer(r.signing())
	report := r.awaitReport(s, r.b.id)
	plain, err := ecies.Decrypt(r.key, report.Result)
	must(t, err)
	if got := second.mustHear(0, wire.OutcomeSigned); got.signature != sumOf(plain) {
		t.Fatalf("the hash is %s", got.signature)
	}
	first.mustHear(0, wire.OutcomeUnknown)
	first.mustBeQuiet(r.a, 1)
	second.mustBeQuiet(r.b, 1)
}

func TestAnApprovalThatIsReplacedWasNotUsed(t *testing.T) {
	t.Parallel()
	for name, then := range map[string]wire.Action{"approved again": wire.Approve, "then rejected": wire.Reject} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTold(t)
			a := r.signing()
			a.expires = r.clock.Now().Add(2 * time.Hour)
			s := r.approved(a)
			r.server.change(func(d *double) { d.decide = func(int) wire.Action { return then } })
			r.clock.step(11 * time.Minute)
			r.do(func() { r.manual = false; r.begin(s) })
			r.server.mustHear(0, wire.OutcomeNotSigned)
			if then == wire.Reject {
				r.awaitAnswer(s, r.a.id, linkv1.Answer_REJECTED)
				r.server.mustBeQuiet(r.a, 1)
				return
			}
			r.mustBeSigned(t, s)
			r.server.mustHear(1, wire.OutcomeSigned)
			r.server.mustBeQuiet(r.a, 2)
		})
	}
}

func TestWhatWasNotApprovedGetsNoWord(t *testing.T) {
	t.Parallel()
	r := newTold(t)
	r.server.change(func(d *double) {
		d.decide = func(n int) wire.Action { return []wire.Action{wire.Wait, wire.Approve, wire.Reject}[n] }
	})
	r.mustSign(r.signing())
	r.server.mustHear(1, wire.OutcomeSigned)
	s := r.offer(r.signing())
	r.awaitAnswer(s, r.a.id, linkv1.Answer_REJECTED)
	r.server.mustBeQuiet(r.a, 1)
}

// A server whose answer never came may have approved.
func TestAnAnswerThatWasLostMayHaveBeenApprove(t *testing.T) {
	t.Parallel()
	r := newTold(t)
	r.server.change(func(d *double) { d.decide = func(int) wire.Action { return "" } })
	s := r.offer(r.signing())
	r.awaitAnswer(s, r.a.id, linkv1.Answer_REFUSED)
	r.server.mustHear(0, wire.OutcomeNotSigned)
	r.server.mustBeQuiet(r.a, 1)
}

// In mode all one server may have approved what another rejected or wants to wait with.
func TestAnApprovalOfOneOfSeveralServers(t *testing.T) {
	t.Parallel()
	r := newTold(t)
	other := r.standIn(r.a)
	other.change(func(d *double) {
		d.decide = func(n int) wire.Action { return []wire.Action{wire.Wait, wire.Reject, wire.Approve}[n] }
	})
	r.a.askAll(asking.ModeAll, r.server, other)
	s := r.offer(r.signing())
	r.awaitAnswer(s, r.a.id, linkv1.Answer_REJECTED)
	r.mustSign(r.signing())
	for _, d := range []*double{r.server, other} {
		d.mustHear(0, wire.OutcomeNotSigned) // Wait
		d.mustHear(1, wire.OutcomeNotSigned) // Reject
		d.mustHear(2, wire.OutcomeSigned)
		d.mustBeQuiet(r.a, 3)
	}
}

func TestAnApprovedRequestThatExpiresWasNotSigned(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]func(*told, *session){
		"with a seat":                func(*told, *session) {},
		"in the store":               func(r *told, s *session) { r.end(s, "failed", "another party failed") },
		"after a crash":              func(r *told, _ *session) { r.a.crash() },
		"after a restart":            func(r *told, _ *session) { r.a.restart() },
		"while sealed":               func(r *told, _ *session) { r.a.node.Seal(); r.clock.step(2 * time.Hour); r.a.unseal() },
		"while sealed for two month": func(r *told, _ *session) { r.a.node.Seal(); r.clock.step(60 * 24 * time.Hour); r.a.unseal() },
		"after a session without a release": func(r *told, s *session) {
			r.do(func() { r.route = noEnvelopes; r.begin(s) })
			r.await("contributions", func() bool { return len(s.contributions) == 3 })
			r.end(s, "failed", "party b is not heard")
			r.mustFail(r.t, s, "party b is not heard", r.a)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTold(t)
			a := r.signing()
			s := r.approved(a)
			before(r, s)
			r.clock.step(2 * time.Hour)
			r.server.mustHear(0, wire.OutcomeNotSigned)
			r.clock.step(-2 * time.Hour) // the clock is put back: it stays over
			late := r.offer(a)
			r.awaitAnswer(late, r.a.id, linkv1.Answer_REFUSED)
			r.do(func() { r.begin(late) })
			r.mustBeSilent(late, r.a.id)
			r.server.mustBeQuiet(r.a, 1)
		})
	}
}

func TestAReleasedShareIsNeverSaidToBeUnused(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(*told, *session){
		"the session fails": func(r *told, s *session) { r.end(s, "failed", "party b is not heard") },
		"crash":             func(r *told, _ *session) { r.a.crash() },
		"restart":           func(r *told, _ *session) { r.a.restart() },
		"seal":              func(r *told, _ *session) { r.a.node.Seal(); r.a.unseal() },
		"expiry":            func(r *told, _ *session) { r.clock.step(2 * time.Hour); r.a.crash() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTold(t)
			a := r.signing()
			released := make(chan struct{})
			once := onceClose(released)
			var s *session
			r.do(func() {
				r.seen = func(from wire.NodeID, f *linkv1.Frame) {
					if from == r.a.id && f.GetEnvelope().GetRound() == 3 {
						once()
					}
				}
				r.route = func(to wire.NodeID, f *linkv1.Frame) []*linkv1.Frame {
					if to == r.a.id && f.GetEnvelope().GetRound() == 3 {
						return nil
					}
					return []*linkv1.Frame{f}
				}
			})
			s = r.offer(a)
			receive(t, released)
			lose(r, s)
			r.server.mustHear(0, wire.OutcomeUnknown)
			r.clock.step(3 * time.Hour)
			r.a.crash()
			r.server.mustBeQuiet(r.a, 1)
		})
	}
}

func TestOutcomesAreToldUntilAcknowledged(t *testing.T) {
	t.Parallel()
	r := newTold(t)
	r.server.change(func(d *double) { d.down[wire.PathOutcome] = true })
	r.mustSign(r.signing())
	posts := func(n int) func() bool { return func() bool { return r.server.posts[wire.PathOutcome] >= n } }
	r.server.await("a first try", posts(1))
	for i, again := range []func(){r.a.crash, r.a.restart, func() { r.a.node.Seal(); r.a.unseal() }} {
		again()
		r.server.await("another try", posts(i+2))
	}
	r.server.change(func(d *double) { d.down[wire.PathOutcome] = false })
	r.a.crash()
	r.server.mustHear(0, wire.OutcomeSigned)
	r.server.mustBeQuiet(r.a, 1)
	r.server.change(func(d *double) { d.posts[wire.PathOutcome] = 0 })
	r.a.crash()
	r.server.mustBeQuiet(r.a, 1)
	r.server.change(func(d *double) {
		if d.posts[wire.PathOutcome] != 0 {
			t.Error("an acknowledged outcome is told again")
		}
	})
}

func TestKeygensHaveOutcomes(t *testing.T) {
	t.Parallel()
	r := newTrio(t)
	r.a.node.Seal()
	r.a.tend = 10 * time.Millisecond
	r.a.restart()
	server := r.a.double()
	r.offer(r.keygen(3))
	r.awaitActive(r.keyID, r.a, r.b, r.c)
	server.await("a word", func() bool { return len(server.words) == 1 })
	server.change(func(d *double) {
		if d.words[d.checks[0]] != (word{wire.OutcomeSigned, ""}) {
			t.Errorf("the words are %v", d.words)
		}
	})
	r.do(func() { r.manual = true })
	lost := r.keygen(3)
	lost.keyID = "key-2"
	s := r.offer(lost)
	r.awaitAnswer(s, r.a.id, linkv1.Answer_APPROVED)
	r.clock.step(2 * time.Hour)
	server.mustHear(1, wire.OutcomeNotSigned)
	server.mustBeQuiet(r.a, 2)
}

// What a backup has as approved may have been signed since.
func TestARestoredApprovalIsNotSaidToBeUnused(t *testing.T) {
	t.Parallel()
	r := newTold(t)
	r.approved(r.signing())
	must(t, node.AfterRestore(r.a.store))
	r.a.crash()
	fresh := r.approved(r.signing())
	r.clock.step(2 * time.Hour)
	r.server.mustHear(0, wire.OutcomeUnknown)
	r.server.mustHear(1, wire.OutcomeNotSigned)
	r.server.mustBeQuiet(r.a, 2)
	r.mustBeSilent(fresh, r.a.id)
}

func TestNobodyIsToldWhoDoesNotWantTo(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	r.mustSign(r.signing())
	if stat, err := r.a.store.Stat(); err != nil || stat.Records["outcome"] != 0 {
		t.Fatalf("the store holds %v outcomes (%v)", stat.Records["outcome"], err)
	}
}

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
