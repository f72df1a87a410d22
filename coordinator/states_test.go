package coordinator_test

import (
	"strings"
	"testing"
	"time"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/bolt/coordstore/coordtest"
	"github.com/countersign-mpc/countersign/coordinator"
	"github.com/countersign-mpc/countersign/manifest"
)

const (
	asking   = linkv1.Answer_ASKING
	waiting  = linkv1.Answer_WAITING
	approved = linkv1.Answer_APPROVED
	rejected = linkv1.Answer_REJECTED
	refused  = linkv1.Answer_REFUSED
	done     = linkv1.Answer_DONE
)

// What parties answer, in order, and what becomes of session and request.
func TestAnswers(t *testing.T) {
	type said struct {
		party int
		state linkv1.Answer_State
	}
	for name, c := range map[string]struct {
		said    []said
		session coordinator.State
		request coordinator.State
		cause   coordinator.Cause
		b       string // frames that b gets
	}{
		"nobody":             {nil, coordinator.StateCreated, coordinator.StateCreated, "", "offer"},
		"one approves":       {[]said{{0, approved}}, coordinator.StateCreated, coordinator.StateCreated, "", "offer"},
		"both approve":       {[]said{{0, approved}, {1, approved}}, coordinator.StateWaiting, coordinator.StateWaiting, "", "offer begin"},
		"wait, then approve": {[]said{{0, asking}, {0, waiting}, {1, approved}, {0, approved}}, coordinator.StateWaiting, coordinator.StateWaiting, "", "offer begin"},
		"back before begin":  {[]said{{0, approved}, {0, asking}, {1, approved}}, coordinator.StateCreated, coordinator.StateCreated, "", "offer"},
		"and forth again":    {[]said{{0, approved}, {0, asking}, {1, approved}, {0, approved}}, coordinator.StateWaiting, coordinator.StateWaiting, "", "offer begin"},
		"back after begin":   {[]said{{0, approved}, {1, approved}, {0, waiting}}, coordinator.StateWaiting, coordinator.StateWaiting, "", "offer begin"},
		"rejected":           {[]said{{0, rejected}}, coordinator.StateFailed, coordinator.StateFailed, coordinator.CauseRejected, "end:failed"},
		"rejected last":      {[]said{{1, approved}, {0, rejected}}, coordinator.StateFailed, coordinator.StateFailed, coordinator.CauseRejected, "end:failed"},
		"refused":            {[]said{{0, refused}}, coordinator.StateFailed, coordinator.StateFailed, coordinator.CauseRefused, "end:failed"},
		"rejected when asked again": {[]said{{0, approved}, {1, approved}, {0, rejected}}, coordinator.StateFailed, coordinator.StateFailed,
			coordinator.CauseRejected, "end:failed"},
		"rejection is final": {[]said{{0, rejected}, {0, approved}, {1, approved}}, coordinator.StateFailed, coordinator.StateFailed, coordinator.CauseRejected, "end:failed end:failed"},
		"one has it already": {[]said{{0, done}, {1, approved}}, coordinator.StateCreated, coordinator.StateCreated, "", "offer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := coordtest.NewWorld(t, 2, coordinator.Limits{})
			id := w.Submit(w.KeygenOrder(2, "")).Request.SinoID
			session := w.Last(id).ID
			heard := ""
			if !strings.HasPrefix(c.b, "end") { // else b hears of offer and end at once: the end alone
				heard = kinds(w.Lives[1].Receive())
			} else {
				w.Lives[1].Must(coordtest.Answer(session, asking, ""))
			}
			for _, s := range c.said {
				w.Lives[s.party].Must(coordtest.Answer(session, s.state, "because"))
			}
			heard = strings.TrimSpace(heard + " " + kinds(w.Lives[1].Receive()))
			st := w.Status(id)
			expect(t, "session", st.Sessions[0].State, c.session)
			expect(t, "request", st.Request.State, c.request)
			expect(t, "frames of b", heard, c.b)
			if c.cause != "" {
				expect(t, "cause", st.Request.Failure.Cause, c.cause)
				if !strings.Contains(st.Request.Failure.Message, "party a "+map[bool]string{true: "rejected", false: "refused"}[c.cause == coordinator.CauseRejected]+": because") {
					t.Errorf("message %q", st.Request.Failure.Message)
				}
			}
		})
	}
}

