package coordtest

import (
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/bolt/coordstore"
	"github.com/countersign-mpc/countersign/coordinator"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/wire"
)

// Account is the account of the tests.
const Account = "acme"

// The wallets of each world: they do not change, and making one takes a while.
var (
	firstWallet        = sync.OnceValue(func() *Wallet { return NewWallet("w") })
	firstEd25519Wallet = sync.OnceValue(func() *Wallet { return NewEd25519Wallet("w") })
)

// World is a coordinator on a bbolt file with nodes around it.
type World struct {
	T       testing.TB
	C       *coordinator.Coordinator
	Clock   *Clock
	Limits  coordinator.Limits
	Parties []*Party
	Lives   []*Live // by party; nil where it is not connected
	Wallet  *Wallet
	Ed25519 *Wallet
	Faults  *Faults // nil: the store never fails

	path  string
	store *coordstore.Store
}

// NewWorld makes a coordinator, binds n nodes as a, b, c, … and connects them.
func NewWorld(t testing.TB, n int, limits coordinator.Limits) *World {
	t.Helper()
	return newWorld(t, n, limits, nil)
}

// NewFaultyWorld makes a world in which each operation fails at each access of the store once, before it is done.
func NewFaultyWorld(t testing.TB, n int, limits coordinator.Limits) *World {
	t.Helper()
	return newWorld(t, n, limits, new(Faults))
}

func newWorld(t testing.TB, n int, limits coordinator.Limits, faults *Faults) *World {
	t.Helper()
	w := &World{T: t, Clock: NewClock(), Limits: limits, Wallet: firstWallet(), Ed25519: firstEd25519Wallet(), Faults: faults, path: filepath.Join(t.TempDir(), "coordinator.db")}
	w.open()
	t.Cleanup(func() { _ = w.store.Close() })
	for i := range n {
		p := NewParty(t, string(rune('a'+i)))
		w.Parties = append(w.Parties, p)
		w.Lives = append(w.Lives, nil)
		w.must(func() error {
			_, err := w.C.Bind(t.Context(), Account, string(p.ID), p.Name)
			return err
		})
		w.Connect(i)
	}
	return w
}

func (w *World) open() {
	w.T.Helper()
	store, err := coordstore.Open(coordstore.Config{Path: w.path})
	if err != nil {
		w.T.Fatal(err)
	}
	w.store = store
	var kept coordinator.Store = store
	if w.Faults != nil {
		w.Faults.Store, kept = store, w.Faults
	}
	w.C, err = coordinator.New(coordinator.Config{Store: kept, Log: slog.New(slog.DiscardHandler), Now: w.Clock.Now, Limits: w.Limits})
	if err != nil {
		w.T.Fatal(err)
	}
}

// try does something, with faults at each access of the store first.
func (w *World) try(f func() error) error {
	w.T.Helper()
	if w.Faults == nil {
		return f()
	}
	for n := 1; ; n++ {
		w.Faults.arm(n)
		err := f()
		if !w.Faults.disarm() {
			return err
		}
		if !errors.Is(err, errFault) {
			w.T.Fatalf("the store failed at its access %d, and the call said %v", n, err)
		}
	}
}

func (w *World) must(f func() error) {
	w.T.Helper()
	if err := w.try(f); err != nil {
		w.T.Fatal(err)
	}
}

// Restart stops the coordinator where it stands and starts another one on its file. Nobody is connected then.
func (w *World) Restart() {
	w.T.Helper()
	if err := w.store.Close(); err != nil {
		w.T.Fatal(err)
	}
	clear(w.Lives)
	w.open()
}

// Connect connects a party, with its instance.
func (w *World) Connect(i int) *Live {
	w.T.Helper()
	l := &Live{Party: w.Parties[i], w: w, t: w.T, mail: true}
	w.must(func() (err error) {
		l.Peer, err = w.C.Attach(w.T.Context(), coordinator.Greeting{Node: l.ID, Instance: l.Instance, Software: "test"}, l)
		return err
	})
	for _, sub := range l.Peer.Subjects() {
		l.Tell(sub)
	}
	w.Lives[i] = l
	return l
}

// Disconnect ends a party's connection.
func (w *World) Disconnect(i int) {
	w.Lives[i].Peer.Detach(w.T.Context())
	w.Lives[i] = nil
}

