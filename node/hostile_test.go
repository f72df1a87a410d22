package node_test

import (
	"bytes"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/wire"
)

// mustSignAgain wants the nodes to be as good as before.
func (d *duel) mustSignAgain(t testing.TB) {
	t.Helper()
	d.do(func() { d.route = nil })
	d.rogue.change(func() { d.rogue.forge, d.rogue.post, d.rogue.other, d.rogue.twist = nil, nil, nil, nil })
	s := d.offer(d.signing())
	for _, m := range []*member{d.a, d.b} {
		if report := d.awaitReport(s, m.id); !report.Completed {
			t.Fatalf("the next session failed: %s", report.Reason)
		}
	}
}

// inRound forges what is said in one round and leaves the rest.
func inRound(round uint16, f func(signing.Message) []signing.Message) func(signing.Message) []signing.Message {
	return func(m signing.Message) []signing.Message {
		if m.Round == round {
			return f(m)
		}
		return []signing.Message{m}
	}
}

func data(f func([]byte) []byte) func(signing.Message) []signing.Message {
	return func(m signing.Message) []signing.Message {
		m.Data = f(bytes.Clone(m.Data))
		return []signing.Message{m}
	}
}

func TestACosignerThatSaysWhatItLikes(t *testing.T) {
	t.Parallel()
	d := newDuel(newHall(t)).withKey()
	var earlier []signing.Message // of a session before
	d.rogue.change(func() {
		d.rogue.forge = func(m signing.Message) []signing.Message {
			earlier = append(earlier, m)
			return []signing.Message{m}
		}
	})
	s := d.offer(d.signing())
	d.mustBeSignedBy(t, s)
	fromBefore := func(m signing.Message) []signing.Message {
		for _, e := range earlier {
			if e.Round == m.Round && e.To == m.To {
				return []signing.Message{e}
			}
		}
		return []signing.Message{m}
	}
	for _, c := range []struct {
		name    string
		forge   func(signing.Message) []signing.Message
		reason  string
		culprit uint32
	}{
		{"garbage", inRound(2, data(func([]byte) []byte { return []byte("garbage") })), "malformed", 3},
		{"nothing in it", inRound(2, data(func([]byte) []byte { return nil })), "malformed", 3},
		{"nulls", inRound(2, data(func(b []byte) []byte { return make([]byte, len(b)) })), "malformed", 3},
		{"a bit flipped", inRound(2, data(func(b []byte) []byte { b[0] ^= 1; return b })), "malformed", 3},
		{"cut short", inRound(3, data(func(b []byte) []byte { return b[:8] })), "malformed", 3},
		{"too long", inRound(3, data(func(b []byte) []byte { return append(b, make([]byte, 1<<16)...) })), "malformed", 3},
		{"not a share", inRound(3, data(func(b []byte) []byte { b[len(b)-1] ^= 1; return b })), "", 0},
		{"another session's", inRound(2, fromBefore), "another session", 0},
		{"another session's, in the last round", inRound(3, fromBefore), "another session", 0},
		{"another round's", inRound(2, func(m signing.Message) []signing.Message { m.Round = 3; return []signing.Message{m} }), "echo of the round before", 3},
		{"a round that is not", inRound(2, func(m signing.Message) []signing.Message { m.Round = 99; return []signing.Message{m} }), "malformed", 3},
		{"without end", inRound(2, func(m signing.Message) []signing.Message {
			out := []signing.Message{m}
			for m.Broadcast && len(out) < 300 {
				out = append(out, m)
			}
			return out
		}), "more messages than any protocol has", 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			d.rogue.change(func() { d.rogue.forge = c.forge })
			s := d.offer(d.signing())
			for _, m := range []*member{d.a, d.b} {
				report := d.awaitReport(s, m.id)
				if report.Completed || !contains(report.Reason, c.reason) || report.Reason == "" || len(report.Result) != 0 {
					t.Fatalf("the report is %v", report)
				}
				if report.Culprit != c.culprit {
					t.Fatalf("party %d is named: %v", report.Culprit, report)
				}
			}
		})
	}
	d.mustSignAgain(t)
}

// mustBeSignedBy is mustBeSigned for the nodes of a duel.
func (d *duel) mustBeSignedBy(t testing.TB, s *session) {
	t.Helper()
	for _, m := range []*member{d.a, d.b} {
		report := d.awaitReport(s, m.id)
		if !report.Completed {
			t.Fatalf("the session failed: %s", report.Reason)
		}
		mustVerify(t, report)
	}
}

func TestACosignerThatTellsTwoThings(t *testing.T) {
	t.Parallel()
	d := newDuel(newHall(t)).withKey()
	d.rogue.change(func() {
		d.rogue.twist = func(m signing.Message) signing.Message {
			if m.Broadcast && m.Round == 2 {
				m.Data = append(bytes.Clone(m.Data), 7)
			}
			return m
		}
	})
	s := d.offer(d.signing())
	for _, m := range []*member{d.a, d.b} {
		if report := d.awaitReport(s, m.id); report.Completed || report.Culprit != 0 || !contains(report.Reason, "told two others different things") {
			t.Fatalf("the report is %v", report)
		}
	}
	d.mustSignAgain(t)
}

