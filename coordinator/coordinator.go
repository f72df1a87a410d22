package coordinator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/wire"
)

// Defaults of Limits.
const (
	DefaultRequestLife     = 24 * time.Hour
	DefaultSessionTime     = 10 * time.Minute
	DefaultMaxSessions     = 3
	DefaultRetryDelay      = time.Second
	DefaultDisconnectGrace = 2 * time.Minute
	DefaultMailboxFrames   = 4096
	DefaultMailboxBytes    = 64 << 20
	DefaultOpenRequests    = 1000
	DefaultBoundNodes      = 1000
	DefaultWaiters         = 1000
)

// MinRequestLife is the shortest that a request may live.
const MinRequestLife = 10 * time.Second

// doneGrace is how long a session waits for the result that a party says it has already.
const doneGrace = 30 * time.Second

// Limits bound what the coordinator takes on. A zero value means the default.
type Limits struct {
	RequestLife     time.Duration // the longest that a request lives, and the default
	SessionTime     time.Duration // from Begin to the end of a session
	MaxSessions     int           // of one request
	RetryDelay      time.Duration // between a failed session and the next one
	DisconnectGrace time.Duration // how long a party of a running session may be away
	MailboxFrames   int           // undelivered frames of one node
	MailboxBytes    int           // undelivered bytes of one node
	OpenRequests    int           // of one account
	BoundNodes      int           // of one account
	Waiters         int           // calls that wait for a change, in all
}

func (l *Limits) setDefaults() {
	for _, d := range []struct {
		value *time.Duration
		def   time.Duration
	}{
		{&l.RequestLife, DefaultRequestLife}, {&l.SessionTime, DefaultSessionTime}, {&l.RetryDelay, DefaultRetryDelay},
		{&l.DisconnectGrace, DefaultDisconnectGrace},
	} {
		if *d.value == 0 {
			*d.value = d.def
		}
	}
	for _, d := range []struct {
		value *int
		def   int
	}{
		{&l.MaxSessions, DefaultMaxSessions}, {&l.MailboxFrames, DefaultMailboxFrames}, {&l.MailboxBytes, DefaultMailboxBytes},
		{&l.OpenRequests, DefaultOpenRequests}, {&l.BoundNodes, DefaultBoundNodes}, {&l.Waiters, DefaultWaiters},
	} {
		if *d.value == 0 {
			*d.value = d.def
		}
	}
}

// Validate checks the limits, defaults taken into account.
func (l Limits) Validate() error {
	l.setDefaults()
	switch {
	case l.RequestLife < MinRequestLife || l.RequestLife > DefaultRequestLife:
		return fmt.Errorf("request life of %s: %s to %s are possible, since nodes refuse longer ones", l.RequestLife, MinRequestLife, DefaultRequestLife)
	case l.SessionTime < time.Second || l.SessionTime > time.Hour:
		return fmt.Errorf("session time of %s: 1s to 1h are possible", l.SessionTime)
	case l.RetryDelay < 0 || l.DisconnectGrace < 0:
		return errors.New("retry delay and disconnect grace cannot be negative")
	case l.MaxSessions < 1 || l.MaxSessions > 100:
		return fmt.Errorf("%d sessions of a request: 1 to 100 are possible", l.MaxSessions)
	case l.MailboxFrames < 64 || l.MailboxBytes < 4<<20:
		return errors.New("a mailbox holds 64 frames and 4 MiB at least, or no session could run")
	case l.OpenRequests < 1 || l.BoundNodes < 1 || l.Waiters < 1:
		return errors.New("open requests, bound nodes and waiters are 1 at least")
	}
	return nil
}

// Config is what a Coordinator needs.
type Config struct {
	Store   Store
	Log     *slog.Logger
	Now     func() time.Time      // nil: time.Now
	Metrics prometheus.Registerer // nil: none are kept
	Limits  Limits
}

