package node_test

import (
	"bytes"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/node"
	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/wire"
)

func TestKeygenMakesAnActiveKey(t *testing.T) {
	t.Parallel()
	r := newTrio(t)
	s := r.offer(r.keygen(3))
	r.awaitActive(r.keyID, r.a, r.b, r.c)
	first := r.awaitReport(s, r.a.id)
	for _, m := range []*member{r.a, r.b, r.c} {
		report := r.awaitReport(s, m.id)
		if !report.Completed || !bytes.Equal(report.PublicKey, first.PublicKey) || !bytes.Equal(report.ChainCode, first.ChainCode) || len(report.ChainCode) != 32 {
			t.Fatalf("the report is %v", report)
		}
		k := m.key(r.keyID)
		if k.PublicKey != hexOf(first.PublicKey) || k.T != 3 || k.N != 3 || k.Epoch != 1 || k.Guarded != (m == r.a) || len(k.Parties) != 3 {
			t.Fatalf("the key is %+v", k)
		}
	}
	check := checkOf(t, r.guard.questions()[0])
	if check.RequestType != wire.TypeKeygen || check.RequestDetail.T != 3 || check.RequestDetail.N != 3 || len(check.RequestDetail.PartyIDs) != 3 ||
		check.RequestDetail.Cryptography != wire.ECDSASecp256k1 || check.ExtraInfo.SinoID != s.sino || check.ExtraInfo.RequestID != "request-"+s.sino {
		t.Fatalf("the callback was asked %+v", check)
	}
}

// confirmationsTo drops confirmations on the way to a node, and nothing else.
func confirmationsTo(id wire.NodeID) func(wire.NodeID, *linkv1.Frame) []*linkv1.Frame {
	return func(to wire.NodeID, f *linkv1.Frame) []*linkv1.Frame {
		if to == id && f.GetConfirmation() != nil {
			return nil
		}
		return []*linkv1.Frame{f}
	}
}

func TestLostConfirmationsKeepTheShareUntilTheyComeAgain(t *testing.T) {
	t.Parallel()
	r := newTrio(t)
	r.do(func() { r.route = confirmationsTo(r.a.id) })
	s := r.offer(r.keygen(3))
	r.awaitActive(r.keyID, r.b, r.c) // a has confirmed its share, so the others have all they need
	r.settle(r.a.id)
	if k := r.a.key(r.keyID); k.State != node.KeyPending || k.EVM != "" {
		t.Fatalf("the key is %+v", k)
	}
	r.awaitReport(s, r.a.id)
	refused := r.offer(r.signing())
	if a := r.awaitAnswer(refused, r.a.id, linkv1.Answer_REFUSED); !contains(a.Reason, "is pending") {
		t.Fatalf("a pending share was refused with %q", a.Reason)
	}

	for name, restart := range map[string]func(){"crash": r.a.crash, "restart": r.a.restart} {
		restart() // the hall tells the node again, in vain
		r.settle(r.a.id)
		if k := r.a.key(r.keyID); k == nil || k.State != node.KeyPending {
			t.Fatalf("after a %s the key is %+v", name, k)
		}
	}
	r.do(func() { r.route = nil; r.repeatWords(r.keyID, r.a.id) })
	r.awaitActive(r.keyID, r.a)
	r.mustSign(r.signing())
}

func TestAConfirmationThatNeverLeftIsSentAgain(t *testing.T) {
	t.Parallel()
	r := newTrio(t)
	lost := func(to wire.NodeID, f *linkv1.Frame) []*linkv1.Frame {
		if c := f.GetConfirmation(); c != nil && c.Index == 3 {
			return nil
		}
		return []*linkv1.Frame{f}
	}
	r.do(func() { r.route = lost })
	s := r.offer(r.keygen(3))
	r.awaitReport(s, r.c.id)
	r.await("all confirmations", func() bool { return len(r.words[r.keyID]) >= 3 })
	r.settle(r.a.id)
	if k := r.a.key(r.keyID); k.State != node.KeyPending {
		t.Fatalf("the key is %+v", k)
	}
	r.do(func() { r.route, r.words = nil, make(map[string]map[string]*linkv1.Confirmation) }) // the coordinator has lost everything
	for _, m := range []*member{r.a, r.b, r.c} {
		m.restart()
	}
	r.awaitActive(r.keyID, r.a, r.b, r.c)
}

