package eddsa

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"filippo.io/edwards25519"
	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/eddsa/internal/frame"
	"github.com/countersign-mpc/countersign/signing/eddsa/internal/library"
	"github.com/countersign-mpc/countersign/wire/label"
)

// ProtocolID marks the shares that this package makes. They have no material.
const ProtocolID = 2

// KeygenConfig says which key to make. All parties must give the same values, Self apart.
type KeygenConfig struct {
	Binding   [32]byte          // the session's identity; it must be fresh for every run
	Self      signing.PartyID   // this party
	Parties   []signing.PartyID // all parties, 2..9, in any order
	Threshold int               // t, the number of signers needed: 2..len(Parties)
}

func (c KeygenConfig) validate() error {
	if c.Binding == ([32]byte{}) {
		return errors.New("the binding is zero: give the session's identity")
	}
	return signing.CheckParties(c.Parties, c.Self, c.Threshold)
}

// session is the hash of what must be the same at all parties.
func (c KeygenConfig) session() [32]byte {
	return sha256.Sum256(label.Bytes("ed25519-keygen", c.Binding[:], []byte{byte(c.Threshold)}, partyBytes(c.Parties)))
}

// party is the library's part of a session: package library, or what stands for it in a test.
type party interface {
	Commitments(of map[signing.PartyID][32]byte) (*frame.Open, map[signing.PartyID]*edwards25519.Scalar, error)
	Openings(of map[signing.PartyID]*frame.Open, shares map[signing.PartyID]*edwards25519.Scalar) (*library.Result, error)
}

// Keygen is one run of key generation by one party. It implements signing.KeygenSession and computes only within its
// methods: nothing runs between calls, after Done or after an abort.
type Keygen struct {
	cfg     KeygenConfig // Parties ascending
	library library.Config
	party   party // nil once the session has ended
	session [32]byte
	chain   [32]byte            // own contribution to the chain code
	round   uint16              // the round whose messages are waited for
	echo    [32]byte            // hash of all broadcasts of frame.RoundCommit, once they are there
	seen    map[place][32]byte  // SHA-256 of every frame that was taken, by place
	held    []received          // messages of frame.RoundOpen that came early
	sent    map[uint16][32]byte // SHA-256 of own broadcasts
	state   state
	out     []signing.Message
	share   *signing.Share
	abort   *signing.Abort
}

// state is what was verified so far, own part included.
type state struct {
	commits map[signing.PartyID]*frame.Commit
	opens   map[signing.PartyID]*frame.Open
	shares  map[signing.PartyID]*edwards25519.Scalar // from the others
}

var _ signing.KeygenSession = (*Keygen)(nil)

// NewKeygen starts a keygen. Its first message is then in Outgoing. An error is about the configuration, or an
// *signing.Abort. It takes some tens of milliseconds for each coefficient; the last Accept takes that for each party and
// coefficient.
func NewKeygen(c KeygenConfig) (*Keygen, error) {
	return newKeygen(c, func(l library.Config) (party, [32]byte, error) { return library.Start(l) })
}

func newKeygen(c KeygenConfig, start func(library.Config) (party, [32]byte, error)) (*Keygen, error) {
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("start Ed25519 keygen: %w", err)
	}
	c.Parties = slices.Sorted(slices.Values(c.Parties))
	k := &Keygen{
		cfg: c, session: c.session(), round: frame.RoundCommit,
		seen: map[place][32]byte{}, sent: map[uint16][32]byte{},
		state: state{
			commits: map[signing.PartyID]*frame.Commit{}, opens: map[signing.PartyID]*frame.Open{},
			shares: map[signing.PartyID]*edwards25519.Scalar{},
		},
	}
	k.library = library.Config{Session: k.session, Self: c.Self, Parties: c.Parties, Threshold: c.Threshold}
	_, _ = rand.Read(k.chain[:]) // never fails (crypto/rand)
	p, commitment, err := start(k.library)
	if err != nil {
		return nil, fmt.Errorf("start Ed25519 keygen: %w", &signing.Abort{Round: k.round, Reason: "the library did not start", Err: err})
	}
	k.party = p
	own := &frame.Commit{Polynomial: commitment, ChainCode: k.commitment(c.Self, k.chain)}
	k.state.commits[c.Self] = own
	k.broadcast(frame.Frame{Round: frame.RoundCommit, Commit: own})
	return k, nil
}

// commitment is what a party says of its contribution to the chain code before it shows it. The contribution has 256
// random bits, so that its hash hides it.
func (k *Keygen) commitment(of signing.PartyID, contribution [32]byte) [32]byte {
	return sha256.Sum256(label.Bytes("ed25519-chain-commitment", k.session[:], []byte{byte(of)}, contribution[:]))
}

