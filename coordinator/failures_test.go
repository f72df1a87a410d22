package coordinator_test

import (
	"strings"
	"testing"
	"time"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/bolt/coordstore/coordtest"
	"github.com/countersign-mpc/countersign/coordinator"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/wire"
)

// failing is a way in which a session fails, and whether another one follows.
type failing struct {
	at    point
	fail  func(t *testing.T, w *coordtest.World, m []coordtest.Member)
	cause coordinator.Cause
	party string
	state coordinator.State // of the session
	retry bool
}

func TestFailures(t *testing.T) {
	checkFailures(t, map[string]failing{
		"abort with a culprit": {running, func(t *testing.T, w *coordtest.World, m []coordtest.Member) {
			m[0].Must(m[0].Report(t, m[0].Session, manifest.Report{Reason: "bad proof", Culprit: 3}))
		}, coordinator.CauseAbort, "a", coordinator.StateFailed, false},
		"abort without a culprit": {running, func(t *testing.T, w *coordtest.World, m []coordtest.Member) {
			m[0].Must(m[0].Report(t, m[0].Session, manifest.Report{Reason: "lost"}))
		}, coordinator.CauseAbort, "a", coordinator.StateFailed, true},
		"manifests differ": {begun, func(t *testing.T, w *coordtest.World, m []coordtest.Member) {
			for i, text := range []string{"one thing", "another"} {
				m[i].Must(coordtest.Join(m[i].Session, m[i].Token), m[i].Contribution(t, m[i].Session, m[i].Index, text, ""))
			}
		}, coordinator.CauseManifests, "", coordinator.StateFailed, false},
		"two contributions": {joined, func(t *testing.T, w *coordtest.World, m []coordtest.Member) {
			m[0].Must(m[0].Contribution(t, m[0].Session, 1, "manifest", ""), m[0].Contribution(t, m[0].Session, 1, "manifest", "other"))
		}, coordinator.CauseEquivocation, "a", coordinator.StateFailed, false},
		"restart of a party that joined": {joined, func(t *testing.T, w *coordtest.World, m []coordtest.Member) {
			w.Parties[0].Instance = "a-2"
			w.Connect(0)
		}, coordinator.CauseRestarted, "a", coordinator.StateFailed, true},
		"restart of a party that runs": {running, func(t *testing.T, w *coordtest.World, m []coordtest.Member) {
			w.Parties[2].Instance = "c-2"
			w.Connect(2)
		}, coordinator.CauseRestarted, "c", coordinator.StateFailed, true},
		"deadline": {running, func(t *testing.T, w *coordtest.World, m []coordtest.Member) {
			w.Clock.Step(coordinator.DefaultSessionTime)
			w.Tick()
		}, coordinator.CauseDeadline, "", coordinator.StateExpired, true},
		"deadline before all joined": {begun, func(t *testing.T, w *coordtest.World, m []coordtest.Member) {
			w.Clock.Step(coordinator.DefaultSessionTime)
			w.Tick()
		}, coordinator.CauseDeadline, "", coordinator.StateExpired, true},
		"away for too long": {running, func(t *testing.T, w *coordtest.World, m []coordtest.Member) {
			w.Disconnect(0)
			w.Clock.Step(coordinator.DefaultDisconnectGrace)
			w.Tick()
			expect(t, "just in time", w.Last(w.Status("pay").Request.SinoID).State, coordinator.StateInProgress)
			w.Clock.Step(time.Second)
			w.Tick()
		}, coordinator.CauseDisconnected, "a", coordinator.StateFailed, true},
		"away since the coordinator started": {running, func(t *testing.T, w *coordtest.World, m []coordtest.Member) {
			w.Restart()
			w.Connect(0)
			w.Clock.Step(coordinator.DefaultDisconnectGrace + time.Second)
			w.Tick()
			w.Connect(2)
		}, coordinator.CauseDisconnected, "c", coordinator.StateFailed, true},
		"it has released its share": {offered, func(t *testing.T, w *coordtest.World, m []coordtest.Member) {
			m[0].Must(coordtest.Answer(m[0].Session, done, ""))
			w.Tick()
			expect(t, "within the grace", w.Last(w.Status("pay").Request.SinoID).State, coordinator.StateCreated)
			w.Clock.Step(time.Minute)
			w.Tick()
		}, coordinator.CauseReleased, "a", coordinator.StateFailed, false},
	})
}

