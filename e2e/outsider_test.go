package e2e_test

import (
	"context"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
	"time"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/e2e/cluster"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/cmp"
	"github.com/countersign-mpc/countersign/signing/eddsa"
	"github.com/countersign-mpc/countersign/transport"
	"github.com/countersign-mpc/countersign/wire"
)

// outsider is party d: this process, with an identity of its own, on the real link beside the real nodes. It approves every
// offer, and in the first session of a request does what its plan says; a second session of one request it refuses.
type outsider struct {
	key    *ecdsa.PrivateKey
	plan   string // one of plans
	link   *transport.Link
	stop   context.CancelFunc
	frames chan *linkv1.Frame
	ended  chan struct{}
	err    error // why it could not do what its plan says; read it after ended

	offers map[string]*linkv1.Offer // by session
	seen   map[string]bool          // requests
	runs   map[string]*hostileRun   // by session
	sealed [][]byte                 // what it has sent in earlier sessions
	share  *signing.Share           // of a key that it took part in making
	word   manifest.Confirmation    // about that share
	heard  map[uint32]bool          // who has confirmed the key
}

// hostileRun is a session at the outsider.
type hostileRun struct {
	manifest  manifest.Manifest
	self      byte
	ephemeral *ecdh.PrivateKey
	all       []manifest.Contribution
	terms     manifest.Terms
	channel   *transport.Channel // of an honest run
	protocol  signing.Session
}

// plans are what an outsider sends in place of its first protocol messages.
var plans = map[string]func(o *outsider, run *hostileRun, c *transport.Channel) ([]*linkv1.Envelope, error){
	// a well sealed, signed broadcast of garbage
	"garbage": func(_ *outsider, run *hostileRun, c *transport.Channel) ([]*linkv1.Envelope, error) {
		return c.Seal(run.broadcast([]byte("garbage")))
	},
	// a well sealed, signed broadcast of zeros
	"nulls": func(_ *outsider, run *hostileRun, c *transport.Channel) ([]*linkv1.Envelope, error) {
		return c.Seal(run.broadcast(make([]byte, 1<<10)))
	},
	// what was never sealed
	"unsealed": func(_ *outsider, run *hostileRun, c *transport.Channel) ([]*linkv1.Envelope, error) {
		envelopes, err := c.Seal(run.broadcast([]byte("garbage")))
		for _, e := range envelopes {
			_, _ = rand.Read(e.Sealed)
		}
		return envelopes, err
	},
	// what it sent in an earlier session
	"foreign": func(o *outsider, run *hostileRun, c *transport.Channel) ([]*linkv1.Envelope, error) {
		envelopes, err := c.Seal(run.broadcast([]byte("garbage")))
		if len(o.sealed) < len(envelopes) {
			return nil, fmt.Errorf("only %d messages were sent before", len(o.sealed))
		}
		for i, e := range envelopes {
			e.Sealed = o.sealed[i]
		}
		return envelopes, err
	},
	// its true first message, and the same once more in the place of the second
	"replay": func(o *outsider, run *hostileRun, c *transport.Channel) ([]*linkv1.Envelope, error) {
		honest, err := run.honest(c.Binding(), o.share)
		if err != nil {
			return nil, err
		}
		out, err := c.Seal(honest.Outgoing()[0])
		for _, e := range out {
			out = append(out, &linkv1.Envelope{SessionId: e.SessionId, From: e.From, To: e.To, Seq: e.Seq + 1, Round: e.Round, Sealed: e.Sealed})
		}
		return out, err
	},
	// nothing, since it tells another manifest in its contribution
	"manifest": func(*outsider, *hostileRun, *transport.Channel) ([]*linkv1.Envelope, error) {
		return nil, fmt.Errorf("parties with different manifests came to a binding")
	},
}

func (r *hostileRun) broadcast(data []byte) signing.Message {
	round := uint16(2)                                // whose messages CMP's keygen sends first
	if r.manifest.Cryptography == wire.EdDSAEd25519 { // FROST's signing too
		round = 1
	}
	return signing.Message{From: signing.PartyID(r.self), Round: round, Broadcast: true, Data: data}
}