func (c Config) validate() error {
	switch {
	case c.Store == nil:
		return errors.New("a store is needed")
	case c.Log == nil:
		return errors.New("a log is needed")
	}
	return c.Limits.Validate()
}

// Coordinator is the coordinator's state machine. All methods are safe for concurrent use.
type Coordinator struct {
	store   Store
	log     *slog.Logger
	now     func() time.Time
	limits  Limits
	metrics *metrics
	started time.Time

	mu       sync.Mutex                // held over each change and what follows from it; guards the fields below
	peers    map[wire.NodeID]*Peer     // live connections
	offline  map[wire.NodeID]time.Time // when the last connection of a node ended
	watchers map[string]*watch         // by sino id: who waits for a change
	waiting  int                       // calls in Wait
}

// New makes a coordinator over a store.
func New(cfg Config) (*Coordinator, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("coordinator: %w", err)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.Limits.setDefaults()
	c := &Coordinator{
		store: cfg.Store, log: cfg.Log, now: cfg.Now, limits: cfg.Limits,
		peers: make(map[wire.NodeID]*Peer), offline: make(map[wire.NodeID]time.Time), watchers: make(map[string]*watch),
	}
	c.started = c.clock()
	var err error
	if c.metrics, err = newMetrics(cfg.Metrics, c); err != nil {
		return nil, fmt.Errorf("coordinator: register metrics: %w", err)
	}
	return c, nil
}

// clock is the time as it is stored: UTC, without a monotonic reading.
func (c *Coordinator) clock() time.Time { return c.now().UTC().Round(0) }

// update runs one change: f in a transaction, then what follows from it. The order in which changes are made durable is
// the order in which live connections hear of them.
func (c *Coordinator) update(ctx context.Context, f func(*step) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var s *step
	err := c.store.Update(ctx, func(tx Tx) error {
		s = &step{Tx: tx, c: c, now: c.clock(), mailed: make(map[wire.NodeID]bool), changed: make(map[string]bool)}
		return f(s)
	})
	if err != nil {
		return err
	}
	s.leave()
	return nil
}

// view runs f in a read-only transaction.
func (c *Coordinator) view(ctx context.Context, f func(*step) error) error {
	return c.store.View(ctx, func(tx Tx) error { return f(&step{Tx: tx, c: c, now: c.clock()}) })
}

// step is one transaction and what follows from it once it is durable.
type step struct {
	Tx
	c       *Coordinator
	now     time.Time
	tell    []telling
	pass    []passing
	mailed  map[wire.NodeID]bool
	changed map[string]bool // sino ids
	after   []func()        // logs and metrics
}

type telling struct {
	node    wire.NodeID
	subject Subject
}

// passing is a frame for a node, if it is connected.
type passing struct {
	node  wire.NodeID
	frame *linkv1.Frame
}

// leave does what follows from a durable change. The caller holds c.mu; nothing in here waits.
func (s *step) leave() {
	for _, t := range s.tell {
		if p := s.c.peers[t.node]; p != nil {
			p.link.Tell(t.subject)
		}
	}
	for _, f := range s.pass {
		if p := s.c.peers[f.node]; p != nil {
			p.link.Pass(f.frame)
		}
	}
	for node := range s.mailed {
		if p := s.c.peers[node]; p != nil {
			p.link.Mail()
		}
	}
	for id := range s.changed {
		s.c.changed(id)
	}
	for _, f := range s.after {
		f()
	}
}

// tellAll has every member of a session told about it.
func (s *step) tellAll(sess *Session) {
	for _, m := range sess.Members {
		s.tell = append(s.tell, telling{m.NodeID, Subject{Session: sess.ID}})
	}
}

func (s *step) info(msg string, args ...any) {
	s.after = append(s.after, func() { s.c.log.Info(msg, args...) })
}

func (s *step) warn(msg string, args ...any) {
	s.after = append(s.after, func() { s.c.log.Warn(msg, args...) })
}
