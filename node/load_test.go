package node_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/node"
	"github.com/countersign-mpc/countersign/wire"
)

// now tells whether a channel is closed at this moment.
func now(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestTheOldestSessionIsNext(t *testing.T) {
	t.Parallel()
	turns := node.NewTurns(2)
	first, _ := turns.Ask(1)
	second, _ := turns.Ask(2)
	five, _ := turns.Ask(5)
	four, leaveFour := turns.Ask(4)
	three, _ := turns.Ask(3)
	six, leaveSix := turns.Ask(6)
	again, _ := turns.Ask(3) // a session asks once at a time; if it did not, each wish would count
	if !now(first) || !now(second) || now(three) || now(four) || turns.Queue() != 5 {
		t.Fatalf("not the first two of seven have turns; %d wait", turns.Queue())
	}
	turns.Done()
	if !now(three) && !now(again) || now(four) || now(five) || now(six) {
		t.Fatal("the oldest is not next")
	}
	turns.Done()
	leaveFour() // it waited
	turns.Done()
	if !now(three) || !now(again) || now(four) || !now(five) || now(six) || turns.Queue() != 1 {
		t.Fatalf("a wish that was taken back is in the way; %d wait", turns.Queue())
	}
	turns.Done()
	if !now(six) {
		t.Fatal("the last has no turn")
	}
	leaveSix() // it was given already
	turns.Done()
	for number := range uint64(2) {
		if given, _ := turns.Ask(number); !now(given) {
			t.Fatal("a turn was lost")
		}
	}
	if given, _ := turns.Ask(9); now(given) {
		t.Fatal("there are more turns than at the start")
	}
}

// mustHaveFailed wants a session to have failed for a reason, whatever else runs.
func (h *hall) mustHaveFailed(t testing.TB, s *session, reason string, members ...*member) {
	t.Helper()
	for _, m := range members {
		if report := h.awaitReport(s, m.id); report.Completed || len(report.Result) != 0 || !contains(report.Reason, reason) {
			t.Fatalf("the report is %v", report)
		}
	}
}

// spin waits for something that no frame tells of.
func spin(t testing.TB, what string, ok func() bool) {
	t.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for late := time.After(patience); !ok(); {
		select {
		case <-ticker.C:
		case <-late:
			t.Fatalf("this did not happen: %s", what)
		}
	}
}

func metricsOf(t testing.TB, n *node.Node) string {
	t.Helper()
	w := httptest.NewRecorder()
	n.Health().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("metrics: HTTP %d", w.Code)
	}
	return w.Body.String()
}

// limited gives a member other limits.
func (m *member) limited(l node.Limits) {
	m.h.t.Helper()
	m.limits = l
	m.restart()
}

func TestADeadPeerDelaysNobody(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	for _, m := range []*member{r.a, r.b, r.c} {
		m.limited(node.Limits{Parallel: 1})
	}
	dead := make(map[string]bool)
	r.do(func() {
		r.route = func(to wire.NodeID, f *linkv1.Frame) []*linkv1.Frame {
			session := f.GetEnvelope().GetSessionId() + f.GetContribution().GetSessionId()
			if from := f.GetEnvelope().GetFrom() + f.GetContribution().GetIndex(); from == 3 && dead[session] {
				return nil
			}
			return []*linkv1.Frame{f}
		}
	})
	var waiting []*session
	for i := range 3 {
		r.do(func() { dead[fmt.Sprintf("dead-%d", i)] = true })
		a := r.signing()
		a.session = fmt.Sprintf("dead-%d", i)
		s := r.offer(a)
		r.await("contributions", func() bool { return len(s.contributions) == 3 })
		waiting = append(waiting, s)
	}
	for range 3 {
		r.mustSign(r.signing())
	}
	for _, s := range waiting {
		if s.reports[r.a.id] != nil {
			t.Fatalf("%s is over already: the test proves nothing", s.id)
		}
		r.end(s, "failed", "party c is silent")
		r.mustHaveFailed(t, s, "party c is silent", r.a, r.b)
	}
}