func TestACosignerThatRepeatsItself(t *testing.T) {
	t.Parallel()
	d := newDuel(newHall(t)).withKey()
	d.rogue.change(func() {
		d.rogue.forge = func(m signing.Message) []signing.Message { return []signing.Message{m, m} }
		d.rogue.post = func(e *linkv1.Envelope) []*linkv1.Envelope { return []*linkv1.Envelope{e, e} }
	})
	d.mustBeSignedBy(t, d.offer(d.signing()))
}

func TestADeadCosigner(t *testing.T) {
	t.Parallel()
	silent := map[string]func(*rogue){
		"from the first message on": func(r *rogue) { r.post = func(*linkv1.Envelope) []*linkv1.Envelope { return nil } },
		"in the last round": func(r *rogue) {
			r.forge = inRound(3, func(signing.Message) []signing.Message { return nil })
		},
	}
	for name, dies := range silent {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDuel(newHall(t)).withKey()
			d.rogue.change(func() { dies(d.rogue) })
			d.clock.before(200 * time.Millisecond)
			d.do(func() { d.life = time.Second })
			s := d.offer(d.signing())
			for _, m := range []*member{d.a, d.b} {
				if report := d.awaitReport(s, m.id); report.Completed || !contains(report.Reason, "time is over") || report.Culprit != 0 {
					t.Fatalf("the report is %v", report)
				}
			}
			d.do(func() { d.life = time.Minute })
			d.mustSignAgain(t)
		})
	}
}

func TestPartiesThatWereAskedForDifferentThings(t *testing.T) {
	t.Parallel()
	d := newDuel(newHall(t)).withKey()
	for name, other := range map[string]func(*manifest.Manifest){
		"path":      func(m *manifest.Manifest) { m.Path = "m/1" },
		"digest":    func(m *manifest.Manifest) { m.Digest = make([]byte, 32) },
		"epoch":     func(m *manifest.Manifest) { m.Epoch = 2 },
		"terms":     func(m *manifest.Manifest) { m.Terms[0]++ },
		"guard":     func(m *manifest.Manifest) { m.Parties[0].Guarded = false },
		"requester": func(m *manifest.Manifest) { m.RequesterSignature = []byte{1} },
		"type":      func(m *manifest.Manifest) { m.Type = wire.TypeTaprootSign },
	} {
		t.Run(name, func(t *testing.T) {
			d.rogue.change(func() {
				d.rogue.other = func(m manifest.Manifest) manifest.Manifest { other(&m); return m }
			})
			s := d.offer(d.signing())
			d.mustFail(t, s, "manifests differ", d.a, d.b)
			for _, m := range []*member{d.a, d.b} {
				if n := d.count(m.id, func(f *linkv1.Frame) bool { return f.GetEnvelope().GetSessionId() == s.id }); n != 0 {
					t.Fatal("a protocol message was sent")
				}
			}
			d.mustSignAgain(t)
		})
	}
	for name, alter := range map[string]func(*linkv1.Terms){
		"path": func(t *linkv1.Terms) { t.Path = "m/0" }, "tx_info": func(t *linkv1.Terms) { t.TxInfo = []byte(`{"to":"somebody"}`) },
	} {
		t.Run(name+", by the coordinator", func(t *testing.T) {
			a := d.signing()
			a.alter = func(to wire.NodeID, o *linkv1.Offer) {
				if to == d.b.id {
					alter(o.Terms)
				}
			}
			d.mustFail(t, d.offer(a), "manifests differ", d.a, d.b)
			d.mustSignAgain(t)
		})
	}
}

