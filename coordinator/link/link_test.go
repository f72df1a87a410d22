package link_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"google.golang.org/protobuf/proto"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/bolt/coordstore/coordtest"
	"github.com/countersign-mpc/countersign/coordinator"
	"github.com/countersign-mpc/countersign/coordinator/link"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/wire"
)

// site is a world whose coordinator is reached through a link server.
type site struct {
	*coordtest.World
	server *link.Server
	http   *httptest.Server
	host   string
}

func newSite(t *testing.T, n int, change func(*link.Config)) *site {
	t.Helper()
	s := &site{World: coordtest.NewWorld(t, n, coordinator.Limits{})}
	for i := range n {
		s.Disconnect(i) // they connect through the link here
	}
	s.serve(change)
	t.Cleanup(s.stop)
	return s
}

func (s *site) serve(change func(*link.Config)) {
	s.T.Helper()
	cfg := link.Config{Coordinator: s.C, Log: slog.New(slog.DiscardHandler), Name: "test"}
	if change != nil {
		change(&cfg)
	}
	var err error
	if s.server, err = link.New(cfg); err != nil {
		s.T.Fatal(err)
	}
	s.http = httptest.NewServer(s.server)
	s.host = strings.TrimPrefix(s.http.URL, "http://")
}

func (s *site) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond) // nodes that read nothing are not waited for
	defer cancel()
	s.server.Close(ctx)
	s.http.Close()
}

// node is a party that talks over a WebSocket.
type node struct {
	*coordtest.Party
	t    *testing.T
	ws   *websocket.Conn
	seq  uint64
	held []*linkv1.Frame // received and not asked for yet
}

