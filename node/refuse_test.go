package node_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/wire"
)

func newID(t testing.TB) wire.NodeID {
	t.Helper()
	return wire.NodeIDOf(&newP256(t).PublicKey)
}

// mustRefuse offers a to its parties and wants a's refusal for a reason, no question to the callback and no part in the
// session, even if it is begun nonetheless.
func (r *trio) mustRefuse(t testing.TB, a ask, reason string) {
	t.Helper()
	asked := len(r.guard.questions())
	s := r.offer(a)
	if answer := r.awaitAnswer(s, r.a.id, linkv1.Answer_REFUSED); !contains(answer.Reason, reason) {
		t.Fatalf("refused with %q, want %q", answer.Reason, reason)
	}
	r.do(func() { r.begin(s) })
	r.mustBeSilent(s, r.a.id)
	if n := len(r.guard.questions()); n != asked {
		t.Fatal("the callback was asked about it")
	}
	if info, err := r.a.node.Info(); err != nil || info.Requests != 0 {
		t.Fatalf("the node works on %d requests (%v)", info.Requests, err)
	}
}

func TestRefusedSignings(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	tx, other := transactionNamed(t, "legacy-eip155-erc20-transfer"), transactionNamed(t, "legacy-eip155-native")
	b, c := r.b.id, r.c.id
	for _, c := range []struct {
		name   string
		change func(*ask)
		reason string
	}{
		{"no such key", func(a *ask) { a.terms.KeyID = "key-9" }, "holds no share of key key-9"},
		{"no key", func(a *ask) { a.terms.KeyID = "" }, "key_id is missing"},
		{"a stranger", func(a *ask) { a.parties = parties(r.a.id, b, newID(t)) }, "is not in this node's share"},
		{"wrong indices", func(a *ask) { a.parties = parties(r.a.id, c, b) }, "is not in this node's share"},
		{"own index wrong", func(a *ask) { a.parties = parties(b, r.a.id, c) }, "is not in this node's share"},
		{"an index of no party", func(a *ask) { a.parties = append(only(r.all, 1, 2), manifest.Party{Index: 4, NodeID: c}) }, "is not in this node's share"},
		{"index 0", func(a *ask) { a.parties[1].Index = 0 }, "party 0 of the session is not well formed"},
		{"index 10", func(a *ask) { a.parties[2].Index = 10 }, "party 10 of the session is not well formed"},
		{"in another order", func(a *ask) { a.parties[1], a.parties[2] = a.parties[2], a.parties[1] }, "not in the order of their indices"},
		{"a party twice", func(a *ask) { a.parties[2] = a.parties[1] }, "not in the order of their indices"},
		{"too few signers", func(a *ask) { a.parties = only(a.parties, 1, 3) }, "2 signers: key key-1 needs exactly 3"},
		{"one signer", func(a *ask) { a.parties = only(a.parties, 1) }, "1 signers"},
		{"not a node id", func(a *ask) { a.parties[1].NodeID = "sino" }, "party 2 of the session is not well formed"},
		{"unknown type", func(a *ask) { a.terms.Type = "mint" }, `request type "mint" signs nothing`},
		{"no type", func(a *ask) { a.terms.Type = "" }, "signs nothing"},
		{"outcome", func(a *ask) { a.terms.Type = wire.TypeOutcome }, "signs nothing"},
		{"tapScriptRoot", func(a *ask) { a.terms.TapScriptRoot = "00" }, "tapScriptRoot is for taproot-sign only"},
		{"hardened path", func(a *ask) { a.terms.Path = "m/44'/60'/0'/0/0" }, "hardened"},
		{"hardened by number", func(a *ask) { a.terms.Path = "m/2147483648" }, "hardened"},
		{"no path", func(a *ask) { a.terms.Path = "44/60" }, "path"},
		{"long path", func(a *ask) { a.terms.Path = "m" + strings.Repeat("/1", 200) }, "path has"},
		{"unknown sign_type", func(a *ask) { a.terms.SignType = "4" }, `sign_type "4" is unknown`},
		{"no sign_type", func(a *ask) { a.terms.SignType = "" }, "sign_type"},
		{"no message", func(a *ask) { a.terms.Message = "" }, "signing digest"},
		{"short digest", func(a *ask) { a.terms.Message = a.terms.Message[2:] }, "signing digest"},
		{"digest of another transaction", func(a *ask) {
			a.terms.SignType, a.terms.Message, a.terms.TxInfo = wire.SignTypeTransaction, other.Digest, tx.info(t)
		}, "digest does not belong to the transaction"},
		{"rawTx with raw data", func(a *ask) { a.terms.TxInfo = tx.info(t) }, "rawTx"},
		{"rawTx is a number", func(a *ask) { a.terms.TxInfo = []byte(`{"rawTx":1}`) }, "rawTx"},
		{"rawTx is no transaction", func(a *ask) {
			a.terms.SignType, a.terms.Message, a.terms.TxInfo = wire.SignTypeTransaction, "", []byte(`{"rawTx":"0x00"}`)
		}, "signing digest"},
		{"tx_info is no object", func(a *ask) { a.terms.TxInfo = []byte(`[1]`) }, "tx_info"},
		{"tx_info with a key twice", func(a *ask) { a.terms.TxInfo = []byte(`{"to":"a","to":"b"}`) }, "tx_info"},
		{"tx_info with a key in another case", func(a *ask) { a.terms.TxInfo = []byte(`{"To":"a"}`) }, "tx_info"},
		{"tx_info with something behind", func(a *ask) { a.terms.TxInfo = []byte(`{} {}`) }, "tx_info"},
		{"expired", func(a *ask) { a.expires = r.clock.Now().Add(-time.Minute) }, "has expired"},
		{"lives too long", func(a *ask) { a.expires = r.clock.Now().Add(26 * time.Hour) }, "at most 25h"},
		{"lives for ever", func(a *ask) { a.expires = time.Unix(1<<62, 0) }, "at most 25h"},
		{"no request id", func(a *ask) { a.terms.RequestID = "" }, "request_id is missing"},
		{"parties in its terms", func(a *ask) { a.terms.Parties = []wire.NodeID{r.a.id} }, "only a keygen names parties"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := r.signing()
			a.parties = append([]manifest.Party(nil), r.all...)
			c.change(&a)
			r.mustRefuse(t, a, c.reason)
		})
	}
	t.Run("not among the signers", func(t *testing.T) {
		a := r.signing()
		a.parties = only(r.all, 2, 3)
		s := r.offerOnly(a, r.a.id)
		if answer := r.awaitAnswer(s, r.a.id, linkv1.Answer_REFUSED); !contains(answer.Reason, "not among the signers") {
			t.Fatalf("refused with %q", answer.Reason)
		}
	})
}

