package node_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/wire"
)

// patience is how long a test waits for something that must happen; it ends tests that would hang.
const patience = 60 * time.Second

// hall is a coordinator on the real link. By itself it is honest: it begins a session once all have approved, and carries
// everything to whom it is for. A test changes what arrives with route, and sends what it likes with send.
type hall struct {
	t     testing.TB
	clock *clock
	url   string
	host  string

	mu       sync.Mutex // guards the fields below
	cond     *sync.Cond // something came from a node
	ports    map[wire.NodeID]port
	parties  []wire.NodeID // every party of the test
	log      []event
	sessions map[string]*session
	words    map[string]map[string]*linkv1.Confirmation // by key, by sender and whether it is active
	askers   map[uint32]wire.NodeID                     // by share index: who has asked for epochs
	manual   bool                                       // sessions begin only when the test says so
	life     time.Duration                              // of a session
	route    func(to wire.NodeID, f *linkv1.Frame) []*linkv1.Frame
	seen     func(from wire.NodeID, f *linkv1.Frame)      // is shown what comes
	ignore   func(from wire.NodeID, f *linkv1.Frame) bool // what comes and is neither taken nor acknowledged
	lose     func(from wire.NodeID, f *linkv1.Frame) bool
	numbers  int
}

// port is how frames reach a party.
type port interface {
	put(*linkv1.Frame)
}

// event is a frame that came from a node.
type event struct {
	from  wire.NodeID
	frame *linkv1.Frame
}

// session is what the hall knows of one.
type session struct {
	id, sino      string
	offers        map[wire.NodeID]*linkv1.Offer
	parties       []*linkv1.Party
	answers       map[wire.NodeID]*linkv1.Answer
	begin         *linkv1.Begin // nil: not begun
	contributions map[wire.NodeID]*linkv1.Contribution
	reports       map[wire.NodeID]*linkv1.Report
	ended         bool
}

func newHall(t testing.TB) *hall {
	t.Helper()
	h := &hall{t: t, clock: &clock{}, askers: make(map[uint32]wire.NodeID), ports: make(map[wire.NodeID]port),
		sessions: make(map[string]*session), words: make(map[string]map[string]*linkv1.Confirmation), life: 5 * time.Minute}
	h.cond = sync.NewCond(&h.mu)
	server := httptest.NewServer(http.HandlerFunc(h.serve))
	t.Cleanup(server.Close)
	h.host = strings.TrimPrefix(server.URL, "http://")
	h.url = "ws://" + h.host + "/proxy"
	return h
}

// connect tells a party that has come (back) what it must know.
func (h *hall) connect(id wire.NodeID, p port) {
	h.mu.Lock()
	defer h.mu.Unlock()
	old, _ := h.ports[id].(*socket)
	h.ports[id] = p
	if old != nil {
		_ = old.conn.CloseNow()
	}
	if now, ok := p.(*socket); ok && old != nil && old.instance == now.instance {
		for _, f := range old.unacked { // what it may have missed
			now.put(f)
		}
	}
	for _, s := range h.sessions {
		if o := s.offers[id]; o != nil && !s.ended && s.contributions[id] == nil {
			h.deliver(id, &linkv1.Frame{Body: &linkv1.Frame_Offer{Offer: o}})
			if s.begin != nil {
				h.deliver(id, &linkv1.Frame{Body: &linkv1.Frame_Begin{Begin: s.begin}})
			}
		}
	}
	for key := range h.words {
		h.repeatWords(key, id)
	}
	h.cond.Broadcast()
}

// repeatWords tells a party all confirmations of a key.
func (h *hall) repeatWords(key string, to wire.NodeID) {
	for by, c := range h.words[key] {
		if !strings.HasPrefix(by, string(to)) {
			h.deliver(to, &linkv1.Frame{Body: &linkv1.Frame_Confirmation{Confirmation: c}})
		}
	}
}

// deliver sends by the route. The caller holds mu.
func (h *hall) deliver(to wire.NodeID, f *linkv1.Frame) {
	frames := []*linkv1.Frame{f}
	if h.route != nil {
		frames = h.route(to, proto.CloneOf(f))
	}
	for _, f := range frames {
		if p := h.ports[to]; p != nil {
			p.put(f)
		}
	}
}

