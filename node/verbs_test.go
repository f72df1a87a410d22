package node_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/wire"
)

// What a coordinator may do to a session, each against every protocol: either the session comes to its result all the same,
// or it is aborted with a reason. There is never a wrong signature, and nobody waits beyond the session's time.

// carrier is what a coordinator does to the frames for party 1; the others are served honestly.
type carrier func(f *linkv1.Frame) []*linkv1.Frame

// frames makes one of several, for a carrier.
func frames(all ...*linkv1.Frame) []*linkv1.Frame { return all }

// verb is something that a coordinator does.
type verb struct {
	name    string
	carrier func(earlier *linkv1.Frame) carrier // earlier is an envelope of party 2 in a session before
	reason  string                              // empty: the session has its result
	silent  bool                                // only the end of the session's time ends it
}

var verbs = []verb{
	{name: "replays each message at once", carrier: func(*linkv1.Frame) carrier {
		return func(f *linkv1.Frame) []*linkv1.Frame {
			if f.GetEnvelope() == nil && f.GetContribution() == nil {
				return frames(f)
			}
			return frames(f, f, f)
		}
	}},
	{name: "replays all that went before, with each message", carrier: func(*linkv1.Frame) carrier {
		var before []*linkv1.Frame
		return func(f *linkv1.Frame) []*linkv1.Frame {
			before = append(before, f)
			return append(frames(before...), f)
		}
	}},
	{name: "replays another session's message", reason: "does not authenticate", carrier: func(earlier *linkv1.Frame) carrier {
		return func(f *linkv1.Frame) []*linkv1.Frame {
			if e := f.GetEnvelope(); e != nil && e.From == 2 && e.Seq == 0 {
				old := proto.CloneOf(earlier)
				old.GetEnvelope().SessionId = e.SessionId
				return frames(old)
			}
			return frames(f)
		}
	}},
	{name: "replays one party's message as another's", reason: "does not authenticate", carrier: func(*linkv1.Frame) carrier {
		return func(f *linkv1.Frame) []*linkv1.Frame {
			if e := f.GetEnvelope(); e != nil && e.From == 2 && e.Seq == 0 {
				other := proto.CloneOf(f)
				other.GetEnvelope().From, other.GetEnvelope().Seq = 3, 0
				return frames(other, f)
			}
			if e := f.GetEnvelope(); e != nil && e.From == 3 && e.Seq == 0 {
				return nil // so that party 2's is the first of its number
			}
			return frames(f)
		}
	}},
	{name: "carries one party's messages after another's", carrier: func(*linkv1.Frame) carrier {
		var held []*linkv1.Frame
		other := false
		return func(f *linkv1.Frame) []*linkv1.Frame {
			switch from := f.GetEnvelope().GetFrom(); {
			case from == 2 && !other:
				held = append(held, f)
				return nil
			case from == 3 && !other:
				other = true
				return append(frames(f), held...)
			}
			return frames(f)
		}
	}},
	{name: "carries a party's messages the other way round", reason: "were lost on the way", carrier: func(*linkv1.Frame) carrier {
		var first *linkv1.Frame
		return func(f *linkv1.Frame) []*linkv1.Frame {
			switch e := f.GetEnvelope(); {
			case e == nil || e.From != 2:
				return frames(f)
			case e.Seq == 0:
				first = f
				e2 := proto.CloneOf(f) // its number is authenticated: the second cannot be had before the first was answered
				e2.GetEnvelope().Seq = 1
				return frames(e2, first)
			default:
				return frames(f)
			}
		}
	}},
	{name: "drops a message", reason: "time is over", silent: true, carrier: func(*linkv1.Frame) carrier {
		return func(f *linkv1.Frame) []*linkv1.Frame {
			if e := f.GetEnvelope(); e != nil && e.From == 2 && e.Seq == 0 {
				return nil
			}
			return frames(f)
		}
	}},
	{name: "drops a contribution", reason: "time is over", silent: true, carrier: func(*linkv1.Frame) carrier {
		return func(f *linkv1.Frame) []*linkv1.Frame {
			if f.GetContribution().GetIndex() == 2 {
				return nil
			}
			return frames(f)
		}
	}},
	{name: "changes a message", reason: "does not authenticate", carrier: func(*linkv1.Frame) carrier {
		return func(f *linkv1.Frame) []*linkv1.Frame {
			if e := f.GetEnvelope(); e != nil && e.From == 3 && e.Seq == 1 {
				e.Sealed[len(e.Sealed)-1] ^= 1
			}
			return frames(f)
		}
	}},
	{name: "says that the session is over", reason: "the coordinator ended the session: so it says", carrier: func(*linkv1.Frame) carrier {
		return func(f *linkv1.Frame) []*linkv1.Frame {
			if e := f.GetEnvelope(); e != nil {
				return frames(&linkv1.Frame{Body: &linkv1.Frame_End{End: &linkv1.End{SessionId: e.SessionId, State: "failed", Reason: "so it says"}}}, f)
			}
			return frames(f)
		}
	}},
	{name: "says that the session is completed", carrier: func(*linkv1.Frame) carrier {
		return func(f *linkv1.Frame) []*linkv1.Frame {
			if e := f.GetEnvelope(); e != nil {
				return frames(&linkv1.Frame{Body: &linkv1.Frame_End{End: &linkv1.End{SessionId: e.SessionId, State: "completed"}}}, f)
			}
			return frames(f)
		}
	}},
}

