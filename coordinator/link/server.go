// Package link is the coordinator's end of the WebSockets that nodes dial: it has each node prove its identity key on a
// fresh challenge, hands frames between the connection and package coordinator, and acknowledges what is durable.
//
// It decides nothing about requests or sessions and keeps nothing: what a node has to hear is read from the coordinator
// when it can be written, so that a slow node costs no memory and stops nobody else.
package link

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/countersign-mpc/countersign/coordinator"
)

const (
	protocolVersion = 1
	subprotocol     = "countersign.link.v1"
	maxFrame        = 2 << 20 // bytes
	maxHello        = 8 << 10 // bytes of the only frame that is read from somebody unknown
	maxHandshakes   = 64      // at one time
)

// Defaults of the times in Config.
const (
	DefaultHandshakeTime = 10 * time.Second
	DefaultPingEvery     = 15 * time.Second
	DefaultWriteTime     = 30 * time.Second
)

// Config is what a Server needs. A zero time means the default.
type Config struct {
	Coordinator   *coordinator.Coordinator
	Log           *slog.Logger
	Name          string                // told to nodes, for their logs
	PublicNames   []string              // host or host:port under which nodes may dial this server; none: whatever they dial
	Metrics       prometheus.Registerer // nil: none are kept
	HandshakeTime time.Duration         // for the whole handshake
	PingEvery     time.Duration         // how often a node must show that it is there
	WriteTime     time.Duration         // for one frame
}

// Server is the http.Handler of /proxy.
type Server struct {
	cfg        Config
	handshakes chan struct{} // a slot for each that is under way
	refused    *prometheus.CounterVec
	ctx        context.Context // ends all connections
	cancel     context.CancelFunc
	wg         sync.WaitGroup

	mu      sync.Mutex // guards the fields below
	conns   map[*conn]bool
	closing bool
}

// New makes a server.
func New(cfg Config) (*Server, error) {
	if cfg.Coordinator == nil || cfg.Log == nil {
		return nil, errors.New("link server: coordinator and log are needed")
	}
	for _, name := range cfg.PublicNames {
		if name == "" || strings.ContainsAny(name, "/@ ") {
			return nil, fmt.Errorf("link server: public name %q is not of the form host or host:port", name)
		}
	}
	for _, d := range []struct {
		value *time.Duration
		def   time.Duration
	}{{&cfg.HandshakeTime, DefaultHandshakeTime}, {&cfg.PingEvery, DefaultPingEvery}, {&cfg.WriteTime, DefaultWriteTime}} {
		if *d.value == 0 {
			*d.value = d.def
		}
	}
	s := &Server{cfg: cfg, handshakes: make(chan struct{}, maxHandshakes), conns: make(map[*conn]bool)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.refused = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "countersign_coordinator_links_refused_total",
		Help: "Connections of nodes that were refused or ended, by code."}, []string{"code"})
	if cfg.Metrics != nil {
		if err := cfg.Metrics.Register(s.refused); err != nil {
			return nil, fmt.Errorf("link server: register metrics: %w", err)
		}
	}
	return s, nil
}

// ServeHTTP takes one connection and serves it until it ends.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Origin") != "" {
		http.Error(w, "this address is for nodes, not for browsers", http.StatusForbidden)
		return
	}
	if !s.begin() {
		http.Error(w, "the coordinator is stopping", http.StatusServiceUnavailable)
		return
	}
	defer s.wg.Done()
	select {
	case s.handshakes <- struct{}{}:
	default:
		http.Error(w, "too many nodes connect at once: try again", http.StatusServiceUnavailable)
		return
	}
	c, err := s.handshake(w, r)
	<-s.handshakes
	if err != nil {
		s.refusedLink(r, err)
		return
	}
	defer func() { // the coordinator is told even when the server stops
		ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), s.cfg.WriteTime)
		defer cancel()
		c.peer.Detach(ctx)
	}()
	s.add(c)
	defer s.remove(c)
	err = c.run(s.ctx)
	s.cfg.Log.Info("link ended", "name", c.peer.Name(), "reason", err)
	var refusal *refusal
	if errors.As(err, &refusal) {
		s.refused.WithLabelValues(refusal.code).Inc()
	}
}

func (s *Server) refusedLink(r *http.Request, err error) {
	code := "failed"
	var refusal *refusal
	if errors.As(err, &refusal) {
		code = refusal.code
	}
	s.refused.WithLabelValues(code).Inc()
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	s.cfg.Log.Warn("link refused", "remote", host, "code", code, "reason", err)
}

func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	s.wg.Add(1)
	return true
}

func (s *Server) add(c *conn) {
	s.mu.Lock()
	s.conns[c] = true
	closing := s.closing
	s.mu.Unlock()
	if closing {
		c.refuse(refusalStopping)
	}
}

func (s *Server) remove(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// Close ends all connections, telling the nodes why, and waits for them: no longer than ctx for the telling.
func (s *Server) Close(ctx context.Context) {
	s.mu.Lock()
	s.closing = true
	open := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		open = append(open, c)
	}
	s.mu.Unlock()
	for _, c := range open {
		c.refuse(refusalStopping)
	}
	done := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
	s.cancel()
	<-done
}

// refusal ends a connection; the node is told.
type refusal struct{ code, message string }

func (r *refusal) Error() string { return r.code + ": " + r.message }

var refusalStopping = &refusal{"stopping", "the coordinator is stopping: connect again"}

// accept upgrades the connection.
func accept(w http.ResponseWriter, r *http.Request) (*websocket.Conn, error) {
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{subprotocol}})
	if err != nil {
		return nil, fmt.Errorf("accept link: %w", err)
	}
	if ws.Subprotocol() != subprotocol {
		_ = ws.Close(websocket.StatusPolicyViolation, "the subprotocol must be "+subprotocol)
		return nil, &refusal{"bad_hello", "the connection does not offer the subprotocol " + subprotocol}
	}
	return ws, nil
}
