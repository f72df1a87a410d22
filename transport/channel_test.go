package transport_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/transport"
	"github.com/countersign-mpc/countersign/wire"
)

// room is the parties of one session, each with its channel.
type room struct {
	configs  []transport.ChannelConfig
	channels []*transport.Channel
}

func newRoom(t testing.TB, n int) *room {
	t.Helper()
	r := &room{}
	m := manifest.Manifest{Type: wire.TypeSign, KeyID: "k", Epoch: 1, Cryptography: wire.ECDSASecp256k1, T: 2, Digest: make([]byte, 32)}
	for i := range n {
		id, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(t, err)
		eph, err := ecdh.X25519().GenerateKey(rand.Reader)
		must(t, err)
		m.Parties = append(m.Parties, manifest.Party{Index: byte(i + 1), NodeID: wire.NodeIDOf(&id.PublicKey)})
		r.configs = append(r.configs, transport.ChannelConfig{SessionID: "s", Self: byte(i + 1), Identity: id, Ephemeral: eph})
	}
	var all []manifest.Contribution
	for _, cfg := range r.configs {
		c := manifest.Contribution{SessionID: "s", Index: cfg.Self, ManifestHash: m.Hash()}
		rand.Read(c.Random[:])
		copy(c.Ephemeral[:], cfg.Ephemeral.PublicKey().Bytes())
		must(t, c.Sign(cfg.Identity))
		all = append(all, c)
	}
	for i := range r.configs {
		r.configs[i].Manifest, r.configs[i].Contributions = m, all
		c, err := transport.NewChannel(r.configs[i])
		must(t, err)
		r.channels = append(r.channels, c)
	}
	return r
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func message(from, to byte, round uint16, data string) signing.Message {
	return signing.Message{From: signing.PartyID(from), To: signing.PartyID(to), Round: round, Broadcast: to == 0, Data: []byte(data)}
}

// seal seals and indexes the envelopes by receiver.
func (r *room) seal(t testing.TB, m signing.Message) map[byte]*linkv1.Envelope {
	t.Helper()
	envelopes, err := r.channels[m.From-1].Seal(m)
	must(t, err)
	out := make(map[byte]*linkv1.Envelope)
	for _, e := range envelopes {
		out[byte(e.To)] = e
	}
	return out
}

func (r *room) open(t testing.TB, e *linkv1.Envelope) []signing.Message {
	t.Helper()
	out, err := r.channels[e.To-1].Open(e)
	must(t, err)
	return out
}

// wantAbort checks that an error is an abort that names the culprit and says why.
func wantAbort(t testing.TB, err error, culprit byte, why string) {
	t.Helper()
	var abort *signing.Abort
	if !errors.As(err, &abort) {
		t.Fatalf("got %v, want an abort", err)
	}
	if byte(abort.Culprit) != culprit || !strings.Contains(abort.Error(), why) {
		t.Fatalf("got %q (culprit %d), want culprit %d and %q", abort, abort.Culprit, culprit, why)
	}
}

func TestMessagesArriveAsSent(t *testing.T) {
	r := newRoom(t, 3)
	for _, m := range []signing.Message{message(1, 2, 2, "hello"), message(1, 0, 2, "to all"), message(1, 3, 2, "")} {
		for to, e := range r.seal(t, m) {
			if bytes.Contains(e.Sealed, []byte("hello")) || bytes.Contains(e.Sealed, []byte("to all")) {
				t.Error("the coordinator can read a message")
			}
			got := r.open(t, e)
			if len(got) != 1 || !bytes.Equal(got[0].Data, m.Data) || got[0].From != 1 || got[0].Broadcast != m.Broadcast || got[0].Round != 2 {
				t.Errorf("party %d got %+v, want %+v", to, got, m)
			}
		}
	}
	if r.channels[0].Binding() != r.channels[2].Binding() {
		t.Error("two parties have different bindings")
	}
}

func TestDuplicatesAreDropped(t *testing.T) {
	r := newRoom(t, 2)
	e := r.seal(t, message(1, 2, 2, "x"))[2]
	if len(r.open(t, e)) != 1 || len(r.open(t, e)) != 0 {
		t.Fatal("a message was handed out twice, or not at all")
	}
	if got := r.open(t, r.seal(t, message(1, 2, 2, "y"))[2]); len(got) != 1 || string(got[0].Data) != "y" {
		t.Fatalf("after a duplicate: %v", got)
	}
}

// Whatever the coordinator does to an envelope ends the session at its receiver, and names nobody.
func TestWhatTheCoordinatorCanDo(t *testing.T) {
	other := newRoom(t, 3)
	for name, tc := range map[string]struct {
		do  func(r *room, e *linkv1.Envelope) *linkv1.Envelope
		why string
	}{
		"flips a bit":    {func(_ *room, e *linkv1.Envelope) *linkv1.Envelope { e.Sealed[3] ^= 1; return e }, "does not authenticate"},
		"truncates":      {func(_ *room, e *linkv1.Envelope) *linkv1.Envelope { e.Sealed = e.Sealed[:5]; return e }, "does not authenticate"},
		"empties":        {func(_ *room, e *linkv1.Envelope) *linkv1.Envelope { e.Sealed = nil; return e }, "does not authenticate"},
		"changes round":  {func(_ *room, e *linkv1.Envelope) *linkv1.Envelope { e.Round = 3; return e }, "does not authenticate"},
		"changes sender": {func(_ *room, e *linkv1.Envelope) *linkv1.Envelope { e.From = 3; return e }, "does not authenticate"},
		"unknown sender": {func(_ *room, e *linkv1.Envelope) *linkv1.Envelope { e.From = 9; return e }, "not in this session"},
		"reflects":       {func(_ *room, e *linkv1.Envelope) *linkv1.Envelope { e.From = 2; return e }, "not in this session"},
		"far sender":     {func(_ *room, e *linkv1.Envelope) *linkv1.Envelope { e.From = 257; return e }, "not for this party"},
		"other receiver": {func(_ *room, e *linkv1.Envelope) *linkv1.Envelope { e.To = 3; return e }, "not for this party"},
		"other session":  {func(_ *room, e *linkv1.Envelope) *linkv1.Envelope { e.SessionId = "x"; return e }, "not for this party"},
		"huge round":     {func(_ *room, e *linkv1.Envelope) *linkv1.Envelope { e.Round = 1 << 20; return e }, "not for this party"},
		"reorders":       {func(r *room, _ *linkv1.Envelope) *linkv1.Envelope { return r.seal(t, message(1, 2, 2, "second"))[2] }, "were lost on the way"},
		"renumbers": {func(r *room, _ *linkv1.Envelope) *linkv1.Envelope {
			second := r.seal(t, message(1, 2, 2, "b"))[2]
			second.Seq = 0
			return second
		}, "does not authenticate"},
		"another session": {func(*room, *linkv1.Envelope) *linkv1.Envelope { return other.seal(t, message(1, 2, 2, "x"))[2] }, "does not authenticate"},
		"too large": {func(_ *room, e *linkv1.Envelope) *linkv1.Envelope {
			e.Sealed = make([]byte, transport.MaxSealed+1)
			return e
		}, "larger than"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRoom(t, 3)
			e := tc.do(r, proto.CloneOf(r.seal(t, message(1, 2, 2, "x"))[2]))
			_, err := r.channels[1].Open(e)
			wantAbort(t, err, 0, tc.why)
			if _, again := r.channels[1].Open(e); again == nil {
				t.Error("the channel goes on after an abort")
			}
			if _, err := r.channels[1].Seal(message(2, 1, 2, "x")); err == nil {
				t.Error("the channel still sends after an abort")
			}
		})
	}
}

