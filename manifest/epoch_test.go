package manifest_test

import (
	"testing"

	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/wire"
)

// Everything in a question and a statement is signed, for one asker, and no proof of another share or by another proves.
func TestEpochStatements(t *testing.T) {
	key, other := mustKey(t), mustKey(t)
	node, asker := wire.NodeIDOf(&key.PublicKey), wire.NodeIDOf(&other.PublicKey)
	q := manifest.EpochQuestion{KeyID: "k", Index: 2, Challenge: [32]byte{1}}
	if err := q.Sign(key); err != nil || q.Verify(node) != nil || q.Verify(asker) == nil {
		t.Fatalf("a question: %v, %v, %v", err, q.Verify(node), q.Verify(asker))
	}
	for name, change := range map[string]func(*manifest.EpochQuestion){
		"key": func(q *manifest.EpochQuestion) { q.KeyID = "l" }, "index": func(q *manifest.EpochQuestion) { q.Index = 3 },
		"challenge": func(q *manifest.EpochQuestion) { q.Challenge[31] = 1 },
	} {
		changed := q
		change(&changed)
		if changed.Verify(node) == nil {
			t.Errorf("the %s of a question is not signed", name)
		}
	}

	own := manifest.Confirmation{KeyID: "k", Epoch: 3, Index: 2, StatementHash: [32]byte{4}, Active: true}
	if err := own.Sign(other); err != nil {
		t.Fatal(err)
	}
	s := manifest.EpochStatement{KeyID: "k", Index: 1, To: 2, Challenge: [32]byte{1}, Epoch: 3, StatementHash: [32]byte{4}, PublicKey: []byte{5},
		State: "active", Proof: own.Signature, ProofActive: true}
	if err := s.Sign(key, asker); err != nil || s.Verify(node, asker) != nil || s.Verify(asker, node) == nil || s.Verify(node, node) == nil {
		t.Fatalf("a statement: %v, %v", err, s.Verify(node, asker))
	}
	if !s.Proven(asker) || s.Proven(node) {
		t.Error("a proof counts for another than the one who gave it")
	}
	for name, change := range map[string]func(*manifest.EpochStatement){
		"key": func(s *manifest.EpochStatement) { s.KeyID = "l" }, "index": func(s *manifest.EpochStatement) { s.Index = 3 },
		"asker": func(s *manifest.EpochStatement) { s.To = 3 }, "challenge": func(s *manifest.EpochStatement) { s.Challenge[31] = 1 },
		"epoch": func(s *manifest.EpochStatement) { s.Epoch = 2 }, "hash": func(s *manifest.EpochStatement) { s.StatementHash[0] = 0 },
		"public key": func(s *manifest.EpochStatement) { s.PublicKey = nil }, "state": func(s *manifest.EpochStatement) { s.State = "stale" },
		"proof": func(s *manifest.EpochStatement) { s.Proof = nil }, "what is proven": func(s *manifest.EpochStatement) { s.ProofActive = false },
	} {
		changed := s
		change(&changed)
		if changed.Verify(node, asker) == nil {
			t.Errorf("the %s of a statement is not signed", name)
		}
		if proven := changed.Proven(asker); proven != (name == "index" || name == "challenge" || name == "public key" || name == "state") {
			t.Errorf("with another %s a proof counts: %t", name, proven)
		}
	}
}
