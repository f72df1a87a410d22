package link_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
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