func TestAWordThatACrashSwallowedIsSaidAgain(t *testing.T) {
	t.Parallel()
	r := newTrio(t)
	deaf := false
	r.do(func() {
		r.ignore = func(from wire.NodeID, f *linkv1.Frame) bool {
			deaf = deaf || (from == r.a.id && f.GetConfirmation().GetActive())
			return deaf && from == r.a.id
		}
	})
	s := r.offer(r.keygen(3))
	r.awaitReport(s, r.a.id)
	r.await("a is active and the coordinator has not heard it", func() bool { return deaf })
	r.a.crash()
	if k := r.a.key(r.keyID); k.State != node.KeyActive {
		t.Fatalf("the key is %+v", k)
	}
	r.do(func() { r.ignore = nil })
	r.a.restart()
	r.awaitActive(r.keyID, r.a, r.b, r.c)
}

// gated is a keygen that gives its share only when the gate is opened.
type gated struct {
	signing.KeygenSession
	reached, gate chan struct{}
	open          func()
}

// gateKeygens gates the next keygen of a member.
func gateKeygen(m *member) *gated {
	g := &gated{reached: make(chan struct{}), gate: make(chan struct{})}
	g.open = sync.OnceFunc(func() { close(g.gate) })
	m.h.t.Cleanup(g.open)
	m.toys.change(func(y *toys) {
		y.keygen = func(s signing.KeygenSession) signing.KeygenSession {
			y.keygen = nil
			g.KeygenSession = s
			return g
		}
	})
	return g
}

func (g *gated) Share() (*signing.Share, error) {
	close(g.reached)
	<-g.gate
	return g.KeygenSession.Share()
}

func TestConfirmationsThatComeBeforeTheShareIsStoredCount(t *testing.T) {
	t.Parallel()
	r := newTrio(t)
	g := gateKeygen(r.a)
	r.do(func() {
		r.route = func(to wire.NodeID, f *linkv1.Frame) []*linkv1.Frame {
			if to == r.a.id && f.GetConfirmation().GetActive() { // these would come later, and count as well
				return nil
			}
			return []*linkv1.Frame{f}
		}
	})
	r.offer(r.keygen(3))
	receive(t, g.reached)
	r.await("confirmations of b and c", func() bool { return len(r.words[r.keyID]) == 2 })
	r.settle(r.a.id)               // it has been told both, and the hall tells nothing twice
	for index := range uint32(4) { // what nobody has said does not stand in the way of what was said
		forged := &linkv1.Confirmation{KeyId: r.keyID, Epoch: 1, Index: index, StatementHash: make([]byte, 32), Active: true, Signature: []byte("no signature")}
		r.send(r.a.id, &linkv1.Frame{Body: &linkv1.Frame_Confirmation{Confirmation: forged}})
	}
	r.settle(r.a.id)
	if r.a.key(r.keyID) != nil {
		t.Fatal("the share is stored already: this test tests nothing")
	}
	g.open()
	r.awaitActive(r.keyID, r.a, r.b, r.c)
}

func TestOnlyTheRightConfirmationActivates(t *testing.T) {
	t.Parallel()
	d := newDuel(newHall(t))
	d.rogue.change(func() { d.rogue.silent = true })
	s := d.offer(d.keygen(3))
	d.awaitReport(s, d.a.id)
	d.awaitReport(s, d.b.id)
	d.await("confirmations", func() bool { return len(d.words[d.keyID]) == 2 })

	word := func(change func(*manifest.Confirmation)) *linkv1.Frame {
		d.rogue.mu.Lock()
		defer d.rogue.mu.Unlock()
		return d.rogue.word(d.keyID, change)
	}
	altered := func(change func(*linkv1.Confirmation)) *linkv1.Frame {
		f := word(func(*manifest.Confirmation) {})
		change(f.GetConfirmation())
		return f
	}
	wrong := map[string]*linkv1.Frame{
		"other statement":            word(func(c *manifest.Confirmation) { c.StatementHash[0]++ }),
		"other statement, active":    word(func(c *manifest.Confirmation) { c.StatementHash[0]++; c.Active = true }),
		"other epoch":                word(func(c *manifest.Confirmation) { c.Epoch = 2 }),
		"epoch 0":                    word(func(c *manifest.Confirmation) { c.Epoch = 0 }),
		"as another party":           word(func(c *manifest.Confirmation) { c.Index = 2 }),
		"as the receiver":            word(func(c *manifest.Confirmation) { c.Index = 1 }),
		"as a party that is not":     word(func(c *manifest.Confirmation) { c.Index = 4 }),
		"of another key":             word(func(c *manifest.Confirmation) { c.KeyID = "key-2" }),
		"unsigned":                   altered(func(c *linkv1.Confirmation) { c.Signature = nil }),
		"signed as pending":          altered(func(c *linkv1.Confirmation) { c.Active = true }),
		"index 0":                    altered(func(c *linkv1.Confirmation) { c.Index = 0 }),
		"index that wraps":           altered(func(c *linkv1.Confirmation) { c.Index += 256 }),
		"short hash":                 altered(func(c *linkv1.Confirmation) { c.StatementHash = c.StatementHash[:31] }),
		"no key":                     altered(func(c *linkv1.Confirmation) { c.KeyId = "" }),
		"signature without an end":   altered(func(c *linkv1.Confirmation) { c.Signature = make([]byte, 1<<20) }),
		"confirmation with nothing":  {Body: &linkv1.Frame_Confirmation{Confirmation: &linkv1.Confirmation{}}},
		"own word, sent back":        d.ownWord(),
		"another's word, under ours": d.renamed(2, 3),
	}
	for name, f := range wrong {
		t.Run(name, func(t *testing.T) {
			d.send(d.a.id, f)
			d.settle(d.a.id)
			if k := d.a.key(d.keyID); k.State != node.KeyPending {
				t.Fatalf("the key is %+v", k)
			}
		})
	}
	d.send(d.a.id, word(func(*manifest.Confirmation) {}))
	d.awaitActive(d.keyID, d.a)
}