// Share implements signing.KeygenSession.
func (k *Keygen) Share() (*signing.Share, error) {
	switch {
	case k.abort != nil:
		return nil, k.abort
	case k.share == nil:
		return nil, signing.ErrUnfinished
	}
	return k.share, nil
}

// Outgoing implements signing.Session.
func (k *Keygen) Outgoing() []signing.Message {
	out := k.out
	k.out = nil
	return out
}

// Done implements signing.Session.
func (k *Keygen) Done() bool { return k.share != nil }

// broadcast sends a frame to all others.
func (k *Keygen) broadcast(f frame.Frame) {
	f.Broadcast = true
	m := k.message(f)
	k.sent[f.Round] = sha256.Sum256(m.Data)
	k.out = append(k.out, m)
}

// message makes an outgoing message to everybody.
func (k *Keygen) message(f frame.Frame) signing.Message {
	f.Session = k.session
	if f.Round == frame.RoundOpen {
		f.Echo = k.echo
	}
	return signing.Message{From: k.cfg.Self, Round: f.Round, Broadcast: f.Broadcast, Data: frame.Encode(f)}
}

// commitsDone goes from the first round to the second: it opens what was committed to.
func (k *Keygen) commitsDone() {
	k.echo = k.broadcasts(frame.RoundCommit)
	commitments := map[signing.PartyID][32]byte{}
	for id, c := range k.state.commits {
		commitments[id] = c.Polynomial
	}
	own, shares, err := k.party.Commitments(commitments)
	if err == nil {
		err = k.checkOwn(own, shares)
	}
	if err != nil {
		k.fail(0, frame.RoundOpen, "the library failed", err)
		return
	}
	own.ChainCode = k.chain
	k.state.opens[k.cfg.Self] = own
	for _, id := range k.others() {
		m := k.message(frame.Frame{Round: frame.RoundOpen, Share: &frame.Share{Value: shares[id]}})
		m.To = id
		k.out = append(k.out, m)
		shares[id].Set(edwards25519.NewScalar())
	}
	k.broadcast(frame.Frame{Round: frame.RoundOpen, Open: own})
	k.round = frame.RoundOpen
}

// checkOwn verifies what the library wants this party to send as the others will verify it.
func (k *Keygen) checkOwn(own *frame.Open, shares map[signing.PartyID]*edwards25519.Scalar) error {
	if err := k.library.Proof(k.cfg.Self, k.state.commits[k.cfg.Self].Polynomial, own); err != nil {
		return fmt.Errorf("own opening: %w", err)
	}
	for _, id := range k.others() {
		if shares[id] == nil || !matches(own, id, shares[id]) {
			return fmt.Errorf("own share for %s does not belong to the own opening", id)
		}
	}
	return nil
}

// opensDone ends the session with the share.
func (k *Keygen) opensDone() {
	result, err := k.party.Openings(k.state.opens, k.state.shares)
	if err != nil {
		k.fail(0, k.round, "the library failed", err)
		return
	}
	share, err := k.finish(result)
	if err != nil {
		k.fail(0, k.round, "the result is not what was asked for", err)
		return
	}
	k.share = share
	k.drop()
}

// fail ends the session.
func (k *Keygen) fail(culprit signing.PartyID, round uint16, reason string, cause error) {
	k.abort = &signing.Abort{Culprit: culprit, Round: round, Reason: reason, Err: cause}
	k.out = nil
	k.drop()
}

// drop lets go of all that the session computed with.
func (k *Keygen) drop() {
	zero := edwards25519.NewScalar()
	for _, s := range k.state.shares {
		s.Set(zero)
	}
	k.party, k.held, k.state = nil, nil, state{}
	clear(k.chain[:])
}

func (k *Keygen) others() []signing.PartyID {
	return slices.DeleteFunc(slices.Clone(k.cfg.Parties), func(id signing.PartyID) bool { return id == k.cfg.Self })
}

// broadcasts hashes all broadcasts of a round.
func (k *Keygen) broadcasts(round uint16) [32]byte {
	var hashes []byte
	for _, id := range k.cfg.Parties {
		sum := k.seen[place{id, round, true}]
		if id == k.cfg.Self {
			sum = k.sent[round]
		}
		hashes = append(hashes, sum[:]...)
	}
	return sha256.Sum256(label.Bytes("ed25519-broadcasts", k.session[:], hashes))
}

func partyBytes(parties []signing.PartyID) []byte {
	var out bytes.Buffer
	for _, id := range parties {
		out.WriteByte(byte(id))
	}
	return out.Bytes()
}
