package coordinator_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/bolt/coordstore/coordtest"
	"github.com/countersign-mpc/countersign/coordinator"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/wire"
)

// question is what a party that has restored its share asks, with a change made before it is signed.
func question(t *testing.T, p *coordtest.Party, key string, index byte, change func(*linkv1.EpochQuestion)) *linkv1.Frame {
	t.Helper()
	q := manifest.EpochQuestion{KeyID: key, Index: index, Challenge: [32]byte{1, 2, 3}}
	if err := q.Sign(p.Key); err != nil {
		t.Fatal(err)
	}
	f := &linkv1.EpochQuestion{KeyId: key, Index: uint32(index), Challenge: q.Challenge[:], Signature: q.Signature}
	if change != nil {
		change(f)
	}
	return &linkv1.Frame{Body: &linkv1.Frame_EpochQuestion{EpochQuestion: f}}
}

// statement is the answer of a party to another, with a change made after it is signed.
func statement(t *testing.T, p *coordtest.Party, key string, index, to byte, asker wire.NodeID, change func(*linkv1.EpochStatement)) *linkv1.Frame {
	t.Helper()
	s := manifest.EpochStatement{KeyID: key, Index: index, To: to, Challenge: [32]byte{1, 2, 3}, Epoch: 1, State: "active", PublicKey: []byte{2}, Proof: []byte{3}}
	if err := s.Sign(p.Key, asker); err != nil {
		t.Fatal(err)
	}
	f := &linkv1.EpochStatement{KeyId: key, Index: uint32(index), To: uint32(to), Challenge: s.Challenge[:], Epoch: 1, StatementHash: s.StatementHash[:],
		PublicKey: s.PublicKey, State: s.State, Proof: &linkv1.EpochStatement_Proof{Signature: s.Proof}, Signature: s.Signature}
	if change != nil {
		change(f)
	}
	return &linkv1.Frame{Body: &linkv1.Frame_EpochStatement{EpochStatement: f}}
}

// A question about a restored share goes to the parties that are connected, an answer to the one that asked; nothing of
// either is kept, and nobody asks or answers in another's name.
func TestEpochsArePassedOn(t *testing.T) {
	w := coordtest.NewWorld(t, 3, coordinator.Limits{})
	id := w.Submit(w.KeygenOrder(2, "")).Request.SinoID
	key := w.Status(id).Request.KeyID
	a, b, c := w.Lives[0], w.Lives[1], w.Lives[2]
	c.Peer.Detach(t.Context())
	asked := question(t, a.Party, key, 1, nil)
	a.Must(asked)
	expectPassed(t, "the one that asks", a)
	expectPassed(t, "the other", b, asked)
	c = w.Connect(2)
	expectPassed(t, "who was away", c)

	said := statement(t, b.Party, key, 2, 1, a.ID, nil)
	b.Must(said)
	expectPassed(t, "the one that asked", a, said)
	expectPassed(t, "who did not ask", c)
	a.Must(question(t, a.Party, "of another coordinator", 1, nil))

	for name, f := range map[string]*linkv1.Frame{
		"another's question":          question(t, a.Party, key, 2, nil),
		"a question signed by nobody": question(t, a.Party, key, 1, func(q *linkv1.EpochQuestion) { q.Challenge = make([]byte, 32) }),
		"a short challenge":           question(t, a.Party, key, 1, func(q *linkv1.EpochQuestion) { q.Challenge = nil }),
		"a long signature":            question(t, a.Party, key, 1, func(q *linkv1.EpochQuestion) { q.Signature = make([]byte, 81) }),
		"no key":                      question(t, a.Party, "", 1, nil),
		"another's statement":         statement(t, a.Party, key, 2, 3, c.ID, nil),
		"a statement for itself":      statement(t, a.Party, key, 1, 1, a.ID, nil),
		"a statement for nobody":      statement(t, a.Party, key, 1, 4, c.ID, nil),
		"a statement for 257":         statement(t, a.Party, key, 1, 3, c.ID, func(s *linkv1.EpochStatement) { s.To = 256 + 3 }),
		"a statement for another":     statement(t, a.Party, key, 1, 2, c.ID, nil),
		"another epoch":               statement(t, a.Party, key, 1, 3, c.ID, func(s *linkv1.EpochStatement) { s.Epoch = 2 }),
		"a state that is too long":    statement(t, a.Party, key, 1, 3, c.ID, func(s *linkv1.EpochStatement) { s.State = string(make([]byte, 81)) }),
		"no hash":                     statement(t, a.Party, key, 1, 3, c.ID, func(s *linkv1.EpochStatement) { s.StatementHash = nil }),
	} {
		if got := coordtest.CodeOf(a.Send(f)); got != coordinator.CodeViolation {
			t.Errorf("%s: %v", name, got)
		}
		expectPassed(t, name, b)
		expectPassed(t, name, c)
	}
}

func expectPassed(t *testing.T, name string, l *coordtest.Live, want ...*linkv1.Frame) {
	t.Helper()
	got := l.Passed()
	if len(got) != len(want) {
		t.Errorf("%s got %v", name, got)
		return
	}
	for i := range got {
		if !proto.Equal(got[i], want[i]) {
			t.Errorf("%s got %v, want %v", name, got[i], want[i])
		}
	}
}