// send sends a frame past the route.
func (h *hall) send(to wire.NodeID, f *linkv1.Frame) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p := h.ports[to]; p != nil {
		p.put(f)
	}
}

// do runs f with what mu guards.
func (h *hall) do(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
}

func (h *hall) ignores(from wire.NodeID, f *linkv1.Frame) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	defer h.cond.Broadcast()
	return h.ignore != nil && h.ignore(from, f)
}

// take deals with a frame of a party.
func (h *hall) take(from wire.NodeID, f *linkv1.Frame) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.log = append(h.log, event{from, proto.CloneOf(f)})
	if h.seen != nil {
		h.seen(from, f)
	}
	switch body := f.Body.(type) {
	case *linkv1.Frame_Answer:
		h.answer(from, body.Answer)
	case *linkv1.Frame_Contribution:
		h.contribution(from, body.Contribution)
	case *linkv1.Frame_Envelope:
		h.envelope(body.Envelope)
	case *linkv1.Frame_Report:
		h.report(from, body.Report)
	case *linkv1.Frame_Confirmation:
		c := body.Confirmation
		if h.words[c.KeyId] == nil {
			h.words[c.KeyId] = make(map[string]*linkv1.Confirmation)
		}
		h.words[c.KeyId][fmt.Sprint(string(from), c.Active)] = c
		h.toOthers(from, f)
	case *linkv1.Frame_EpochQuestion:
		h.askers[body.EpochQuestion.Index] = from
		h.toOthers(from, f)
	case *linkv1.Frame_EpochStatement:
		h.deliver(h.askers[body.EpochStatement.To], f)
	}
	h.cond.Broadcast()
}

// toOthers delivers a frame to everybody but its sender.
func (h *hall) toOthers(from wire.NodeID, f *linkv1.Frame) {
	for _, id := range h.parties {
		if id != from {
			h.deliver(id, f)
		}
	}
}

func (h *hall) answer(from wire.NodeID, a *linkv1.Answer) {
	s := h.sessions[a.SessionId]
	if s == nil || s.ended {
		return
	}
	before := s.answers[from]
	s.answers[from] = a
	if h.manual || a.State != linkv1.Answer_APPROVED {
		return
	}
	if s.begin != nil {
		if before.GetState() != linkv1.Answer_APPROVED {
			h.deliver(from, &linkv1.Frame{Body: &linkv1.Frame_Begin{Begin: s.begin}})
		}
		return
	}
	for _, p := range s.parties {
		if s.answers[wire.NodeID(p.NodeId)].GetState() != linkv1.Answer_APPROVED {
			return
		}
	}
	h.begin(s)
}

// begin begins a session with what the parties have said of themselves.
func (h *hall) begin(s *session) {
	s.begin = &linkv1.Begin{SessionId: s.id, Deadline: h.clock.Now().Add(h.life).Unix()}
	for _, p := range s.parties {
		a := s.answers[wire.NodeID(p.NodeId)]
		s.begin.Statements = append(s.begin.Statements, &linkv1.Statement{Index: p.Index, NodeId: p.NodeId, Guarded: a.GetGuarded(), Recipient: a.GetRecipient()})
	}
	for _, p := range s.parties {
		h.deliver(wire.NodeID(p.NodeId), &linkv1.Frame{Body: &linkv1.Frame_Begin{Begin: s.begin}})
	}
}

func (h *hall) contribution(from wire.NodeID, c *linkv1.Contribution) {
	s := h.sessions[c.SessionId]
	if s == nil || s.ended {
		return
	}
	s.contributions[from] = c
	if len(s.contributions) < len(s.parties) {
		return
	}
	for _, to := range s.parties {
		for id, c := range s.contributions {
			if string(id) != to.NodeId {
				h.deliver(wire.NodeID(to.NodeId), &linkv1.Frame{Body: &linkv1.Frame_Contribution{Contribution: c}})
			}
		}
	}
}

func (h *hall) envelope(e *linkv1.Envelope) {
	s := h.sessions[e.SessionId]
	if s == nil || s.ended {
		return
	}
	for _, p := range s.parties {
		if p.Index == e.To {
			h.deliver(wire.NodeID(p.NodeId), &linkv1.Frame{Body: &linkv1.Frame_Envelope{Envelope: e}})
		}
	}
}