// honest starts the protocol as it should be; share is for signing.
func (r *hostileRun) honest(binding manifest.Binding, share *signing.Share) (signing.Session, error) {
	var parties []signing.PartyID
	for _, p := range r.manifest.Parties {
		parties = append(parties, signing.PartyID(p.Index))
	}
	if !r.terms.IsKeygen() {
		return r.honestSign(binding, share, parties)
	}
	if r.manifest.Cryptography == wire.EdDSAEd25519 {
		return eddsa.NewKeygen(eddsa.KeygenConfig{Binding: binding, Self: signing.PartyID(r.self), Parties: parties, Threshold: r.manifest.T})
	}
	return cmp.NewKeygen(cmp.KeygenConfig{Binding: binding, Self: signing.PartyID(r.self), Parties: parties, Threshold: r.manifest.T})
}

// join links the outsider to the coordinator. It follows a plan, and knows what it has sent and what share it holds.
func join(ctx context.Context, c *cluster.Cluster, name, plan string, sealed [][]byte, share *signing.Share) (*outsider, error) {
	o := &outsider{key: c.Outsiders[name].Key, plan: plan, sealed: sealed, share: share, heard: make(map[uint32]bool), frames: make(chan *linkv1.Frame, 1024), ended: make(chan struct{}), offers: make(map[string]*linkv1.Offer),
		seen: make(map[string]bool), runs: make(map[string]*hostileRun)}
	var err error
	o.link, err = transport.NewLink(transport.LinkConfig{URL: "ws://" + c.Ports.Coordinator + "/proxy", Identity: o.key, Instance: name + rand.Text(),
		Software: "hostile", Handler: o, Log: slog.New(slog.DiscardHandler), MinDelay: time.Minute})
	if err != nil {
		return nil, err
	}
	life, stop := context.WithCancel(context.Background())
	linked := make(chan struct{})
	go func() { defer close(linked); o.link.Run(life) }()
	go func() { defer close(o.ended); o.live(life); <-linked }()
	o.stop = func() { stop(); <-o.ended }
	err = cluster.Eventually(ctx, "party "+name+" to be linked", func() (bool, error) {
		state := o.link.State()
		return state.Connected, fmt.Errorf("link: %s", state.LastError)
	})
	if o.link.State().Connected {
		return o, nil
	}
	o.stop()
	return nil, err
}

// Connected implements transport.LinkHandler.
func (o *outsider) Connected() {}

// Frame implements transport.LinkHandler.
func (o *outsider) Frame(f *linkv1.Frame) { o.frames <- f }

// Acknowledged implements transport.LinkHandler.
func (o *outsider) Acknowledged(*linkv1.Frame) {}

func (o *outsider) live(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case f := <-o.frames:
			out, err := o.frame(f)
			if err != nil {
				o.err = err
			}
			for _, f := range out {
				_ = o.link.Send(f)
			}
		}
	}
}

// frame deals with one frame and gives what is sent.
func (o *outsider) frame(f *linkv1.Frame) ([]*linkv1.Frame, error) {
	switch body := f.Body.(type) {
	case *linkv1.Frame_Offer:
		answer := &linkv1.Answer{SessionId: body.Offer.SessionId, State: linkv1.Answer_APPROVED}
		if o.seen[body.Offer.SinoId] {
			answer.State, answer.Reason = linkv1.Answer_REFUSED, "one session is enough"
		}
		o.offers[body.Offer.SessionId], o.seen[body.Offer.SinoId] = body.Offer, true
		return []*linkv1.Frame{{Body: &linkv1.Frame_Answer{Answer: answer}}}, nil
	case *linkv1.Frame_Begin:
		return o.begin(body.Begin)
	case *linkv1.Frame_Contribution:
		return o.contribution(body.Contribution)
	case *linkv1.Frame_Envelope:
		return o.envelope(body.Envelope)
	case *linkv1.Frame_Confirmation:
		return o.confirmation(body.Confirmation)
	}
	return nil, nil
}