// Results that do not verify fail the session for good.
func TestInvalidResults(t *testing.T) {
	checkFailures(t, map[string]failing{
		"a signature of another digest": {running, func(t *testing.T, w *coordtest.World, m []coordtest.Member) {
			m[0].Must(m[0].Report(t, m[0].Session, w.Wallet.Signed(t, "m/1", coordtest.Digest("another"))))
		}, coordinator.CauseReportInvalid, "a", coordinator.StateFailed, false},
		"a signature under another path": {running, func(t *testing.T, w *coordtest.World, m []coordtest.Member) {
			m[0].Must(m[0].Report(t, m[0].Session, w.Wallet.Signed(t, "m/2", coordtest.Digest("payment"))))
		}, coordinator.CauseReportInvalid, "a", coordinator.StateFailed, false},
		"a signature under another key": {running, func(t *testing.T, w *coordtest.World, m []coordtest.Member) {
			m[0].Must(m[0].Report(t, m[0].Session, coordtest.NewWallet("x").Signed(t, "m/1", coordtest.Digest("payment"))))
		}, coordinator.CauseReportInvalid, "a", coordinator.StateFailed, false},
		"a signature that does not verify": {running, func(t *testing.T, w *coordtest.World, m []coordtest.Member) {
			r := w.Wallet.Signed(t, "m/1", coordtest.Digest("payment"))
			r.Result[40] ^= 1
			m[0].Must(m[0].Report(t, m[0].Session, r))
		}, coordinator.CauseReportInvalid, "a", coordinator.StateFailed, false},
		"a wrong recovery id": {running, func(t *testing.T, w *coordtest.World, m []coordtest.Member) {
			r := w.Wallet.Signed(t, "m/1", coordtest.Digest("payment"))
			r.RecoveryID ^= 1
			m[0].Must(m[0].Report(t, m[0].Session, r))
		}, coordinator.CauseReportInvalid, "a", coordinator.StateFailed, false},
		"a wrong chain code": {running, func(t *testing.T, w *coordtest.World, m []coordtest.Member) {
			r := w.Wallet.Signed(t, "m/1", coordtest.Digest("payment"))
			r.ChainCode = coordtest.Digest("x")
			m[0].Must(m[0].Report(t, m[0].Session, r))
		}, coordinator.CauseReportInvalid, "a", coordinator.StateFailed, false},
		"a skipped message": {running, func(t *testing.T, w *coordtest.World, m []coordtest.Member) {
			m[0].Must(coordtest.Envelope(m[0].Session, 1, 3, 2, "x"))
		}, coordinator.CauseMessageLost, "a", coordinator.StateFailed, false},
	})
}

func checkFailures(t *testing.T, cases map[string]failing) {
	t.Helper()
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, id, m := at(t, c.at)
			c.fail(t, w, m)
			st := w.Status(id)
			sess := st.Sessions[0]
			expect(t, "session", sess.State, c.state)
			if sess.Failure == nil {
				t.Fatal("the session has no failure")
			}
			expect(t, "cause", sess.Failure.Cause, c.cause)
			expect(t, "party", sess.Failure.Party, c.party)
			want := map[bool]coordinator.State{true: coordinator.StateCreated, false: coordinator.StateFailed}[c.retry]
			expect(t, "request", st.Request.State, want)
			for _, l := range w.Members(sess) {
				if heard := kinds(l.Receive()); !strings.Contains(heard, "end:"+string(c.state)) && sess.Failure.Cause != coordinator.CauseAbort {
					t.Errorf("%s heard %q", l.Name, heard)
				}
			}
			w.Clock.Step(coordinator.DefaultRetryDelay)
			w.Tick()
			expect(t, "sessions", len(w.Status(id).Sessions), map[bool]int{true: 2, false: 1}[c.retry])
			w.Tick()
			expect(t, "sessions, another tick later", len(w.Status(id).Sessions), map[bool]int{true: 2, false: 1}[c.retry])
		})
	}
}

