package eddsa_test

import (
	"bytes"
	"errors"
	"runtime"
	"slices"
	"testing"

	"filippo.io/edwards25519"
	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/eddsa"
	"github.com/countersign-mpc/countersign/signing/internal/edwards"
	"github.com/countersign-mpc/countersign/signing/signingtest"
)

func TestRefusesConfigurations(t *testing.T) {
	good := eddsa.KeygenConfig{Binding: binding("x"), Self: 1, Parties: three, Threshold: 2}
	for name, spoil := range map[string]func(*eddsa.KeygenConfig){
		"no binding":      func(c *eddsa.KeygenConfig) { c.Binding = [32]byte{} },
		"not a party":     func(c *eddsa.KeygenConfig) { c.Self = 4 },
		"nobody":          func(c *eddsa.KeygenConfig) { c.Self = 0 },
		"one party":       func(c *eddsa.KeygenConfig) { c.Parties = []signing.PartyID{1} },
		"ten parties":     func(c *eddsa.KeygenConfig) { c.Parties = []signing.PartyID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10} },
		"a party twice":   func(c *eddsa.KeygenConfig) { c.Parties = []signing.PartyID{1, 2, 2} },
		"party 0":         func(c *eddsa.KeygenConfig) { c.Parties = []signing.PartyID{0, 1, 2} },
		"threshold 1":     func(c *eddsa.KeygenConfig) { c.Threshold = 1 },
		"threshold above": func(c *eddsa.KeygenConfig) { c.Threshold = 4 },
	} {
		c := good
		spoil(&c)
		if _, err := eddsa.NewKeygen(c); err == nil {
			t.Errorf("%s: started", name)
		}
	}
}

// TestWrongPlaces relabels, repeats and misdelivers whole messages.
func TestWrongPlaces(t *testing.T) {
	p := newPeers(t, t.Name())
	elsewhere := newPeers(t, "another session").recorded(t)
	relabel := func(to slot) func(*victim, slot, *signing.Message) {
		return func(_ *victim, _ slot, m *signing.Message) {
			m.Round, m.Broadcast, m.To = to.round, to.broadcast, 1
			if to.broadcast {
				m.To = 0
			}
		}
	}
	of3 := func(v *victim, s slot, m *signing.Message) { m.Data = v.message(3, s).Data }
	replayed := func(_ *victim, s slot, m *signing.Message) { m.Data = elsewhere.message(2, s).Data }
	cases := map[string]struct {
		at      slot
		change  func(*victim, slot, *signing.Message)
		culprit signing.PartyID
		reason  string
	}{
		"commitment in round 2":         {commitSlot, relabel(openSlot), 2, "the message of round 2"},
		"commitment to us alone":        {commitSlot, relabel(slot{1, false}), 2, "the message of round 1 (broadcast false)"},
		"commitment in round 0":         {commitSlot, relabel(slot{0, true}), 2, "the message of round 0"},
		"opening in round 1":            {openSlot, relabel(commitSlot), 2, "two different messages"},
		"opening in round 3":            {openSlot, relabel(slot{3, true}), 2, "the message of round 3"},
		"opening to us alone":           {openSlot, relabel(shareSlot), 2, "broadcast false"},
		"share as broadcast":            {shareSlot, relabel(openSlot), 2, "two different messages"},
		"commitment of party 3":         {commitSlot, of3, 2, "other coefficients"}, // found when it is opened
		"opening of party 3":            {openSlot, of3, 2, "other coefficients"},
		"share of party 3":              {shareSlot, of3, 2, "not on the polynomial"},
		"commitment of another session": {commitSlot, replayed, 0, "belongs to another session"},
		"opening of another session":    {openSlot, replayed, 0, "belongs to another session"},
		"share of another session":      {shareSlot, replayed, 0, "belongs to another session"},
		"nothing":                       {openSlot, func(_ *victim, _ slot, m *signing.Message) { m.Data = nil }, 2, "malformed"},
		"far too much": {shareSlot, func(_ *victim, _ slot, m *signing.Message) {
			m.Data = append(m.Data, make([]byte, signing.MaxFrame)...)
		}, 2, "malformed"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			v := p.recorded(t)
			err := v.run(func(s slot, m *signing.Message) {
				if s == c.at {
					c.change(v, s, m)
				}
			})
			mustAbort(t, v.Keygen, err, c.culprit, c.reason)
		})
	}
}