func TestACoordinatorThatTampers(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	var earlier *linkv1.Envelope
	r.do(func() {
		r.route = func(to wire.NodeID, f *linkv1.Frame) []*linkv1.Frame {
			if e := f.GetEnvelope(); e != nil && to == r.a.id && e.From == 2 && e.Seq == 0 {
				earlier = proto.CloneOf(e)
			}
			return []*linkv1.Frame{f}
		}
	})
	r.mustSign(r.signing())

	envelope := func(f func(*linkv1.Envelope) []*linkv1.Envelope) func(*linkv1.Frame) []*linkv1.Frame {
		return func(frame *linkv1.Frame) []*linkv1.Frame {
			e := frame.GetEnvelope()
			if e == nil || e.From != 2 || e.Seq != 0 {
				return []*linkv1.Frame{frame}
			}
			var out []*linkv1.Frame
			for _, e := range f(e) {
				out = append(out, &linkv1.Frame{Body: &linkv1.Frame_Envelope{Envelope: e}})
			}
			return out
		}
	}
	altered := func(change func(*linkv1.Envelope)) func(*linkv1.Frame) []*linkv1.Frame {
		return envelope(func(e *linkv1.Envelope) []*linkv1.Envelope { change(e); return []*linkv1.Envelope{e} })
	}
	contribution := func(change func(*linkv1.Contribution)) func(*linkv1.Frame) []*linkv1.Frame {
		return func(frame *linkv1.Frame) []*linkv1.Frame {
			if c := frame.GetContribution(); c != nil && c.Index == 2 {
				change(c)
			}
			return []*linkv1.Frame{frame}
		}
	}
	for _, c := range []struct {
		name   string
		route  func(*linkv1.Frame) []*linkv1.Frame
		reason string
	}{
		{"sealed bytes changed", altered(func(e *linkv1.Envelope) { e.Sealed[3] ^= 1 }), "does not authenticate"},
		{"nothing sealed", altered(func(e *linkv1.Envelope) { e.Sealed = nil }), "does not authenticate"},
		{"too much sealed", altered(func(e *linkv1.Envelope) { e.Sealed = make([]byte, 1<<20+1) }), "larger than"},
		{"round changed", altered(func(e *linkv1.Envelope) { e.Round++ }), "does not authenticate"},
		{"a round out of bounds", altered(func(e *linkv1.Envelope) { e.Round = 1 << 31 }), "not for this party and session"},
		{"sender changed", altered(func(e *linkv1.Envelope) { e.From = 3 }), ""}, // or it passes for one delivered again, and party 2's is lost
		{"sender that is not", altered(func(e *linkv1.Envelope) { e.From = 7 }), "party 7"},
		{"receiver changed", altered(func(e *linkv1.Envelope) { e.To = 2 }), "not for this party"},
		{"one lost", envelope(func(*linkv1.Envelope) []*linkv1.Envelope { return nil }), "were lost on the way"},
		{"another session's", envelope(func(e *linkv1.Envelope) []*linkv1.Envelope {
			old := proto.CloneOf(earlier)
			old.SessionId = e.SessionId
			return []*linkv1.Envelope{old, e}
		}), "does not authenticate"},
		{"contribution unsigned", contribution(func(c *linkv1.Contribution) { c.Signature = nil }), "is not signed by"},
		{"another ephemeral key", contribution(func(c *linkv1.Contribution) { c.Ephemeral = bytes.Repeat([]byte{9}, 32) }), "is not signed by"},
		{"contribution as another", contribution(func(c *linkv1.Contribution) { c.Index = 3 }), "is not signed by"},
		{"contribution of none", contribution(func(c *linkv1.Contribution) { c.Index = 9 }), "not in this session"},
		{"contribution cut short", contribution(func(c *linkv1.Contribution) { c.Random = c.Random[:31] }), "not well formed"},
		{"contribution of index 0", contribution(func(c *linkv1.Contribution) { c.Index = 0 }), "not well formed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r.do(func() {
				r.route = func(to wire.NodeID, f *linkv1.Frame) []*linkv1.Frame {
					if to != r.a.id {
						return []*linkv1.Frame{f}
					}
					return c.route(f)
				}
			})
			s := r.offer(r.signing())
			r.mustFail(t, s, c.reason, r.a)
			if report := s.reports[r.a.id]; report.Culprit != 0 {
				t.Fatalf("party %d is named for what the coordinator did", report.Culprit)
			}
			r.end(s, "failed", "party a failed")
			r.do(func() { r.route = nil })
			for _, m := range []*member{r.b, r.c} {
				r.awaitReport(s, m.id)
			}
		})
	}
	r.mustSign(r.signing())
}

func TestAPartyWithTwoFaces(t *testing.T) {
	t.Parallel()
	d := newDuel(newHall(t)).withKey()
	d.do(func() {
		d.route = func(to wire.NodeID, f *linkv1.Frame) []*linkv1.Frame {
			c := f.GetContribution()
			if c == nil || c.Index != 3 || to != d.a.id {
				return []*linkv1.Frame{f}
			}
			second := manifest.Contribution{SessionID: c.SessionId, Index: 3, ManifestHash: [32]byte(c.ManifestHash), Random: [32]byte(c.Random), Ephemeral: [32]byte{9}}
			must(t, second.Sign(d.rogue.key))
			other := proto.CloneOf(c)
			other.Ephemeral, other.Signature = second.Ephemeral[:], second.Signature
			return []*linkv1.Frame{f, {Body: &linkv1.Frame_Contribution{Contribution: other}}}
		}
	})
	s := d.offer(d.signing())
	if report := d.awaitReport(s, d.a.id); report.Completed || report.Culprit != 3 || !contains(report.Reason, "two different contributions") {
		t.Fatalf("the report is %v", report)
	}
}

func TestMessagesBeforeTheContributionsAreKept(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	var held []*linkv1.Frame
	r.do(func() {
		r.route = func(to wire.NodeID, f *linkv1.Frame) []*linkv1.Frame {
			switch c := f.GetContribution(); {
			case to == r.a.id && c.GetIndex() == 3:
				held = append(held, f)
				return nil
			case to == r.a.id && f.GetEnvelope() != nil && held != nil: // the first protocol message overtakes it
				out := append([]*linkv1.Frame{f}, held...)
				held = nil
				return out
			}
			return []*linkv1.Frame{f}
		}
	})
	r.mustSign(r.signing())
}
