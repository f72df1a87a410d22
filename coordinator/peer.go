package coordinator

import (
	"context"
	"fmt"
	"slices"
	"strings"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/wire"
)

// Link is a live connection to a node. Its methods must not wait and must not call the coordinator: they are called while
// it changes its state.
type Link interface {
	// Tell says that Peer.Frames has something about the subject.
	Tell(Subject)
	// Mail says that Peer.Letters may have more.
	Mail()
	// Pass has a frame written that wants no acknowledgement and is kept nowhere: with too many of them it is dropped.
	Pass(*linkv1.Frame)
	// Replaced says that a newer connection of the node took over: this one must end.
	Replaced()
}

// Subject is what a node is told about: a session or a key; one of the two is set.
type Subject struct {
	Session string
	Key     string
	Again   bool // of a session: Begin is wanted once more
}

// Greeting is what a node has proven of itself when it connects.
type Greeting struct {
	Node     wire.NodeID
	Instance string // of its process
	Software string
}

// Delivery is one frame for a node. A frame whose Receipt is not empty wants an acknowledgement; the receipt is then given
// to Peer.Handle.
type Delivery struct {
	Frame   *linkv1.Frame
	Receipt Receipt
}

// Receipt names what a node has taken over.
type Receipt struct {
	Position uint64 // in its mailbox
	Session  string // whose end it knows
	Key      string // of which it knows this many confirmations
	Count    int
}

// Empty tells whether there is nothing to acknowledge.
func (r Receipt) Empty() bool { return r == Receipt{} }

// Peer is a node while it is connected. Frames and Letters are for one goroutine, Handle for one; the rest may be called
// by any.
type Peer struct {
	c        *Coordinator
	node     wire.NodeID
	name     string
	link     Link
	subjects []Subject
	told     map[string]told // by session or key id; for the goroutine of Frames
}

// told is what this connection has carried about one subject.
type told struct {
	offer, begin  bool
	over          bool           // nothing more will be said of it
	confirmations []Confirmation // index and active only
}