// run is one protocol: it makes requests and checks what comes of them.
type run struct {
	name   string
	offer  func() *session
	verify func(*linkv1.Report)
}

// runs are the protocols of a trio with a key of each curve, and the making of more such keys.
func (r *trio) runs(t testing.TB) []run {
	var out []run
	for _, k := range kinds {
		var message []byte
		out = append(out, run{k.name, func() *session {
			var a ask
			a, message = k.ask(t, r.hall, curves[k.cryptography], r.all)
			return r.offer(a)
		}, func(report *linkv1.Report) { k.mustVerifyAs(t, report, message, report.Result) }})
	}
	for _, k := range []struct {
		name, cryptography string
		real               bool
	}{{"keygen ECDSA, a toy", wire.ECDSASecp256k1, false}, {"keygen Ed25519, the real one", wire.EdDSAEd25519, true}} {
		out = append(out, run{k.name, func() *session {
			for _, m := range []*member{r.a, r.b, r.c} {
				m.toys.change(func(y *toys) { y.real = k.real })
			}
			a := keygenOf(r.number("sino"), r.number("made"), 2, r.all)
			a.terms.Cryptography = k.cryptography
			return r.offer(a)
		}, func(report *linkv1.Report) {
			if len(report.PublicKey) < 32 {
				t.Fatalf("the report is %v", report)
			}
		}})
	}
	return out
}

// eachRun does something with each of the runs, at one time, each with nodes of its own.
func eachRun(t *testing.T, do func(*testing.T, *trio, run)) {
	for i, run := range (&trio{}).runs(t) {
		t.Run(run.name, func(t *testing.T) {
			t.Parallel()
			r := newCurves(t, 3)
			do(t, r, r.runs(t)[i])
		})
	}
}

// mustComplete wants a session to have come to its result everywhere.
func (r *trio) mustComplete(t testing.TB, run run, s *session) {
	t.Helper()
	for _, m := range []*member{r.a, r.b, r.c} {
		report := r.awaitReport(s, m.id)
		if !report.Completed {
			t.Fatalf("the session failed: %s", report.Reason)
		}
		run.verify(report)
	}
}

func TestWhatACoordinatorMayDo(t *testing.T) {
	t.Parallel()
	eachRun(t, func(t *testing.T, r *trio, run run) {
		var earlier *linkv1.Frame
		r.do(func() {
			r.route = func(to wire.NodeID, f *linkv1.Frame) []*linkv1.Frame {
				if e := f.GetEnvelope(); e != nil && to == r.a.id && e.From == 2 && e.Seq == 0 {
					earlier = proto.CloneOf(f)
				}
				return frames(f)
			}
		})
		r.mustComplete(t, run, run.offer())
		for _, v := range verbs {
			t.Run(v.name, func(t *testing.T) { r.endure(t, run, v, earlier) })
		}
		r.mustComplete(t, run, run.offer())
	})
}