// TestASlowCallbackDelaysNobody: what the callback has not answered waits, and what it answers later is signed meanwhile.
func TestASlowCallbackDelaysNobody(t *testing.T) {
	t.Parallel()
	r := newAskers(t)
	var pending []*session
	var asked []*call
	for range 3 {
		pending = append(pending, r.offer(r.signing()))
		asked = append(asked, r.guard.next(t))
	}
	for range 2 {
		quick := r.offer(r.signing())
		r.guard.next(t).approve()
		r.mustBeSigned(t, quick)
	}
	for i, c := range asked {
		begun := false
		if r.do(func() { begun = pending[i].begin != nil }); begun {
			t.Fatal("a session has begun without an answer")
		}
		c.approve()
	}
	for _, s := range pending {
		r.mustBeSigned(t, s)
	}
}

func TestSessionsWaitForTheirTurn(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	r.a.limited(node.Limits{Parallel: 1})
	stick, let := stick(r.a, true)
	var all []*session
	all = append(all, r.offer(r.signing()))
	receive(t, stick.reached)
	for range 3 {
		all = append(all, r.offer(r.signing()))
	}
	spin(t, "sessions wait for their turn", func() bool { return contains(metricsOf(t, r.a.node), "countersign_node_queue_length 3") })
	r.end(all[1], "failed", "no longer wanted") // it leaves the line
	r.mustHaveFailed(t, all[1], "no longer wanted", r.a)
	spin(t, "one has left", func() bool { return contains(metricsOf(t, r.a.node), "countersign_node_queue_length 2") })
	for _, s := range all[2:] {
		if n := r.count(r.a.id, func(f *linkv1.Frame) bool { return f.GetEnvelope().GetSessionId() == s.id }); n != 0 {
			t.Fatalf("%s computed while another had the turn", s.id)
		}
	}
	let()
	for _, s := range append(all[2:], all[0]) {
		r.mustBeSigned(t, s)
	}
	if text := metricsOf(t, r.a.node); !contains(text, "countersign_node_queue_length 0") || !contains(text, "countersign_node_running_sessions 0") {
		t.Fatalf("the metrics are\n%s", text)
	}
}

// numbered makes the frames of the i-th session, which waits for the other party's contribution.
func numbered(frames []*linkv1.Frame, i int) (offer, begin *linkv1.Frame) {
	o, b := proto.CloneOf(frames[0].GetOffer()), proto.CloneOf(frames[1].GetBegin())
	id := fmt.Sprintf("session-%d", i)
	o.SessionId, b.SessionId, o.SinoId, o.KeyId = id, id, fmt.Sprintf("sino-%d", i), fmt.Sprintf("key-%d", i)
	return &linkv1.Frame{Body: &linkv1.Frame_Offer{Offer: o}}, &linkv1.Frame{Body: &linkv1.Frame_Begin{Begin: b}}
}

func TestANodeRunsSoManySessionsAtATime(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		limits         node.Limits
		offered, taken int
	}{{node.Limits{}, 150, 128}, {node.Limits{Sessions: 3}, 5, 3}} {
		n, frames := lone(t, tc.limits)
		for i := range tc.offered {
			offer, begin := numbered(frames, i)
			n.Frame(offer)
			n.Frame(begin)
		}
		info, err := n.Info()
		must(t, err)
		if info.Sessions != tc.taken || info.Requests != tc.taken {
			t.Fatalf("%d sessions of %d requests run", info.Sessions, info.Requests)
		}
		refused := 0
		for _, s := range n.Sessions() {
			if s.State == "failed" && contains(s.Reason, fmt.Sprintf("runs %d sessions already (limits.sessions)", tc.taken)) {
				refused++
			}
		}
		if refused != tc.offered-tc.taken {
			t.Fatalf("%d sessions were refused with the reason", refused)
		}
	}
}

