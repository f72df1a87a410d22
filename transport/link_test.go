package transport_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
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
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/transport"
	"github.com/countersign-mpc/countersign/wire"
)

// desk is the coordinator's end of a link: the test takes each connection and says what happens on it.
type desk struct {
	t     testing.TB
	conns chan *websocket.Conn
	url   string
	host  string
	id    *ecdsa.PrivateKey
	got   chan *linkv1.Frame // what the node's handler was given
	up    chan struct{}
	taken chan *linkv1.Frame // what the node's handler was told to be taken over
	link  *transport.Link
}

// Connected and Frame make the desk the node's handler too.
func (d *desk) Connected()            { d.up <- struct{}{} }
func (d *desk) Frame(f *linkv1.Frame) { d.got <- f }

// Acknowledged implements transport.LinkHandler.
func (d *desk) Acknowledged(f *linkv1.Frame) { d.taken <- f }

func newDesk(t testing.TB) *desk {
	t.Helper()
	d := &desk{t: t, conns: make(chan *websocket.Conn), got: make(chan *linkv1.Frame, 16), up: make(chan struct{}, 16),
		taken: make(chan *linkv1.Frame, 16)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"countersign.link.v1"}})
		if err != nil {
			t.Error(err)
			return
		}
		d.conns <- conn
	}))
	t.Cleanup(server.Close)
	d.host = strings.TrimPrefix(server.URL, "http://")
	d.url = "ws://" + d.host + "/proxy"
	var err error
	d.id, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	d.link, err = transport.NewLink(transport.LinkConfig{URL: d.url, Identity: d.id, Instance: "i-1", Software: "test", Handler: d,
		Log: slog.New(slog.DiscardHandler), MinDelay: time.Millisecond, MaxDelay: 2 * time.Millisecond})
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { d.link.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	return d
}

// accept takes the next connection and does the handshake on it.
func (d *desk) accept() *websocket.Conn {
	d.t.Helper()
	conn := <-d.conns
	conn.SetReadLimit(4 << 20)
	challenge := make([]byte, 32)
	rand.Read(challenge)
	d.write(conn, &linkv1.Frame{Body: &linkv1.Frame_Challenge{Challenge: &linkv1.Challenge{Version: 1, Nonce: challenge}}})
	hello := d.read(conn).GetHello()
	if hello == nil || hello.NodeId != string(wire.NodeIDOf(&d.id.PublicKey)) || hello.Instance != "i-1" || hello.Address != d.host {
		d.t.Fatalf("hello is %v", hello)
	}
	if !wire.VerifyP256(&d.id.PublicKey, manifest.HelloBytes(challenge, hello.Nonce, wire.NodeID(hello.NodeId), d.host, "i-1"), hello.Signature) {
		d.t.Fatal("hello is not signed over the challenge")
	}
	d.write(conn, &linkv1.Frame{Body: &linkv1.Frame_Welcome{Welcome: &linkv1.Welcome{Name: "a"}}})
	<-d.up
	return conn
}

func (d *desk) write(conn *websocket.Conn, f *linkv1.Frame) {
	d.t.Helper()
	data, err := proto.Marshal(f)
	must(d.t, err)
	must(d.t, conn.Write(context.Background(), websocket.MessageBinary, data))
}

func (d *desk) read(conn *websocket.Conn) *linkv1.Frame {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_, data, err := conn.Read(ctx)
	must(d.t, err)
	f := new(linkv1.Frame)
	must(d.t, proto.Unmarshal(data, f))
	return f
}

func report(name string) *linkv1.Frame {
	return &linkv1.Frame{Body: &linkv1.Frame_Report{Report: &linkv1.Report{SessionId: name}}}
}