func TestRefusedByTheSettings(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	for _, c := range []struct {
		name        string
		break_, fix func(*settings)
		reason      string
	}{
		{"not on the allow-list", func(s *settings) { delete(s.parties, r.b.id) }, func(s *settings) { s.parties[r.b.id] = true }, "party 2"},
		{"no allow-list", func(s *settings) { s.partiesErr = errors.New("no file") }, func(s *settings) { s.partiesErr = nil }, "no file"},
		{"no callback", func(s *settings) { s.guard, s.guardErr = nil, errors.New("callback.required is true") },
			func(s *settings) { s.guard, s.guardErr = r.guard, nil }, "callback.required is true"},
		{"requesters cannot be read", func(s *settings) { s.reqErr = errors.New("no requesters") }, func(s *settings) { s.reqErr = nil }, "no requesters"},
		{"unsigned", func(s *settings) { s.required = true }, func(s *settings) { s.required = false }, "is not signed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := r.signing()
			r.a.settings.change(c.break_)
			r.mustRefuse(t, a, c.reason)
			r.a.settings.change(c.fix)
			r.mustSign(r.signing()) // at once, without a restart
		})
	}
}

func TestRefusedKeygens(t *testing.T) {
	t.Parallel()
	r := newTrio(t)
	stranger := newID(t)
	for _, c := range []struct {
		name   string
		change func(*ask)
		reason string
	}{
		{"a stranger", func(a *ask) { *a = keygenOf(a.sino, a.keyID, 3, parties(r.a.id, r.b.id, stranger)) }, "party 3"},
		{"other seats than asked for", func(a *ask) { a.parties = parties(r.b.id, r.a.id, r.c.id) }, "is not party 1 of the request"},
		{"fewer seats", func(a *ask) { a.parties = only(r.all, 1, 2) }, "the session has 2 parties, the request 3"},
		{"other indices", func(a *ask) { a.parties = append(only(r.all, 1, 2), manifest.Party{Index: 4, NodeID: r.c.id}) }, "is not party 3"},
		{"a party twice", func(a *ask) { *a = keygenOf(a.sino, a.keyID, 3, parties(r.a.id, r.b.id, r.b.id)) }, "named twice"},
		{"1 of 3", func(a *ask) { a.terms.T = 1 }, "threshold_t is 1"},
		{"4 of 3", func(a *ask) { a.terms.T = 4 }, "threshold_t is 4"},
		{"a curve that is not", func(a *ask) { a.terms.Cryptography = "eddsa-ed448" }, `cryptography "eddsa-ed448" is not done`},
		{"no curve", func(a *ask) { a.terms.Cryptography = "" }, `cryptography "" is not done`},
		{"no key id", func(a *ask) { a.keyID = "" }, "key id is missing"},
		{"long key id", func(a *ask) { a.keyID = strings.Repeat("k", 65) }, "key id is missing or too long"},
		{"something to sign", func(a *ask) { a.terms.Message = "00" }, "a keygen takes no"},
		{"n does not fit", func(a *ask) { a.terms.N = 4 }, "3 parties are named for a key of 4"},
		{"expired", func(a *ask) { a.expires = r.clock.Now().Add(-time.Second) }, "has expired"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := r.keygen(3)
			c.change(&a)
			r.mustRefuse(t, a, c.reason)
		})
	}
	t.Run("not a party", func(t *testing.T) {
		a := keygenOf(r.number("sino"), "key-2", 2, parties(r.b.id, r.c.id))
		s := r.offerOnly(a, r.a.id)
		if answer := r.awaitAnswer(s, r.a.id, linkv1.Answer_REFUSED); !contains(answer.Reason, "not a party") {
			t.Fatalf("refused with %q", answer.Reason)
		}
	})
	if r.a.key(r.keyID) != nil {
		t.Fatal("a share was made")
	}
	r.offer(r.keygen(3))
	r.awaitActive(r.keyID, r.a, r.b, r.c)
}

