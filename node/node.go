// Package node is the MPC node: one party that holds sealed key shares and takes part in keygen and signing with the other
// parties of a key, after its callback servers have approved.
//
// It is sealed after every start: it holds its password for no longer than it takes to unseal, and the master key only
// while it is unsealed. The coordinator that offers it work is not trusted: what is signed is computed here from what the
// requester signed, and every rule of whom to work with is this node's own. It evaluates no policy.
package node

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/countersign-mpc/countersign/internal/secret"
	"github.com/countersign-mpc/countersign/keystore"
	"github.com/countersign-mpc/countersign/keystore/segment"
	"github.com/countersign-mpc/countersign/transport"
	"github.com/countersign-mpc/countersign/wire"
)

// Config is what a node is made of.
type Config struct {
	Store     *keystore.Store
	Settings  Settings
	Protocols Protocols
	LinkURL   string // ws:// or wss:// address of the coordinator
	Software  string // name and version, told to the coordinator
	Metrics   *Metrics
	Log       *slog.Logger
	Clock     func() time.Time // nil: time.Now
	Limits    Limits
	// Segments returns the set of segments with which init and a change of the password seal the store; nil, or a nil set:
	// one password does.
	Segments    func() (*segment.Manifest, error)
	AutoKey     func() (AutoKey, error) // opens the key of auto-unseal; nil: none is configured
	AutoWait    time.Duration           // for that key; 0: DefaultAutoWait
	BackupDir   string                  // folder of backups; empty: none are made
	BackupKeep  int                     // how many of each kind, scheduled and asked for, are kept there; 0: all
	Protections []string                // of the memory of this process, for operators: what holds and what does not
	MinBackoff  time.Duration           // of the link; 0: its default
	TendEvery   time.Duration           // how often it is looked for what is over, beside when an approved request expires; 0: a minute
}

// Node is the daemon behind the admin interface. It is safe for concurrent use.
type Node struct {
	cfg Config

	entryMu sync.Mutex // guards entry; taken before mu
	entry   entering

	mu     sync.Mutex // guards the fields below; held through Init, Unseal and Seal, so nothing that only tells of the node takes it
	party  *party     // while unsealed
	link   *transport.Link
	cancel context.CancelFunc
	done   chan struct{} // closed when the link of the unsealed node has ended
	closed bool

	current  atomic.Pointer[transport.Link] // the link, readable while mu is held for long
	working  atomic.Pointer[party]          // likewise the party
	entered  atomic.Pointer[entered]        // likewise what has been entered, while entryMu is held for long
	doing    atomic.Pointer[Doing]          // what takes a while
	draining atomic.Bool                    // set by Drain, for good
	outside  outsideUse                     // of the key of auto-unseal
	recent   *recentSessions

	backupMu sync.Mutex // one backup at a time
}

