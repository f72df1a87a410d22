// Package transport is a party's side of the wire between parties: the link to the coordinator, and inside it a channel per
// session that is sealed from end to end, in which broadcasts are signed and echo-checked.
//
// The coordinator that carries the frames is not trusted here: it can delay or end a session, not read or change a message
// of it. Which requests a party answers, and what the messages mean, is not this package's.
package transport

import (
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"errors"
	"fmt"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/wire"
)

// MaxSealed bounds the sealed bytes of one envelope: the largest frame of a protocol, with what is around it.
const MaxSealed = signing.MaxFrame + 1<<10

// maxFromPeer bounds the messages of one party to one other in one session; the longest protocol here has a dozen.
const maxFromPeer = 128

// Channel carries the protocol messages of one session between its parties. It is a state machine: it does no input or
// output and is not safe for concurrent use.
//
// Each pair of parties has one AES-256-GCM key per direction, from the ECDH of the session's ephemeral X25519 keys. The
// sequence number is the nonce; binding, sender, receiver, round and sequence number are associated data. Every party
// echoes in its next message a hash of all broadcasts of the round before; a channel hands out a message only when that
// echo equals its own view, so that no party can tell two others different things (Goldwasser and Lindell, "Secure
// Multi-Party Computation without Agreement": echo broadcast with abort).
type Channel struct {
	session  string
	binding  manifest.Binding
	self     byte
	identity *ecdsa.PrivateKey
	peers    map[byte]*peer
	order    []byte // indices of all parties, ascending
	rounds   map[uint16]*broadcasts
	held     []heldMessage
	err      error
}

type peer struct {
	id       *ecdsa.PublicKey
	seal     cipher.AEAD
	open     cipher.AEAD
	nextSend uint64
	nextRecv uint64
}

// broadcasts is what is known of one round: the hash of each party's broadcast.
type broadcasts struct {
	hashes map[byte][32]byte
}

type heldMessage struct {
	message signing.Message
	echo    [32]byte
}

// ChannelConfig is what a party knows once all contributions of a session are there.
type ChannelConfig struct {
	SessionID     string
	Manifest      manifest.Manifest
	Self          byte                    // own share index
	Identity      *ecdsa.PrivateKey       // own identity key
	Ephemeral     *ecdh.PrivateKey        // own ephemeral X25519 key of this session
	Contributions []manifest.Contribution // of all parties, own included
}

// NewChannel checks every contribution, computes the binding and derives the pair keys. It fails with
// manifest.ErrManifestsDiffer where the parties were not asked for the same thing.
func NewChannel(cfg ChannelConfig) (*Channel, error) {
	if cfg.Identity == nil || cfg.Ephemeral == nil {
		return nil, errors.New("open channel: identity and ephemeral key are needed")
	}
	binding, err := manifest.Bind(cfg.Manifest, cfg.SessionID, cfg.Contributions)
	if err != nil {
		return nil, err
	}
	c := &Channel{
		session: cfg.SessionID, binding: binding, self: cfg.Self, identity: cfg.Identity,
		peers: make(map[byte]*peer), rounds: make(map[uint16]*broadcasts),
	}
	own, ok := cfg.Manifest.Party(cfg.Self)
	if !ok || own.NodeID != wire.NodeIDOf(&cfg.Identity.PublicKey) {
		return nil, fmt.Errorf("open channel: party %d of the manifest is not this node", cfg.Self)
	}
	byIndex := make(map[byte]manifest.Contribution, len(cfg.Contributions))
	for _, k := range cfg.Contributions {
		byIndex[k.Index] = k
	}
	if string(cfg.Ephemeral.PublicKey().Bytes()) != string(sliceOf(byIndex[cfg.Self].Ephemeral)) {
		return nil, errors.New("open channel: own contribution carries another ephemeral key")
	}
	for _, p := range cfg.Manifest.Parties {
		c.order = append(c.order, p.Index)
		if p.Index == cfg.Self {
			continue
		}
		keys := pairKeys{binding: binding, secret: cfg.Ephemeral,
			own:  endpoint{own.NodeID, byIndex[cfg.Self].Ephemeral},
			peer: endpoint{p.NodeID, byIndex[p.Index].Ephemeral}}
		if c.peers[p.Index], err = keys.derive(); err != nil {
			return nil, fmt.Errorf("open channel to party %d: %w", p.Index, err)
		}
	}
	return c, nil
}