// ownWord is a's own confirmation.
func (d *duel) ownWord() *linkv1.Frame {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.words[d.keyID] {
		if c.Index == 1 {
			return &linkv1.Frame{Body: &linkv1.Frame_Confirmation{Confirmation: proto.CloneOf(c)}}
		}
	}
	d.t.Error("a has not confirmed")
	return nil
}

// renamed is the confirmation of one party under the index of another.
func (d *duel) renamed(from, as uint32) *linkv1.Frame {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.words[d.keyID] {
		if c.Index == from {
			c = proto.CloneOf(c)
			c.Index = as
			return &linkv1.Frame{Body: &linkv1.Frame_Confirmation{Confirmation: c}}
		}
	}
	d.t.Errorf("party %d has not confirmed", from)
	return nil
}

func TestASecondKeygenCannotReplaceAKey(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	again := r.offer(r.keygen(2))
	if a := r.awaitAnswer(again, r.b.id, linkv1.Answer_REFUSED); !contains(a.Reason, "holds an active share") {
		t.Fatalf("refused with %q", a.Reason)
	}
	r.mustSign(r.signing())

	// Two keygens of one key id at once: only one of them is stored.
	r.keyID = "key-2"
	g := gateKeygen(r.a)
	slow := r.offer(r.keygen(3))
	receive(t, g.reached)
	for _, m := range []*member{r.b, r.c} {
		r.awaitReport(slow, m.id)
		must(t, m.store.Delete("key", r.keyID)) // or the second would be refused here
	}
	quick := r.offer(r.keygen(3))
	if report := r.awaitReport(quick, r.a.id); !report.Completed {
		t.Fatalf("the second keygen failed: %s", report.Reason)
	}
	public := r.a.key(r.keyID).PublicKey
	g.open()
	if report := r.awaitReport(slow, r.a.id); report.Completed || !contains(report.Reason, "share of key key-2 already") {
		t.Fatalf("the report is %v", report)
	}
	if r.a.key(r.keyID).PublicKey != public {
		t.Fatal("a share was overwritten")
	}
}

func TestFramesMayComeTwice(t *testing.T) {
	t.Parallel()
	r := newTrio(t)
	r.do(func() {
		r.route = func(_ wire.NodeID, f *linkv1.Frame) []*linkv1.Frame { return []*linkv1.Frame{f, f} }
	})
	r.b.guarded(wire.Approve) // of two signers one must be guarded
	s := r.offer(r.keygen(2))
	r.awaitActive(r.keyID, r.a, r.b, r.c)
	for _, m := range []*member{r.a, r.b, r.c} {
		if n := r.count(m.id, func(f *linkv1.Frame) bool { return f.GetContribution().GetSessionId() == s.id }); n != 1 {
			t.Fatalf("a node contributed %d times", n)
		}
	}
	a := r.signing()
	a.parties = only(r.all, 1, 3)
	r.mustSign(a)
}

func TestConfirmationsAreSentUntilAllAreActive(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	word := func(f *linkv1.Frame) bool { return f.GetConfirmation() != nil }
	for _, m := range []*member{r.a, r.b, r.c} {
		r.settle(m.id) // all have heard that all are active
	}
	before := r.count(r.a.id, word)
	r.a.restart()
	r.settle(r.a.id)
	if after := r.count(r.a.id, word); after != before {
		t.Fatalf("a node repeats what all know: %d confirmations, then %d", before, after)
	}
}