// mustFail wants a session that has begun to fail at every node with a reason, and no share of it.
func (r *trio) mustFail(t testing.TB, s *session, reason string, members ...*member) {
	t.Helper()
	for _, m := range members {
		if report := r.awaitReport(s, m.id); report.Completed || !contains(report.Reason, reason) {
			t.Fatalf("the report is %v, want %q", report, reason)
		}
		r.settle(m.id)
		if info, err := m.node.Info(); err != nil || info.Sessions != 0 {
			t.Fatalf("%d sessions run (%v)", info.Sessions, err)
		}
	}
}

func TestKeygensThatFailAtBegin(t *testing.T) {
	t.Parallel()
	r := newTrio(t)
	alterBegin := func(change func(*linkv1.Begin)) {
		r.do(func() {
			r.route = func(to wire.NodeID, f *linkv1.Frame) []*linkv1.Frame {
				if b := f.GetBegin(); b != nil && to == r.a.id {
					change(b)
				}
				return []*linkv1.Frame{f}
			}
		})
	}
	for _, c := range []struct {
		name   string
		change func(*linkv1.Begin)
		reason string
	}{
		{"own statement: unguarded", func(b *linkv1.Begin) { b.Statements[0].Guarded = false }, "this node did not make"},
		{"own statement: a recipient", func(b *linkv1.Begin) { b.Statements[0].Recipient = "00" }, "this node did not make"},
		{"a statement too few", func(b *linkv1.Begin) { b.Statements = b.Statements[:2] }, "2 statements came of 3 parties"},
		{"no statement", func(b *linkv1.Begin) { b.Statements = nil }, "0 statements came"},
		{"statements in another order", func(b *linkv1.Begin) { b.Statements[0], b.Statements[1] = b.Statements[1], b.Statements[0] }, "statement 1 is not of party 1"},
		{"a statement of a stranger", func(b *linkv1.Begin) { b.Statements[2].NodeId = string(newID(t)) }, "statement 3 is not of party 3"},
		{"a recipient that is no key", func(b *linkv1.Begin) { b.Statements[1].Recipient = "0123" }, "is not a public key"},
		{"two recipients", func(b *linkv1.Begin) { b.Statements[1].Recipient, b.Statements[2].Recipient = "01", "02" }, "two parties want results encrypted"},
		{"over already", func(b *linkv1.Begin) { b.Deadline = r.clock.Now().Add(-time.Second).Unix() }, "time is over already"},
		{"no deadline", func(b *linkv1.Begin) { b.Deadline = 0 }, "time is over already"},
		{"a deadline that wraps", func(b *linkv1.Begin) { b.Deadline = 1<<63 - 1 }, "time is over already"},
	} {
		t.Run(c.name, func(t *testing.T) {
			alterBegin(c.change)
			s := r.offer(r.keygen(3))
			r.mustFail(t, s, c.reason, r.a)
			r.mustBeSilent(s, r.a.id)
			r.end(s, "failed", "another party failed")
			r.mustFail(t, s, "another party failed", r.b, r.c)
		})
	}
	t.Run("another's statement differs from party to party", func(t *testing.T) {
		alterBegin(func(b *linkv1.Begin) { b.Statements[1].Guarded = true })
		s := r.offer(r.keygen(3))
		r.mustFail(t, s, "manifests differ", r.a, r.b, r.c)
	})
	r.do(func() { r.route = nil })
	t.Run("nobody is guarded", func(t *testing.T) {
		r.a.settings.change(func(s *settings) { s.guard = nil })
		s := r.offer(r.keygen(3))
		r.mustFail(t, s, "without asking any callback server", r.a, r.b, r.c)
		for _, m := range []*member{r.a, r.b, r.c} {
			r.mustBeSilent(s, m.id)
		}
		for _, m := range []*member{r.a, r.b} { // one that does not allow it is enough
			m.settings.change(func(s *settings) { s.unguarded = true })
		}
		s = r.offer(r.keygen(3))
		r.mustFail(t, s, "without asking any callback server", r.c)
		r.end(s, "failed", "c failed")
		r.mustFail(t, s, "c failed", r.a, r.b)
		r.c.settings.change(func(s *settings) { s.unguarded = true })
		r.offer(r.keygen(3))
		r.awaitActive(r.keyID, r.a, r.b, r.c)
	})
}

