package link

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/coder/websocket"
	"google.golang.org/protobuf/proto"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/coordinator"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/wire"
)

const (
	nonceSize   = 32
	maxInstance = 64  // bytes
	maxSoftware = 128 // bytes
)

// handshake has the node prove its identity key, and makes it the node's connection. What the node is to hear waits until
// run.
func (s *Server) handshake(w http.ResponseWriter, r *http.Request) (*conn, error) {
	ws, err := accept(w, r)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(s.ctx, s.cfg.HandshakeTime)
	defer cancel()
	c, err := s.greet(ctx, ws, r.Host)
	if err == nil {
		return c, nil
	}
	var refused *refusal
	if errors.As(err, &refused) {
		frame := &linkv1.Frame{Body: &linkv1.Frame_Refusal{Refusal: &linkv1.Refusal{Code: refused.code, Message: refused.message}}}
		if werr := writeFrame(ctx, ws, frame); werr == nil {
			s.wg.Go(func() {
				ctx, cancel := context.WithTimeout(s.ctx, goodbyeTime)
				defer cancel()
				_ = discard(ctx, ws)
				_ = ws.CloseNow()
			})
			return nil, err
		}
	}
	_ = ws.CloseNow()
	return nil, err
}

func (s *Server) greet(ctx context.Context, ws *websocket.Conn, host string) (*conn, error) {
	ws.SetReadLimit(maxHello)
	nonce := make([]byte, nonceSize)
	_, _ = rand.Read(nonce) // cannot fail: the process is stopped if the system has no randomness
	challenge := &linkv1.Challenge{Version: protocolVersion, Nonce: nonce, Coordinator: s.cfg.Name}
	if err := writeFrame(ctx, ws, &linkv1.Frame{Body: &linkv1.Frame_Challenge{Challenge: challenge}}); err != nil {
		return nil, fmt.Errorf("send challenge: %w", err)
	}
	f, err := readFrame(ctx, ws)
	if err != nil {
		return nil, fmt.Errorf("wait for hello: %w", err)
	}
	hello := f.GetHello()
	if hello == nil {
		return nil, &refusal{"bad_hello", "the first frame of a node is hello"}
	}
	node, err := s.prove(hello, nonce, host)
	if err != nil {
		return nil, err
	}
	c := newConn(ws, s.cfg)
	c.peer, err = s.cfg.Coordinator.Attach(ctx, coordinator.Greeting{Node: node, Instance: hello.Instance, Software: printable(hello.Software)}, c)
	if err != nil {
		return nil, told(err)
	}
	welcome := &linkv1.Frame{Body: &linkv1.Frame_Welcome{Welcome: &linkv1.Welcome{Name: c.peer.Name()}}}
	if err := writeFrame(ctx, ws, welcome); err != nil {
		c.peer.Detach(context.WithoutCancel(ctx))
		return nil, fmt.Errorf("send welcome: %w", err)
	}
	ws.SetReadLimit(maxFrame)
	for _, sub := range c.peer.Subjects() {
		c.Tell(sub)
	}
	return c, nil
}

// told turns a refusal of the coordinator into one that the node is told.
func told(err error) error {
	var e *coordinator.Error
	if errors.As(err, &e) {
		return &refusal{string(e.Code), e.Message}
	}
	return err
}

// prove checks that the node holds the key of its id and meant to talk to this server.
func (s *Server) prove(h *linkv1.Hello, challenge []byte, host string) (wire.NodeID, error) {
	if h.Version != protocolVersion {
		return "", &refusal{"unsupported_version", fmt.Sprintf("link version %d: this coordinator speaks version %d", h.Version, protocolVersion)}
	}
	node, err := wire.ParseNodeID(h.NodeId)
	if err != nil {
		return "", &refusal{"bad_hello", err.Error()}
	}
	switch {
	case len(h.Nonce) != nonceSize:
		return "", &refusal{"bad_hello", fmt.Sprintf("the node's nonce has %d bytes, it must have %d", len(h.Nonce), nonceSize)}
	case h.Instance == "" || len(h.Instance) > maxInstance:
		return "", &refusal{"bad_hello", fmt.Sprintf("the node's instance has 1 to %d bytes", maxInstance)}
	case !s.knownAs(h.Address, host):
		return "", &refusal{"wrong_address", "the address that the node dialled is not one of this coordinator's: " +
			"set mpc-service.address of the node, or add it to public-names of the coordinator"}
	}
	pub, err := node.PublicKey()
	if err != nil {
		return "", &refusal{"bad_hello", err.Error()}
	}
	if !wire.VerifyP256(pub, manifest.HelloBytes(challenge, h.Nonce, node, h.Address, h.Instance), h.Signature) {
		return "", &refusal{"bad_signature", "hello is not signed by the key of node " + node.Short()}
	}
	return node, nil
}

// knownAs tells whether a node that dialled address meant this server: address is a public name, or, where none is
// configured, what the HTTP request names. Somebody in the middle, whom the node dialled, has another address.
func (s *Server) knownAs(address, host string) bool {
	if len(s.cfg.PublicNames) == 0 {
		return address != "" && strings.EqualFold(address, host)
	}
	bare := address
	if h, _, err := net.SplitHostPort(address); err == nil {
		bare = h
	}
	for _, name := range s.cfg.PublicNames {
		if strings.EqualFold(address, name) || strings.EqualFold(bare, name) {
			return true
		}
	}
	return false
}

func readFrame(ctx context.Context, ws *websocket.Conn) (*linkv1.Frame, error) {
	kind, data, err := ws.Read(ctx)
	if err != nil {
		return nil, fmt.Errorf("read frame: %w", err)
	}
	f := new(linkv1.Frame)
	decode := proto.UnmarshalOptions{DiscardUnknown: true} // what is not understood is neither kept nor passed on
	if kind != websocket.MessageBinary || decode.Unmarshal(data, f) != nil {
		return nil, &refusal{string(coordinator.CodeViolation), "a message that is not a frame of this link"}
	}
	return f, nil
}

func writeFrame(ctx context.Context, ws *websocket.Conn, f *linkv1.Frame) error {
	data, err := proto.Marshal(f)
	if err != nil {
		return fmt.Errorf("encode frame: %w", err)
	}
	if len(data) > maxFrame {
		return fmt.Errorf("frame of %d bytes: %d are possible", len(data), maxFrame)
	}
	return ws.Write(ctx, websocket.MessageBinary, data)
}

// writeTimed writes a frame within a time of its own.
func writeTimed(ctx context.Context, limit time.Duration, ws *websocket.Conn, f *linkv1.Frame) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return writeFrame(ctx, ws, f)
}

// printable makes what a node says of its software fit for a list.
func printable(s string) string {
	if len(s) > maxSoftware {
		s = s[:maxSoftware]
	}
	return strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}
