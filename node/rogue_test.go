package node_test

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"sync"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/evidence"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/node"
	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/transport"
	"github.com/countersign-mpc/countersign/wire"
)

// rogue is a party that has an identity and shares as any other, and does to its messages what a test says. It is written
// against the interfaces that a node uses, not with a node's code.
type rogue struct {
	h   *hall
	key *ecdsa.PrivateKey
	id  wire.NodeID

	mu       sync.Mutex // guards the fields below
	queue    []*linkv1.Frame
	wake     chan struct{}
	silent   bool                                       // it confirms nothing
	forge    func(signing.Message) []signing.Message    // what it says in place of a protocol message
	post     func(*linkv1.Envelope) []*linkv1.Envelope  // what it sends in place of an envelope
	twist    func(signing.Message) signing.Message      // what it tells party 2 in place of a message
	other    func(manifest.Manifest) manifest.Manifest  // what it believes a session to be about
	offers   map[string]*linkv1.Offer                   // by session
	last     node.SignRun                               // with which it signs, or signed last
	runs     map[string]*rogueRun                       // by session
	shares   map[string]*signing.Share                  // by key
	words    map[string]manifest.Confirmation           // by key: its own pending word
	manifest map[string]manifest.Manifest               // by key: of its keygen
	heard    map[string]map[uint32]*linkv1.Confirmation // by key, by party
}

// rogueRun is a session at a rogue.
type rogueRun struct {
	manifest  manifest.Manifest
	message   []byte
	recipient signing.PartyID
	self      byte
	ephemeral *ecdh.PrivateKey
	all       []manifest.Contribution
	channel   *transport.Channel
	twin      *transport.Channel // tells party 2 something else
	protocol  signing.Session
	done      bool
}

func (h *hall) rogue() *rogue {
	h.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(h.t, err)
	r := &rogue{h: h, key: key, id: wire.NodeIDOf(&key.PublicKey), wake: make(chan struct{}, 1), offers: make(map[string]*linkv1.Offer),
		runs: make(map[string]*rogueRun), shares: make(map[string]*signing.Share), words: make(map[string]manifest.Confirmation),
		manifest: make(map[string]manifest.Manifest), heard: make(map[string]map[uint32]*linkv1.Confirmation)}
	h.do(func() { h.ports[r.id], h.parties = r, append(h.parties, r.id) })
	done, ended := make(chan struct{}), make(chan struct{})
	go func() { defer close(ended); r.live(done) }()
	h.t.Cleanup(func() { close(done); <-ended })
	return r
}

// put implements port.
func (r *rogue) put(f *linkv1.Frame) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queue = append(r.queue, f)
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *rogue) live(done chan struct{}) {
	for {
		select {
		case <-done:
			return
		case <-r.wake:
		}
		r.mu.Lock()
		queue := r.queue
		r.queue = nil
		r.mu.Unlock()
		for _, f := range queue {
			r.mu.Lock()
			out := r.frame(f)
			r.mu.Unlock()
			for _, f := range out {
				r.h.take(r.id, f)
			}
		}
	}
}