// An approval that lapsed after Begin: the party may not join until it approves again, and is told Begin once more.
func TestApprovalLapses(t *testing.T) {
	w := coordtest.NewWorld(t, 2, coordinator.Limits{})
	id := w.Submit(w.KeygenOrder(2, "")).Request.SinoID
	sess := w.Approve(id)
	a := w.Members(sess)[0]
	a.Receive()
	a.Must(coordtest.Answer(sess.ID, asking, ""))
	expect(t, "join without approval", coordtest.CodeOf(a.Send(coordtest.Join(sess.ID, a.Token))), coordinator.CodeNotApproved)
	a.Must(coordtest.Answer(sess.ID, approved, ""))
	expect(t, "told again", kinds(a.Receive()), "begin")
	a.Must(coordtest.Join(sess.ID, a.Token), coordtest.Answer(sess.ID, asking, "")) // an old answer changes nothing now
	expect(t, "joined", states(w.Last(id)), "waiting: joined invited")
}

// point is how far a session of two parties has come.
type point int

const (
	offered point = iota
	begun
	joined
	running
	over
)

func at(t *testing.T, p point) (*coordtest.World, string, []coordtest.Member) {
	t.Helper()
	w := coordtest.NewWorld(t, 3, coordinator.Limits{})
	key := w.Key(2)
	order := coordtest.SignOrder(key.ID, "m/1", "pay", "payment")
	order.Participants = []coordinator.Participant{{Party: "c"}, {Party: "a"}} // a is party 1, c is party 3
	id := w.Submit(order).Request.SinoID
	w.Drain()
	members := w.Members(w.Last(id))
	if p >= begun {
		w.Approve(id)
	}
	if p == joined {
		members[0].Must(coordtest.Join(members[0].Session, members[0].Token))
	}
	if p >= running {
		w.Run(id)
	}
	if p == over {
		members[0].Must(members[0].Report(t, members[0].Session, manifest.Report{Reason: "it broke", Culprit: 3}))
	}
	w.Drain()
	return w, id, members
}

// sent is a frame that a, party 1, sends at some point, and what comes of it. Frames that break the protocol end the
// connection and change nothing; frames that come late or twice are dropped.
type sent struct {
	at    point
	frame func(m []coordtest.Member) *linkv1.Frame
	code  coordinator.Code // empty: taken
	state string           // of the session afterwards; empty: as before
	heard string           // by a
}

