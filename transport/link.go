package transport

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/coder/websocket"
	"google.golang.org/protobuf/proto"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/wire"
)

const (
	protocolVersion  = 1
	subprotocol      = "countersign.link.v1"
	maxFrame         = 2 << 20
	maxUnacked       = 4096
	maxUnackedBytes  = 128 << 20
	handshakeTimeout = 10 * time.Second
	pingEvery        = 15 * time.Second
	defaultMinDelay  = 250 * time.Millisecond
	defaultMaxDelay  = 30 * time.Second
	goodAfter        = 30 * time.Second // a link that held for so long was good: the next reconnect is quick again
)

// ErrBacklog is returned by Send while too many frames wait for the coordinator.
var ErrBacklog = errors.New("too many frames wait for the coordinator: it is away or does not take them")

// LinkConfig says whom a Link connects to and as whom.
type LinkConfig struct {
	URL      string            // ws:// or wss://, with the path
	Identity *ecdsa.PrivateKey // proves the node id
	Instance string            // random per process
	Software string            // name and version, told to the coordinator
	Handler  LinkHandler
	Log      *slog.Logger
	TLS      *tls.Config   // nil: the system's roots
	MinDelay time.Duration // before the first reconnect; 0: 250 ms
	MaxDelay time.Duration // between reconnects at most; 0: 30 s
	// Now and Pause are the time between connections; nil: the system's. Tests step them.
	Now   func() time.Time
	Pause func(context.Context, time.Duration)
}

// LinkHandler is the party behind a link. Its methods are called one at a time, in the order of what arrives, and must not
// wait for the network.
type LinkHandler interface {
	// Connected is called after each handshake, before any frame of that connection.
	Connected()
	// Frame takes one frame over; once it returns, the frame is acknowledged and will not come again on this connection.
	Frame(*linkv1.Frame)
	// Acknowledged is called with each frame of Send that the coordinator has taken over.
	Acknowledged(*linkv1.Frame)
}

// Link keeps one party connected to the coordinator: it proves the identity key on a fresh challenge, sends frames in
// order, keeps those that want an acknowledgement until it has come, and reconnects with growing, jittered delays.
// Send and State may be called concurrently; Run once.
type Link struct {
	cfg  LinkConfig
	host string

	mu      sync.Mutex // guards the fields below
	unacked []*linkv1.Frame
	bytes   int           // of unacked
	empty   chan struct{} // closed and replaced when unacked is empty or the connection ends
	sent    int           // how many of unacked went out on this connection
	nextSeq uint64        // of this connection
	wake    chan struct{} // signals that unacked has grown
	state   LinkState
}

// LinkState tells how a link is.
type LinkState struct {
	Connected bool
	Name      string    // under which the coordinator knows this node
	Since     time.Time // of the connection or of its end
	LastError string    // why the last connection ended or could not be made
	Backlog   int       // frames not yet acknowledged
}