func (o *outsider) begin(b *linkv1.Begin) ([]*linkv1.Frame, error) {
	offer := o.offers[b.SessionId]
	run := &hostileRun{terms: termsOf(offer.Terms)}
	run.manifest = run.manifestOf(offer, b)
	if o.plan == "manifest" {
		run.manifest.Epoch++
	}
	for _, p := range run.manifest.Parties {
		if p.NodeID == wire.NodeIDOf(&o.key.PublicKey) {
			run.self = p.Index
		}
	}
	var err error
	if run.ephemeral, err = ecdh.X25519().GenerateKey(rand.Reader); err != nil {
		return nil, err
	}
	own := manifest.Contribution{SessionID: b.SessionId, Index: run.self, ManifestHash: run.manifest.Hash(), Ephemeral: [32]byte(run.ephemeral.PublicKey().Bytes())}
	_, _ = rand.Read(own.Random[:])
	if err := own.Sign(o.key); err != nil {
		return nil, err
	}
	run.all = append(run.all, own)
	o.runs[b.SessionId] = run
	return []*linkv1.Frame{{Body: &linkv1.Frame_Join{Join: &linkv1.Join{SessionId: b.SessionId, JoinToken: offer.JoinToken}}},
		{Body: &linkv1.Frame_Contribution{Contribution: frameOf(own)}}}, nil
}

func termsOf(t *linkv1.Terms) manifest.Terms {
	terms := manifest.Terms{Type: t.Type, RequestID: t.RequestId, KeyID: t.KeyId, T: int(t.T), N: int(t.N), Cryptography: t.Cryptography, Path: t.Path,
		SignType: t.SignType, Message: t.Message, TxInfo: t.TxInfo, TapScriptRoot: t.TapScriptRoot}
	for _, id := range t.Parties {
		terms.Parties = append(terms.Parties, wire.NodeID(id))
	}
	return terms
}

// manifestOf is what an honest party would compute, of a keygen or of a signature of raw data by a key that all have made with
// Ed25519.
func (r *hostileRun) manifestOf(o *linkv1.Offer, b *linkv1.Begin) manifest.Manifest {
	m := manifest.Manifest{Type: r.terms.Type, Terms: r.terms.ContentHash(), KeyID: o.KeyId, Epoch: 1, T: r.terms.T, Cryptography: r.terms.Cryptography,
		Path: r.terms.Path, RequesterSignature: o.GetAuthorization().GetSignature()}
	for _, s := range b.Statements {
		m.Parties = append(m.Parties, manifest.Party{Index: byte(s.Index), NodeID: wire.NodeID(s.NodeId), Guarded: s.Guarded})
	}
	if !r.terms.IsKeygen() {
		m.KeyID, m.T, m.Cryptography = r.terms.KeyID, len(m.Parties), wire.EdDSAEd25519
		message, _ := hex.DecodeString(r.terms.Message)
		m.Digest = manifest.Digest(m.Cryptography, message)
	}
	return m
}

func frameOf(c manifest.Contribution) *linkv1.Contribution {
	return &linkv1.Contribution{SessionId: c.SessionID, Index: uint32(c.Index), ManifestHash: c.ManifestHash[:], Random: c.Random[:],
		Ephemeral: c.Ephemeral[:], Signature: c.Signature}
}

// contribution opens the channel with the last contribution, as any party would, and then does what the plan says.
func (o *outsider) contribution(f *linkv1.Contribution) ([]*linkv1.Frame, error) {
	run := o.runs[f.SessionId]
	run.all = append(run.all, manifest.Contribution{SessionID: f.SessionId, Index: byte(f.Index), ManifestHash: [32]byte(f.ManifestHash),
		Random: [32]byte(f.Random), Ephemeral: [32]byte(f.Ephemeral), Signature: f.Signature})
	if len(run.all) < len(run.manifest.Parties) {
		return nil, nil
	}
	channel, err := transport.NewChannel(transport.ChannelConfig{SessionID: f.SessionId, Manifest: run.manifest, Self: run.self,
		Identity: o.key, Ephemeral: run.ephemeral, Contributions: run.all})
	if err != nil {
		return nil, err
	}
	if o.plan == honest {
		run.channel = channel
		if run.protocol, err = run.honest(channel.Binding(), o.share); err != nil {
			return nil, err
		}
		return o.flush(run)
	}
	envelopes, err := plans[o.plan](o, run, channel)
	var out []*linkv1.Frame
	for _, e := range envelopes {
		o.sealed = append(o.sealed, e.Sealed)
		out = append(out, &linkv1.Frame{Body: &linkv1.Frame_Envelope{Envelope: e}})
	}
	return out, err
}