// A second session that goes well completes the request; the third that fails ends it.
func TestRetries(t *testing.T) {
	w, id, m := at(t, running)
	fail := func(m []coordtest.Member) {
		m[0].Must(m[0].Report(t, m[0].Session, manifest.Report{Reason: "lost"}))
		w.Clock.Step(coordinator.DefaultRetryDelay)
		w.Tick()
		w.Drain()
	}
	fail(m)
	second := w.Last(id)
	expect(t, "the named signers again", []byte{second.Members[0].Index, second.Members[1].Index}, []byte{1, 3})
	if second.ID == m[0].Session || second.Members[0].Token == m[0].Token {
		t.Error("the second session repeats id or token of the first")
	}
	fail(w.Members(w.Run(id)))
	w.Run(id)
	for _, m := range w.Members(w.Last(id)) {
		if m.Index == 1 {
			m.Must(m.Report(t, m.Session, manifest.Report{Reason: "lost"}))
		}
	}
	w.Clock.Step(coordinator.DefaultRetryDelay)
	w.Tick()
	st := w.Status(id)
	expect(t, "sessions", len(st.Sessions), coordinator.DefaultMaxSessions)
	expect(t, "request", st.Request.State, coordinator.StateFailed)
	expect(t, "message", st.Request.Failure.Message, "party a reports: lost")
}

// A signature that one party has reported exists, whatever becomes of the session: the request has its result.
func TestSignatureOfAFailedSession(t *testing.T) {
	w, id, m := at(t, running)
	m[0].Must(m[0].Report(t, m[0].Session, w.Wallet.Signed(t, "m/1", coordtest.Digest("payment"))))
	w.Parties[2].Instance = "c-2" // it restarts before it has the last message
	w.Connect(2)
	st := w.Status(id)
	expect(t, "session", states(st.Sessions[0]), "failed: completed failed")
	expect(t, "request", st.Request.State, coordinator.StateCompleted)
	w.Tick()
	expect(t, "sessions", len(w.Status(id).Sessions), 1)
}

// Where the request does not name the digest, one party's word is not enough: it could be an old signature.
func TestSignatureOfAnUnnamedDigest(t *testing.T) {
	for name, reports := range map[string]int{"one party": 1, "two parties": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := coordtest.NewWorld(t, 3, coordinator.Limits{})
			order := coordtest.SignOrder(w.Key(3).ID, "m/1", "pay", "")
			order.Terms.SignType, order.Terms.Message = wire.SignTypeMessage, "hello"
			id := w.Submit(order).Request.SinoID
			m := w.Members(w.Run(id))
			signed := w.Wallet.Signed(t, "m/1", coordtest.Digest("whatever the nodes make of hello"))
			for _, m := range m[:reports] {
				m.Must(m.Report(t, m.Session, signed))
			}
			w.Parties[2].Instance = "c-2"
			w.Connect(2)
			want := map[int]coordinator.State{1: coordinator.StateCreated, 2: coordinator.StateCompleted}[reports]
			expect(t, "request", w.Status(id).Request.State, want)
			m[1].Must(m[1].Report(t, m[1].Session, signed)) // late, or again
			expect(t, "request, once two have said so", w.Status(id).Request.State, coordinator.StateCompleted)
		})
	}
}

// A report that comes after its session was ended, and even after another one began, gives the request its result.
func TestLateReport(t *testing.T) {
	for _, then := range []string{"waits for the next session", "next session is offered", "failed", "expired"} {
		t.Run(then, func(t *testing.T) {
			w, id, m := at(t, running)
			late := m[1].Report(t, m[1].Session, w.Wallet.Signed(t, "m/1", coordtest.Digest("payment")))
			culprit := map[bool]byte{true: 3}[then == "failed"]
			m[0].Must(m[0].Report(t, m[0].Session, manifest.Report{Reason: "lost", Culprit: culprit}))
			switch then {
			case "next session is offered":
				w.Clock.Step(coordinator.DefaultRetryDelay)
				w.Tick()
				w.Drain()
				w.Lives[0].Must(coordtest.Answer(w.Last(id).ID, approved, ""))
				w.Lives[2].Must(coordtest.Answer(w.Last(id).ID, done, "")) // as nodes do: the answer before the report
			case "expired":
				w.Clock.Step(coordinator.DefaultRequestLife)
				w.Tick()
				expect(t, "request", w.Status(id).Request.State, coordinator.StateExpired)
			}
			m[1].Must(late)
			st := w.Status(id)
			expect(t, "request", st.Request.State, coordinator.StateCompleted)
			if st.Request.Failure != nil || st.Request.Result == nil {
				t.Error("the result is not there")
			}
			if then == "next session is offered" {
				expect(t, "second session", st.Sessions[1].Failure.Cause, coordinator.CauseCompletedOther)
				if heard := kinds(w.Lives[0].Receive()); !strings.HasSuffix(heard, "end:failed") {
					t.Errorf("a heard %q", heard)
				}
			}
			m[1].Must(late) // sent again
			w.Clock.Step(time.Hour)
			w.Tick()
			expect(t, "sessions", len(w.Status(id).Sessions), len(st.Sessions))
		})
	}
}