// New checks the configuration. The node does nothing until it is unsealed.
func New(cfg Config) (*Node, error) {
	if cfg.Store == nil || cfg.Settings == nil || cfg.Protocols == nil || cfg.Log == nil || cfg.LinkURL == "" {
		return nil, errors.New("node: store, settings, protocols, log and the coordinator's address are needed")
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.TendEvery <= 0 {
		cfg.TendEvery = time.Minute
	}
	if cfg.AutoWait <= 0 {
		cfg.AutoWait = DefaultAutoWait
	}
	if cfg.Metrics == nil {
		cfg.Metrics = NewMetrics()
	}
	if err := cfg.Limits.complete(); err != nil {
		return nil, err
	}
	n := &Node{cfg: cfg, recent: &recentSessions{}}
	cfg.Metrics.watch(n)
	return n, nil
}

// Identity is what init and info print of a node.
type Identity struct {
	NodeID    wire.NodeID `json:"node_id"`
	PublicKey string      `json:"public_key"` // PEM
}

// Init sets the password and makes the identity key. The store is sealed afterwards.
func (n *Node) Init(ctx context.Context, password secret.Bytes) (Identity, error) {
	return n.initWith(ctx, keystore.Password(password))
}

func (n *Node) initWith(ctx context.Context, under keystore.Credential) (Identity, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed || n.draining.Load() {
		return Identity{}, errClosing
	}
	if err := n.cfg.Store.InitWith(ctx, under); err != nil {
		return Identity{}, err
	}
	defer n.cfg.Store.Seal()
	key, err := newIdentity(n.cfg.Store)
	if err != nil {
		return Identity{}, err
	}
	n.cfg.Log.Info("node initialised", "node_id", wire.NodeIDOf(&key.PublicKey))
	return identityOf(key)
}

var errClosing = errors.New("the node is stopping")

// Unseal opens the store, resumes what was interrupted and connects to the coordinator.
func (n *Node) Unseal(ctx context.Context, password secret.Bytes) error {
	return n.unsealWith(ctx, keystore.Password(password))
}

func (n *Node) unsealWith(ctx context.Context, under keystore.Credential) error {
	return n.unsealBy(func() error { return n.cfg.Store.UnsealWith(ctx, under) })
}

// unsealBy opens the store by unseal and starts the party.
func (n *Node) unsealBy(unseal func() error) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed || n.draining.Load() {
		return errClosing
	}
	if err := unseal(); err != nil {
		return err
	}
	if err := n.open(); err != nil {
		n.cfg.Store.Seal()
		return err
	}
	n.cfg.Log.Info("node unsealed")
	return nil
}

// open starts the party over the unsealed store. The caller holds mu.
func (n *Node) open() error {
	identity, err := loadIdentity(n.cfg.Store)
	if err != nil {
		return err
	}
	instance := make([]byte, 16)
	if _, err := rand.Read(instance); err != nil {
		return fmt.Errorf("make instance id: %w", err)
	}
	coordinators, err := n.cfg.Settings.Coordinators()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &party{
		id: wire.NodeIDOf(&identity.PublicKey), identity: identity, records: records{n.cfg.Store}, settings: n.cfg.Settings,
		protocols: n.cfg.Protocols, clock: n.cfg.Clock, log: n.cfg.Log, metrics: n.cfg.Metrics, ctx: ctx,
		requests: make(map[string]*request), sessions: make(map[string]*session), due: make(map[string]time.Time),
		tendEvery: n.cfg.TendEvery, limits: n.cfg.Limits, turns: newTurns(n.cfg.Limits.Parallel), recent: n.recent, couriers: newCouriers(), sooner: make(chan struct{}, 1),
	}
	link, err := transport.NewLink(transport.LinkConfig{
		URL: n.cfg.LinkURL, Identity: identity, Instance: hex.EncodeToString(instance), Software: n.cfg.Software, Handler: p,
		Log: n.cfg.Log, MinDelay: n.cfg.MinBackoff, TLS: coordinators,
	})
	if err != nil {
		cancel()
		return err
	}
	p.link = link
	for _, warning := range n.cfg.Settings.Warnings() {
		n.cfg.Log.Warn(warning)
	}
	if err := p.start(); err != nil {
		cancel()
		p.stop()
		return err
	}
	n.party, n.link, n.cancel, n.done = p, link, cancel, make(chan struct{})
	n.current.Store(link)
	n.working.Store(p)
	go func(done chan struct{}) {
		defer close(done)
		link.Run(ctx)
	}(n.done)
	return nil
}

// Seal ends every session and every connection, and forgets the master key. What was asked and is unanswered goes on after
// the next Unseal.
func (n *Node) Seal() {
	n.outside.end()
	n.CancelEntry()
	n.mu.Lock()
	defer n.mu.Unlock()
	defer n.do("seal")()
	n.seal()
}

func (n *Node) seal() {
	if n.party != nil {
		n.cancel()
		<-n.done
		n.party.stop()
		n.party, n.link = nil, nil
		n.current.Store(nil)
		n.working.Store(nil)
		n.cfg.Log.Info("node sealed")
	}
	n.cfg.Store.Seal()
}