func (s *site) dial(t *testing.T, i int) *node {
	t.Helper()
	ws, _, err := websocket.Dial(t.Context(), s.http.URL+"/proxy", &websocket.DialOptions{Subprotocols: []string{"countersign.link.v1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ws.CloseNow() })
	ws.SetReadLimit(2 << 20)
	n := &node{t: t, ws: ws}
	if i >= 0 {
		n.Party = s.Parties[i]
	}
	return n
}

// connect dials and goes through the handshake.
func (s *site) connect(t *testing.T, i int) *node {
	t.Helper()
	n := s.dial(t, i)
	n.write(n.hello(n.challenge(), s.host))
	if w := n.read().GetWelcome(); w.GetName() != n.Name {
		t.Fatalf("welcomed as %q", w.GetName())
	}
	return n
}

func (n *node) challenge() *linkv1.Challenge {
	n.t.Helper()
	c := n.read().GetChallenge()
	if c == nil || c.Version != 1 || len(c.Nonce) != 32 || c.Coordinator != "test" {
		n.t.Fatalf("challenge %v", c)
	}
	return c
}

func (n *node) hello(c *linkv1.Challenge, host string) *linkv1.Frame {
	n.t.Helper()
	nonce := make([]byte, 32)
	_, _ = rand.Read(nonce)
	sig, err := wire.SignP256(n.Key, manifest.HelloBytes(c.Nonce, nonce, n.ID, host, n.Instance))
	if err != nil {
		n.t.Fatal(err)
	}
	return &linkv1.Frame{Body: &linkv1.Frame_Hello{Hello: &linkv1.Hello{Version: 1, NodeId: string(n.ID), Nonce: nonce, Instance: n.Instance,
		Address: host, Signature: sig, Software: "fake"}}}
}

func (n *node) write(f *linkv1.Frame) {
	n.t.Helper()
	data, err := proto.Marshal(f)
	if err != nil {
		n.t.Fatal(err)
	}
	if err := n.ws.Write(n.t.Context(), websocket.MessageBinary, data); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) tryRead() (*linkv1.Frame, error) {
	ctx, cancel := context.WithTimeout(n.t.Context(), 20*time.Second) // a bound for a test that hangs
	defer cancel()
	_, data, err := n.ws.Read(ctx)
	if err != nil {
		return nil, err
	}
	f := new(linkv1.Frame)
	return f, proto.Unmarshal(data, f)
}

func (n *node) read() *linkv1.Frame {
	n.t.Helper()
	f, err := n.tryRead()
	if err != nil {
		n.t.Fatal(err)
	}
	return f
}

// send sends a frame that wants an acknowledgement, and waits for it.
func (n *node) send(f *linkv1.Frame) {
	n.t.Helper()
	n.post(f)
	n.until(func(f *linkv1.Frame) bool { return f.GetAck().GetSeq() == n.seq })
}

// post sends a frame that wants an acknowledgement.
func (n *node) post(f *linkv1.Frame) {
	n.t.Helper()
	n.seq++
	n.write(&linkv1.Frame{Seq: n.seq, Body: f.Body})
}

// until reads until a frame is what is wanted; the others are held.
func (n *node) until(is func(*linkv1.Frame) bool) *linkv1.Frame {
	n.t.Helper()
	for {
		f := n.read()
		if is(f) {
			return f
		}
		if f.GetAck() == nil {
			n.held = append(n.held, f)
		}
	}
}

// next gives the next frame that is no Ack.
func (n *node) next() *linkv1.Frame {
	n.t.Helper()
	if len(n.held) == 0 {
		return n.until(func(f *linkv1.Frame) bool { return f.GetAck() == nil })
	}
	f := n.held[0]
	n.held = n.held[1:]
	return f
}

func (n *node) ack(seq uint64) {
	n.t.Helper()
	n.write(&linkv1.Frame{Body: &linkv1.Frame_Ack{Ack: &linkv1.Ack{Seq: seq}}})
}

// refused reads until the refusal that ends the connection, and hangs up.
func (n *node) refused() string {
	n.t.Helper()
	code := n.until(func(f *linkv1.Frame) bool { return f.GetRefusal() != nil }).GetRefusal().Code
	_ = n.ws.CloseNow()
	return code
}

func expect(t *testing.T, what string, got, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestHandshake(t *testing.T) {
	s := newSite(t, 2, nil)
	n := s.connect(t, 0)
	nodes, err := s.C.Nodes(t.Context(), coordtest.Account)
	if err != nil || !nodes[0].Online || nodes[1].Online || nodes[0].Software != "fake" {
		t.Errorf("%+v, %v", nodes, err)
	}
	_ = n.ws.Close(websocket.StatusNormalClosure, "")
}

// Who does not prove its identity on this very connection, to this very server, is refused.
func TestHandshakeRefusals(t *testing.T) {
	s := newSite(t, 2, nil)
	stranger := coordtest.NewParty(t, "x")
	// sign signs anew what a case has changed.
	sign := func(n *node, c *linkv1.Challenge, h *linkv1.Hello) {
		sig, err := wire.SignP256(n.Key, manifest.HelloBytes(c.Nonce, h.Nonce, wire.NodeID(h.NodeId), h.Address, h.Instance))
		if err != nil {
			t.Fatal(err)
		}
		h.Signature = sig
	}
	for name, c := range map[string]struct {
		change func(*node, *linkv1.Challenge, *linkv1.Frame)
		code   string
	}{
		"wrong version": {func(_ *node, _ *linkv1.Challenge, f *linkv1.Frame) { f.GetHello().Version = 2 }, "unsupported_version"},
		"no node id":    {func(_ *node, _ *linkv1.Challenge, f *linkv1.Frame) { f.GetHello().NodeId = "sino" }, "bad_hello"},
		"short nonce":   {func(_ *node, _ *linkv1.Challenge, f *linkv1.Frame) { f.GetHello().Nonce = make([]byte, 31) }, "bad_hello"},
		"no instance":   {func(_ *node, _ *linkv1.Challenge, f *linkv1.Frame) { f.GetHello().Instance = "" }, "bad_hello"},
		"long instance": {func(_ *node, _ *linkv1.Challenge, f *linkv1.Frame) { f.GetHello().Instance = strings.Repeat("i", 65) }, "bad_hello"},
		"no signature":  {func(_ *node, _ *linkv1.Challenge, f *linkv1.Frame) { f.GetHello().Signature = nil }, "bad_signature"},
		"another's signature": {func(n *node, c *linkv1.Challenge, f *linkv1.Frame) {
			other := &node{Party: stranger}
			sign(other, c, f.GetHello())
		}, "bad_signature"},
		"another's node id": {func(n *node, c *linkv1.Challenge, f *linkv1.Frame) {
			f.GetHello().NodeId = string(s.Parties[1].ID)
			sign(n, c, f.GetHello())
		}, "bad_signature"},
		"another challenge": {func(n *node, c *linkv1.Challenge, f *linkv1.Frame) {
			sign(n, &linkv1.Challenge{Nonce: make([]byte, 32)}, f.GetHello())
		}, "bad_signature"},
		"another instance than signed": {func(n *node, c *linkv1.Challenge, f *linkv1.Frame) { f.GetHello().Instance = "a-2" }, "bad_signature"},
		"another server": {func(n *node, c *linkv1.Challenge, f *linkv1.Frame) {
			f.GetHello().Address = "evil.example:8080"
			sign(n, c, f.GetHello())
		}, "wrong_address"},
		"no address": {func(n *node, c *linkv1.Challenge, f *linkv1.Frame) {
			f.GetHello().Address = ""
			sign(n, c, f.GetHello())
		}, "wrong_address"},
		"not bound": {func(n *node, c *linkv1.Challenge, f *linkv1.Frame) {
			f.GetHello().NodeId = string(stranger.ID)
			sign(&node{Party: stranger}, c, f.GetHello())
		}, "node_not_bound"},
		"no hello": {func(_ *node, _ *linkv1.Challenge, f *linkv1.Frame) { f.Body = coordtest.Join("s", "t").Body }, "bad_hello"},
		"empty":    {func(_ *node, _ *linkv1.Challenge, f *linkv1.Frame) { f.Body = nil }, "bad_hello"},
	} {
		t.Run(name, func(t *testing.T) {
			n := s.dial(t, 0)
			challenge := n.challenge()
			f := n.hello(challenge, s.host)
			c.change(n, challenge, f)
			n.write(f)
			expect(t, "code", n.refused(), c.code)
		})
	}
}

// A hello that was good on one connection is of no use on another.
func TestReplayedHello(t *testing.T) {
	s := newSite(t, 1, nil)
	first := s.dial(t, 0)
	hello := first.hello(first.challenge(), s.host)
	first.write(hello)
	first.read()
	second := s.dial(t, 0)
	second.challenge()
	second.write(hello)
	expect(t, "code", second.refused(), "bad_signature")
}

func TestNotAFrame(t *testing.T) {
	s := newSite(t, 1, nil)
	for name, send := range map[string]func(*node) error{
		"text":  func(n *node) error { return n.ws.Write(t.Context(), websocket.MessageText, []byte("hello")) },
		"bytes": func(n *node) error { return n.ws.Write(t.Context(), websocket.MessageBinary, []byte{0xff}) },
	} {
		n := s.dial(t, 0)
		n.challenge()
		if err := send(n); err != nil {
			t.Fatal(err)
		}
		expect(t, name+" for hello", n.refused(), "protocol_violation")
		n = s.connect(t, 0)
		if err := send(n); err != nil {
			t.Fatal(err)
		}
		expect(t, name+" for a frame", n.refused(), "protocol_violation")
	}
}

// Bounds hold before anything is parsed: a hello, and a frame, that are too large end the connection.
func TestTooLarge(t *testing.T) {
	s := newSite(t, 1, nil)
	for name, c := range map[string]struct {
		node *node
		size int
	}{"hello": {s.dial(t, 0), 8<<10 + 1}, "frame": {s.connect(t, 0), 2<<20 + 1}} {
		_ = c.node.ws.Write(t.Context(), websocket.MessageBinary, make([]byte, c.size)) // may fail: the server has hung up
		for {
			_, err := c.node.tryRead()
			if err != nil {
				if errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%s: the connection stays", name)
				}
				break
			}
		}
	}
}

func TestSilentHandshake(t *testing.T) {
	s := newSite(t, 1, func(c *link.Config) { c.HandshakeTime = 50 * time.Millisecond })
	n := s.dial(t, 0)
	n.challenge()
	if _, err := n.tryRead(); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a node that says nothing is not hung up on: %v", err)
	}
}

// A node that answers no ping is taken for gone.
func TestNoSignOfLife(t *testing.T) {
	s := newSite(t, 1, func(c *link.Config) { c.PingEvery = 50 * time.Millisecond })
	s.connect(t, 0) // it reads nothing from here on, so it answers nothing
	for {
		nodes, err := s.C.Nodes(t.Context(), coordtest.Account)
		if err != nil {
			t.Fatal(err)
		}
		if !nodes[0].Online {
			return
		}
	}
}

func TestWrongDoor(t *testing.T) {
	s := newSite(t, 1, nil)
	for name, c := range map[string]struct {
		options *websocket.DialOptions
		status  int
	}{
		"browser":        {&websocket.DialOptions{Subprotocols: []string{"countersign.link.v1"}, HTTPHeader: http.Header{"Origin": {"http://" + s.host}}}, http.StatusForbidden},
		"no subprotocol": {&websocket.DialOptions{}, http.StatusSwitchingProtocols},
	} {
		ws, response, err := websocket.Dial(t.Context(), s.http.URL, c.options)
		expect(t, name, response.StatusCode, c.status)
		if err == nil {
			if _, _, err := ws.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestPublicNames(t *testing.T) {
	for name, c := range map[string]struct {
		names   []string
		address string
		ok      bool
	}{
		"host and port":       {[]string{"coord.example:8080"}, "coord.example:8080", true},
		"in capitals":         {[]string{"coord.example"}, "COORD.example", true},
		"host, any port":      {[]string{"coord.example"}, "coord.example:9999", true},
		"another port":        {[]string{"coord.example:8080"}, "coord.example:8081", false},
		"another host":        {[]string{"coord.example"}, "evil.example", false},
		"longer host":         {[]string{"coord.example"}, "coord.example.evil", false},
		"IPv6":                {[]string{"::1"}, "[::1]:8080", true},
		"the connection's":    {[]string{"coord.example"}, "", false},
		"no names, any other": {nil, "coord.example", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, 1, func(cfg *link.Config) { cfg.PublicNames = c.names })
			n := s.dial(t, 0)
			address := c.address
			if address == "" {
				address = s.host
			}
			n.write(n.hello(n.challenge(), address))
			f := n.read()
			if (f.GetWelcome() != nil) != c.ok {
				t.Errorf("answered %v", f)
			}
		})
	}
	s := newSite(t, 1, nil)
	for _, cfg := range []link.Config{{}, {Coordinator: s.C, Log: slog.New(slog.DiscardHandler), PublicNames: []string{"http://x/"}}} {
		if _, err := link.New(cfg); err == nil {
			t.Errorf("%+v is taken", cfg)
		}
	}
}

// One session over real connections, from offer to signature.
func TestSession(t *testing.T) {
	s := newSite(t, 2, nil)
	nodes := []*node{s.connect(t, 0), s.connect(t, 1)}
	id := s.Submit(s.KeygenOrder(2, "")).Request.SinoID
	session := s.Last(id).ID
	for _, n := range nodes {
		offer := n.next().GetOffer()
		expect(t, "offer", offer.GetSessionId(), session)
		n.send(coordtest.Answer(session, linkv1.Answer_APPROVED, ""))
	}
	for i, n := range nodes {
		expect(t, "begin", n.next().GetBegin().GetSessionId(), session)
		n.send(coordtest.Join(session, s.Last(id).Members[i].Token))
		n.send(n.Contribution(t, session, byte(i+1), "manifest", ""))
	}
	for i, n := range nodes {
		f := n.next()
		expect(t, "contribution", f.GetContribution().GetIndex(), 2-i)
		n.ack(f.Seq)
	}
	const messages = 300 // more than are sent without an acknowledgement
	for seq := range uint64(messages) {
		nodes[0].post(coordtest.Envelope(session, 1, 2, seq, fmt.Sprint(seq)))
	}
	for seq := range uint64(messages) {
		f := nodes[1].next()
		expect(t, "message", []any{f.GetEnvelope().GetSeq(), string(f.GetEnvelope().GetSealed())}, []any{seq, fmt.Sprint(seq)})
		if seq%100 == 99 || seq == messages-1 {
			nodes[1].ack(f.Seq)
		}
	}
	for _, n := range nodes {
		n.send(n.Report(t, session, s.Wallet.Made()))
	}
	for _, active := range []bool{false, true} {
		for i, n := range nodes {
			n.send(n.Confirmation(t, s.Last(id).KeyID, byte(i+1), "share", active))
		}
	}
	expect(t, "request", s.Status(id).Request.State, coordinator.StateCompleted)
	if key := s.Status(id).Key; !bytes.Equal(key.PublicKey, s.Wallet.PublicKey) {
		t.Error("another key")
	}
}

// What a node does not acknowledge comes again on the next connection, numbered anew; what it does, does not. What a node
// sends again is taken once.
func TestResendAndDedupe(t *testing.T) {
	s := newSite(t, 2, nil)
	a, b := s.connect(t, 0), s.connect(t, 1)
	id := s.Submit(s.KeygenOrder(2, "")).Request.SinoID
	session := s.Last(id).ID
	for i, n := range []*node{a, b} {
		n.next() // offer
		n.send(coordtest.Answer(session, linkv1.Answer_APPROVED, ""))
		if i == 1 {
			a.next() // begin
			b.next()
		}
	}
	for i, n := range []*node{a, b} {
		n.send(coordtest.Join(session, s.Last(id).Members[i].Token))
		n.send(n.Contribution(t, session, byte(i+1), "manifest", ""))
	}
	for seq, text := range []string{"x", "y", "z"} {
		a.send(coordtest.Envelope(session, 1, 2, uint64(seq), text))
	}
	var last *linkv1.Frame
	for _, want := range []string{"", "x", "y", "z"} {
		last = b.next()
		expect(t, "first connection", string(last.GetEnvelope().GetSealed()), want)
	}
	b.ack(last.Seq - 2) // the contribution and x
	b.send(coordtest.Answer("nowhere", linkv1.Answer_ASKING, ""))
	b = s.connect(t, 1)
	for i, want := range []string{"y", "z"} {
		f := b.next()
		expect(t, "second connection", []any{f.Seq, string(f.GetEnvelope().GetSealed())}, []any{i + 1, want})
	}
	a = s.connect(t, 0) // it did not hear that z had arrived
	expect(t, "contribution, unacknowledged", a.next().GetContribution().GetIndex(), 2)
	a.send(coordtest.Envelope(session, 1, 2, 2, "z"))
	a.send(coordtest.Envelope(session, 1, 2, 3, "w"))
	expect(t, "once", string(b.next().GetEnvelope().GetSealed()), "w")
}

// The coordinator is stopped with frames undelivered in the middle of a session; after its start the session goes on.
func TestRestart(t *testing.T) {
	s := newSite(t, 2, nil)
	a, b := s.connect(t, 0), s.connect(t, 1)
	id := s.Submit(s.KeygenOrder(2, "")).Request.SinoID
	session := s.Last(id).ID
	for _, n := range []*node{a, b} {
		n.send(coordtest.Answer(session, linkv1.Answer_APPROVED, ""))
	}
	for i, n := range []*node{a, b} {
		n.send(coordtest.Join(session, s.Last(id).Members[i].Token))
		n.send(n.Contribution(t, session, byte(i+1), "manifest", ""))
	}
	a.send(coordtest.Envelope(session, 1, 2, 0, "x"))
	a.post(coordtest.Envelope(session, 1, 2, 1, "y")) // perhaps taken, perhaps not
	s.stop()
	s.Restart()
	s.serve(nil)
	a, b = s.connect(t, 0), s.connect(t, 1)
	expect(t, "contribution", b.next().GetContribution().GetIndex(), 1)
	expect(t, "x", string(b.next().GetEnvelope().GetSealed()), "x")
	a.send(coordtest.Envelope(session, 1, 2, 1, "y"))
	expect(t, "y", string(b.next().GetEnvelope().GetSealed()), "y")
	for _, n := range []*node{a, b} {
		n.send(n.Report(t, session, s.Wallet.Made()))
	}
	expect(t, "session", s.Last(id).State, coordinator.StateCompleted)
}

func TestReplaced(t *testing.T) {
	s := newSite(t, 1, nil)
	old := s.connect(t, 0)
	s.connect(t, 0).send(coordtest.Answer("nowhere", linkv1.Answer_ASKING, ""))
	expect(t, "the old connection", old.refused(), "replaced")
}

func TestStopping(t *testing.T) {
	s := newSite(t, 1, nil)
	n := s.connect(t, 0)
	done := make(chan struct{})
	go func() {
		s.server.Close(context.Background())
		close(done)
	}()
	expect(t, "code", n.refused(), "stopping")
	<-done
	_, response, err := websocket.Dial(t.Context(), s.http.URL, nil)
	if err == nil || response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a stopped server takes connections: %v", err)
	}
}

// A frame that breaks the protocol is acknowledged, so that it does not come again, and ends the connection.
func TestViolations(t *testing.T) {
	s := newSite(t, 1, nil)
	for name, f := range map[string]*linkv1.Frame{
		"a coordinator's frame":         {Seq: 1, Body: &linkv1.Frame_Begin{Begin: &linkv1.Begin{}}},
		"a gap":                         {Seq: 2, Body: coordtest.Answer("nowhere", linkv1.Answer_ASKING, "").Body},
		"ack of what was not sent":      {Body: &linkv1.Frame_Ack{Ack: &linkv1.Ack{Seq: 1}}},
		"a second hello":                {Seq: 1, Body: &linkv1.Frame_Hello{Hello: &linkv1.Hello{}}},
		"a confirmation of nobody":      {Seq: 1, Body: &linkv1.Frame_Confirmation{Confirmation: &linkv1.Confirmation{KeyId: "k"}}},
		"nothing":                       {Seq: 1},
		"a contribution of no session ": {Seq: 1, Body: &linkv1.Frame_Refusal{Refusal: &linkv1.Refusal{}}},
	} {
		n := s.connect(t, 0)
		n.write(f)
		acked := false
		for {
			got, err := n.tryRead()
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			acked = acked || got.GetAck().GetSeq() == f.Seq && f.Seq == 1
			if r := got.GetRefusal(); r != nil {
				expect(t, name, r.Code, "protocol_violation")
				_ = n.ws.CloseNow()
				break
			}
		}
		expect(t, name+" is acknowledged", acked, f.Seq == 1)
	}
}

// A node that reads nothing stops nobody: its frames wait in the store, and other sessions go on.
func TestSlowPeer(t *testing.T) {
	s := newSite(t, 3, nil)
	a, slow, c := s.connect(t, 0), s.connect(t, 1), s.connect(t, 2)
	id := s.Submit(s.KeygenOrder(2, "")).Request.SinoID
	session := s.Last(id).ID
	for _, n := range []*node{a, slow, c} {
		n.send(coordtest.Answer(session, linkv1.Answer_APPROVED, ""))
	}
	for i, n := range []*node{a, slow, c} {
		n.send(coordtest.Join(session, s.Last(id).Members[i].Token))
		n.send(n.Contribution(t, session, byte(i+1), "manifest", ""))
	}
	const messages = 12
	large := strings.Repeat("x", 1<<20)
	for seq := range uint64(messages) { // more than sockets buffer
		a.send(coordtest.Envelope(session, 1, 2, seq, large))
	}
	a.send(coordtest.Envelope(session, 1, 3, 0, "for c"))
	for {
		if f := c.next(); f.GetEnvelope() != nil {
			expect(t, "c", string(f.GetEnvelope().Sealed), "for c")
			break
		}
	}
	for seq := uint64(0); seq < messages; { // and when it reads again, it gets all
		if e := slow.next().GetEnvelope(); e != nil {
			expect(t, "seq", e.Seq, seq)
			seq++
		}
	}
}
