package node_test

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"slices"
	"sync"

	"github.com/coder/websocket"
	"google.golang.org/protobuf/proto"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/wire"
)

// serve is one connection of a node.
func (h *hall) serve(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"countersign.link.v1"}})
	if err != nil {
		return
	}
	defer conn.CloseNow()
	conn.SetReadLimit(8 << 20)
	id, instance, err := h.shake(r.Context(), conn)
	if err != nil {
		return
	}
	wirePort := &socket{conn: conn, instance: instance, wake: make(chan struct{}, 1), next: 1, closed: make(chan struct{})}
	var wg sync.WaitGroup
	wg.Go(func() { wirePort.write(r.Context()) })
	defer func() {
		_ = conn.CloseNow()
		close(wirePort.closed)
		wg.Wait()
	}()
	h.connect(id, wirePort)
	for {
		f, err := read(r.Context(), conn)
		if err != nil {
			return
		}
		if ack := f.GetAck(); ack != nil {
			h.mu.Lock()
			wirePort.acked = max(wirePort.acked, ack.Seq)
			wirePort.acknowledged(ack.Seq)
			h.cond.Broadcast()
			h.mu.Unlock()
			continue
		}
		lost := false
		h.do(func() { lost = h.lose != nil && h.lose(id, f) })
		if lost {
			return // the connection breaks before the frame is taken over
		}
		if h.ignores(id, f) {
			continue
		}
		h.take(id, f)
		if f.Seq != 0 {
			wirePort.put(&linkv1.Frame{Body: &linkv1.Frame_Ack{Ack: &linkv1.Ack{Seq: f.Seq}}})
		}
	}
}

func (h *hall) shake(ctx context.Context, conn *websocket.Conn) (id wire.NodeID, instance string, err error) {
	nonce := make([]byte, 32)
	rand.Read(nonce)
	if err := write(ctx, conn, &linkv1.Frame{Body: &linkv1.Frame_Challenge{Challenge: &linkv1.Challenge{Version: 1, Nonce: nonce}}}); err != nil {
		return "", "", err
	}
	f, err := read(ctx, conn)
	if err != nil {
		return "", "", err
	}
	hello := f.GetHello()
	id = wire.NodeID(hello.GetNodeId())
	key, err := id.PublicKey()
	if err != nil || !wire.VerifyP256(key, manifest.HelloBytes(nonce, hello.Nonce, id, h.host, hello.Instance), hello.Signature) {
		h.t.Errorf("a node said hello with %v", hello)
		return "", "", errors.New("no hello")
	}
	return id, hello.Instance, write(ctx, conn, &linkv1.Frame{Body: &linkv1.Frame_Welcome{Welcome: &linkv1.Welcome{Name: "node"}}})
}

// socket is a node's WebSocket.
type socket struct {
	conn     *websocket.Conn
	instance string // of the node
	wake     chan struct{}
	closed   chan struct{}
	acked    uint64 // guarded by hall.mu

	mu      sync.Mutex // guards the fields below
	queue   []*linkv1.Frame
	unacked []*linkv1.Frame
	next    uint64
}

// put sends a frame that the node acknowledges once it has dealt with it; an acknowledgement goes without.
func (s *socket) put(f *linkv1.Frame) { s.number(f) }

func (s *socket) number(f *linkv1.Frame) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	f = proto.CloneOf(f)
	if f.GetAck() == nil {
		f.Seq = s.next
		s.next++
		s.unacked = append(s.unacked, f)
	}
	s.queue = append(s.queue, f)
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return f.Seq
}

// acknowledged forgets what the node has dealt with.
func (s *socket) acknowledged(seq uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unacked = slices.DeleteFunc(s.unacked, func(f *linkv1.Frame) bool { return f.Seq <= seq })
}

func (s *socket) write(ctx context.Context) {
	for {
		select {
		case <-s.wake:
		case <-s.closed:
			return
		}
		s.mu.Lock()
		queue := s.queue
		s.queue = nil
		s.mu.Unlock()
		for _, f := range queue {
			if write(ctx, s.conn, f) != nil {
				_ = s.conn.CloseNow()
			}
		}
	}
}

func read(ctx context.Context, conn *websocket.Conn) (*linkv1.Frame, error) {
	_, data, err := conn.Read(ctx)
	if err != nil {
		return nil, err
	}
	f := new(linkv1.Frame)
	return f, proto.Unmarshal(data, f)
}

func write(ctx context.Context, conn *websocket.Conn, f *linkv1.Frame) error {
	data, err := proto.Marshal(f)
	if err != nil {
		return err
	}
	return conn.Write(ctx, websocket.MessageBinary, data)
}
