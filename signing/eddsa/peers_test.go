package eddsa_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"strings"
	"testing"

	"filippo.io/edwards25519"
	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/eddsa"
	"github.com/countersign-mpc/countersign/signing/eddsa/internal/frame"
	"github.com/countersign-mpc/countersign/signing/eddsa/internal/library"
	"github.com/countersign-mpc/countersign/wire"
)

// peers are parties 2 and 3 of a 2-of-3 keygen, as an adversary runs them against party 1: what they say is made once, by
// the formats as docs/FORMATS.md describes them, and framed anew, right or wrong, for each victim.
type peers struct {
	binding [32]byte
	session [32]byte
	commit  map[signing.PartyID]*frame.Commit // of party 1 too, by the library
	open    map[signing.PartyID]*frame.Open
	shares  map[signing.PartyID]map[signing.PartyID]*edwards25519.Scalar // by sender and receiver
}

func newPeers(t testing.TB, name string) *peers {
	t.Helper()
	p := &peers{
		binding: binding(name), commit: map[signing.PartyID]*frame.Commit{}, open: map[signing.PartyID]*frame.Open{},
		shares: map[signing.PartyID]map[signing.PartyID]*edwards25519.Scalar{},
	}
	p.session = sha256.Sum256(wire.SigningBytes("ed25519-keygen", p.binding[:], []byte{2}, []byte{1, 2, 3}))
	parties := map[signing.PartyID]*library.Party{}
	commitments := map[signing.PartyID][32]byte{}
	for _, id := range three {
		party, commitment, err := library.Start(library.Config{Session: p.session, Self: id, Parties: three, Threshold: 2})
		if err != nil {
			t.Fatal(err)
		}
		part := p.part(id)
		parties[id], commitments[id] = party, commitment
		p.commit[id] = &frame.Commit{
			Polynomial: commitment,
			ChainCode:  sha256.Sum256(wire.SigningBytes("ed25519-chain-commitment", p.session[:], []byte{byte(id)}, part[:])),
		}
	}
	for id, party := range parties {
		open, shares, err := party.Commitments(commitments)
		if err != nil {
			t.Fatal(err)
		}
		open.ChainCode = p.part(id)
		p.open[id], p.shares[id] = open, shares
	}
	return p
}

// part is a party's contribution to the chain code.
func (p *peers) part(id signing.PartyID) [32]byte {
	return sha256.Sum256(append(p.session[:], byte(id)))
}

var three = []signing.PartyID{1, 2, 3}

// victim is party 1, and what it was told.
type victim struct {
	*eddsa.Keygen
	peers  *peers
	frames map[signing.PartyID][]byte // broadcasts of round 1
	sees   int                        // how often the library was given something, if it is a recorded one
}

func (p *peers) victim(t testing.TB) *victim {
	t.Helper()
	k, err := eddsa.NewKeygen(eddsa.KeygenConfig{Binding: p.binding, Self: 1, Parties: three, Threshold: 2})
	if err != nil {
		t.Fatal(err)
	}
	return &victim{Keygen: k, peers: p, frames: map[signing.PartyID][]byte{1: k.Outgoing()[0].Data}}
}

// recorded is a victim whose library says what it said to the peers once, and fails if it comes to the result: many cases
// are quick then, and see what the library would have seen.
func (p *peers) recorded(t testing.TB) *victim {
	t.Helper()
	v := &victim{peers: p}
	k, err := eddsa.NewKeygenWith(
		eddsa.KeygenConfig{Binding: p.binding, Self: 1, Parties: three, Threshold: 2},
		func(library.Config) (eddsa.Party, [32]byte, error) { return recording{v}, p.commit[1].Polynomial, nil },
	)
	if err != nil {
		t.Fatal(err)
	}
	v.Keygen, v.frames = k, map[signing.PartyID][]byte{1: k.Outgoing()[0].Data}
	return v
}

// recording stands for the library of a victim.
type recording struct{ *victim }

func (r recording) Commitments(map[signing.PartyID][32]byte) (*frame.Open, map[signing.PartyID]*edwards25519.Scalar, error) {
	r.sees++
	open, shares := *r.peers.open[1], map[signing.PartyID]*edwards25519.Scalar{}
	for id, share := range r.peers.shares[1] {
		shares[id] = edwards25519.NewScalar().Set(share)
	}
	return &open, shares, nil
}