// TestCopiedParty lets party 3 say all that party 2 says, as its own: commitments and proofs are of their party.
func TestCopiedParty(t *testing.T) {
	p := newPeers(t, t.Name())
	p.commit[3], p.open[3], p.shares[3] = p.commit[2], p.open[2], p.shares[2]
	v := p.recorded(t)
	mustAbort(t, v.Keygen, v.run(nil), 3, "does not hold in this session")
	// With a proof left out of account it would be the part of the chain code.
	q := newPeers(t, t.Name()+"chain")
	q.commit[3].ChainCode = q.commit[2].ChainCode
	q.open[3].ChainCode = q.open[2].ChainCode
	v = q.recorded(t)
	mustAbort(t, v.Keygen, v.run(nil), 3, "part of the chain code")
}

// TestOtherNumberOfCoefficients is the de-commitment that kills the library, committed to and opened with all else right.
func TestOtherNumberOfCoefficients(t *testing.T) {
	p := newPeers(t, t.Name())
	for _, n := range []int{0, 1, 3, 100} {
		open := *p.open[2]
		open.Coefficients = nil
		for i := range n {
			open.Coefficients = append(open.Coefficients, new(edwards25519.Point).ScalarBaseMult(edwards.Scalar(byte(i+1))))
		}
		p.open[2] = &open
		v := p.recorded(t)
		mustAbort(t, v.Keygen, v.run(nil), 2, "where 2 sign")
	}
}