func TestLateReportThatDoesNotCount(t *testing.T) {
	w, id, m := at(t, over)
	m[1].Must(m[1].Report(t, m[1].Session, coordtest.NewWallet("x").Signed(t, "m/1", coordtest.Digest("payment"))))
	expect(t, "request", w.Status(id).Request.State, coordinator.StateFailed)
}

// Parties that report different keys: the key never becomes active, whatever they confirm.
func TestKeygenReportsDiffer(t *testing.T) {
	w := coordtest.NewWorld(t, 2, coordinator.Limits{})
	id := w.Submit(w.KeygenOrder(2, "")).Request.SinoID
	m := w.Members(w.Run(id))
	m[0].Must(m[0].Report(t, m[0].Session, w.Wallet.Made()))
	m[1].Must(m[1].Report(t, m[1].Session, coordtest.NewWallet("x").Made()))
	st := w.Status(id)
	expect(t, "cause", st.Request.Failure.Cause, coordinator.CauseReportsDiffer)
	for _, active := range []bool{false, true} {
		for _, m := range m {
			m.Must(m.Confirmation(t, st.Request.KeyID, m.Index, "share", active))
		}
	}
	expect(t, "key", w.Status(id).Key.State, coordinator.KeyFailed)
	_, _, err := w.C.Submit(t.Context(), coordtest.SignOrder(st.Request.KeyID, "", "", "x"))
	expect(t, "signing", coordtest.CodeOf(err), coordinator.CodeKeyNotActive)
}

func TestKeygenReportInvalid(t *testing.T) {
	for name, change := range map[string]func(*manifest.Report){
		"no public key":    func(r *manifest.Report) { r.PublicKey = nil },
		"no point":         func(r *manifest.Report) { r.PublicKey = append([]byte{2}, make([]byte, 32)...) },
		"short chain code": func(r *manifest.Report) { r.ChainCode = r.ChainCode[1:] },
		"a signature":      func(r *manifest.Report) { r.Result = make([]byte, 64) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := coordtest.NewWorld(t, 2, coordinator.Limits{})
			id := w.Submit(w.KeygenOrder(2, "")).Request.SinoID
			m := w.Members(w.Run(id))
			r := w.Wallet.Made()
			change(&r)
			m[0].Must(m[0].Report(t, m[0].Session, r))
			expect(t, "cause", w.Status(id).Request.Failure.Cause, coordinator.CauseReportInvalid)
		})
	}
}

// Confirmations that contradict each other make the key unusable for ever; one that is not the party's own counts nothing.
func TestConfirmations(t *testing.T) {
	type said struct {
		party  int
		text   string
		active bool
	}
	for name, c := range map[string]struct {
		said  []said
		state coordinator.KeyState
	}{
		"pending only":            {[]said{{0, "s", false}, {1, "s", false}}, coordinator.KeyPending},
		"one is active":           {[]said{{0, "s", false}, {1, "s", false}, {0, "s", true}}, coordinator.KeyPending},
		"active only":             {[]said{{0, "s", true}, {1, "s", true}}, coordinator.KeyActive},
		"different shares":        {[]said{{0, "s", false}, {1, "x", false}}, coordinator.KeyConflicted},
		"conflict is final":       {[]said{{0, "s", false}, {1, "x", false}, {0, "s", true}, {1, "s", true}}, coordinator.KeyConflicted},
		"one says two things":     {[]said{{0, "s", false}, {0, "x", true}}, coordinator.KeyConflicted},
		"against an active key":   {[]said{{0, "s", true}, {1, "s", true}, {0, "x", true}}, coordinator.KeyActive},
		"again on an active key":  {[]said{{0, "s", true}, {1, "s", true}, {0, "s", true}, {0, "s", false}}, coordinator.KeyActive},
		"nobody has said a thing": {nil, coordinator.KeyPending},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := coordtest.NewWorld(t, 2, coordinator.Limits{})
			id := w.Submit(w.KeygenOrder(2, "")).Request.SinoID
			for _, m := range w.Members(w.Run(id)) {
				m.Must(m.Report(t, m.Session, w.Wallet.Made()))
			}
			key := w.Status(id).Request.KeyID
			for _, s := range c.said {
				w.Lives[s.party].Must(w.Parties[s.party].Confirmation(t, key, byte(s.party+1), s.text, s.active))
			}
			st := w.Status(id)
			expect(t, "key", st.Key.State, c.state)
			request := map[coordinator.KeyState]coordinator.State{coordinator.KeyPending: coordinator.StateInProgress,
				coordinator.KeyActive: coordinator.StateCompleted, coordinator.KeyConflicted: coordinator.StateFailed}[c.state]
			expect(t, "request", st.Request.State, request)
			for name, f := range map[string]*linkv1.Frame{
				"of another party":  w.Parties[0].Confirmation(t, key, 2, "s", true),
				"signed by another": w.Parties[1].Confirmation(t, key, 1, "s", true),
			} {
				expect(t, name, coordtest.CodeOf(w.Lives[0].Send(f)), coordinator.CodeViolation)
			}
		})
	}
}