func TestFramesBeforeTheProtocol(t *testing.T) {
	checkFrames(t, map[string]sent{
		"answer of no state":            {offered, func(m []coordtest.Member) *linkv1.Frame { return coordtest.Answer(m[0].Session, 0, "") }, coordinator.CodeViolation, "", ""},
		"answer for an unknown session": {offered, func(m []coordtest.Member) *linkv1.Frame { return coordtest.Answer("nowhere", approved, "") }, "", "", "end:failed"},
		"answer for no session":         {offered, func(m []coordtest.Member) *linkv1.Frame { return coordtest.Answer("", approved, "") }, "", "", ""},
		"answer after the end":          {over, func(m []coordtest.Member) *linkv1.Frame { return coordtest.Answer(m[0].Session, approved, "") }, "", "", "end:failed"},
		"join before begin":             {offered, func(m []coordtest.Member) *linkv1.Frame { return coordtest.Join(m[0].Session, m[0].Token) }, coordinator.CodeNotApproved, "", ""},
		"join":                          {begun, func(m []coordtest.Member) *linkv1.Frame { return coordtest.Join(m[0].Session, m[0].Token) }, "", "waiting: joined invited", ""},
		"join with the other's token":   {begun, func(m []coordtest.Member) *linkv1.Frame { return coordtest.Join(m[0].Session, m[1].Token) }, coordinator.CodeTokenInvalid, "", ""},
		"join without a token":          {begun, func(m []coordtest.Member) *linkv1.Frame { return coordtest.Join(m[0].Session, "") }, coordinator.CodeTokenInvalid, "", ""},
		"join twice":                    {joined, func(m []coordtest.Member) *linkv1.Frame { return coordtest.Join(m[0].Session, m[0].Token) }, "", "", ""},
		"join after the end":            {over, func(m []coordtest.Member) *linkv1.Frame { return coordtest.Join(m[0].Session, m[0].Token) }, "", "", "end:failed"},
		"contribution before join": {begun, func(m []coordtest.Member) *linkv1.Frame {
			return m[0].Contribution(t, m[0].Session, 1, "manifest", "")
		}, coordinator.CodeViolation, "", ""},
		"contribution of another": {joined, func(m []coordtest.Member) *linkv1.Frame {
			return m[1].Contribution(t, m[0].Session, 3, "manifest", "")
		}, coordinator.CodeViolation, "", ""},
		"contribution signed by another": {joined, func(m []coordtest.Member) *linkv1.Frame {
			return m[1].Contribution(t, m[0].Session, 1, "manifest", "")
		}, coordinator.CodeViolation, "", ""},
		"contribution with a short hash": {joined, func(m []coordtest.Member) *linkv1.Frame {
			f := m[0].Contribution(t, m[0].Session, 1, "manifest", "")
			f.GetContribution().ManifestHash = f.GetContribution().ManifestHash[1:]
			return f
		}, coordinator.CodeViolation, "", ""},
		"contribution": {joined, func(m []coordtest.Member) *linkv1.Frame {
			return m[0].Contribution(t, m[0].Session, 1, "manifest", "")
		}, "", "waiting: ready invited", ""},
		"contribution twice": {running, func(m []coordtest.Member) *linkv1.Frame {
			return m[0].Contribution(t, m[0].Session, 1, "manifest", "")
		}, "", "", ""},
		"another contribution": {running, func(m []coordtest.Member) *linkv1.Frame {
			return m[0].Contribution(t, m[0].Session, 1, "manifest", "other")
		}, "", "failed: failed failed", "end:failed"},
	})
}