// A message of the next round waits until all broadcasts of this round are there, and carries the sender's view of them.
func TestEchoHoldsMessagesBack(t *testing.T) {
	r := newRoom(t, 3)
	b1, b2, b3 := r.seal(t, message(1, 0, 2, "a")), r.seal(t, message(2, 0, 2, "b")), r.seal(t, message(3, 0, 2, "c"))
	for _, e := range []*linkv1.Envelope{b1[2], b3[2], b1[3], b2[3], b2[1]} {
		if got := r.open(t, e); len(got) != 1 {
			t.Fatalf("a broadcast of the first round was held back: %v", got)
		}
	}
	next := r.seal(t, message(2, 1, 3, "early"))[1] // party 1 has not got party 3's broadcast yet
	if got := r.open(t, next); len(got) != 0 {
		t.Fatalf("handed out before the echo could be checked: %v", got)
	}
	if _, err := r.channels[0].Seal(message(1, 2, 3, "x")); err == nil {
		t.Fatal("party 1 sent a message of round 3 without all broadcasts of round 2")
	}
	got := r.open(t, b3[1])
	if len(got) != 2 || string(got[0].Data) != "early" && string(got[1].Data) != "early" {
		t.Fatalf("after the last broadcast: %v", got)
	}
	if _, err := r.channels[0].Echo(); err != nil {
		t.Fatalf("echo of a complete round: %v", err)
	}
}

// evil is a party that keeps to the channel's cryptography and lies about everything else: it has two channels of itself.
type evil struct{ one, two *transport.Channel }

func (r *room) evil(t testing.TB, party byte) evil {
	t.Helper()
	two, err := transport.NewChannel(r.configs[party-1])
	must(t, err)
	return evil{r.channels[party-1], two}
}