func (h *hall) report(from wire.NodeID, r *linkv1.Report) {
	signed := manifest.Report{SessionID: r.SessionId, Completed: r.Completed, Reason: r.Reason, Culprit: byte(r.Culprit), PublicKey: r.PublicKey,
		ChainCode: r.ChainCode, Digest: r.Digest, Result: r.Result, RecoveryID: byte(r.RecoveryId), DerivedKey: r.DerivedKey,
		Released: r.Released, Encrypted: r.Encrypted, Signature: r.ReportSignature}
	if err := signed.Verify(from); err != nil {
		h.t.Errorf("a report does not verify: %v", err)
	}
	if s := h.sessions[r.SessionId]; s != nil {
		s.reports[from] = r
	}
}

// number makes an id that no other has.
func (h *hall) number(prefix string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.numbers++
	return fmt.Sprintf("%s-%d", prefix, h.numbers)
}

// ask is what the hall offers.
type ask struct {
	sino    string
	session string // empty: a new one
	terms   manifest.Terms
	auth    *manifest.Authorization
	keyID   string // keygen
	parties []manifest.Party
	expires time.Time
	alter   func(to wire.NodeID, o *linkv1.Offer)
}

// offer offers a session of a request to its parties.
func (h *hall) offer(a ask) *session {
	if a.session == "" {
		a.session = h.number("session")
	}
	if a.expires.IsZero() {
		a.expires = h.clock.Now().Add(time.Hour)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	s := &session{id: a.session, sino: a.sino, offers: make(map[wire.NodeID]*linkv1.Offer), answers: make(map[wire.NodeID]*linkv1.Answer),
		contributions: make(map[wire.NodeID]*linkv1.Contribution), reports: make(map[wire.NodeID]*linkv1.Report)}
	for _, p := range a.parties {
		s.parties = append(s.parties, &linkv1.Party{Index: uint32(p.Index), NodeId: string(p.NodeID)})
	}
	h.sessions[s.id] = s
	for _, p := range a.parties {
		o := a.frame(s)
		if a.alter != nil {
			a.alter(p.NodeID, o)
		}
		s.offers[p.NodeID] = o
		h.deliver(p.NodeID, &linkv1.Frame{Body: &linkv1.Frame_Offer{Offer: o}})
	}
	return s
}

// offerOnly offers a session to one node, whoever its parties are.
func (h *hall) offerOnly(a ask, to wire.NodeID) *session {
	s := h.offer(ask{parties: nil})
	for _, p := range a.parties {
		s.parties = append(s.parties, &linkv1.Party{Index: uint32(p.Index), NodeId: string(p.NodeID)})
	}
	a.expires = h.clock.Now().Add(time.Hour)
	h.send(to, &linkv1.Frame{Body: &linkv1.Frame_Offer{Offer: a.frame(s)}})
	return s
}

func (a ask) frame(s *session) *linkv1.Offer {
	t := a.terms
	o := &linkv1.Offer{SessionId: s.id, SinoId: a.sino, JoinToken: "token-" + s.id, KeyId: a.keyID, Expires: a.expires.Unix(),
		Terms: &linkv1.Terms{Type: t.Type, RequestId: t.RequestID, KeyId: t.KeyID, T: uint32(t.T), N: uint32(t.N), Cryptography: t.Cryptography,
			Path: t.Path, SignType: t.SignType, Message: t.Message, TxInfo: t.TxInfo, TapScriptRoot: t.TapScriptRoot}}
	for _, id := range t.Parties {
		o.Terms.Parties = append(o.Terms.Parties, string(id))
	}
	if a.auth != nil {
		o.Authorization = &linkv1.Authorization{KeyId: a.auth.KeyID, Expiry: a.auth.Expiry, Nonce: a.auth.Nonce, Signature: a.auth.Signature}
	}
	for _, p := range s.parties {
		o.Parties = append(o.Parties, proto.CloneOf(p))
	}
	return o
}

// end ends a session for all.
func (h *hall) end(s *session, state, reason string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s.ended = true
	for _, p := range s.parties {
		h.deliver(wire.NodeID(p.NodeId), &linkv1.Frame{Body: &linkv1.Frame_End{End: &linkv1.End{SessionId: s.id, State: state, Reason: reason}}})
	}
}