// A conflict that shows while the protocol still runs ends the session too.
func TestConflictEndsTheSession(t *testing.T) {
	w := coordtest.NewWorld(t, 2, coordinator.Limits{})
	id := w.Submit(w.KeygenOrder(2, "")).Request.SinoID
	w.Run(id)
	key := w.Status(id).Request.KeyID
	for i, text := range []string{"s", "x"} {
		w.Lives[i].Must(w.Parties[i].Confirmation(t, key, byte(i+1), text, false))
	}
	st := w.Status(id)
	expect(t, "session", st.Sessions[0].Failure.Cause, coordinator.CauseKeyConflicted)
	expect(t, "request", st.Request.State, coordinator.StateFailed)
	expect(t, "key", st.Key.State, coordinator.KeyConflicted)
}

// A keygen whose request expired while a party was away still makes a key once that party confirms.
func TestLateConfirmation(t *testing.T) {
	w := coordtest.NewWorld(t, 2, coordinator.Limits{})
	id := w.Submit(w.KeygenOrder(2, "")).Request.SinoID
	for _, m := range w.Members(w.Run(id)) {
		m.Must(m.Report(t, m.Session, w.Wallet.Made()))
	}
	key := w.Status(id).Request.KeyID
	w.Lives[0].Must(w.Parties[0].Confirmation(t, key, 1, "s", true))
	w.Clock.Step(coordinator.DefaultRequestLife)
	w.Tick()
	expect(t, "request", w.Status(id).Request.State, coordinator.StateExpired)
	expect(t, "key", w.Status(id).Key.State, coordinator.KeyFailed)
	w.Lives[1].Must(w.Parties[1].Confirmation(t, key, 2, "s", true))
	expect(t, "request", w.Status(id).Request.State, coordinator.StateCompleted)
	expect(t, "key", w.Status(id).Key.State, coordinator.KeyActive)
}

// A keygen of which one party lost its process after it had stored its share: the next offer brings the missing report.
func TestKeygenReportAfterRestart(t *testing.T) {
	w := coordtest.NewWorld(t, 2, coordinator.Limits{})
	id := w.Submit(w.KeygenOrder(2, "")).Request.SinoID
	m := w.Members(w.Run(id))
	m[0].Must(m[0].Report(t, m[0].Session, w.Wallet.Made()))
	w.Parties[1].Instance = "b-2"
	b := w.Connect(1)
	w.Clock.Step(coordinator.DefaultRetryDelay)
	w.Tick()
	w.Drain()
	b.Must(coordtest.Answer(w.Last(id).ID, done, ""), b.Report(t, m[1].Session, w.Wallet.Made()))
	for _, active := range []bool{false, true} {
		for i, l := range w.Lives {
			l.Must(l.Confirmation(t, w.Status(id).Request.KeyID, byte(i+1), "s", active))
		}
	}
	st := w.Status(id)
	expect(t, "request", st.Request.State, coordinator.StateCompleted)
	expect(t, "second session", st.Sessions[1].Failure.Cause, coordinator.CauseCompletedOther)
}
