package node_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/node"
	"github.com/countersign-mpc/countersign/wire"
)

// One liar cannot kill a share for ever, nor have it used: only what the node itself has signed, or so many words that an
// honest party is among them, make it stale.
func TestALiarAboutTheEpoch(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	path := r.a.backup()
	honest := r.b.record("key", r.keyID)
	for name, lie := range map[string]func(){
		"no proof":                     func() { r.b.refresh(r.keyID, 7, nil, false) },
		"a confirmation by another":    func() { r.b.refresh(r.keyID, 7, map[byte]*member{1: r.c}, true) },
		"a confirmation of being made": func() { r.b.refresh(r.keyID, 7, map[byte]*member{1: r.a}, false) },
	} {
		lie()
		r.a.tend = time.Millisecond
		r.a.restore(path)
		r.a.awaitState(r.keyID, node.KeyUnconfirmed, "party 2 says that there is a newer share (it is at epoch 7) and has not proven it, party 3 has the same share")
		r.mustNotSign(r.a, "unconfirmed")
		r.b.rewrite(r.keyID, honest)
		r.a.awaitState(r.keyID, node.KeyActive, "")
		t.Log(name)
	}
	// It says that it knows of a newer one, and gives as proof what this node has signed of the share that it holds.
	r.b.rewrite(r.keyID, honest)
	lied := r.b.record("key", r.keyID)
	lied["state"], lied["restored"] = "stale", map[string]any{"before": "active", "newer": map[string]any{"epoch": 7, "party": 3}}
	r.b.rewrite(r.keyID, lied)
	r.a.restore(path)
	r.a.awaitState(r.keyID, node.KeyUnconfirmed, "party 2 says that there is a newer share (it is at epoch 1) and has not proven it, party 3 has the same share")
	r.b.rewrite(r.keyID, honest)
	r.a.awaitState(r.keyID, node.KeyActive, "")

	for text, lie := range map[string]func(*member){
		"has an older share, of epoch 0": func(m *member) { m.refresh(r.keyID, 0, nil, false) },
		"has another share":              func(m *member) { m.refresh(r.keyID, 1, nil, false) },
	} {
		lie(r.b)
		r.a.restore(path)
		r.a.awaitState(r.keyID, node.KeyUnconfirmed, "party 2 "+text)
		r.b.rewrite(r.keyID, honest)
	}
	// A share that is only being made takes nothing's place, proof or not.
	r.b.refresh(r.keyID, 2, map[byte]*member{1: r.a}, true)
	pending := r.b.record("key", r.keyID)
	pending["state"] = "pending"
	r.b.rewrite(r.keyID, pending)
	r.a.restore(path)
	r.a.awaitState(r.keyID, node.KeyUnconfirmed, "party 2 has another share")

	r.b.refresh(r.keyID, 7, nil, false)
	active := r.b.record("key", r.keyID)
	active["state"] = "active"
	r.b.rewrite(r.keyID, active)
	r.c.refresh(r.keyID, 7, nil, false)
	r.a.restore(path) // both of two: one of them is honest
	r.a.awaitState(r.keyID, node.KeyStale, "epoch 7")
}

// A coordinator that answers with what was said before, or changes what is said, confirms nothing.
func TestACoordinatorThatReplaysStatements(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	path := r.a.backup()
	var old []*linkv1.Frame
	r.do(func() {
		r.seen = func(_ wire.NodeID, f *linkv1.Frame) {
			if isStatement(f) {
				old = append(old, proto.CloneOf(f))
			}
		}
	})
	r.a.restore(path)
	r.a.awaitState(r.keyID, node.KeyActive, "")
	r.do(func() { r.seen = nil })
	if len(old) != 2 {
		t.Fatalf("%d statements came", len(old))
	}
	// Meanwhile the key is refreshed. The coordinator keeps the new words back and gives the old ones.
	all := map[byte]*member{1: r.a, 2: r.b, 3: r.c}
	r.b.refresh(r.keyID, 2, all, true)
	r.c.refresh(r.keyID, 2, all, true)
	var fresh []*linkv1.EpochStatement
	r.do(func() {
		r.route = without(func(to wire.NodeID, f *linkv1.Frame) bool {
			if isStatement(f) {
				fresh = append(fresh, f.GetEpochStatement())
			}
			return isStatement(f)
		})
	})
	r.a.restore(path)
	r.await("fresh statements", func() bool { return len(fresh) >= 2 })
	for _, f := range old {
		r.send(r.a.id, f)
	}
	for _, change := range []func(*linkv1.EpochStatement){
		func(s *linkv1.EpochStatement) { s.Epoch, s.StatementHash = 1, old[0].GetEpochStatement().StatementHash },
		func(s *linkv1.EpochStatement) { s.State = "pending" },
		func(s *linkv1.EpochStatement) { s.Index = 5 - s.Index },
		func(s *linkv1.EpochStatement) { s.Signature = old[0].GetEpochStatement().Signature },
		func(s *linkv1.EpochStatement) { s.Proof = nil },
		func(s *linkv1.EpochStatement) { s.Challenge = old[0].GetEpochStatement().Challenge },
		func(s *linkv1.EpochStatement) { s.To = 3 },
		func(s *linkv1.EpochStatement) { s.Index = 1 },
		func(s *linkv1.EpochStatement) { s.Index = 9 },
		func(s *linkv1.EpochStatement) { s.KeyId = "key-2" },
		func(s *linkv1.EpochStatement) { s.State = "excellent" },
		func(s *linkv1.EpochStatement) { s.PublicKey = make([]byte, 64) },
	} {
		f := proto.CloneOf(fresh[0])
		change(f)
		r.send(r.a.id, &linkv1.Frame{Body: &linkv1.Frame_EpochStatement{EpochStatement: f}})
	}
	r.settle(r.a.id)
	r.a.awaitState(r.keyID, node.KeyUnconfirmed, "party 2 has not answered, party 3 has not answered")
	r.send(r.a.id, &linkv1.Frame{Body: &linkv1.Frame_EpochStatement{EpochStatement: fresh[0]}}) // as it was said
	r.a.awaitState(r.keyID, node.KeyStale, "epoch 2")
}