// Tick runs the coordinator's clockwork.
func (w *World) Tick() {
	w.T.Helper()
	w.must(func() error { return w.C.Tick(w.T.Context()) })
}

// Submit submits an order that must be taken.
func (w *World) Submit(o coordinator.Order) coordinator.Status {
	w.T.Helper()
	var st coordinator.Status
	w.must(func() (err error) {
		st, _, err = w.C.Submit(w.T.Context(), o)
		return err
	})
	return st
}

// Status reads a request.
func (w *World) Status(id string) coordinator.Status {
	w.T.Helper()
	st, err := w.C.Request(w.T.Context(), Account, id)
	if err != nil {
		w.T.Fatal(err)
	}
	return st
}

// Last is the latest session of a request.
func (w *World) Last(id string) coordinator.Session {
	w.T.Helper()
	st := w.Status(id)
	return st.Sessions[len(st.Sessions)-1]
}

// KeygenOrder asks for a key of all parties.
func (w *World) KeygenOrder(threshold int, requestID string) coordinator.Order {
	o := coordinator.Order{Account: Account, Terms: manifest.Terms{Type: wire.TypeKeygen, RequestID: requestID, T: threshold,
		N: len(w.Parties), Cryptography: wire.ECDSASecp256k1}}
	for _, p := range w.Parties {
		o.Participants = append(o.Participants, coordinator.Participant{Party: p.Name})
	}
	return o
}

// SignOrder asks for a signature of a raw digest.
func SignOrder(key, path, requestID, text string) coordinator.Order {
	return coordinator.Order{Account: Account, Terms: manifest.Terms{Type: wire.TypeSign, RequestID: requestID, KeyID: key, Path: path,
		SignType: wire.SignTypeRaw, Message: Hex(Digest(text))}}
}

// Key makes an active secp256k1 key of all parties: the one of w.Wallet.
func (w *World) Key(threshold int) coordinator.Key {
	w.T.Helper()
	return w.KeyOf(w.Wallet, threshold)
}

// KeyOf makes an active key of all parties that stands for a wallet.
func (w *World) KeyOf(wallet *Wallet, threshold int) coordinator.Key {
	w.T.Helper()
	order := w.KeygenOrder(threshold, "")
	order.Terms.Cryptography = wallet.Cryptography
	st := w.Submit(order)
	w.Run(st.Request.SinoID)
	for _, l := range w.Members(w.Last(st.Request.SinoID)) {
		l.Must(l.Report(w.T, l.Session, wallet.Made()))
	}
	for _, active := range []bool{false, true} {
		for i, l := range w.Lives {
			l.Must(l.Confirmation(w.T, st.Request.KeyID, byte(i+1), "share", active))
		}
	}
	w.Drain()
	return w.Status(st.Request.SinoID).Key
}

// Drain has every connected party receive and acknowledge.
func (w *World) Drain() {
	w.T.Helper()
	for _, l := range w.Lives {
		if l != nil {
			l.Receive()
			l.Ack()
		}
	}
}

// Member is a connected party in a session.
type Member struct {
	*Live
	Session string
	Index   byte
	Token   string
}

// Members gives the members of a session that are connected.
func (w *World) Members(s coordinator.Session) []Member {
	var out []Member
	for _, m := range s.Members {
		for _, l := range w.Lives {
			if l != nil && l.ID == m.NodeID {
				out = append(out, Member{l, s.ID, m.Index, m.Token})
			}
		}
	}
	return out
}

// Approve has all members of a request's latest session approve.
func (w *World) Approve(id string) coordinator.Session {
	w.T.Helper()
	keygen := w.Status(id).Request.Type == wire.TypeKeygen
	for _, m := range w.Members(w.Last(id)) {
		answer := Answer(m.Session, linkv1.Answer_APPROVED, "")
		if keygen {
			answer.GetAnswer().Recipient = m.Recipient(w.T)
		}
		m.Must(answer)
	}
	return w.Last(id)
}

