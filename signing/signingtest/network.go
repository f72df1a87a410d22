package signingtest

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/countersign-mpc/countersign/signing"
)

// Delivery is a message on its way to one party. A broadcast becomes one Delivery for each receiver, so that an
// adversary can tell each something else.
type Delivery struct {
	To      signing.PartyID
	Message signing.Message
}

// Network carries messages between sessions of one process, step by step: all that is in flight is delivered, each
// party computing in its own goroutine, before what that made is sent.
type Network struct {
	Sessions map[signing.PartyID]signing.Session
	// Adversary, if set, is shown each delivery, by sender and in order, and returns what arrives in its place: the
	// same, something else, more, or nothing. It has no authentication to overcome.
	Adversary func(Delivery) []Delivery
	// Shuffle, if set, reorders what is delivered to each party in a step.
	Shuffle *rand.Rand
	// Sent collects every message as its sender made it.
	Sent []signing.Message
}

// Run delivers until nothing moves. It returns how each session ended: nil if it is done, its *signing.Abort, or an
// error that wraps signing.ErrUnfinished.
func (n *Network) Run() map[signing.PartyID]error {
	ended := map[signing.PartyID]error{}
	for {
		inbox := n.collect()
		if len(inbox) == 0 {
			break
		}
		for to, err := range n.deliver(inbox) {
			if _, ok := ended[to]; !ok {
				ended[to] = err
			}
		}
	}
	for id, s := range n.Sessions {
		if _, ok := ended[id]; !ok && s.Done() {
			ended[id] = nil
		} else if !ok {
			ended[id] = fmt.Errorf("%s: %w", id, signing.ErrUnfinished)
		}
	}
	return ended
}

// collect drains all sessions into one inbox per party.
func (n *Network) collect() map[signing.PartyID][]signing.Message {
	inbox := map[signing.PartyID][]signing.Message{}
	for _, id := range slices.Sorted(maps.Keys(n.Sessions)) {
		for _, m := range n.Sessions[id].Outgoing() {
			n.Sent = append(n.Sent, m)
			for _, d := range n.route(m) {
				inbox[d.To] = append(inbox[d.To], d.Message)
			}
		}
	}
	if n.Shuffle != nil {
		for _, id := range slices.Sorted(maps.Keys(inbox)) {
			messages := inbox[id]
			n.Shuffle.Shuffle(len(messages), func(i, j int) { messages[i], messages[j] = messages[j], messages[i] })
		}
	}
	return inbox
}

func (n *Network) route(m signing.Message) []Delivery {
	receivers := []signing.PartyID{m.To}
	if m.Broadcast {
		receivers = slices.Sorted(maps.Keys(n.Sessions))
		receivers = slices.DeleteFunc(receivers, func(id signing.PartyID) bool { return id == m.From })
	}
	var out []Delivery
	for _, to := range receivers {
		d := Delivery{To: to, Message: m}
		d.Message.Data = slices.Clone(m.Data)
		if n.Adversary == nil {
			out = append(out, d)
		} else {
			out = append(out, n.Adversary(d)...)
		}
	}
	return out
}

// deliver feeds every party what is for it and returns the aborts.
func (n *Network) deliver(inbox map[signing.PartyID][]signing.Message) map[signing.PartyID]error {
	var mu sync.Mutex // guards aborts
	aborts := map[signing.PartyID]error{}
	var wg sync.WaitGroup
	for id, messages := range inbox {
		session, ok := n.Sessions[id]
		if !ok {
			continue
		}
		wg.Go(func() {
			for _, m := range messages {
				var abort *signing.Abort
				if err := session.Accept(m); errors.As(err, &abort) {
					mu.Lock()
					aborts[id] = abort
					mu.Unlock()
					return
				}
			}
		})
	}
	wg.Wait()
	return aborts
}

// Start makes a session for each party, all at the same time.
func Start[S signing.Session](parties []signing.PartyID, start func(signing.PartyID) (S, error)) (map[signing.PartyID]S, error) {
	sessions := make([]S, len(parties))
	errs := make([]error, len(parties))
	var wg sync.WaitGroup
	for i, id := range parties {
		wg.Go(func() { sessions[i], errs[i] = start(id) })
	}
	wg.Wait()
	out := make(map[signing.PartyID]S, len(parties))
	for i, id := range parties {
		out[id] = sessions[i]
	}
	return out, errors.Join(errs...)
}

// NewNetwork connects sessions.
func NewNetwork[S signing.Session](sessions map[signing.PartyID]S) *Network {
	n := &Network{Sessions: make(map[signing.PartyID]signing.Session, len(sessions))}
	for id, s := range sessions {
		n.Sessions[id] = s
	}
	return n
}