func TestAKeyThatWasMadeGuardedIsNotUsedUnasked(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	r.a.settings.change(func(s *settings) { s.guard = nil })
	r.mustRefuse(t, r.signing(), "was made with this node guarded, and no callback server is configured any more")
	r.b.settings.change(func(s *settings) { s.guard = nil }) // was never guarded
	r.a.settings.change(func(s *settings) { s.unguarded = true })
	r.mustSign(r.signing())
	if r.a.key(r.keyID).Guarded {
		t.Fatal("the key is shown as guarded")
	}
}

func TestWhatChangesBeforeBeginCounts(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	for name, c := range map[string]struct {
		change, back func(*settings)
		reason       string
	}{
		"a party is taken off the list":  {func(s *settings) { delete(s.parties, r.c.id) }, func(s *settings) { s.parties[r.c.id] = true }, "party 3"},
		"only signed requests are taken": {func(s *settings) { s.required = true }, func(s *settings) { s.required = false }, "is not signed"},
	} {
		t.Run(name, func(t *testing.T) {
			r.do(func() { r.manual = true })
			s := r.offer(r.signing())
			for _, m := range []*member{r.a, r.b, r.c} {
				r.awaitAnswer(s, m.id, linkv1.Answer_APPROVED)
			}
			r.a.settings.change(c.change)
			r.do(func() { r.begin(s) })
			r.mustFail(t, s, c.reason, r.a)
			r.mustBeSilent(s, r.a.id)
			r.end(s, "failed", "party a failed")
			r.a.settings.change(c.back)
			r.do(func() { r.manual = false })
			r.mustSign(r.signing())
		})
	}
}