// Words count together for ten minutes: parties that spoke at different times may have been at different epochs.
func TestStatementsGrowOld(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	path := r.a.backup()
	deaf := r.c.id
	r.do(func() {
		r.route = without(func(to wire.NodeID, f *linkv1.Frame) bool { return isQuestion(f) && to == deaf })
	})
	r.a.restore(path)
	r.a.awaitState(r.keyID, node.KeyUnconfirmed, "party 2 has the same share, party 3 has not answered")
	var late *linkv1.Frame
	r.do(func() {
		deaf = r.b.id
		r.route = without(func(to wire.NodeID, f *linkv1.Frame) bool {
			if isStatement(f) {
				late = f
			}
			return isStatement(f) || isQuestion(f) && to == deaf
		})
	})
	r.a.restart() // the first word is gone
	r.await("a statement", func() bool { return late != nil })
	r.clock.step(10 * time.Minute)
	r.send(r.a.id, late)
	r.settle(r.a.id)
	r.a.awaitState(r.keyID, node.KeyUnconfirmed, "party 2 has not answered, party 3 has not answered")
	r.do(func() { r.route = nil })
	r.a.tend = time.Millisecond
	r.a.restart()
	r.a.awaitState(r.keyID, node.KeyActive, "")
}

// What is malformed, or asked by nobody who may, is not answered.
func TestStrangeQuestions(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	ask := func(by *member, change func(*manifest.EpochQuestion)) *linkv1.Frame {
		q := manifest.EpochQuestion{KeyID: r.keyID, Index: 1, Challenge: [32]byte{1}}
		change(&q)
		must(t, q.Sign(by.identity()))
		return &linkv1.Frame{Body: &linkv1.Frame_EpochQuestion{EpochQuestion: &linkv1.EpochQuestion{KeyId: q.KeyID, Index: uint32(q.Index), Challenge: q.Challenge[:], Signature: q.Signature}}}
	}
	same := func(*manifest.EpochQuestion) {}
	short := ask(r.a, same)
	short.GetEpochQuestion().Challenge = []byte{1}
	for name, f := range map[string]*linkv1.Frame{
		"another's":      ask(r.c, same),
		"its own":        ask(r.b, func(q *manifest.EpochQuestion) { q.Index = 2 }),
		"nobody's":       ask(r.a, func(q *manifest.EpochQuestion) { q.Index = 4 }),
		"no key":         ask(r.a, func(q *manifest.EpochQuestion) { q.KeyID = "key-2" }),
		"no name":        ask(r.a, func(q *manifest.EpochQuestion) { q.KeyID = "" }),
		"a short secret": short,
		"nothing":        {Body: &linkv1.Frame_EpochQuestion{}},
		"no statement":   {Body: &linkv1.Frame_EpochStatement{}},
	} {
		r.send(r.b.id, f)
		r.settle(r.b.id)
		if n := r.count(r.b.id, isStatement); n != 0 {
			t.Errorf("%s: it was answered", name)
		}
	}
	r.send(r.b.id, ask(r.a, same))
	r.await("an answer", func() bool {
		for _, e := range r.log {
			if s := e.frame.GetEpochStatement(); s != nil && s.Epoch == 1 && s.State == "active" && s.To == 1 && s.Proof.Active {
				return true
			}
		}
		return false
	})
}