// Run brings a request's latest session to the point where the protocol runs.
func (w *World) Run(id string) coordinator.Session {
	w.T.Helper()
	w.Approve(id)
	for _, m := range w.Members(w.Last(id)) {
		m.Must(Join(m.Session, m.Token))
		m.Must(m.Contribution(w.T, m.Session, m.Index, "manifest", ""))
	}
	w.Drain()
	return w.Last(id)
}

// Live is a party's connection without a network.
type Live struct {
	*Party
	Peer *coordinator.Peer
	w    *World
	t    testing.TB

	mu       sync.Mutex // guards the fields below
	subjects []coordinator.Subject
	passed   []*linkv1.Frame
	mail     bool
	replaced bool
	position uint64
	receipts []coordinator.Receipt
}

// Tell implements coordinator.Link.
func (l *Live) Tell(sub coordinator.Subject) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Contains(l.subjects, sub) {
		l.subjects = append(l.subjects, sub)
	}
}

// Mail implements coordinator.Link.
func (l *Live) Mail() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mail = true
}

// Pass implements coordinator.Link.
func (l *Live) Pass(f *linkv1.Frame) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.passed = append(l.passed, f)
}

// Passed takes what was passed on to the party.
func (l *Live) Passed() []*linkv1.Frame {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := l.passed
	l.passed = nil
	return out
}

// Replaced implements coordinator.Link.
func (l *Live) Replaced() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.replaced = true
}

// WasReplaced tells whether a newer connection took over.
func (l *Live) WasReplaced() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.replaced
}

// Receive takes what the coordinator has for the party, in order.
func (l *Live) Receive() []*linkv1.Frame {
	l.t.Helper()
	l.mu.Lock()
	subjects, mail := l.subjects, l.mail
	l.subjects, l.mail = nil, false
	l.mu.Unlock()
	var out []*linkv1.Frame
	take := func(read func() ([]coordinator.Delivery, error)) int {
		l.t.Helper()
		var ds []coordinator.Delivery
		l.w.must(func() (err error) {
			ds, err = read()
			return err
		})
		for _, d := range ds {
			out = append(out, d.Frame)
			if !d.Receipt.Empty() {
				l.receipts = append(l.receipts, d.Receipt)
				l.position = max(l.position, d.Receipt.Position)
			}
		}
		return len(ds)
	}
	for _, sub := range subjects {
		take(func() ([]coordinator.Delivery, error) { return l.Peer.Frames(l.t.Context(), sub) })
	}
	letters := func() ([]coordinator.Delivery, error) { return l.Peer.Letters(l.t.Context(), l.position, 3) }
	for mail && take(letters) > 0 {
	}
	return out
}

// Ack acknowledges what was received.
func (l *Live) Ack() {
	l.t.Helper()
	l.w.must(func() error {
		_, err := l.Peer.Handle(l.t.Context(), nil, l.receipts)
		return err
	})
	l.receipts = nil
}

// Send sends frames.
func (l *Live) Send(frames ...*linkv1.Frame) error {
	return l.w.try(func() error {
		_, err := l.Peer.Handle(l.t.Context(), frames, nil)
		return err
	})
}

// Must sends frames that must be taken.
func (l *Live) Must(frames ...*linkv1.Frame) {
	l.t.Helper()
	if err := l.Send(frames...); err != nil {
		l.t.Fatal(err)
	}
}

// CodeOf is the code of a refusal; empty for any other error.
func CodeOf(err error) coordinator.Code {
	var e *coordinator.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// Close closes the store under the coordinator, which cannot do anything then.
func (w *World) Close() { _ = w.store.Close() }

// Overwrite puts a value into the store behind the coordinator's back.
func (w *World) Overwrite(table coordinator.Table, key, value string) {
	w.T.Helper()
	err := w.store.Update(w.T.Context(), func(tx coordinator.Tx) error { return tx.Put(table, key, []byte(value)) })
	if err != nil {
		w.T.Fatal(err)
	}
}

// Read reads a value behind the coordinator's back.
func (w *World) Read(table coordinator.Table, key string) string {
	w.T.Helper()
	var value []byte
	err := w.store.View(w.T.Context(), func(tx coordinator.Tx) (err error) {
		value, err = tx.Get(table, key)
		return err
	})
	if err != nil || value == nil {
		w.T.Fatalf("read %s %s: %v", table, key, err)
	}
	return string(value)
}