func TestARequestIsWhatItWas(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	r.do(func() { r.manual = true })
	a := r.signing()
	s := r.offer(a)
	r.awaitAnswer(s, r.a.id, linkv1.Answer_APPROVED)
	for name, change := range map[string]func(*ask){
		"message": func(a *ask) { a.terms.Message = r.signing().terms.Message },
		"path":    func(a *ask) { a.terms.Path = "m/1" },
		"tx_info": func(a *ask) { a.terms.TxInfo = []byte(`{"to":"a"}`) },
		"type":    func(a *ask) { *a = keygenOf(a.sino, "key-2", 3, r.all) },
		"auth":    func(a *ask) { a.auth = &manifest.Authorization{KeyID: "k", Nonce: "n", Signature: []byte{1}} },
	} {
		t.Run(name, func(t *testing.T) {
			b := a
			change(&b)
			again := r.offer(b)
			if answer := r.awaitAnswer(again, r.a.id, linkv1.Answer_REFUSED); !contains(answer.Reason, "with other content") {
				t.Fatalf("refused with %q", answer.Reason)
			}
			r.do(func() { r.begin(again) })
			r.mustBeSilent(again, r.a.id)
		})
	}
	r.do(func() { r.begin(s) })
	for _, p := range a.parties {
		report := r.awaitReport(s, p.NodeID)
		if hexOf(report.Digest) != a.terms.Message {
			t.Fatalf("%x was signed", report.Digest)
		}
	}

	k := keygenOf(r.number("sino"), "key-3", 3, r.all)
	first := r.offer(k)
	r.awaitAnswer(first, r.a.id, linkv1.Answer_APPROVED)
	k.keyID = "key-4"
	again := r.offer(k)
	if answer := r.awaitAnswer(again, r.a.id, linkv1.Answer_REFUSED); !contains(answer.Reason, "with other content") {
		t.Fatalf("refused with %q", answer.Reason)
	}
}

func TestMalformedOffers(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	long := strings.Repeat("é", 1<<19)
	for name, o := range map[string]*linkv1.Offer{
		"nothing":           {},
		"no terms":          {SessionId: "s", SinoId: "x"},
		"long session id":   {SessionId: long, SinoId: "x"},
		"long request id":   {SessionId: "s", SinoId: long},
		"long token":        {SessionId: "s", SinoId: "x", JoinToken: long},
		"no node id":        {SessionId: "s", SinoId: "x", Terms: &linkv1.Terms{Parties: []string{long}}},
		"text without end":  {SessionId: "s", SinoId: "x", Terms: &linkv1.Terms{Type: "sign", KeyId: "key-1", RequestId: "r", Message: long}},
		"type without end":  {SessionId: "s", SinoId: "x", KeyId: "k", Expires: r.clock.Now().Add(time.Hour).Unix(), Terms: &linkv1.Terms{Type: long[:200], KeyId: "k", RequestId: "r"}},
		"path without end":  {SessionId: "s", SinoId: "x", Terms: &linkv1.Terms{Type: "sign", KeyId: "key-1", RequestId: "r", Path: "m/" + long[:240]}},
		"odd authorisation": {SessionId: "s", SinoId: "x", Terms: &linkv1.Terms{Type: "sign", KeyId: "key-1", RequestId: "r"}, Authorization: &linkv1.Authorization{KeyId: long[:120]}},
	} {
		t.Run(name, func(t *testing.T) {
			before := r.count(r.a.id, func(f *linkv1.Frame) bool { return f.GetAnswer().GetState() == linkv1.Answer_REFUSED })
			r.send(r.a.id, &linkv1.Frame{Body: &linkv1.Frame_Offer{Offer: o}})
			r.settle(r.a.id)
			after := r.count(r.a.id, func(f *linkv1.Frame) bool {
				if len(f.GetAnswer().GetReason()) > 1024 || len(f.GetAnswer().GetSessionId()) > 256 {
					t.Errorf("an answer repeats what has no end: %d bytes", len(f.GetAnswer().GetReason()))
				}
				return f.GetAnswer().GetState() == linkv1.Answer_REFUSED
			})
			if after != before+1 {
				t.Fatal("it was not refused")
			}
		})
	}
	r.mustSign(r.signing()) // the link is as good as before
}
