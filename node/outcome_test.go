package node_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"net/http/httptest"
	"testing"
	"time"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/ecies"
	"github.com/countersign-mpc/countersign/keystore"
	"github.com/countersign-mpc/countersign/node"
	"github.com/countersign-mpc/countersign/node/asking"
	"github.com/countersign-mpc/countersign/signing"
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

// The store is what counts: where it does not hold the request as approved under the session's question, a final word may
// have been said.
func TestNoShareGoesOutUnderAnotherApproval(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(rec map[string]any){
		"refused": func(rec map[string]any) { rec["state"] = "refused" },
		"waiting": func(rec map[string]any) { rec["state"] = "waiting" },
		"another": func(rec map[string]any) { rec["ask"].(map[string]any)["callback_id"] = "another" },
		"told":    func(rec map[string]any) { rec["ask"].(map[string]any)["outcome"] = "not-signed" },
		"unasked": func(rec map[string]any) { delete(rec, "ask") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTold(t)
			a := r.signing()
			r.a.toys.change(func(y *toys) {
				y.sign = func(s signing.SignSession) signing.SignSession {
					return sealing{s, func() {
						rec := r.a.record("request", a.sino)
						change(rec)
						data, err := json.Marshal(rec)
						must(t, err)
						must(t, r.a.store.Update(func(tx *keystore.Tx) error { return tx.Put("request", a.sino, data) }))
					}, nil}
				}
			})
			s := r.offer(a)
			if report := r.awaitReport(s, r.a.id); report.Completed || !contains(report.Reason, "the share is not used") {
				t.Fatalf("the report is %v", report)
			}
			r.settle(r.a.id)
			if n := r.count(r.a.id, func(f *linkv1.Frame) bool { return lastRound(s, f) }); n != 0 {
				t.Fatal("the share went out")
			}
		})
	}
}

func TestMetricsOfARequest(t *testing.T) {
	t.Parallel()
	r := newTold(t)
	r.server.change(func(d *double) { d.down[wire.PathRawdata] = true })
	r.mustSign(r.signing())
	r.server.await("a report", func() bool { return r.server.posts[wire.PathRawdata] > 0 })
	r.server.mustHear(0, wire.OutcomeSigned)
	r.a.awaitNone("outcome")
	w := httptest.NewRecorder()
	r.a.node.Health().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{
		`countersign_node_stage_seconds_count{stage="approval",type="sign"} 1`, `countersign_node_stage_seconds_count{stage="gather",type="sign"} 1`,
		`countersign_node_stage_seconds_count{stage="protocol",type="sign"} 1`, `countersign_node_stage_seconds_count{stage="result",type="sign"} 1`,
		`countersign_node_callback_seconds_count{call="check",result="Approve"} 1`,
		`countersign_node_callback_seconds_count{call="outcome",result="acknowledged"} 1`,
		`countersign_node_outcomes_total{word="signed"} 1`, "countersign_node_unacknowledged_reports 1", "countersign_node_unacknowledged_outcomes 0",
	} {
		if !contains(w.Body.String(), want) {
			t.Errorf("the metrics have no %s", want)
		}
	}
}

// What a backup has as approved may have been signed since.
func TestARestoredApprovalIsNotSaidToBeUnused(t *testing.T) {
	t.Parallel()
	r := newTold(t)
	r.approved(r.signing())
	must(t, node.AfterRestore(r.a.store, r.clock.Now()))
	must(t, node.AcceptEpochs(r.a.store)) // this is about requests
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

// TestTheEndOfARequestIsNotWaitedFor: what an approval has reserved is free when the request expires, not at the next look a
// minute later.
func TestTheEndOfARequestIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	r := &told{trio: newSigners(t)}
	r.server = r.a.double()
	a := r.signing()
	a.expires = r.clock.Now().Add(8 * time.Second)
	r.approved(a)
	began := time.Now()
	r.server.mustHear(0, wire.OutcomeNotSigned)
	if took := time.Since(began); took > 30*time.Second {
		t.Fatalf("it took %s", took)
	}
}