// hostile asks for a 3-of-3 key of a, b and d, or for a signature with the one that d has helped to make, in which d does what a
// plan says, and waits until d's session and the request
// have failed. Both nodes must have aborted that session, with the text in their reason.
func (w *world) hostile(ctx context.Context, a []string) error {
	plan, text := a[0], a[1]
	if plans[plan] == nil {
		return fmt.Errorf("no plan %q", plan)
	}
	id := strings.Join(append([]string{"hostile", plan}, a[2:]...), "-")
	terms := w.keygenTerms(id, "d")
	switch {
	case len(a) > 2 && a[2] == "sign":
		terms = w.sharedTerms(id)
	case len(a) > 2:
		terms.Cryptography = a[2]
	}
	o, err := join(ctx, w.c, "d", plan, w.sealed, w.share)
	if err != nil {
		return err
	}
	defer func() { o.stop(); w.sealed = o.sealed }()
	if err := w.submit(ctx, id, terms); err != nil {
		return err
	}
	if err := w.await(ctx, []string{id, "failed"}); err != nil {
		return err
	}
	r, err := w.c.API().Get(ctx, w.sino[id], 0)
	if err != nil {
		return err
	}
	first := r.Sessions[0]
	if !strings.Contains(first.Error, text) {
		return fmt.Errorf("the session's error is %q, want %q in it", first.Error, text)
	}
	for _, node := range []string{"a", "b"} {
		if err := w.aborted(ctx, node, first.SessionID, text); err != nil {
			return err
		}
	}
	o.stop()
	return o.err
}

// aborted waits until a node's log says that the node aborted the session, and why.
func (w *world) aborted(ctx context.Context, node, session, text string) error {
	return cluster.Eventually(ctx, fmt.Sprintf("node %s to abort session %s because of %q", node, session, text), func() (bool, error) {
		log, err := w.c.Log(node)
		if err != nil {
			return true, err
		}
		for line := range strings.Lines(log) {
			if strings.Contains(line, "session aborted") && strings.Contains(line, session) && strings.Contains(line, text) {
				return true, nil
			}
		}
		return false, fmt.Errorf("it is not in its log")
	})
}

// intrude links party d, which holds no share of the key, and has it send a frame about the running session of a request; the
// coordinator ends its link, and says why.
func (w *world) intrude(ctx context.Context, a []string) error {
	id, frame, text := a[0], a[1], a[2]
	r, err := w.c.API().Get(ctx, w.sino[id], 0)
	if err != nil {
		return err
	}
	o, err := join(ctx, w.c, "d", "", nil, nil)
	if err != nil {
		return err
	}
	defer o.stop()
	f, err := o.intrusion(frame, r.Sessions[len(r.Sessions)-1].SessionID)
	if err != nil {
		return err
	}
	if err := o.link.Send(f); err != nil {
		return err
	}
	var last string
	err = cluster.Eventually(ctx, "the coordinator to end the link", func() (bool, error) {
		state := o.link.State()
		last = state.LastError
		return !state.Connected && last != "", nil
	})
	if err == nil && !strings.Contains(last, text) {
		err = fmt.Errorf("the link ended with %q, want %q in it", last, text)
	}
	return err
}

// intrusion is a frame about a session of others.
func (o *outsider) intrusion(kind, session string) (*linkv1.Frame, error) {
	switch kind {
	case "offer": // as if it were the coordinator
		return &linkv1.Frame{Body: &linkv1.Frame_Offer{Offer: &linkv1.Offer{SessionId: session}}}, nil
	case "join":
		return &linkv1.Frame{Body: &linkv1.Frame_Join{Join: &linkv1.Join{SessionId: session}}}, nil
	case "envelope":
		return &linkv1.Frame{Body: &linkv1.Frame_Envelope{Envelope: &linkv1.Envelope{SessionId: session, From: 1, To: 2, Round: 2, Sealed: []byte("garbage")}}}, nil
	case "contribution":
		c := manifest.Contribution{SessionID: session, Index: 3}
		err := c.Sign(o.key)
		return &linkv1.Frame{Body: &linkv1.Frame_Contribution{Contribution: frameOf(c)}}, err
	case "report":
		r := manifest.Report{SessionID: session, Reason: "nothing"}
		err := r.Sign(o.key)
		return &linkv1.Frame{Body: &linkv1.Frame_Report{Report: &linkv1.Report{SessionId: session, Reason: r.Reason, ReportSignature: r.Signature}}}, err
	}
	return nil, fmt.Errorf("no frame %q", kind)
}