func TestFramesOfTheProtocol(t *testing.T) {
	wallet := coordtest.NewWallet("w")
	checkFrames(t, map[string]sent{
		"envelope before all contributed": {joined, func(m []coordtest.Member) *linkv1.Frame {
			return coordtest.Envelope(m[0].Session, 1, 3, 0, "x")
		}, coordinator.CodeViolation, "", ""},
		"envelope":               {running, func(m []coordtest.Member) *linkv1.Frame { return coordtest.Envelope(m[0].Session, 1, 3, 0, "x") }, "", "", ""},
		"envelope as another":    {running, func(m []coordtest.Member) *linkv1.Frame { return coordtest.Envelope(m[0].Session, 3, 1, 0, "x") }, coordinator.CodeViolation, "", ""},
		"envelope to itself":     {running, func(m []coordtest.Member) *linkv1.Frame { return coordtest.Envelope(m[0].Session, 1, 1, 0, "x") }, coordinator.CodeViolation, "", ""},
		"envelope to a stranger": {running, func(m []coordtest.Member) *linkv1.Frame { return coordtest.Envelope(m[0].Session, 1, 2, 0, "x") }, coordinator.CodeViolation, "", ""},
		"envelope to nobody":     {running, func(m []coordtest.Member) *linkv1.Frame { return coordtest.Envelope(m[0].Session, 1, 0, 0, "x") }, coordinator.CodeViolation, "", ""},
		"empty envelope":         {running, func(m []coordtest.Member) *linkv1.Frame { return coordtest.Envelope(m[0].Session, 1, 3, 0, "") }, coordinator.CodeViolation, "", ""},
		"huge envelope": {running, func(m []coordtest.Member) *linkv1.Frame {
			return coordtest.Envelope(m[0].Session, 1, 3, 0, strings.Repeat("x", 1<<20+1))
		}, coordinator.CodeViolation, "", ""},
		"skipped envelope":       {running, func(m []coordtest.Member) *linkv1.Frame { return coordtest.Envelope(m[0].Session, 1, 3, 1, "x") }, "", "failed: failed failed", "end:failed"},
		"envelope after the end": {over, func(m []coordtest.Member) *linkv1.Frame { return coordtest.Envelope(m[0].Session, 1, 3, 0, "x") }, "", "", "end:failed"},
		"report before begin": {offered, func(m []coordtest.Member) *linkv1.Frame {
			return m[0].Report(t, m[0].Session, manifest.Report{Reason: "x"})
		}, coordinator.CodeViolation, "", ""},
		"report signed by another": {running, func(m []coordtest.Member) *linkv1.Frame {
			return m[1].Report(t, m[0].Session, manifest.Report{Reason: "x"})
		}, coordinator.CodeViolation, "", ""},
		"report of an impossible culprit": {running, func(m []coordtest.Member) *linkv1.Frame {
			f := m[0].Report(t, m[0].Session, manifest.Report{Reason: "x"})
			f.GetReport().Culprit = 256
			return f
		}, coordinator.CodeViolation, "", ""},
		"report with a long reason": {running, func(m []coordtest.Member) *linkv1.Frame {
			return m[0].Report(t, m[0].Session, manifest.Report{Reason: strings.Repeat("x", 5000)})
		}, coordinator.CodeViolation, "", ""},
		"report with a long field": {running, func(m []coordtest.Member) *linkv1.Frame {
			return m[0].Report(t, m[0].Session, manifest.Report{Reason: "x", PublicKey: make([]byte, 1000)})
		}, coordinator.CodeViolation, "", ""},
		"result without a contribution": {joined, func(m []coordtest.Member) *linkv1.Frame {
			return m[0].Report(t, m[0].Session, wallet.Signed(t, "m/1", coordtest.Digest("payment")))
		}, coordinator.CodeViolation, "", ""},
		"failure before join": {begun, func(m []coordtest.Member) *linkv1.Frame {
			return m[0].Report(t, m[0].Session, manifest.Report{Reason: "own statement is missing"})
		}, "", "failed: failed invited", ""},
		"failure": {running, func(m []coordtest.Member) *linkv1.Frame {
			return m[0].Report(t, m[0].Session, manifest.Report{Reason: "x", Culprit: 3})
		}, "", "failed: failed failed", ""},
		"result": {running, func(m []coordtest.Member) *linkv1.Frame {
			return m[0].Report(t, m[0].Session, wallet.Signed(t, "m/1", coordtest.Digest("payment")))
		}, "", "in_progress: completed computing", ""},
		"frame of a coordinator": {running, func([]coordtest.Member) *linkv1.Frame {
			return &linkv1.Frame{Body: &linkv1.Frame_Begin{Begin: &linkv1.Begin{}}}
		}, coordinator.CodeViolation, "", ""},
		"empty frame": {running, func([]coordtest.Member) *linkv1.Frame { return &linkv1.Frame{} }, coordinator.CodeViolation, "", ""},
		"confirmation of an unknown key": {running, func(m []coordtest.Member) *linkv1.Frame {
			return m[0].Confirmation(t, "unknown", 1, "share", true)
		}, "", "", ""},
		"confirmation of no key": {running, func(m []coordtest.Member) *linkv1.Frame { return m[0].Confirmation(t, "", 1, "share", true) }, coordinator.CodeViolation, "", ""},
	})
}

func checkFrames(t *testing.T, cases map[string]sent) {
	t.Helper()
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, id, m := at(t, c.at)
			before := w.Status(id)
			sess := before.Sessions[0]
			expect(t, "code", coordtest.CodeOf(m[0].Send(c.frame(m))), c.code)
			if c.state == "" {
				c.state = states(sess)
			}
			expect(t, "session", states(w.Status(id).Sessions[0]), c.state)
			if c.code != "" {
				expect(t, "revision", w.Status(id).Request.Revision, before.Request.Revision)
			}
			expect(t, "heard by a", kinds(w.Lives[0].Receive()), c.heard)
		})
	}
}