func TestANodeWorksOnSoManyRequests(t *testing.T) {
	t.Parallel()
	n, frames := lone(t)
	for i := range 300 {
		offer, _ := numbered(frames, i)
		n.Frame(offer)
	}
	info, err := n.Info()
	must(t, err)
	if info.Requests != 256 {
		t.Fatalf("the node works on %d requests", info.Requests)
	}
}

// TestTooManyRequestsAreRefused: who asks reads why, and may ask again later.
func TestTooManyRequestsAreRefused(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	r.a.limited(node.Limits{Requests: 2})
	g := r.a.guarded("")
	one, two, three := r.offer(r.signing()), r.offer(r.signing()), r.offer(r.signing())
	answer := r.awaitAnswer(three, r.a.id, linkv1.Answer_REFUSED)
	if !contains(answer.Reason, "works on 2 requests already (limits.requests): try again later") {
		t.Fatalf("refused with %q", answer.Reason)
	}
	for range 2 {
		g.next(t).approve()
	}
	r.mustBeSigned(t, one)
	r.mustBeSigned(t, two)
	later := r.offer(r.signing())
	g.next(t).approve()
	r.mustBeSigned(t, later)
}

func TestTheMessagesOfAllSessionsAreBounded(t *testing.T) {
	t.Parallel()
	n, frames := lone(t)
	big := make([]byte, 1<<20) // shared by all
	flood := func(i int) {
		for range 31 {
			n.Frame(&linkv1.Frame{Body: &linkv1.Frame_Envelope{Envelope: &linkv1.Envelope{SessionId: fmt.Sprintf("session-%d", i), From: 2, To: 1, Sealed: big}}})
		}
	}
	for i := range 18 {
		offer, begin := numbered(frames, i)
		n.Frame(offer)
		n.Frame(begin)
		flood(i)
	}
	n.Drain(over()) // all are over then
	bounded := 0
	for _, s := range n.Sessions() {
		switch {
		case s.State != "failed":
			t.Errorf("%s is %s", s.SessionID, s.State)
		case contains(s.Reason, "have taken 512 MB of messages"):
			bounded++
		case !contains(s.Reason, "the node is stopping"):
			t.Errorf("%s ended with %s", s.SessionID, s.Reason)
		}
	}
	if bounded != 2 { // 16 sessions take 496 MB, and the next one what is left
		t.Fatalf("%d of 18 sessions were ended for what all had taken", bounded)
	}
}

// TestWhatSessionsHeldIsFreeAfterThem: a node that has run many sessions takes as much as one that has run none.
func TestWhatSessionsHeldIsFreeAfterThem(t *testing.T) {
	t.Parallel()
	n, frames := lone(t)
	big := make([]byte, 1<<20)
	for i := range 20 {
		offer, begin := numbered(frames, i)
		id := begin.GetBegin().SessionId
		n.Frame(offer)
		n.Frame(begin)
		for range 31 {
			n.Frame(&linkv1.Frame{Body: &linkv1.Frame_Envelope{Envelope: &linkv1.Envelope{SessionId: id, From: 2, To: 1, Sealed: big}}})
		}
		n.Frame(&linkv1.Frame{Body: &linkv1.Frame_End{End: &linkv1.End{SessionId: id, State: "failed", Reason: "enough"}}})
		spin(t, "the session is over", func() bool { return n.Sessions()[0].State == "failed" })
		if last := n.Sessions()[0]; last.SessionID != id || !contains(last.Reason, "enough") {
			t.Fatalf("the session is %+v", last)
		}
	}
}

// over is a context that has ended.
func over() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func TestLimitsAreChecked(t *testing.T) {
	t.Parallel()
	for _, l := range []node.Limits{{Requests: -1}, {Sessions: -1}, {Parallel: -1}} {
		var cfg node.Config
		newOffice(t, func(c *node.Config) { cfg = *c })
		cfg.Limits = l
		if _, err := node.New(cfg); err == nil || !strings.Contains(err.Error(), "negative") {
			t.Errorf("%+v: %v", l, err)
		}
	}
}