// Binding names the session everywhere inside the protocol.
func (c *Channel) Binding() manifest.Binding { return c.binding }

// Seal turns one outgoing protocol message into envelopes: one for its receiver, or for a broadcast one for every other
// party, each carrying the same signed content.
func (c *Channel) Seal(m signing.Message) ([]*linkv1.Envelope, error) {
	if c.err != nil {
		return nil, c.err
	}
	if byte(m.From) != c.self {
		return nil, fmt.Errorf("seal message: it is of party %d, this is party %d", m.From, c.self)
	}
	p := payload{broadcast: m.Broadcast, data: m.Data}
	if before, sent := c.rounds[m.Round-1]; sent && before.has(c.self) {
		if !before.complete(c.order) {
			return nil, fmt.Errorf("seal message of round %d: broadcasts of the round before are not all there", m.Round)
		}
		echo := before.echo(c.binding, m.Round-1, c.order)
		p.echo = echo[:]
	}
	if !m.Broadcast {
		e, err := c.sealFor(byte(m.To), m.Round, p)
		if err != nil {
			return nil, err
		}
		return []*linkv1.Envelope{e}, nil
	}
	sig, err := wire.SignP256(c.identity, broadcastBytes(c.binding, c.self, m.Round, m.Data))
	if err != nil {
		return nil, fmt.Errorf("sign broadcast of round %d: %w", m.Round, err)
	}
	p.signature = sig
	if err := c.round(m.Round).add(c.self, m.Data); err != nil {
		return nil, err
	}
	out := make([]*linkv1.Envelope, 0, len(c.peers))
	for _, to := range c.order {
		if to == c.self {
			continue
		}
		e, err := c.sealFor(to, m.Round, p)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

func (c *Channel) sealFor(to byte, round uint16, p payload) (*linkv1.Envelope, error) {
	peer, ok := c.peers[to]
	if !ok {
		return nil, fmt.Errorf("seal message of round %d: party %d is not in this session", round, to)
	}
	plain, err := p.encode()
	if err != nil {
		return nil, fmt.Errorf("seal message of round %d: %w", round, err)
	}
	seq := peer.nextSend
	peer.nextSend++
	place := place{binding: c.binding, from: c.self, to: to, round: round, seq: seq}
	return &linkv1.Envelope{
		SessionId: c.session, From: uint32(c.self), To: uint32(to), Seq: seq, Round: uint32(round),
		Sealed: peer.seal.Seal(nil, place.nonce(), plain, place.associated()),
	}, nil
}

// Open takes one envelope for this party and gives the messages that may now be handed to the protocol: none if the
// envelope is a duplicate or waits for others' broadcasts. An error is a *signing.Abort; the channel is of no use after it.
func (c *Channel) Open(e *linkv1.Envelope) ([]signing.Message, error) {
	if c.err != nil {
		return nil, c.err
	}
	out, err := c.open(e)
	if err != nil {
		c.err = err
		return nil, err
	}
	return out, nil
}

func (c *Channel) open(e *linkv1.Envelope) ([]signing.Message, error) {
	if e.SessionId != c.session || e.To != uint32(c.self) || e.From > manifest.MaxParties || e.Round > maxRound {
		return nil, abort(0, e.Round, "an envelope that is not for this party and session was delivered", nil)
	}
	peer, ok := c.peers[byte(e.From)]
	if !ok {
		return nil, abort(0, e.Round, fmt.Sprintf("an envelope of party %d, which is not in this session, was delivered", e.From), nil)
	}
	switch {
	case e.Seq < peer.nextRecv:
		return nil, nil // delivered again
	case e.Seq > peer.nextRecv:
		return nil, abort(0, e.Round, fmt.Sprintf("messages %d to %d of party %d were lost on the way", peer.nextRecv, e.Seq-1, e.From), nil)
	case e.Seq >= maxFromPeer:
		return nil, abort(byte(e.From), e.Round, fmt.Sprintf("party %d sends more messages than any protocol has", e.From), nil)
	case len(e.Sealed) > MaxSealed:
		return nil, abort(0, e.Round, fmt.Sprintf("a message of party %d is larger than %d bytes", e.From, MaxSealed), nil)
	}
	from, round := byte(e.From), uint16(e.Round)
	place := place{binding: c.binding, from: from, to: c.self, round: round, seq: e.Seq}
	plain, err := peer.open.Open(nil, place.nonce(), e.Sealed, place.associated())
	if err != nil {
		return nil, abort(0, e.Round, fmt.Sprintf("message %d of party %d does not authenticate: it was changed on the way or belongs to another session", e.Seq, from), nil)
	}
	peer.nextRecv++
	p, err := decodePayload(plain)
	if err != nil {
		return nil, abort(from, e.Round, "malformed message", err)
	}
	return c.take(from, round, p)
}

// take checks a payload that is known to come from its sender.
func (c *Channel) take(from byte, round uint16, p payload) ([]signing.Message, error) {
	m := signing.Message{From: signing.PartyID(from), Round: round, Broadcast: p.broadcast, Data: p.data}
	if !p.broadcast {
		m.To = signing.PartyID(c.self)
	}
	before := c.rounds[round-1]
	expectEcho := before != nil && before.has(c.self)
	if expectEcho != (len(p.echo) > 0) {
		return nil, abort(from, uint32(round), "a message without the echo of the round before, or with one too many", nil)
	}
	if p.broadcast {
		if !wire.VerifyP256(c.peers[from].id, broadcastBytes(c.binding, from, round, p.data), p.signature) {
			return nil, abort(from, uint32(round), "a broadcast that its sender has not signed", nil)
		}
		if err := c.round(round).add(from, p.data); err != nil {
			return nil, abort(from, uint32(round), "two different broadcasts in one round, both signed", err)
		}
	}
	h := heldMessage{message: m}
	copy(h.echo[:], p.echo)
	c.held = append(c.held, h)
	return c.release()
}

// release hands out held messages whose round before is complete, in the order in which they came.
func (c *Channel) release() ([]signing.Message, error) {
	var out []signing.Message
	var keep []heldMessage
	for _, h := range c.held {
		before := c.rounds[h.message.Round-1]
		if before == nil || !before.has(c.self) {
			out = append(out, h.message)
			continue
		}
		if !before.complete(c.order) {
			keep = append(keep, h)
			continue
		}
		if before.echo(c.binding, h.message.Round-1, c.order) != h.echo {
			return nil, abort(0, uint32(h.message.Round), fmt.Sprintf(
				"party %d saw other broadcasts in round %d than this party: one of the parties told two others different things",
				h.message.From, h.message.Round-1), nil)
		}
		out = append(out, h.message)
	}
	c.held = keep
	return out, nil
}

// Echo gives the hash of all broadcasts of the latest round in which this party broadcast, for a confirmation that covers
// the last round. It fails while one is missing.
func (c *Channel) Echo() ([32]byte, error) {
	last, found := uint16(0), false
	for r, b := range c.rounds {
		if b.has(c.self) && r >= last {
			last, found = r, true
		}
	}
	if !found || !c.rounds[last].complete(c.order) {
		return [32]byte{}, errors.New("echo of the last round: not all broadcasts are there")
	}
	return c.rounds[last].echo(c.binding, last, c.order), nil
}

func (c *Channel) round(r uint16) *broadcasts {
	b, ok := c.rounds[r]
	if !ok {
		b = &broadcasts{hashes: make(map[byte][32]byte)}
		c.rounds[r] = b
	}
	return b
}

func abort(culprit byte, round uint32, reason string, err error) error {
	return &signing.Abort{Culprit: signing.PartyID(culprit), Round: uint16(min(round, maxRound)), Reason: reason, Err: err}
}