func TestEquivocationIsFound(t *testing.T) {
	r := newRoom(t, 3)
	e := r.evil(t, 3)
	toOne, err := e.one.Seal(message(3, 0, 2, "yes"))
	must(t, err)
	toTwo, err := e.two.Seal(message(3, 0, 2, "no"))
	must(t, err)
	b1, b2 := r.seal(t, message(1, 0, 2, "a")), r.seal(t, message(2, 0, 2, "b"))
	r.open(t, toOne[0])
	r.open(t, b2[1])
	r.open(t, toTwo[1])
	r.open(t, b1[2])
	_, err = r.channels[0].Open(r.seal(t, message(2, 1, 3, "x"))[1])
	wantAbort(t, err, 0, "told two others different things")
}

func TestSecondBroadcastOfARound(t *testing.T) {
	r := newRoom(t, 2)
	same, again := r.seal(t, message(1, 0, 2, "a"))[2], r.seal(t, message(1, 0, 2, "a"))[2]
	r.open(t, same)
	r.open(t, again)
	if _, err := r.channels[0].Seal(message(1, 0, 2, "b")); err == nil {
		t.Fatal("a party's own channel sends two different broadcasts in a round")
	}
	// A party that has no such scruples: a fresh channel of it, advanced to the same place.
	liar := r.evil(t, 1).two
	for range 2 {
		_, err := liar.Seal(message(1, 2, 2, "skip"))
		must(t, err)
	}
	out, err := liar.Seal(message(1, 0, 2, "b"))
	must(t, err)
	_, err = r.channels[1].Open(out[0])
	wantAbort(t, err, 1, "two different broadcasts")
}

func TestMissingEcho(t *testing.T) {
	r := newRoom(t, 2)
	r.open(t, r.seal(t, message(2, 0, 2, "b"))[1])
	liar := r.evil(t, 1).two // has broadcast nothing, so it sends no echo
	out, err := liar.Seal(message(1, 2, 3, "x"))
	must(t, err)
	_, err = r.channels[1].Open(out[0])
	wantAbort(t, err, 1, "without the echo")
}

func TestTooManyMessages(t *testing.T) {
	r := newRoom(t, 2)
	var err error
	for i := 0; err == nil && i < 10_000; i++ {
		_, err = r.channels[1].Open(r.seal(t, message(1, 2, 2, fmt.Sprint(i)))[2])
	}
	wantAbort(t, err, 1, "more messages than")
}

func TestNewChannelRefuses(t *testing.T) {
	good := newRoom(t, 3)
	for name, change := range map[string]func(*transport.ChannelConfig){
		"no identity":      func(c *transport.ChannelConfig) { c.Identity = nil },
		"no ephemeral":     func(c *transport.ChannelConfig) { c.Ephemeral = nil },
		"not in manifest":  func(c *transport.ChannelConfig) { c.Self = 7 },
		"somebody else":    func(c *transport.ChannelConfig) { c.Self = 2 },
		"other ephemeral":  func(c *transport.ChannelConfig) { c.Ephemeral = good.configs[1].Ephemeral },
		"other session id": func(c *transport.ChannelConfig) { c.SessionID = "x" },
		"other manifest":   func(c *transport.ChannelConfig) { c.Manifest.Path = "m/1" },
		"one missing":      func(c *transport.ChannelConfig) { c.Contributions = c.Contributions[:2] },
		"low-order point": func(c *transport.ChannelConfig) {
			all := append([]manifest.Contribution(nil), c.Contributions...)
			all[1].Ephemeral = [32]byte{1}
			must(t, all[1].Sign(good.configs[1].Identity))
			c.Contributions = all
		},
	} {
		cfg := good.configs[0]
		change(&cfg)
		if _, err := transport.NewChannel(cfg); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}

func TestSealRefuses(t *testing.T) {
	r := newRoom(t, 2)
	for name, m := range map[string]signing.Message{
		"another's message": message(2, 1, 2, "x"), "unknown receiver": message(1, 5, 2, "x"),
		"too large": message(1, 2, 2, strings.Repeat("x", transport.MaxSealed)),
	} {
		if _, err := r.channels[0].Seal(m); err == nil {
			t.Errorf("%s: sealed", name)
		}
	}
}

func FuzzOpen(f *testing.F) {
	r := newRoom(f, 2)
	e := r.seal(f, message(1, 2, 2, "x"))[2]
	f.Add(e.From, e.To, e.Seq, e.Round, e.Sealed)
	f.Add(uint32(9), uint32(2), uint64(1), uint32(0), []byte{})
	f.Fuzz(func(t *testing.T, from, to uint32, seq uint64, round uint32, sealed []byte) {
		c, err := transport.NewChannel(r.configs[1])
		must(t, err)
		out, err := c.Open(&linkv1.Envelope{SessionId: "s", From: from, To: to, Seq: seq, Round: round, Sealed: sealed})
		if err == nil && len(out) > 0 && !bytes.Equal(sealed, e.Sealed) {
			t.Fatal("something that no party sealed was opened")
		}
	})
}
