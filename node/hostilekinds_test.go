package node_test

import (
	"testing"
	"time"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/wire"
)

// The rounds of FROST: commitments, then shares of the signature.
const (
	frostFirst = 1
	frostLast  = 2
)

// frosty are the kinds that FROST signs; Taproot without scripts has another tweak only.
func frosty() []kind {
	return []kind{kindOf("BIP340"), kindOf("Taproot with scripts"), kindOf("Ed25519")}
}

func TestACosignerOfEachKindThatSaysWhatItLikes(t *testing.T) {
	t.Parallel()
	d := newDuel(newHall(t)).withCurves(t)
	for _, k := range frosty() {
		t.Run(k.name, func(t *testing.T) {
			var earlier []signing.Message // of a session before
			d.rogue.change(func() {
				d.rogue.forge = func(m signing.Message) []signing.Message {
					earlier = append(earlier, m)
					return []signing.Message{m}
				}
			})
			a, _ := k.ask(t, d.hall, curves[k.cryptography], d.all)
			s := d.offer(a)
			for _, m := range []*member{d.a, d.b} {
				if report := d.awaitReport(s, m.id); !report.Completed {
					t.Fatalf("the report is %v", report)
				}
			}
			fromBefore := func(m signing.Message) []signing.Message {
				for _, e := range earlier {
					if e.Round == m.Round {
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
				{"garbage", inRound(frostFirst, data(func([]byte) []byte { return []byte("garbage") })), "malformed", 3},
				{"nothing in it", inRound(frostFirst, data(func([]byte) []byte { return nil })), "malformed", 3},
				{"nulls", inRound(frostFirst, data(func(b []byte) []byte { return make([]byte, len(b)) })), "malformed", 3},
				{"null commitments", inRound(frostFirst, data(func(b []byte) []byte { clear(b[len(b)-60:]); return b })), "", 3},
				{"a bit flipped", inRound(frostFirst, data(func(b []byte) []byte { b[0] ^= 1; return b })), "malformed", 3},
				{"cut short", inRound(frostLast, data(func(b []byte) []byte { return b[:8] })), "malformed", 3},
				{"too long", inRound(frostLast, data(func(b []byte) []byte { return append(b, make([]byte, 1<<16)...) })), "malformed", 3},
				{"nulls in the last round", inRound(frostLast, data(func(b []byte) []byte { return make([]byte, len(b)) })), "malformed", 3},
				{"not its share", inRound(frostLast, data(func(b []byte) []byte { b[len(b)-16] ^= 1; return b })), "", 3},
				{"no share", inRound(frostLast, data(func(b []byte) []byte { clear(b[len(b)-32:]); return b })), "", 3},
				{"another session's", inRound(frostFirst, fromBefore), "another session", 0},
				{"another session's, in the last round", inRound(frostLast, fromBefore), "another session", 0},
				{"a round that is not", inRound(frostFirst, func(m signing.Message) []signing.Message { m.Round = 99; return []signing.Message{m} }), "malformed", 3},
				{"to one party what is for all", inRound(frostFirst, func(m signing.Message) []signing.Message {
					m.Broadcast, m.To = false, 1
					other := m
					other.To = 2
					return []signing.Message{m, other}
				}), "sent to others than it is for", 3},
				{"the second round without the first", inRound(frostFirst, func(signing.Message) []signing.Message { return nil }), "without the echo", 3},
				{"without end", inRound(frostFirst, func(m signing.Message) []signing.Message {
					out := []signing.Message{m}
					for len(out) < 300 {
						out = append(out, m)
					}
					return out
				}), "more messages than any protocol has", 3},
			} {
				t.Run(c.name, func(t *testing.T) {
					d.rogue.change(func() { d.rogue.forge = c.forge })
					a, _ := k.ask(t, d.hall, curves[k.cryptography], d.all)
					s := d.offer(a)
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
			d.mustSignAgainAs(t, k)
		})
	}
}

func TestACosignerOfEachKindThatTellsTwoThings(t *testing.T) {
	t.Parallel()
	d := newDuel(newHall(t)).withCurves(t)
	for _, k := range frosty() {
		t.Run(k.name, func(t *testing.T) {
			d.rogue.change(func() {
				d.rogue.twist = func(m signing.Message) signing.Message {
					if m.Round == frostFirst { // as good a commitment, to another nonce
						second, err := toySign(d.rogue.last)
						must(t, err)
						m.Data = second.Outgoing()[0].Data
					}
					return m
				}
			})
			a, _ := k.ask(t, d.hall, curves[k.cryptography], d.all)
			s := d.offer(a)
			for _, m := range []*member{d.a, d.b} {
				if report := d.awaitReport(s, m.id); report.Completed || report.Culprit != 0 || !contains(report.Reason, "told ") {
					t.Fatalf("the report is %v", report)
				}
			}
			d.mustSignAgainAs(t, k)
		})
	}
}

func TestACosignerOfEachKindThatRepeatsItself(t *testing.T) {
	t.Parallel()
	d := newDuel(newHall(t)).withCurves(t)
	for _, k := range frosty() {
		d.rogue.change(func() {
			d.rogue.forge = func(m signing.Message) []signing.Message { return []signing.Message{m, m} }
			d.rogue.post = func(e *linkv1.Envelope) []*linkv1.Envelope { return []*linkv1.Envelope{e, e} }
		})
		a, message := k.ask(t, d.hall, curves[k.cryptography], d.all)
		s := d.offer(a)
		for _, m := range []*member{d.a, d.b} {
			report := d.awaitReport(s, m.id)
			if !report.Completed {
				t.Fatalf("%s: the session failed: %s", k.name, report.Reason)
			}
			k.mustVerifyAs(t, report, message, report.Result)
		}
	}
}

func TestADeadCosignerOfEachKind(t *testing.T) {
	t.Parallel()
	d := newDuel(newHall(t)).withCurves(t)
	for _, k := range frosty() {
		nothing := func(signing.Message) []signing.Message { return nil }
		for name, forge := range map[string]func(signing.Message) []signing.Message{
			"from the first message on": nothing, "in the last round": inRound(frostLast, nothing),
		} {
			t.Run(k.name+" "+name, func(t *testing.T) {
				d.rogue.change(func() { d.rogue.forge = forge })
				a, _ := k.ask(t, d.hall, curves[k.cryptography], d.all)
				d.clock.before(200 * time.Millisecond)
				d.do(func() { d.life = time.Second })
				s := d.offer(a)
				for _, m := range []*member{d.a, d.b} {
					if report := d.awaitReport(s, m.id); report.Completed || !contains(report.Reason, "time is over") || len(report.Result) != 0 {
						t.Fatalf("the report is %v", report)
					}
				}
				d.do(func() { d.life = time.Minute })
				d.mustSignAgainAs(t, k)
			})
		}
	}
}

// TestACosignerThatCheatsTheRecipient: the recipient finds out; the other party is done and cannot know.
func TestACosignerThatCheatsTheRecipient(t *testing.T) {
	t.Parallel()
	d := newDuel(newHall(t))
	key := newP256(t)
	d.a.settings.change(func(s *settings) { s.recipient = spki(t, &key.PublicKey) })
	d.withCurves(t)
	for _, k := range kinds {
		last := uint16(frostLast)
		if k.requestType == wire.TypeSign && k.cryptography == wire.ECDSASecp256k1 {
			last = 3 // the toy's
		}
		for name, forge := range map[string]func([]byte) []byte{
			"garbage":   func([]byte) []byte { return []byte("garbage") },
			"cut short": func(b []byte) []byte { return b[:len(b)-1] },
			"not its share": func(b []byte) []byte {
				b[len(b)-16] ^= 1
				return b
			},
		} {
			t.Run(k.name+", "+name, func(t *testing.T) {
				d.rogue.change(func() { d.rogue.forge = inRound(last, data(forge)) })
				a, _ := k.ask(t, d.hall, curves[k.cryptography], d.all)
				s := d.offer(a)
				if report := d.awaitReport(s, d.a.id); report.Completed || len(report.Result) != 0 || report.Reason == "" {
					t.Fatalf("the recipient reports %v", report)
				}
				if report := d.awaitReport(s, d.b.id); !report.Completed || !report.Released || len(report.Result) != 0 {
					t.Fatalf("party 2 reports %v", report)
				}
				if stat, err := d.a.store.Stat(); err != nil || stat.Records["report"] != 0 {
					t.Fatalf("%d reports are stored (%v)", stat.Records["report"], err)
				}
				again := d.offer(a) // party 2 has released its share for this request
				if answer := d.awaitAnswer(again, d.b.id, linkv1.Answer_DONE); !contains(answer.Reason, "its share to the recipient") {
					t.Fatalf("answered with %q", answer.Reason)
				}
				d.end(again, "failed", "party b is done")
			})
		}
		d.mustSignAgainAs(t, k)
	}
}
