package transport_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/transport"
)

// pauses are the waits of a link, which pass at once, on a clock that only they and the test move.
type pauses struct {
	mu  sync.Mutex // guards the fields below
	now time.Time
	all []time.Duration
	end func(n int) bool // tells whether it is enough
	off context.CancelFunc
}

func (p *pauses) clock() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

func (p *pauses) pause(_ context.Context, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = p.now.Add(d)
	if p.all = append(p.all, d); p.end(len(p.all)) {
		p.off()
	}
}

func (p *pauses) pass(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = p.now.Add(d)
}

// deaf is a handler that is told things nobody wants to know.
type deaf struct{}

func (deaf) Connected()                 {}
func (deaf) Frame(*linkv1.Frame)        {}
func (deaf) Acknowledged(*linkv1.Frame) {}

const (
	least = 250 * time.Millisecond
	most  = 30 * time.Second
)

// runLink runs a link to a server until it has waited so many times.
func runLink(t testing.TB, p *pauses, times int, serve http.HandlerFunc) {
	t.Helper()
	server := httptest.NewServer(serve)
	defer server.Close()
	tryLink(t, p, server.URL, times)
}

// tryLink runs a link to an address until it has waited so many times.
func tryLink(t testing.TB, p *pauses, address string, times int) {
	t.Helper()
	id, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	link, err := transport.NewLink(transport.LinkConfig{URL: "ws" + strings.TrimPrefix(address, "http") + "/proxy", Identity: id, Instance: "i",
		Handler: deaf{}, Log: slog.New(slog.DiscardHandler), Now: p.clock, Pause: p.pause})
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	p.off, p.end = cancel, func(n int) bool { return n == times }
	link.Run(ctx)
}

// mustGrow wants each wait to be between a half and the whole of a delay that doubles up to its maximum.
func mustGrow(t testing.TB, all []time.Duration) {
	t.Helper()
	delay := least
	for i, d := range all {
		if d < delay/2 || d > delay {
			t.Fatalf("wait %d is %s, of a delay of %s", i+1, d, delay)
		}
		delay = min(2*delay, most)
	}
}

func TestReconnectsBackOff(t *testing.T) {
	t.Parallel()
	refuse := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }
	var all [2]pauses
	for i := range all {
		runLink(t, &all[i], 14, refuse)
		mustGrow(t, all[i].all)
	}
	same := true
	for i := range all[0].all {
		same = same && all[0].all[i] == all[1].all[i]
	}
	if same {
		t.Fatal("two links wait exactly alike: there is no jitter")
	}
}

// welcomed serves connections up to the welcome, calls then, and ends them.
func welcomed(t testing.TB, then func()) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"countersign.link.v1"}})
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.CloseNow()
		d := &desk{t: t}
		d.write(conn, &linkv1.Frame{Body: &linkv1.Frame_Challenge{Challenge: &linkv1.Challenge{Version: 1, Nonce: make([]byte, 32)}}})
		d.read(conn)
		d.write(conn, &linkv1.Frame{Body: &linkv1.Frame_Welcome{Welcome: &linkv1.Welcome{Name: "a"}}})
		d.write(conn, &linkv1.Frame{Seq: 1, Body: &linkv1.Frame_Offer{Offer: &linkv1.Offer{}}})
		d.read(conn) // the acknowledgement: the link is up
		then()
	}
}

func TestALinkThatHeldIsMadeAgainAtOnce(t *testing.T) {
	t.Parallel()
	p, conns := &pauses{}, atomic.Int32{}
	runLink(t, p, 14, welcomed(t, func() {
		if conns.Add(1)%5 == 0 {
			p.pass(time.Minute)
		}
	}))
	mustGrow(t, p.all[:4])
	mustGrow(t, p.all[4:9]) // the fifth connection held
	mustGrow(t, p.all[9:14])
}

// TestALinkThatBreaksAtOnceBacksOff: that a connection could be made does not mean that it is any good.
func TestALinkThatBreaksAtOnceBacksOff(t *testing.T) {
	t.Parallel()
	p := &pauses{}
	runLink(t, p, 10, welcomed(t, func() {}))
	mustGrow(t, p.all)
}

func TestBacklogIsBoundedInBytes(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	big := &linkv1.Frame{Body: &linkv1.Frame_Envelope{Envelope: &linkv1.Envelope{Sealed: make([]byte, 1<<20)}}} // the same each time
	sent := 0
	for ; sent < 1000; sent++ {
		if err := d.link.Send(big); err != nil {
			if !errors.Is(err, transport.ErrBacklog) {
				t.Fatal(err)
			}
			break
		}
	}
	if sent != 127 { // a frame has some bytes more than its megabyte
		t.Fatalf("%d frames of a megabyte wait", sent)
	}
	conn := d.accept()
	for range sent {
		d.read(conn)
	}
	d.write(conn, &linkv1.Frame{Body: &linkv1.Frame_Ack{Ack: &linkv1.Ack{Seq: 27}}})
	for range 27 {
		<-d.taken
	}
	for range 27 {
		must(t, d.link.Send(big))
	}
	if err := d.link.Send(big); !errors.Is(err, transport.ErrBacklog) {
		t.Fatalf("more than is allowed waits: %v", err)
	}
}

func TestFlush(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	must(t, d.link.Send(report("0")))
	d.link.Flush(context.Background()) // there is no connection: there is nothing to wait for
	conn := d.accept()
	d.read(conn)
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	d.link.Flush(gone)
	if d.link.State().Backlog != 1 {
		t.Fatal("the frame is not kept")
	}
	done := make(chan struct{})
	go func() { defer close(done); d.link.Flush(context.Background()) }()
	must(t, d.link.Send(report("1")))
	d.read(conn)
	d.write(conn, &linkv1.Frame{Body: &linkv1.Frame_Ack{Ack: &linkv1.Ack{Seq: 1}}})
	<-d.taken
	select {
	case <-done:
		t.Fatal("it did not wait for the second frame")
	default:
	}
	d.write(conn, &linkv1.Frame{Body: &linkv1.Frame_Ack{Ack: &linkv1.Ack{Seq: 2}}})
	<-done

	must(t, d.link.Send(report("2")))
	d.read(conn)
	done = make(chan struct{})
	go func() { defer close(done); d.link.Flush(context.Background()) }()
	must(t, conn.CloseNow())
	<-done // the connection is gone
}