func (r recording) Openings(map[signing.PartyID]*frame.Open, map[signing.PartyID]*edwards25519.Scalar) (*library.Result, error) {
	r.sees++
	return nil, errReached
}

var errReached = errors.New("the library was reached")

// message frames what a peer says in a place, with the right echo of what was sent so far.
func (v *victim) message(from signing.PartyID, s slot) signing.Message {
	f := frame.Frame{Round: s.round, Broadcast: s.broadcast, Session: v.peers.session}
	m := signing.Message{From: from, Round: s.round, Broadcast: s.broadcast}
	switch s {
	case commitSlot:
		f.Commit = v.peers.commit[from]
	case openSlot:
		f.Open = v.peers.open[from]
	case shareSlot:
		f.Share, m.To = &frame.Share{Value: v.peers.shares[from][1]}, 1
	}
	if s.round == 2 {
		var hashes []byte
		for _, id := range three {
			sum := sha256.Sum256(v.frames[id])
			hashes = append(hashes, sum[:]...)
		}
		f.Echo = sha256.Sum256(wire.SigningBytes("ed25519-broadcasts", v.peers.session[:], hashes))
	}
	m.Data = frame.Encode(f)
	return m
}

// slot is the place of a message.
type slot struct {
	round     uint16
	broadcast bool
}

var (
	commitSlot = slot{1, true}
	openSlot   = slot{2, true}
	shareSlot  = slot{2, false}
)

// run plays the whole session to the victim: each message of party 2 passes through change. It returns the first error.
func (v *victim) run(change func(s slot, m *signing.Message)) error {
	for _, s := range []slot{commitSlot, openSlot, shareSlot} {
		for _, from := range []signing.PartyID{3, 2} {
			m := v.message(from, s)
			if from == 2 && change != nil {
				change(s, &m)
			}
			if s == commitSlot {
				v.frames[from] = bytes.Clone(m.Data)
			}
			if err := v.Accept(m); err != nil {
				return err
			}
		}
	}
	return nil
}

// mustAbort demands that err is an abort of the session that stays, and that the session is over.
func mustAbort(t *testing.T, k *eddsa.Keygen, err error, culprit signing.PartyID, reason string) {
	t.Helper()
	var abort *signing.Abort
	if !errors.As(err, &abort) {
		t.Fatalf("no abort but %v", err)
	}
	if abort.Culprit != culprit || abort.Reason == "" || !strings.Contains(abort.Error(), reason) {
		t.Fatalf("%v: want culprit %d and %q", abort, culprit, reason)
	}
	if again := k.Accept(signing.Message{From: 2, Round: 1, Broadcast: true}); again != error(abort) {
		t.Fatalf("after the abort Accept says %v", again)
	}
	if _, again := k.Share(); again != error(abort) || k.Done() || len(k.Outgoing()) != 0 {
		t.Fatal("after the abort there is a share or something to send")
	}
}

// TestPeers: what the adversary starts from is what an honest party accepts, so that the aborts are due to what it changes.
func TestPeers(t *testing.T) {
	p := newPeers(t, t.Name())
	v := p.victim(t)
	if err := v.run(nil); err != nil {
		t.Fatal(err)
	}
	share, err := v.Share()
	if err != nil || !v.Done() {
		t.Fatalf("not done: %v", err)
	}
	// The public key is the sum of the lowest coefficients, and the chain code is by its format.
	sum := edwards25519.NewIdentityPoint()
	var parts []byte
	for _, id := range three {
		open := p.open[id]
		if id == 1 {
			open = v.opened(t)
		}
		sum.Add(sum, open.Coefficients[0])
		parts = append(parts, open.ChainCode[:]...)
	}
	if !bytes.Equal(share.PublicKey(), sum.Bytes()) {
		t.Error("the public key is not the sum of what the parties opened")
	}
	if share.ChainCode() != sha256.Sum256(wire.SigningBytes("ed25519-chain-code", p.binding[:], sum.Bytes(), parts)) {
		t.Error("the chain code is not by its format")
	}
}

// opened is what the victim opened.
func (v *victim) opened(t *testing.T) *frame.Open {
	t.Helper()
	for _, m := range v.Outgoing() {
		f, err := frame.Decode(m.Data, 2)
		if err != nil {
			t.Fatal(err)
		}
		if m.ReleasesShare {
			t.Error("a message of keygen says that it releases a share")
		}
		if f.Open != nil {
			return f.Open
		}
	}
	t.Fatal("the victim opened nothing")
	return nil
}