// Attach takes the connection of a node that has proven its identity. A node that no account has bound is refused with
// CodeNotBound. An older connection of the node is replaced. A new instance means that the sessions in which the node had
// joined are lost: they fail.
func (c *Coordinator) Attach(ctx context.Context, g Greeting, link Link) (*Peer, error) {
	p := &Peer{c: c, node: g.Node, link: link, told: make(map[string]told)}
	err := c.update(ctx, func(s *step) error {
		node, err := get[Node](s, TableNodes, string(g.Node))
		if err != nil {
			return err
		}
		if node == nil {
			return refuse(CodeNotBound, "no account has bound node %s: bind it first (POST /api/v1/nodes)", g.Node.Short())
		}
		p.name = node.displayName()
		if p.subjects, err = s.subjects(g.Node); err != nil {
			return err
		}
		if node.Instance != g.Instance {
			if err := s.restarted(g.Node, p.subjects); err != nil {
				return err
			}
		}
		node.Instance, node.Software, node.LastSeen = g.Instance, g.Software, s.now
		s.after = append(s.after, func() { c.attach(p) })
		return put(s, TableNodes, string(g.Node), node)
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

// attach makes p the connection of its node. The caller holds c.mu.
func (c *Coordinator) attach(p *Peer) {
	if old := c.peers[p.node]; old != nil {
		old.link.Replaced()
	}
	c.peers[p.node] = p
	delete(c.offline, p.node)
	c.log.Info("node connected", "node", p.node.Short(), "name", p.name)
}

// Detach ends the connection. The sessions of the node go on: it may come back.
func (p *Peer) Detach(ctx context.Context) {
	if !p.leave() {
		return
	}
	err := p.c.update(ctx, func(s *step) error {
		node, err := must[Node](s, TableNodes, string(p.node))
		if err != nil {
			return err
		}
		node.LastSeen = s.now
		return put(s, TableNodes, string(p.node), node)
	})
	if err != nil {
		p.c.log.Warn("last sight of a node could not be stored", "node", p.node.Short(), "error", err)
	}
}

// leave takes the connection out, unless a newer one has done so.
func (p *Peer) leave() bool {
	p.c.mu.Lock()
	defer p.c.mu.Unlock()
	if p.c.peers[p.node] != p {
		return false
	}
	delete(p.c.peers, p.node)
	p.c.offline[p.node] = p.c.clock()
	p.c.log.Info("node disconnected", "node", p.node.Short(), "name", p.name)
	return true
}

// Name is the name under which the node is bound.
func (p *Peer) Name() string { return p.name }

// Subjects lists what the node is to be told about when it connects.
func (p *Peer) Subjects() []Subject { return slices.Clone(p.subjects) }

// subjects lists what a node is to be told about.
func (s *step) subjects(node wire.NodeID) ([]Subject, error) {
	prefix := prefixOf(string(node))
	keys, err := s.keys(TableTodo, prefix, 0)
	if err != nil {
		return nil, err
	}
	out := make([]Subject, 0, len(keys))
	for _, key := range keys {
		kind, id, ok := strings.Cut(strings.TrimPrefix(key, prefix), separator)
		switch {
		case ok && kind == "s":
			out = append(out, Subject{Session: id})
		case ok && kind == "k":
			out = append(out, Subject{Key: id})
		default:
			return nil, fmt.Errorf("record %s: %w (key of unknown form)", TableTodo, ErrCorrupt)
		}
	}
	return out, nil
}

// restarted fails the sessions that a node has lost with its process.
func (s *step) restarted(node wire.NodeID, subjects []Subject) error {
	for _, sub := range subjects {
		if sub.Session == "" {
			continue
		}
		r, err := s.find(sub.Session)
		if err != nil {
			return err
		}
		if r == nil || r.sess.State.Final() {
			continue
		}
		m := r.sess.member(node)
		if m == nil || m.State == MemberInvited || m.Report != nil {
			continue
		}
		f := Failure{Cause: CauseRestarted, Message: "party " + m.Name + " restarted and has lost the session", Party: m.Name, retry: true}
		if err := s.fail(r, f); err != nil {
			return err
		}
	}
	return nil
}

// Frames gives what the node is to be told about a subject as things stand, without what this connection has carried
// already.
func (p *Peer) Frames(ctx context.Context, sub Subject) (out []Delivery, err error) {
	var t told
	id := sub.Session + sub.Key
	err = p.c.view(ctx, func(s *step) (err error) {
		t = p.told[id]
		if sub.Key != "" {
			out, err = p.keyFrames(s, sub.Key, &t)
		} else {
			out, err = p.sessionFrames(s, sub, &t)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if t.over {
		delete(p.told, id)
	} else {
		p.told[id] = t
	}
	return out, nil
}

func (p *Peer) sessionFrames(s *step, sub Subject, t *told) ([]Delivery, error) {
	r, err := s.find(sub.Session)
	if err != nil {
		return nil, err
	}
	if r == nil {
		t.over = true
		end := &linkv1.End{SessionId: sub.Session, State: string(StateFailed), Reason: "the coordinator knows no such session"}
		return []Delivery{{Frame: &linkv1.Frame{Body: &linkv1.Frame_End{End: end}}}}, nil
	}
	m := r.sess.member(p.node)
	if m == nil {
		return nil, nil
	}
	if r.sess.State.Final() {
		t.over = true
		knows := (t.offer || m.Approval != "") && m.Report == nil // one that reported has no need
		if !knows && !sub.Again {
			return nil, nil
		}
		return []Delivery{endOf(r.sess)}, nil
	}
	if m.State != MemberInvited {
		return nil, nil // it has joined: everything else comes by mail
	}
	var out []Delivery
	if !t.offer {
		offer, err := s.offer(r, m)
		if err != nil {
			return nil, err
		}
		out, t.offer = append(out, Delivery{Frame: offer}), true
	}
	if r.sess.begun() && (!t.begin || sub.Again) {
		out, t.begin = append(out, Delivery{Frame: beginOf(r.sess)}), true
	}
	return out, nil
}

func (p *Peer) keyFrames(s *step, keyID string, t *told) ([]Delivery, error) {
	key, err := get[Key](s, TableKeys, keyID)
	if err != nil || key == nil {
		return nil, err
	}
	var out []Delivery
	count := 0
	for _, c := range key.Confirmations {
		if seat := key.seat(p.node); seat == nil || seat.Index == c.Index {
			continue
		}
		count++
		said := Confirmation{Index: c.Index, Active: c.Active}
		if slices.ContainsFunc(t.confirmations, func(o Confirmation) bool { return o.Index == said.Index && o.Active == said.Active }) {
			continue
		}
		t.confirmations = append(slices.Clone(t.confirmations), said)
		frame, err := confirmationFrame(c)
		if err != nil {
			return nil, err
		}
		out = append(out, Delivery{Frame: frame})
	}
	if len(out) > 0 {
		out[len(out)-1].Receipt = Receipt{Key: keyID, Count: count}
	}
	return out, nil
}
