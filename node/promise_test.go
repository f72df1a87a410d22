package node_test

import (
	"sync"
	"testing"
	"time"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/node"
	"github.com/countersign-mpc/countersign/wire"
)

// A node that says its share is active, and dies before the coordinator has taken that over, says it again: the others'
// words are all there, so nothing else would make it speak, and the key could never be used.
func TestTheActiveWordOutlivesACrash(t *testing.T) {
	t.Parallel()
	r := newTrio(t)
	lost := make(chan struct{})
	once := sync.OnceFunc(func() { close(lost) })
	r.do(func() {
		r.lose = func(from wire.NodeID, f *linkv1.Frame) bool {
			c := f.GetConfirmation()
			if from != r.a.id || c == nil || !c.Active {
				return false
			}
			once()
			return true
		}
	})
	r.offer(r.keygen(3))
	r.awaitActive(r.keyID, r.b, r.c)
	<-lost
	if k := r.a.key(r.keyID); k == nil || k.State != node.KeyActive {
		t.Fatalf("the share is not active: %+v", k)
	}
	r.do(func() { r.lose = nil; r.ports[r.a.id] = nil })
	r.a.crash()
	r.awaitActive(r.keyID, r.a, r.b, r.c)
}

// A coordinator that offers another request under a session's id must not get a second contribution to that session: shown
// to a third party it would prove a fraud that this node has not committed.
func TestASessionIDCountsOnce(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	contributed := func(f *linkv1.Frame) bool { return f.GetContribution() != nil }
	r.do(func() { r.manual = true })
	s := r.offer(r.signing())
	r.awaitAnswer(s, r.a.id, linkv1.Answer_APPROVED)
	r.awaitAnswer(s, r.b.id, linkv1.Answer_APPROVED)
	r.awaitAnswer(s, r.c.id, linkv1.Answer_APPROVED)
	before := r.count(r.a.id, contributed)
	r.do(func() { r.begin(s) })
	r.await("a's contribution", func() bool { return s.contributions[r.a.id] != nil })
	r.end(s, "failed", "to begin another under the same id")
	for _, m := range []*member{r.a, r.b, r.c} {
		r.awaitReport(s, m.id) // the session is over there
	}

	other := r.signing()
	other.session = s.id
	again := r.offer(other)
	for _, m := range []*member{r.a, r.b, r.c} {
		r.awaitAnswer(again, m.id, linkv1.Answer_APPROVED)
	}
	r.do(func() { r.begin(again) })
	r.mustFail(t, again, "joined the session before", r.a)
	if after := r.count(r.a.id, contributed); after != before+1 {
		t.Fatalf("the node contributed %d times to one session", after-before)
	}
}

// A key that was made on the word that this node asks a callback is not used unasked because a configuration lost a line.
func TestAGuardThatIsTakenAway(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	if k := r.a.key(r.keyID); !k.Guarded {
		t.Fatalf("with a callback the key is shown as %+v", k)
	}
	r.a.settings.change(func(s *settings) { s.guard = nil })
	if k := r.a.key(r.keyID); k.Guarded {
		t.Fatalf("without a callback the key is shown as %+v", k)
	}
	s := r.offer(r.signing())
	if answer := r.awaitAnswer(s, r.a.id, linkv1.Answer_REFUSED); !contains(answer.Reason, "was made with this node guarded") {
		t.Fatalf("refused with %q", answer.Reason)
	}
	r.a.settings.change(func(s *settings) { s.unguarded = true })
	r.mustSign(r.signing())
}

// A session that runs when its request ends does not use the share any more.
func TestASessionEndsWithItsRequest(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	a := r.signing()
	a.expires = r.clock.Now().Add(8 * time.Second) // the session begins before, also on a slow machine
	held := make(chan struct{})
	once := sync.OnceFunc(func() { close(held) })
	r.do(func() {
		r.route = func(to wire.NodeID, f *linkv1.Frame) []*linkv1.Frame {
			if to == r.a.id && f.GetEnvelope() != nil {
				once()
				return nil // withheld
			}
			return []*linkv1.Frame{f}
		}
	})
	s := r.offer(a)
	r.mustFail(t, s, "time is over", r.a)
	select {
	case <-held:
	default:
		t.Fatal("the session did not run when its request ended")
	}
	r.do(func() { r.route = nil })
	r.mustSign(r.signing())
}

// What is over for long is forgotten, and costs little until then.
func TestTheStoreForgets(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	requester := newP256(t)
	r.acceptRequester(requester)
	a := r.signing()
	a.terms.TxInfo = []byte(`{"note":"long"}`)
	a.terms.SignType = wire.SignTypeTransaction
	a = a.authorized(t, requester, r.clock.Now().Add(time.Hour))
	r.mustSign(a)
	rec := r.a.record("request", a.sino)
	if _, kept := rec["tx_info"]; kept || rec["ask"].(map[string]any)["body"] != nil {
		t.Errorf("a final request keeps its content: %v", rec)
	}
	buckets := func() map[string]int {
		stat, err := r.a.store.Stat()
		must(t, err)
		return stat.Records
	}
	if b := buckets(); b["request"] != 2 || b["session"] != 2 || b["nonce"] != 1 {
		t.Fatalf("the store has %v", b)
	}
	r.clock.step(3 * 24 * time.Hour)
	r.a.restart()
	if b := buckets(); b["request"] != 2 || b["session"] != 0 || b["nonce"] != 0 {
		t.Errorf("after three days the store has %v", b)
	}
	r.clock.step(31 * 24 * time.Hour)
	r.a.restart()
	if b := buckets(); b["request"] != 0 || b["key"] != 1 {
		t.Errorf("after a month the store has %v", b)
	}
	r.mustSign(r.signing().authorized(t, requester, r.clock.Now().Add(time.Hour)))
}
