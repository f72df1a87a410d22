package coordinator_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/bolt/coordstore/coordtest"
	"github.com/countersign-mpc/countersign/coordinator"
	"github.com/countersign-mpc/countersign/derive"
)

// kinds names frames: offer, begin, end:state, contribution, envelope:text, confirmation:index:active.
func kinds(frames []*linkv1.Frame) string {
	var out []string
	for _, f := range frames {
		switch b := f.Body.(type) {
		case *linkv1.Frame_Offer:
			out = append(out, "offer")
		case *linkv1.Frame_Begin:
			out = append(out, "begin")
		case *linkv1.Frame_End:
			out = append(out, "end:"+b.End.State)
		case *linkv1.Frame_Contribution:
			out = append(out, fmt.Sprintf("contribution:%d", b.Contribution.Index))
		case *linkv1.Frame_Envelope:
			out = append(out, "envelope:"+string(b.Envelope.Sealed))
		case *linkv1.Frame_Confirmation:
			out = append(out, fmt.Sprintf("confirmation:%d:%t", b.Confirmation.Index, b.Confirmation.Active))
		default:
			out = append(out, fmt.Sprintf("%T", b))
		}
	}
	return strings.Join(out, " ")
}

func expect(t *testing.T, what string, got, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func states(s coordinator.Session) string {
	var out []string
	for _, m := range s.Members {
		out = append(out, string(m.State))
	}
	return string(s.State) + ": " + strings.Join(out, " ")
}

func TestKeygen(t *testing.T) {
	w := coordtest.NewWorld(t, 3, coordinator.Limits{})
	st := w.Submit(w.KeygenOrder(3, "my keygen"))
	id, key := st.Request.SinoID, st.Request.KeyID
	expect(t, "created", states(st.Sessions[0]), "created: invited invited invited")
	for i, l := range w.Lives {
		frames := l.Receive()
		expect(t, "first frames", kinds(frames), "offer")
		o := frames[0].GetOffer()
		expect(t, "offered", []any{o.SessionId, o.SinoId, o.KeyId, o.JoinToken, o.Expires, o.Terms.Type, o.Terms.RequestId, o.Terms.T, o.Terms.N},
			[]any{st.Sessions[0].ID, id, key, st.Sessions[0].Members[i].Token, st.Request.Expires.Unix(), "keygen", "my keygen", 3, 3})
		for j, p := range o.Parties {
			expect(t, "party", []any{p.Index, p.NodeId}, []any{j + 1, w.Parties[j].ID})
			expect(t, "party of the terms", o.Terms.Parties[j], w.Parties[j].ID)
		}
	}
	members := w.Members(st.Sessions[0])
	for i, m := range members {
		expect(t, "while not all approve", w.Last(id).State, coordinator.StateCreated)
		m.Must(coordtest.Answer(m.Session, linkv1.Answer_APPROVED, ""))
		expect(t, "frames of the first", kinds(w.Lives[0].Receive()), map[bool]string{true: "begin"}[i == 2])
	}
	expect(t, "begun", states(w.Last(id)), "waiting: invited invited invited")
	begin := w.Lives[1].Receive()
	expect(t, "begin", kinds(begin), "begin")
	expect(t, "deadline", begin[0].GetBegin().Deadline, w.Clock.Now().Add(coordinator.DefaultSessionTime).Unix())
	expect(t, "statement", begin[0].GetBegin().Statements[2].NodeId, w.Parties[2].ID)
	expect(t, "statement", begin[0].GetBegin().Statements[2].Guarded, true)

	for _, m := range members {
		m.Must(coordtest.Join(m.Session, m.Token))
	}
	expect(t, "joined", states(w.Last(id)), "waiting: joined joined joined")
	for _, m := range members[:2] {
		m.Must(m.Contribution(t, m.Session, m.Index, "manifest", ""))
	}
	expect(t, "two contributed", states(w.Last(id)), "waiting: ready ready joined")
	members[2].Must(members[2].Contribution(t, members[2].Session, 3, "manifest", ""))
	expect(t, "all contributed", states(w.Last(id)), "in_progress: computing computing computing")
	members[0].Must(coordtest.Envelope(members[0].Session, 1, 2, 0, "x"), coordtest.Envelope(members[0].Session, 1, 2, 1, "y"))
	expect(t, "mail of b", kinds(w.Lives[1].Receive()), "contribution:1 contribution:3 envelope:x envelope:y")
	expect(t, "mail of a", kinds(w.Lives[0].Receive()), "contribution:2 contribution:3")

	for i, m := range members {
		expect(t, "before all reported", w.Last(id).State, coordinator.StateInProgress)
		m.Must(m.Report(t, m.Session, w.Wallet.Made()))
		expect(t, "reported", w.Last(id).Members[i].State, coordinator.MemberCompleted)
	}
	expect(t, "session", states(w.Last(id)), "completed: completed completed completed")
	expect(t, "request, shares unconfirmed", w.Status(id).Request.State, coordinator.StateInProgress)
	expect(t, "key, shares unconfirmed", w.Status(id).Key.State, coordinator.KeyPending)
	confirm(t, w, key)
	st = w.Status("my keygen") // by the requester's id
	expect(t, "request", st.Request.State, coordinator.StateCompleted)
	expect(t, "key", st.Key.State, coordinator.KeyActive)
	if !bytes.Equal(st.Key.PublicKey, w.Wallet.PublicKey) || !bytes.Equal(st.Request.Result.ChainCode, w.Wallet.ChainCode) {
		t.Error("the key is not the one that was reported")
	}
}

// confirm exchanges the confirmations of all parties.
func confirm(t *testing.T, w *coordtest.World, key string) {
	t.Helper()
	for i, l := range w.Lives {
		l.Must(l.Confirmation(t, key, byte(i+1), "share", false))
	}
	expect(t, "a hears of the others", kinds(w.Lives[0].Receive()), "confirmation:2:false confirmation:3:false")
	for i, l := range w.Lives {
		expect(t, "before all are active", must(w.C.Key(t.Context(), coordtest.Account, key))(t).State, coordinator.KeyPending)
		l.Must(l.Confirmation(t, key, byte(i+1), "share", true))
	}
	expect(t, "a hears of the others", kinds(w.Lives[0].Receive()), "confirmation:2:true confirmation:3:true")
	w.Drain()
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestSign(t *testing.T) {
	w := coordtest.NewWorld(t, 3, coordinator.Limits{})
	key := w.Key(2)
	const path = "m/44/60/0/0/0"
	st := w.Submit(coordtest.SignOrder(key.ID, path, "pay 1", "payment"))
	id := st.Request.SinoID
	expect(t, "signers", len(st.Sessions[0].Members), 2)
	sess := w.Run(id)
	for _, m := range w.Members(sess) {
		m.Must(m.Report(t, m.Session, w.Wallet.Signed(t, path, coordtest.Digest("payment"))))
	}
	st = w.Status(id)
	expect(t, "request", st.Request.State, coordinator.StateCompleted)
	r := st.Request.Result
	if !derive.VerifyECDSA(r.DerivedKey, r.Digest, r.Signature) || !bytes.Equal(r.Digest, coordtest.Digest("payment")) {
		t.Error("the result does not verify")
	}
	for _, l := range w.Lives {
		expect(t, "frames after the end", kinds(l.Receive()), "")
	}
}

// A coordinator that is stopped at any point, with frames undelivered and unacknowledged, goes on where it was.
func TestRestartInTheMiddle(t *testing.T) {
	w := coordtest.NewWorld(t, 3, coordinator.Limits{})
	key := w.Key(2)
	id := w.Submit(coordtest.SignOrder(key.ID, "", "pay 1", "payment")).Request.SinoID
	restart := func(connect ...int) {
		w.Restart()
		for _, i := range connect {
			w.Connect(i)
		}
	}
	restart(0, 1)
	expect(t, "offered again", kinds(w.Lives[0].Receive()), "offer")
	w.Approve(id)
	restart(0, 1)
	expect(t, "begun again", kinds(w.Lives[1].Receive()), "offer begin")
	for _, m := range w.Members(w.Last(id)) {
		m.Must(coordtest.Join(m.Session, m.Token))
	}
	restart(0, 1)
	expect(t, "joined: nothing to tell", kinds(w.Lives[1].Receive()), "")
	for _, m := range w.Members(w.Last(id)) {
		m.Must(m.Contribution(t, m.Session, m.Index, "manifest", ""))
	}
	session := w.Last(id).ID
	w.Lives[0].Must(coordtest.Envelope(session, 1, 2, 0, "x"), coordtest.Envelope(session, 1, 2, 1, "y"))
	w.Lives[1].Receive() // received, not acknowledged
	restart(0, 1)
	w.Lives[0].Must(coordtest.Envelope(session, 1, 2, 1, "y"), coordtest.Envelope(session, 1, 2, 2, "z")) // y: sent again
	expect(t, "mail of b, again", kinds(w.Lives[1].Receive()), "contribution:1 envelope:x envelope:y envelope:z")
	w.Lives[1].Ack()
	restart(0, 1)
	expect(t, "acknowledged mail", kinds(w.Lives[1].Receive()), "")
	for i := range 2 {
		report := w.Parties[i].Report(t, session, w.Wallet.Signed(t, "", coordtest.Digest("payment")))
		w.Lives[i].Must(report)
		restart(0, 1)
		w.Lives[i].Must(report) // it did not hear that its report arrived
	}
	expect(t, "request", w.Status(id).Request.State, coordinator.StateCompleted)
	expect(t, "sessions", len(w.Status(id).Sessions), 1)
}

// Confirmations reach a party that was away, and one whose process lost what it had acknowledged.
func TestConfirmationsReachAll(t *testing.T) {
	w := coordtest.NewWorld(t, 3, coordinator.Limits{})
	st := w.Submit(w.KeygenOrder(2, ""))
	for _, m := range w.Members(w.Run(st.Request.SinoID)) {
		m.Must(m.Report(t, m.Session, w.Wallet.Made()))
	}
	key := st.Request.KeyID
	w.Disconnect(2)
	for i, l := range w.Lives[:2] {
		l.Must(l.Confirmation(t, key, byte(i+1), "share", false))
	}
	w.Restart()
	c := w.Connect(2)
	expect(t, "c hears of the others", kinds(c.Receive()), "confirmation:1:false confirmation:2:false")
	c.Ack()
	c = w.Connect(2)
	expect(t, "c hears again while the key is pending", kinds(c.Receive()), "confirmation:1:false confirmation:2:false")
	w.Connect(0)
	w.Connect(1)
	c.Must(c.Confirmation(t, key, 3, "share", false))
	for i, l := range w.Lives {
		l.Must(l.Confirmation(t, key, byte(i+1), "share", true))
		l.Must(l.Confirmation(t, key, byte(i+1), "share", true)) // as nodes do on each connect
	}
	w.Drain()
	expect(t, "request", w.Status(st.Request.SinoID).Request.State, coordinator.StateCompleted)
	for i := range w.Lives {
		l := w.Connect(i) // the first to be active had all before the key was: it hears once more
		l.Receive()
		l.Ack()
		expect(t, "then nothing is left to say", kinds(w.Connect(i).Receive()), "")
	}
	if keys := must(w.C.Keys(t.Context(), coordtest.Account, "", 10))(t); !slices.ContainsFunc(keys, func(k coordinator.Key) bool { return k.ID == key }) {
		t.Error("the key is not listed")
	}
}
