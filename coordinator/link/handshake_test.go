package link_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/bolt/coordstore/coordtest"
	"github.com/countersign-mpc/countersign/coordinator/link"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/wire"
)

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