func TestFramesAreKeptUntilAcknowledged(t *testing.T) {
	d := newDesk(t)
	for i := range 4 {
		must(t, d.link.Send(report(fmt.Sprint(i))))
	}
	conn := d.accept()
	for i := range 4 {
		if f := d.read(conn); f.Seq != uint64(i+1) || f.GetReport().SessionId != fmt.Sprint(i) {
			t.Fatalf("frame %d is %v", i, f)
		}
	}
	d.write(conn, &linkv1.Frame{Body: &linkv1.Frame_Ack{Ack: &linkv1.Ack{Seq: 2}}})
	d.write(conn, &linkv1.Frame{Seq: 7, Body: &linkv1.Frame_End{End: &linkv1.End{SessionId: "x"}}})
	if f := <-d.got; f.GetEnd() == nil {
		t.Fatalf("the handler got %v", f)
	}
	for i := range 2 {
		if f := <-d.taken; f.GetReport().GetSessionId() != fmt.Sprint(i) {
			t.Fatalf("taken over: %v, want report %d", f, i)
		}
	}
	if ack := d.read(conn).GetAck(); ack == nil || ack.Seq != 7 {
		t.Fatalf("a frame was acknowledged with %v", ack)
	}
	must(t, conn.CloseNow())

	conn = d.accept()
	for i := 2; i < 4; i++ {
		if f := d.read(conn); f.Seq != uint64(i-1) || f.GetReport().SessionId != fmt.Sprint(i) {
			t.Fatalf("after a reconnect the node sends %v, want report %d", f, i)
		}
	}
	d.write(conn, &linkv1.Frame{Body: &linkv1.Frame_Ack{Ack: &linkv1.Ack{Seq: 2}}})
	d.write(conn, &linkv1.Frame{Body: &linkv1.Frame_Ack{Ack: &linkv1.Ack{Seq: 1}}}) // an older one, late
	d.write(conn, &linkv1.Frame{Body: &linkv1.Frame_End{End: &linkv1.End{SessionId: "y"}}})
	<-d.got // so the acknowledgements have been taken
	must(t, d.link.Send(report("late")))
	if f := d.read(conn); f.Seq != 3 || f.GetReport().SessionId != "late" {
		t.Fatalf("got %v", f)
	}
	if s := d.link.State(); !s.Connected || s.Name != "a" || s.Backlog != 1 {
		t.Fatalf("state is %+v", s)
	}
}

// A coordinator that acknowledges what was never sent loses the connection, and nothing else: every frame comes again.
func TestFalseAcknowledgements(t *testing.T) {
	for _, seq := range []uint64{2, 3, 1 << 62, 1 << 63, 1<<64 - 1} {
		t.Run(fmt.Sprint(seq), func(t *testing.T) {
			d := newDesk(t)
			must(t, d.link.Send(report("kept")))
			conn := d.accept()
			d.read(conn)
			d.write(conn, &linkv1.Frame{Body: &linkv1.Frame_Ack{Ack: &linkv1.Ack{Seq: seq}}})
			conn = d.accept()
			if f := d.read(conn); f.GetReport().GetSessionId() != "kept" {
				t.Fatalf("after a reconnect the node sends %v", f)
			}
			if s := d.link.State(); s.Backlog != 1 {
				t.Fatalf("%d frames are kept", s.Backlog)
			}
		})
	}
}

func TestRefusedLinkSaysWhy(t *testing.T) {
	d := newDesk(t)
	conn := <-d.conns
	d.write(conn, &linkv1.Frame{Body: &linkv1.Frame_Challenge{Challenge: &linkv1.Challenge{Version: 1, Nonce: make([]byte, 32)}}})
	d.read(conn)
	d.write(conn, &linkv1.Frame{Body: &linkv1.Frame_Refusal{Refusal: &linkv1.Refusal{Code: "node_not_bound", Message: "bind it"}}})
	<-d.conns // it tries again
	if s := d.link.State(); s.Connected || !strings.Contains(s.LastError, "node_not_bound: bind it") {
		t.Fatalf("state is %+v", s)
	}
}

func TestMalformedCoordinatorIsLeft(t *testing.T) {
	for name, first := range map[string][]byte{
		"garbage":       {0xff, 0xff},
		"no challenge":  mustMarshal(t, &linkv1.Frame{Body: &linkv1.Frame_Welcome{Welcome: &linkv1.Welcome{}}}),
		"short nonce":   mustMarshal(t, &linkv1.Frame{Body: &linkv1.Frame_Challenge{Challenge: &linkv1.Challenge{Version: 1, Nonce: []byte{1}}}}),
		"other version": mustMarshal(t, &linkv1.Frame{Body: &linkv1.Frame_Challenge{Challenge: &linkv1.Challenge{Version: 2, Nonce: make([]byte, 32)}}}),
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			must(t, (<-d.conns).Write(context.Background(), websocket.MessageBinary, first))
			<-d.conns
			if s := d.link.State(); s.Connected || s.LastError == "" {
				t.Fatalf("state is %+v", s)
			}
		})
	}
}

func mustMarshal(t testing.TB, f *linkv1.Frame) []byte {
	data, err := proto.Marshal(f)
	must(t, err)
	return data
}

func TestBacklogIsBounded(t *testing.T) {
	d := newDesk(t)
	var err error
	for i := 0; err == nil && i < 100_000; i++ {
		err = d.link.Send(report("x"))
	}
	if err == nil {
		t.Fatal("the backlog grows without bound")
	}
}

func TestNewLinkRefuses(t *testing.T) {
	for _, url := range []string{"", "http://x/proxy", "ws:///proxy", "127.0.0.1:80"} {
		if _, err := transport.NewLink(transport.LinkConfig{URL: url}); err == nil {
			t.Errorf("%q was taken for an address", url)
		}
	}
	if _, err := transport.NewLink(transport.LinkConfig{URL: "ws://x/proxy"}); err == nil {
		t.Error("a link without identity was made")
	}
}