// NewLink checks the configuration.
func NewLink(cfg LinkConfig) (*Link, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil || (u.Scheme != "ws" && u.Scheme != "wss") || u.Host == "" {
		return nil, fmt.Errorf("link: address %q is not of the form ws://host/path or wss://host/path", cfg.URL)
	}
	if cfg.Identity == nil || cfg.Handler == nil || cfg.Log == nil || cfg.Instance == "" {
		return nil, errors.New("link: identity, instance, handler and log are needed")
	}
	if cfg.MinDelay <= 0 {
		cfg.MinDelay = defaultMinDelay
	}
	if cfg.MaxDelay <= 0 {
		cfg.MaxDelay = defaultMaxDelay
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Pause == nil {
		cfg.Pause = pause
	}
	return &Link{cfg: cfg, host: u.Host, wake: make(chan struct{}, 1), empty: make(chan struct{}), nextSeq: 1}, nil
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// State tells how the link is now.
func (l *Link) State() LinkState {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.state
	s.Backlog = len(l.unacked)
	return s
}

// Send queues a frame for the coordinator; it is sent again until acknowledged, across reconnects, but not across restarts
// of this process. It fails with ErrBacklog when too many wait.
func (l *Link) Send(f *linkv1.Frame) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	size := proto.Size(f)
	if len(l.unacked) >= maxUnacked || l.bytes+size > maxUnackedBytes {
		return ErrBacklog
	}
	l.unacked, l.bytes = append(l.unacked, f), l.bytes+size
	select {
	case l.wake <- struct{}{}:
	default:
	}
	return nil
}

// Flush waits until the coordinator has taken over every frame that was sent, or there is no connection to it, or ctx ends.
func (l *Link) Flush(ctx context.Context) {
	for {
		l.mu.Lock()
		done, changed := len(l.unacked) == 0 || !l.state.Connected, l.empty
		l.mu.Unlock()
		if done {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

// Run connects and serves until ctx ends. It waits between connections: half of a delay for certain, as much again by chance
// at most, so that the nodes of a coordinator that was away do not all come at once. The delay doubles up to its maximum and
// begins anew after a link that held.
func (l *Link) Run(ctx context.Context) {
	delay := l.cfg.MinDelay
	for ctx.Err() == nil {
		up, err := l.connect(ctx)
		if ctx.Err() != nil {
			break
		}
		if !up.IsZero() && l.cfg.Now().Sub(up) >= goodAfter {
			delay = l.cfg.MinDelay
		}
		wait := delay/2 + mathrand.N(delay/2+1)
		l.cfg.Log.Warn("link to the coordinator is down", "address", l.cfg.URL, "error", err, "again_in", wait.Round(time.Millisecond))
		l.cfg.Pause(ctx, wait)
		delay = min(delay*2, l.cfg.MaxDelay)
	}
	l.down(ctx.Err())
}

// connect makes one connection and serves it until it ends. It tells since when the link was up; the zero time: it never
// was.
func (l *Link) connect(ctx context.Context) (up time.Time, err error) {
	defer func() { l.down(err) }()
	conn, err := l.dial(ctx)
	if err != nil {
		return up, err
	}
	defer conn.CloseNow()
	name, err := l.handshake(ctx, conn)
	if err != nil {
		return up, err
	}
	up = l.cfg.Now()
	l.up(name)
	l.cfg.Log.Info("linked to the coordinator", "address", l.cfg.URL, "name", name)
	l.cfg.Handler.Connected()
	return up, l.serve(ctx, conn)
}

func (l *Link) dial(ctx context.Context) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	client := &http.Client{ // of one try: it keeps no connection behind it, and goes to nobody but the address that is configured
		Transport:     &http.Transport{TLSClientConfig: l.cfg.TLS, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	conn, response, err := websocket.Dial(ctx, l.cfg.URL, &websocket.DialOptions{HTTPClient: client, Subprotocols: []string{subprotocol}})
	if err != nil {
		if response != nil {
			return nil, fmt.Errorf("connect to %s: it answered HTTP %d: is this the coordinator's address and path?", l.cfg.URL, response.StatusCode)
		}
		return nil, fmt.Errorf("connect to %s: %w", l.cfg.URL, err)
	}
	conn.SetReadLimit(maxFrame)
	return conn, nil
}

// handshake answers the coordinator's challenge and returns the name under which this node is bound.
func (l *Link) handshake(ctx context.Context, conn *websocket.Conn) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	f, err := readFrame(ctx, conn)
	if err != nil {
		return "", fmt.Errorf("wait for the coordinator's challenge: %w", err)
	}
	challenge := f.GetChallenge()
	if challenge == nil || challenge.Version != protocolVersion || len(challenge.Nonce) != 32 {
		return "", fmt.Errorf("the coordinator's first frame is not a challenge of link version %d", protocolVersion)
	}
	nonce := make([]byte, 32)
	if _, err := rand.Read(nonce); err != nil {
		return "", fmt.Errorf("make nonce: %w", err)
	}
	node := wire.NodeIDOf(&l.cfg.Identity.PublicKey)
	sig, err := wire.SignP256(l.cfg.Identity, manifest.HelloBytes(challenge.Nonce, nonce, node, l.host, l.cfg.Instance))
	if err != nil {
		return "", fmt.Errorf("sign hello: %w", err)
	}
	hello := &linkv1.Hello{Version: protocolVersion, NodeId: string(node), Nonce: nonce, Instance: l.cfg.Instance,
		Address: l.host, Signature: sig, Software: l.cfg.Software}
	if err := writeFrame(ctx, conn, &linkv1.Frame{Body: &linkv1.Frame_Hello{Hello: hello}}); err != nil {
		return "", fmt.Errorf("send hello: %w", err)
	}
	if f, err = readFrame(ctx, conn); err != nil {
		return "", fmt.Errorf("wait for the coordinator's welcome: %w", err)
	}
	switch body := f.Body.(type) {
	case *linkv1.Frame_Welcome:
		return body.Welcome.Name, nil
	case *linkv1.Frame_Refusal:
		return "", fmt.Errorf("the coordinator refused the link: %s: %.200s", body.Refusal.Code, body.Refusal.Message)
	default:
		return "", errors.New("the coordinator answered hello with neither welcome nor refusal")
	}
}

// serve reads and writes until either fails.
func (l *Link) serve(ctx context.Context, conn *websocket.Conn) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	acks := make(chan uint64, 1)
	var wg sync.WaitGroup
	wg.Go(func() { cancel(l.write(ctx, conn, acks)) })
	wg.Go(func() { cancel(keepAlive(ctx, conn)) })
	err := l.read(ctx, conn, acks)
	cancel(err)
	wg.Wait()
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

func (l *Link) read(ctx context.Context, conn *websocket.Conn, acks chan uint64) error {
	for {
		f, err := readFrame(ctx, conn)
		if err != nil {
			return fmt.Errorf("read from the coordinator: %w", err)
		}
		switch body := f.Body.(type) {
		case *linkv1.Frame_Ack:
			taken, err := l.acknowledged(body.Ack.GetSeq())
			if err != nil {
				return err
			}
			for _, f := range taken {
				l.cfg.Handler.Acknowledged(f)
			}
		case *linkv1.Frame_Refusal:
			return fmt.Errorf("the coordinator ended the link: %s: %.200s", body.Refusal.Code, body.Refusal.Message)
		default:
			l.cfg.Handler.Frame(f)
		}
		if f.Seq == 0 {
			continue
		}
		select { // keep only the newest acknowledgement that waits to be written
		case <-acks:
		default:
		}
		acks <- f.Seq
	}
}

func (l *Link) write(ctx context.Context, conn *websocket.Conn, acks <-chan uint64) error {
	for {
		for {
			f := l.next()
			if f == nil {
				break
			}
			if err := writeFrame(ctx, conn, f); err != nil {
				return fmt.Errorf("write to the coordinator: %w", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-l.wake:
		case seq := <-acks:
			ack := &linkv1.Frame{Body: &linkv1.Frame_Ack{Ack: &linkv1.Ack{Seq: seq}}}
			if err := writeFrame(ctx, conn, ack); err != nil {
				return fmt.Errorf("write to the coordinator: %w", err)
			}
		}
	}
}

// next takes the first frame that this connection has not carried yet and numbers it.
func (l *Link) next() *linkv1.Frame {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sent == len(l.unacked) {
		return nil
	}
	f := &linkv1.Frame{Seq: l.nextSeq, Body: l.unacked[l.sent].Body}
	l.nextSeq++
	l.sent++
	return f
}

// acknowledged drops and returns what the coordinator has taken over. One that acknowledges what was never sent does not keep to the
// protocol: the link is ended.
func (l *Link) acknowledged(seq uint64) ([]*linkv1.Frame, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if seq >= l.nextSeq {
		return nil, fmt.Errorf("the coordinator acknowledges frame %d of %d that were sent to it", seq, l.nextSeq-1)
	}
	first := l.nextSeq - uint64(l.sent) // seq of unacked[0]
	if seq < first {
		return nil, nil
	}
	n := int(seq-first) + 1 // at most sent, since seq < nextSeq
	taken := slices.Clone(l.unacked[:n])
	clear(l.unacked[:n])
	l.unacked = l.unacked[n:]
	l.sent -= n
	for _, f := range taken {
		l.bytes -= proto.Size(f)
	}
	if len(l.unacked) == 0 {
		l.changed()
	}
	return taken, nil
}

func (l *Link) up(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent, l.nextSeq = 0, 1
	l.state = LinkState{Connected: true, Name: name, Since: time.Now()}
}

func (l *Link) down(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state.Connected {
		l.state.Since = time.Now()
	}
	l.state.Connected = false
	l.changed()
	if err != nil {
		l.state.LastError = err.Error()
	}
}

// changed wakes Flush. The caller holds mu.
func (l *Link) changed() {
	close(l.empty)
	l.empty = make(chan struct{})
}