// change changes how the rogue behaves.
func (r *rogue) change(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

// frame deals with one frame and gives what is sent. The caller holds mu.
func (r *rogue) frame(f *linkv1.Frame) []*linkv1.Frame {
	switch body := f.Body.(type) {
	case *linkv1.Frame_Offer:
		r.offers[body.Offer.SessionId] = body.Offer
		return []*linkv1.Frame{{Body: &linkv1.Frame_Answer{Answer: &linkv1.Answer{SessionId: body.Offer.SessionId, State: linkv1.Answer_APPROVED}}}}
	case *linkv1.Frame_Begin:
		return r.begin(body.Begin)
	case *linkv1.Frame_Contribution:
		return r.contribution(body.Contribution)
	case *linkv1.Frame_Envelope:
		return r.envelope(body.Envelope)
	case *linkv1.Frame_Confirmation:
		return r.confirmation(body.Confirmation)
	}
	return nil
}

func (r *rogue) begin(b *linkv1.Begin) []*linkv1.Frame {
	o := r.offers[b.SessionId]
	run := &rogueRun{}
	run.manifest = r.manifestOf(run, o, b)
	if r.other != nil {
		run.manifest = r.other(run.manifest)
	}
	for _, p := range run.manifest.Parties {
		if p.NodeID == r.id {
			run.self = p.Index
		}
	}
	var err error
	run.ephemeral, err = ecdh.X25519().GenerateKey(rand.Reader)
	must(r.h.t, err)
	own := manifest.Contribution{SessionID: b.SessionId, Index: run.self, ManifestHash: run.manifest.Hash(), Ephemeral: [32]byte(run.ephemeral.PublicKey().Bytes())}
	rand.Read(own.Random[:])
	must(r.h.t, own.Sign(r.key))
	run.all = append(run.all, own)
	r.runs[b.SessionId] = run
	return []*linkv1.Frame{
		{Body: &linkv1.Frame_Join{Join: &linkv1.Join{SessionId: b.SessionId, JoinToken: o.JoinToken}}},
		{Body: &linkv1.Frame_Contribution{Contribution: &linkv1.Contribution{SessionId: b.SessionId, Index: uint32(run.self),
			ManifestHash: own.ManifestHash[:], Random: own.Random[:], Ephemeral: own.Ephemeral[:], Signature: own.Signature}}},
	}
}

// manifestOf is what an honest party would compute.
func (r *rogue) manifestOf(run *rogueRun, o *linkv1.Offer, b *linkv1.Begin) manifest.Manifest {
	m := manifest.Manifest{Type: o.Terms.Type, Terms: termsOf(o.Terms).ContentHash(), KeyID: o.KeyId, Path: o.Terms.Path, Epoch: 1, T: int(o.Terms.T),
		Cryptography: o.Terms.Cryptography, TapScriptRoot: o.Terms.TapScriptRoot}
	for _, s := range b.Statements {
		m.Parties = append(m.Parties, manifest.Party{Index: byte(s.Index), NodeID: wire.NodeID(s.NodeId), Guarded: s.Guarded, Recipient: s.Recipient})
		m.Recipient += s.Recipient
	}
	if o.Terms.Type == wire.TypeKeygen {
		return m
	}
	share := r.shares[o.Terms.KeyId]
	m.KeyID, m.T, m.Cryptography = o.Terms.KeyId, share.Threshold(), share.Algorithm().String()
	payload, err := evidence.SigningDigest(evidence.Request{RequestType: o.Terms.Type, Cryptography: m.Cryptography, SignType: o.Terms.SignType, Message: o.Terms.Message})
	must(r.h.t, err)
	m.Digest, run.message = manifest.Digest(m.Cryptography, payload.Digest), payload.Digest
	for _, p := range r.manifest[m.KeyID].Parties {
		if p.Recipient != "" { // all that the rogue signs is raw data
			m.Recipient, run.recipient = p.Recipient, signing.PartyID(p.Index)
		}
	}
	return m
}

func termsOf(t *linkv1.Terms) manifest.Terms {
	out := manifest.Terms{Type: t.Type, RequestID: t.RequestId, KeyID: t.KeyId, T: int(t.T), N: int(t.N), Cryptography: t.Cryptography, Path: t.Path,
		SignType: t.SignType, Message: t.Message, TxInfo: t.TxInfo, TapScriptRoot: t.TapScriptRoot}
	for _, id := range t.Parties {
		out.Parties = append(out.Parties, wire.NodeID(id))
	}
	return out
}

func (r *rogue) contribution(f *linkv1.Contribution) []*linkv1.Frame {
	run := r.runs[f.SessionId]
	run.all = append(run.all, manifest.Contribution{SessionID: f.SessionId, Index: byte(f.Index), ManifestHash: [32]byte(f.ManifestHash),
		Random: [32]byte(f.Random), Ephemeral: [32]byte(f.Ephemeral), Signature: f.Signature})
	if len(run.all) < len(run.manifest.Parties) {
		return nil
	}
	var err error
	run.channel, err = transport.NewChannel(transport.ChannelConfig{SessionID: f.SessionId, Manifest: run.manifest, Self: run.self,
		Identity: r.key, Ephemeral: run.ephemeral, Contributions: run.all})
	if err != nil {
		return nil // the others have another manifest
	}
	if r.twist != nil {
		run.twin, err = transport.NewChannel(transport.ChannelConfig{SessionID: f.SessionId, Manifest: run.manifest, Self: run.self,
			Identity: r.key, Ephemeral: run.ephemeral, Contributions: run.all})
		must(r.h.t, err)
	}
	run.protocol = r.protocol(run)
	return r.flush(run)
}

func (r *rogue) protocol(run *rogueRun) signing.Session {
	t, m := r.h.t, run.manifest
	var ids []signing.PartyID
	for _, p := range m.Parties {
		ids = append(ids, signing.PartyID(p.Index))
	}
	if m.Type == wire.TypeKeygen {
		s, err := toyKeygen(t, node.KeygenRun{Binding: run.channel.Binding(), Cryptography: m.Cryptography, Self: signing.PartyID(run.self), Parties: ids, Threshold: m.T})
		must(t, err)
		return s
	}
	share := r.shares[m.KeyID]
	path, err := derive.ParsePath(m.Path)
	must(t, err)
	chain := share.ChainCode()
	derived, err := derive.Child(m.Cryptography, share.PublicKey(), chain[:], path)
	must(t, err)
	scheme, err := derive.SchemeOf(m.Type, m.Cryptography)
	must(t, err)
	r.last = node.SignRun{Binding: run.channel.Binding(), Share: share, Signers: ids, Scheme: scheme, Derived: derived,
		TapScriptRoot: unhex(t, m.TapScriptRoot), Message: run.message, Recipient: run.recipient}
	s, err := toySign(r.last)
	must(t, err)
	return s
}

func (r *rogue) flush(run *rogueRun) []*linkv1.Frame {
	var out []*linkv1.Frame
	for _, m := range run.protocol.Outgoing() {
		messages := []signing.Message{m}
		if r.forge != nil {
			messages = r.forge(m)
		}
		for _, m := range messages {
			for _, e := range r.seal(run, m) {
				sent := []*linkv1.Envelope{e}
				if r.post != nil {
					sent = r.post(e)
				}
				for _, e := range sent {
					out = append(out, &linkv1.Frame{Body: &linkv1.Frame_Envelope{Envelope: e}})
				}
			}
		}
	}
	return out
}

// seal seals a message; party 2 is told of it by the twin, if there is one. What cannot be sealed is not sent.
func (r *rogue) seal(run *rogueRun, m signing.Message) []*linkv1.Envelope {
	envelopes, err := run.channel.Seal(m)
	if err != nil || run.twin == nil {
		return envelopes
	}
	toSecond, err := run.twin.Seal(r.twist(m))
	must(r.h.t, err)
	for i, e := range toSecond {
		if e.To == 2 {
			envelopes[i] = e
		}
	}
	return envelopes
}

func (r *rogue) envelope(e *linkv1.Envelope) []*linkv1.Frame {
	run := r.runs[e.SessionId]
	if run == nil || run.channel == nil || run.done {
		return nil
	}
	messages, err := run.channel.Open(e)
	if err != nil {
		return nil
	}
	if run.twin != nil {
		_, _ = run.twin.Open(e)
	}
	var out []*linkv1.Frame
	for _, m := range messages {
		if run.protocol.Accept(m) != nil {
			return out
		}
		out = append(out, r.flush(run)...)
	}
	if run.protocol.Done() {
		run.done = true
		out = append(out, r.finish(run)...)
	}
	return out
}

func (r *rogue) finish(run *rogueRun) []*linkv1.Frame {
	keygen, ok := run.protocol.(signing.KeygenSession)
	if !ok || run.manifest.Type != wire.TypeKeygen {
		return nil
	}
	t, m := r.h.t, run.manifest
	share, err := keygen.Share()
	must(t, err)
	echo, err := run.channel.Echo()
	must(t, err)
	statement := manifest.ShareStatement{KeyID: m.KeyID, Epoch: m.Epoch, Cryptography: m.Cryptography, T: m.T, Parties: m.Parties,
		Recipient: m.Recipient, Binding: run.channel.Binding(), Public: share.PublicStatement(), Echo: echo}
	r.shares[m.KeyID] = share
	r.words[m.KeyID] = manifest.Confirmation{KeyID: m.KeyID, Epoch: m.Epoch, Index: run.self, StatementHash: statement.Hash()}
	r.manifest[m.KeyID] = m
	if r.silent {
		return nil
	}
	return append([]*linkv1.Frame{r.word(m.KeyID, func(*manifest.Confirmation) {})}, r.activate(m.KeyID)...)
}

// word is the rogue's confirmation of a key, as changed, signed by itself.
func (r *rogue) word(keyID string, change func(*manifest.Confirmation)) *linkv1.Frame {
	c := r.words[keyID]
	change(&c)
	must(r.h.t, c.Sign(r.key))
	return &linkv1.Frame{Body: &linkv1.Frame_Confirmation{Confirmation: &linkv1.Confirmation{KeyId: c.KeyID, Epoch: c.Epoch, Index: uint32(c.Index),
		StatementHash: c.StatementHash[:], Active: c.Active, Signature: c.Signature}}}
}

func (r *rogue) confirmation(c *linkv1.Confirmation) []*linkv1.Frame {
	if r.heard[c.KeyId] == nil {
		r.heard[c.KeyId] = make(map[uint32]*linkv1.Confirmation)
	}
	r.heard[c.KeyId][c.Index] = c
	if r.silent || r.shares[c.KeyId] == nil {
		return nil
	}
	return r.activate(c.KeyId)
}

// activate says that the key is active once all others have confirmed it.
func (r *rogue) activate(keyID string) []*linkv1.Frame {
	if len(r.heard[keyID]) != len(r.manifest[keyID].Parties)-1 {
		return nil
	}
	return []*linkv1.Frame{r.word(keyID, func(c *manifest.Confirmation) { c.Active = true })}
}

// duel is two nodes and a rogue, with a 3-of-3 key.
type duel struct {
	trio
	rogue *rogue
}

// newDuel makes the parties and no key; c of the trio is nil.
func newDuel(h *hall) *duel {
	d := &duel{trio: trio{hall: h, a: h.member(), b: h.member(), keyID: "key-1"}, rogue: h.rogue()}
	h.introduce(d.a, d.b)
	d.guard = d.a.guarded(wire.Approve)
	d.all = parties(d.a.id, d.b.id, d.rogue.id)
	return d
}

// withKey makes the key.
func (d *duel) withKey() *duel {
	d.t.Helper()
	d.offer(d.keygen(3))
	d.awaitActive(d.keyID, d.a, d.b)
	return d
}