// endure lets a coordinator do something to a session of a protocol.
func (r *trio) endure(t *testing.T, run run, v verb, earlier *linkv1.Frame) {
	carry := v.carrier(earlier)
	if v.silent {
		r.clock.before(300 * time.Millisecond)
	}
	r.do(func() {
		if v.silent {
			r.life = time.Second
		}
		r.route = func(to wire.NodeID, f *linkv1.Frame) []*linkv1.Frame {
			if to != r.a.id {
				return frames(f)
			}
			return carry(f)
		}
	})
	s := run.offer()
	defer r.do(func() { r.life, r.route = 5*time.Minute, nil })
	if v.reason == "" {
		r.mustComplete(t, run, s)
		return
	}
	report := r.awaitReport(s, r.a.id)
	if report.Completed || report.Culprit != 0 || len(report.Result) != 0 || !contains(report.Reason, v.reason) && !contains(report.Reason, "were lost on the way") {
		t.Fatalf("the report is %v", report)
	}
	r.end(s, "failed", "party a failed")
	for _, m := range []*member{r.b, r.c} { // they may have their result by then, and it is right
		if report := r.awaitReport(s, m.id); report.Completed {
			run.verify(report)
		} else if report.Reason == "" || len(report.Result) != 0 {
			t.Fatalf("the report is %v", report)
		}
	}
}

// TestACoordinatorThatRestarts: all links break in the middle of a session. Whether the coordinator knows the session
// afterwards or not, it ends.
func TestACoordinatorThatRestarts(t *testing.T) {
	t.Parallel()
	eachRun(t, func(t *testing.T, r *trio, run run) {
		for _, remembers := range []bool{true, false} {
			t.Run(map[bool]string{true: "and remembers", false: "and has forgotten"}[remembers], func(t *testing.T) {
				broken, lost := false, make(chan struct{})
				r.do(func() {
					r.lose = func(_ wire.NodeID, f *linkv1.Frame) bool {
						if broken || f.GetEnvelope() == nil {
							return false
						}
						broken = true
						close(lost)
						for _, m := range []*member{r.a, r.b, r.c} {
							_ = r.ports[m.id].(*socket).conn.CloseNow()
						}
						return true
					}
				})
				s := run.offer()
				receive(t, lost)
				r.do(func() { r.lose = nil })
				if remembers {
					r.mustComplete(t, run, s)
					return
				}
				r.end(s, "failed", "the coordinator knows no such session")
				for _, m := range []*member{r.a, r.b, r.c} {
					spin(t, "a link", func() bool { return m.node.Linked() })
					r.end(s, "failed", "the coordinator knows no such session")
				}
				for _, m := range []*member{r.a, r.b, r.c} {
					if report := r.awaitReport(s, m.id); report.Completed {
						run.verify(report) // it was quicker
					} else if !contains(report.Reason, "the coordinator knows no such session") {
						t.Fatalf("the report is %v", report)
					}
				}
				r.mustComplete(t, run, run.offer())
			})
		}
	})
}

// TestACoordinatorThatLiesAboutTheParties: two nodes are told of different sets of signers.
func TestACoordinatorThatLiesAboutTheParties(t *testing.T) {
	t.Parallel()
	r := newCurves(t, 2)
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			a, _ := k.ask(t, r.hall, curves[k.cryptography], r.all[:2])
			r.do(func() { r.manual = true })
			a.alter = func(to wire.NodeID, o *linkv1.Offer) {
				if to == r.b.id {
					o.Parties[0] = &linkv1.Party{Index: 3, NodeId: string(r.c.id)}
					o.Parties[0], o.Parties[1] = o.Parties[1], o.Parties[0]
				}
			}
			s := r.offer(a)
			for _, m := range []*member{r.a, r.b} {
				r.awaitAnswer(s, m.id, linkv1.Answer_APPROVED)
			}
			r.do(func() {
				r.route = func(to wire.NodeID, f *linkv1.Frame) []*linkv1.Frame {
					if b := f.GetBegin(); b != nil && to == r.b.id {
						b.Statements[0] = &linkv1.Statement{Index: 3, NodeId: string(r.c.id), Guarded: true}
						b.Statements[0], b.Statements[1] = b.Statements[1], b.Statements[0]
					}
					if c := f.GetContribution(); c != nil && to == r.b.id { // party 1's as party 3's
						c.Index = 3
					}
					return frames(f)
				}
				r.begin(s)
			})
			report := r.awaitReport(s, r.a.id)
			if report.Completed || !contains(report.Reason, "manifests differ") {
				t.Fatalf("party 1 reports %v", report)
			}
			if report = r.awaitReport(s, r.b.id); report.Completed || !contains(report.Reason, "is not signed by") {
				t.Fatalf("party 2 reports %v", report)
			}
			r.do(func() { r.manual, r.route = false, nil })
			again, message := k.ask(t, r.hall, curves[k.cryptography], r.all[:2])
			r.mustSignAs(t, k, again, message)
		})
	}
}