// A stranger to a session has no say in it.
func TestStranger(t *testing.T) {
	w, id, m := at(t, running)
	b := w.Lives[1]
	for _, f := range []*linkv1.Frame{
		coordtest.Answer(m[0].Session, rejected, ""), coordtest.Join(m[0].Session, m[0].Token), coordtest.Envelope(m[0].Session, 1, 3, 0, "x"),
		b.Contribution(t, m[0].Session, 2, "manifest", ""), b.Report(t, m[0].Session, manifest.Report{Reason: "x"}),
	} {
		expect(t, "code", coordtest.CodeOf(b.Send(f)), coordinator.CodeViolation)
	}
	expect(t, "session", w.Last(id).State, coordinator.StateInProgress)
}

// A batch is dealt with up to the frame that breaks the protocol.
func TestBatchUpToTheViolation(t *testing.T) {
	w, id, m := at(t, begun)
	n, err := m[0].Peer.Handle(t.Context(), []*linkv1.Frame{coordtest.Join(m[0].Session, m[0].Token), {}, coordtest.Answer(m[0].Session, rejected, "")}, nil)
	expect(t, "handled", n, 2)
	expect(t, "code", coordtest.CodeOf(err), coordinator.CodeViolation)
	expect(t, "session", states(w.Last(id)), "waiting: joined invited")
}

func TestReplacedConnection(t *testing.T) {
	w, id, m := at(t, begun)
	old := m[0].Live
	w.Connect(0)
	if !old.WasReplaced() {
		t.Error("the old connection was not told")
	}
	expect(t, "frame on the old connection", coordtest.CodeOf(old.Send(coordtest.Join(m[0].Session, m[0].Token))), coordinator.CodeReplaced)
	old.Peer.Detach(t.Context()) // must not take the new one out
	w.Lives[0].Must(coordtest.Join(m[0].Session, m[0].Token))
	expect(t, "session", states(w.Last(id)), "waiting: joined invited")
	if nodes := must(w.C.Nodes(t.Context(), coordtest.Account))(t); !nodes[0].Online {
		t.Error("the node is shown as offline")
	}
}

func TestUnboundNode(t *testing.T) {
	w := coordtest.NewWorld(t, 1, coordinator.Limits{})
	stranger := coordtest.NewParty(t, "x")
	_, err := w.C.Attach(t.Context(), coordinator.Greeting{Node: stranger.ID, Instance: "1"}, &coordtest.Live{})
	expect(t, "code", coordtest.CodeOf(err), coordinator.CodeNotBound)
}

func TestExpiry(t *testing.T) {
	for name, c := range map[string]struct {
		at     point
		states string
	}{
		"offered": {offered, "expired: invited invited"}, "begun": {begun, "expired: invited invited"}, "running": {running, "expired: failed failed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, id, _ := at(t, c.at)
			w.Clock.Step(coordinator.DefaultRequestLife - time.Second)
			for range 5 { // sessions that begin have their own time, and are followed by others
				w.Tick()
			}
			if c.at == offered {
				expect(t, "a second before", w.Status(id).Request.State, coordinator.StateCreated)
			}
			w.Clock.Step(time.Second)
			w.Tick()
			st := w.Status(id)
			expect(t, "request", st.Request.State, coordinator.StateExpired)
			expect(t, "cause", st.Request.Failure.Cause, coordinator.CauseExpired)
			expect(t, "session", states(st.Sessions[0]), c.states)
			for _, l := range w.Lives {
				l.Receive()
				l.Ack()
				expect(t, "what is left to tell", kinds(l.Receive()), "")
			}
		})
	}
}

// A party refuses at the second that it was told. The coordinator's clock then shows a fraction more, and the request is over
// for it too: it has expired, and no party is blamed.
func TestExpiresAtTheSecondThatIsTold(t *testing.T) {
	w := coordtest.NewWorld(t, 2, coordinator.Limits{})
	w.Clock.Step(900 * time.Millisecond)
	st := w.Submit(w.KeygenOrder(2, ""))
	w.Clock.Step(time.Unix(st.Request.Expires.Unix(), 0).Sub(w.Clock.Now()))
	w.Lives[0].Must(coordtest.Answer(st.Sessions[0].ID, refused, "the request expired"))
	got := w.Status(st.Request.SinoID).Request
	expect(t, "request", got.State, coordinator.StateExpired)
	expect(t, "cause", got.Failure.Cause, coordinator.CauseExpired)
}