// Close seals the node and closes its store.
func (n *Node) Close() error {
	n.outside.end()
	n.CancelEntry()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = true
	n.seal()
	return n.cfg.Store.Close()
}

// Identity returns the node's identity; it fails while the node is not unsealed.
func (n *Node) Identity() (Identity, error) {
	p := n.working.Load()
	if p == nil {
		return Identity{}, fmt.Errorf("the node is %s: its identity can be read once it is unsealed", n.State())
	}
	return identityOf(p.identity)
}

// Info is what an operator sees of a running node. It holds no secret.
type Info struct {
	State       string     `json:"state"`
	Doing       *Doing     `json:"doing,omitempty"` // what takes a while; the state is that of before
	NodeID      string     `json:"node_id,omitempty"`
	Link        *LinkInfo  `json:"link,omitempty"`
	Keys        []KeyInfo  `json:"keys,omitempty"`
	Requests    int        `json:"open_requests"`
	Sessions    int        `json:"running_sessions"`
	Warnings    []string   `json:"warnings"`
	Protections []string   `json:"protections,omitempty"`
	Store       StoreState `json:"store"`
}

// LinkInfo is the state of the link to the coordinator.
type LinkInfo struct {
	Address   string `json:"address"`
	Connected bool   `json:"connected"`
	Name      string `json:"name,omitempty"`
	LastError string `json:"last_error,omitempty"`
}

// StoreState is the state of the sealed store.
type StoreState struct {
	ID      string `json:"id"`
	Size    int64  `json:"size_bytes"`
	Commits uint64 `json:"commits,omitempty"`
	// Password names the current password, to tell which one opens a backup; another after each change.
	Password string `json:"password,omitempty"`
	Segments string `json:"segments,omitempty"` // "2 of 3, set 0123456789abcdef" where it is one of segments
	// AutoUnseal names the key that opens the store beside the password.
	AutoUnseal string `json:"auto_unseal,omitempty"`
}

// Info returns the node's state for operators. It waits for no unseal and no seal that goes on: Doing tells of it.
func (n *Node) Info() (Info, error) {
	p := n.working.Load()
	info := Info{State: n.State(), Doing: n.Doing(), Warnings: append([]string{}, n.cfg.Settings.Warnings()...), Protections: n.cfg.Protections}
	stat, err := n.cfg.Store.Stat()
	if err != nil {
		return info, err
	}
	info.Store = StoreState{ID: stat.ID, Size: stat.Bytes, Commits: stat.Sequence, Password: stat.Password, AutoUnseal: stat.Auto}
	if err := n.cfg.Store.Unwritten(); err != nil {
		info.Warnings = append(info.Warnings, unwritable(err))
	}
	if stat.Unscrubbed {
		info.Warnings = append(info.Warnings, keystore.ErrUnscrubbed.Error())
	}
	if stat.Auto != "" {
		info.Warnings = append(info.Warnings, AutoUnsealWarning)
	}
	if set, err := n.cfg.Store.SegmentSet(); err == nil && set != nil {
		info.Store.Segments = segmentsText(set)
	}
	if p == nil {
		return info, nil
	}
	keys, err := p.keys(nil, "")
	if errors.Is(err, keystore.ErrSealed) { // it was sealed meanwhile
		info.State = keystore.Sealed.String()
		return info, nil
	}
	if err != nil {
		return info, err
	}
	info.NodeID, info.Keys = string(p.id), keys
	if link := n.current.Load(); link != nil {
		state := link.State()
		info.Link = &LinkInfo{Address: n.cfg.LinkURL, Connected: state.Connected, Name: state.Name, LastError: state.LastError}
	}
	p.mu.Lock()
	info.Requests, info.Sessions = len(p.requests), len(p.sessions)
	p.mu.Unlock()
	return info, nil
}