func TestMisdelivered(t *testing.T) {
	p := newPeers(t, t.Name())
	v := p.recorded(t)
	good := v.message(2, commitSlot)
	for name, spoil := range map[string]func(*signing.Message){
		"from us":             func(m *signing.Message) { m.From = 1 },
		"from a stranger":     func(m *signing.Message) { m.From = 4 },
		"from nobody":         func(m *signing.Message) { m.From = 0 },
		"broadcast to one":    func(m *signing.Message) { m.To = 1 },
		"for another":         func(m *signing.Message) { m.Broadcast, m.To = false, 3 },
		"for nobody, not all": func(m *signing.Message) { m.Broadcast, m.To = false, 0 },
	} {
		m := good
		spoil(&m)
		if err := v.Accept(m); !errors.Is(err, signing.ErrMisdelivered) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := v.run(nil); !errors.Is(err, errReached) { // the session is as it was
		t.Fatal(err)
	}
}

// TestEarlyAndRepeated sends the second round before the first, everything twice, and garbage after the end.
func TestEarlyAndRepeated(t *testing.T) {
	p := newPeers(t, t.Name())
	v := p.victim(t)
	for _, id := range []signing.PartyID{2, 3} {
		v.frames[id] = v.message(id, commitSlot).Data
	}
	var all []signing.Message
	for _, s := range []slot{shareSlot, openSlot, commitSlot} {
		for _, id := range []signing.PartyID{3, 2} {
			all = append(all, v.message(id, s))
		}
	}
	for i, m := range all {
		for range 2 {
			if err := v.Accept(m); err != nil {
				t.Fatal(err)
			}
		}
		if v.Done() != (i == len(all)-1) {
			t.Fatalf("done %t after %d messages", v.Done(), i+1)
		}
		if _, err := v.Share(); (err == nil) != v.Done() || (err != nil && !errors.Is(err, signing.ErrUnfinished)) {
			t.Fatalf("share after %d messages: %v", i+1, err)
		}
	}
	if err := v.Accept(signing.Message{From: 2, Round: 2, Broadcast: true, Data: []byte("garbage")}); err != nil || !v.Done() {
		t.Fatalf("a late message changed the end: %v", err)
	}
	if out := v.Outgoing(); len(out) != 3 {
		t.Fatalf("%d messages of round 2", len(out))
	}
}

func TestSecondMessageForOnePlace(t *testing.T) {
	p := newPeers(t, t.Name())
	v := p.recorded(t)
	first := v.message(2, commitSlot)
	if err := v.Accept(first); err != nil {
		t.Fatal(err)
	}
	second := first
	second.Data = bytes.Clone(first.Data)
	second.Data[len(second.Data)-1] ^= 1
	mustAbort(t, v.Keygen, v.Accept(second), 2, "two different messages")
}

// TestPartiesDisagree starts parties that were given different things: nobody can be blamed.
func TestPartiesDisagree(t *testing.T) {
	for name, spoil := range map[string]func(*eddsa.KeygenConfig){
		"binding":   func(c *eddsa.KeygenConfig) { c.Binding[0] ^= 1 },
		"threshold": func(c *eddsa.KeygenConfig) { c.Threshold = 3 },
		"parties":   func(c *eddsa.KeygenConfig) { c.Parties = []signing.PartyID{1, 2, 3, 4} },
	} {
		network := start(t, three, 2, func(c *eddsa.KeygenConfig) {
			if c.Self == 3 {
				spoil(c)
			}
		})
		for id, err := range network.Run() {
			var abort *signing.Abort
			if !errors.As(err, &abort) || abort.Culprit != 0 {
				t.Errorf("%s: %s ended with %v", name, id, err)
			}
		}
	}
}

// TestEquivocation lets party 3 commit itself to one thing with party 1 and to another with party 2: both find it, and
// neither blames the other. They have released nothing but their openings.
func TestEquivocation(t *testing.T) {
	network, twin := start(t, three, 2, nil), start(t, three, 2, nil)
	other := twin.Sessions[3].Outgoing()[0]
	network.Adversary = func(d signingtest.Delivery) []signingtest.Delivery {
		if d.Message.From == 3 && d.Message.Round == 1 && d.To == 2 {
			d.Message.Data = other.Data
		}
		return []signingtest.Delivery{d}
	}
	for id, err := range network.Run() {
		var abort *signing.Abort
		if !errors.As(err, &abort) || abort.Culprit != 0 {
			t.Errorf("%s ended with %v", id, err)
		}
	}
}

// TestWaitsForEveryMessage leaves out each message in turn: no result, no abort, no hang.
func TestWaitsForEveryMessage(t *testing.T) {
	p := newPeers(t, t.Name())
	for _, missing := range []slot{commitSlot, openSlot, shareSlot} {
		v := p.recorded(t)
		for _, s := range []slot{commitSlot, openSlot, shareSlot} {
			for _, id := range []signing.PartyID{2, 3} {
				m := v.message(id, s)
				if s == commitSlot {
					v.frames[id] = m.Data
				}
				if s == missing && id == 2 {
					continue
				}
				if err := v.Accept(m); err != nil {
					t.Fatal(err)
				}
			}
		}
		if _, err := v.Share(); v.Done() || !errors.Is(err, signing.ErrUnfinished) {
			t.Errorf("without %v: done %t, %v", missing, v.Done(), err)
		}
		if missing == commitSlot && v.sees != 0 {
			t.Error("something was opened before every commitment was there")
		}
	}
}

// TestNothingIsLeftRunning counts goroutines around sessions of the real library that end well, abort, and are dropped.
func TestNothingIsLeftRunning(t *testing.T) {
	p := newPeers(t, t.Name())
	before := runtime.NumGoroutine()
	done := p.victim(t)
	if err := done.run(nil); err != nil || !done.Done() {
		t.Fatal(err)
	}
	aborted := p.victim(t)
	if err := aborted.run(func(s slot, m *signing.Message) {
		if s == shareSlot {
			m.Data[len(m.Data)-1] ^= 1
		}
	}); err == nil {
		t.Fatal("no abort")
	}
	p.victim(t)
	for range 1_000_000 { // those that have sent their last word may still be on their way out
		if runtime.NumGoroutine() <= before {
			return
		}
		runtime.Gosched()
	}
	t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
}

// TestKeysDiffer: the same binding gives another key and chain code each time, and indices need not begin with 1.
func TestKeysDiffer(t *testing.T) {
	parties := []signing.PartyID{9, 4}
	var keys [][]byte
	for range 2 {
		network := start(t, parties, 2, nil)
		share := mustShares(t, network, network.Run())[9]
		code := share.ChainCode()
		if !slices.Equal(share.Parties(), []signing.PartyID{4, 9}) || code == [32]byte{} {
			t.Errorf("%s of %v", share, share.Parties())
		}
		keys = append(keys, share.PublicKey(), code[:])
	}
	if bytes.Equal(keys[0], keys[2]) || bytes.Equal(keys[1], keys[3]) {
		t.Error("two runs made the same key or chain code")
	}
}

func FuzzAccept(f *testing.F) {
	p := newPeers(f, "fuzz")
	seed := p.recorded(f)
	for _, s := range []slot{commitSlot, openSlot, shareSlot} {
		f.Add(byte(s.round), s.broadcast, seed.message(2, s).Data)
	}
	f.Fuzz(func(t *testing.T, round byte, broadcast bool, data []byte) {
		v := p.recorded(t)
		m := signing.Message{From: 2, Round: uint16(round), Broadcast: broadcast, Data: data}
		if !broadcast {
			m.To = 1
		}
		if err := v.Accept(m); err == nil {
			return
		}
		if _, err := v.Share(); v.Done() || err == nil {
			t.Fatal("a share after an abort")
		}
	})
}
