package node_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/wire"
)

// patrons is a trio that takes requests of two requesters only.
type patrons struct {
	*trio
	p256    *ecdsa.PrivateKey
	ed25519 ed25519.PrivateKey
}

func newPatrons(t testing.TB) *patrons {
	t.Helper()
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	r := &patrons{trio: newSigners(t), p256: newP256(t), ed25519: edKey}
	known := make(map[string]manifest.RequesterKey)
	for _, pub := range []any{&r.p256.PublicKey, edKey.Public()} {
		key, err := manifest.NewRequesterKey(pub)
		must(t, err)
		known[key.ID()] = key
	}
	for _, m := range []*member{r.a, r.b, r.c} {
		m.settings.change(func(s *settings) { s.requesters, s.required = known, true })
	}
	return r
}

// signed asks for a signature as the first requester, until a time from now.
func (r *patrons) signed(life time.Duration) ask {
	return r.signing().authorized(r.t, r.p256, r.clock.Now().Add(life))
}

func TestRequestersThatAreKnown(t *testing.T) {
	t.Parallel()
	r := newPatrons(t)
	r.mustSign(r.signed(time.Hour))
	ed := r.signing()
	auth, err := manifest.Authorize(r.ed25519, ed.terms, r.clock.Now().Add(time.Hour))
	must(t, err)
	ed.auth = &auth
	r.mustSign(ed)
}

func TestRequestsThatNobodySigned(t *testing.T) {
	t.Parallel()
	r := newPatrons(t)
	signed := func() ask { return r.signed(time.Hour) }
	foreign := r.signing().authorized(t, newP256(t), r.clock.Now().Add(time.Hour))
	asKnown := foreign
	asKnown.auth = &manifest.Authorization{KeyID: r.signed(time.Hour).auth.KeyID, Expiry: foreign.auth.Expiry, Nonce: foreign.auth.Nonce, Signature: foreign.auth.Signature}
	tx := func() ask {
		a := r.signing()
		a.terms.SignType, a.terms.Message, a.terms.TxInfo = wire.SignTypeTransaction, "", transactionNamed(t, "legacy-eip155-native").info(t)
		return a.authorized(t, r.p256, r.clock.Now().Add(time.Hour))
	}
	for _, c := range []struct {
		name   string
		ask    ask
		change func(*ask)
		reason string
	}{
		{"unsigned", r.signing(), nil, "is not signed"},
		{"unknown key", foreign, nil, "is not listed"},
		{"unknown key under a known id", asKnown, nil, "does not verify"},
		{"path changed", signed(), func(a *ask) { a.terms.Path = "m/1" }, "does not verify"},
		{"message changed", signed(), func(a *ask) { a.terms.Message = r.signing().terms.Message }, "does not verify"},
		{"request_id changed", signed(), func(a *ask) { a.terms.RequestID += "x" }, "does not verify"},
		{"sign_type changed", signed(), func(a *ask) { a.terms.SignType = wire.SignTypeTransaction }, "does not verify"},
		{"type changed", signed(), func(a *ask) { a.terms.Type = wire.TypeBIP340SchnorrSign }, "does not verify"},
		{"key changed", signed(), func(a *ask) { a.terms.KeyID = "key-2" }, "does not verify"},
		{"tx_info added", signed(), func(a *ask) { a.terms.TxInfo = []byte("{}") }, "does not verify"},
		{"tx_info changed", tx(), func(a *ask) { a.terms.TxInfo = transactionNamed(t, "legacy-eip155-erc20-transfer").info(t) }, "does not verify"},
		{"tx_info taken away", tx(), func(a *ask) { a.terms.TxInfo = nil }, "does not verify"},
		{"tapScriptRoot added", signed(), func(a *ask) { a.terms.TapScriptRoot = "00" }, "does not verify"},
		{"expiry changed", signed(), func(a *ask) { a.auth.Expiry += 60 }, "does not verify"},
		{"nonce changed", signed(), func(a *ask) { a.auth.Nonce = strings.Repeat("0", 32) }, "does not verify"},
		{"nonce too short", signed(), func(a *ask) { a.auth.Nonce = a.auth.Nonce[:30] }, "nonce has 30"},
		{"no nonce", signed(), func(a *ask) { a.auth.Nonce = "" }, "nonce has 0"},
		{"expired", r.signed(-time.Second), nil, "it expired"},
		{"expires too late", r.signed(26 * time.Hour), nil, "more than 25h"},
		{"no signature", signed(), func(a *ask) { a.auth.Signature = nil }, "does not verify"},
		{"long signature", signed(), func(a *ask) { a.auth.Signature = make([]byte, 200) }, "too long"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.change != nil {
				c.change(&c.ask)
			}
			r.mustRefuse(t, c.ask, c.reason)
		})
	}
}

func TestASignatureServesOneRequest(t *testing.T) {
	t.Parallel()
	r := newPatrons(t)
	a := r.signed(time.Hour)
	r.mustSign(a)
	again := func() ask {
		b := a
		b.sino = r.number("sino")
		return b
	}
	r.mustRefuse(t, again(), "used for another request already")
	for _, restart := range []func(){r.a.restart, r.a.crash} {
		restart()
		r.mustRefuse(t, again(), "used for another request already")
	}
	r.clock.step(59 * time.Minute) // its nonce is kept until it expires by itself
	r.a.restart()
	r.mustRefuse(t, again(), "used for another request already")
	r.clock.step(3 * time.Hour)
	r.a.restart()
	if stat, err := r.a.store.Stat(); err != nil || stat.Records["nonce"] != 0 {
		t.Fatalf("the store holds %v nonces (%v)", stat.Records["nonce"], err)
	}
	r.mustRefuse(t, again(), "it expired")
}

func TestARequestEndsWithItsSignature(t *testing.T) {
	t.Parallel()
	r := newPatrons(t)
	r.guard.set("")
	s := r.offer(r.signed(2 * time.Minute))
	call := r.guard.next(t)
	r.awaitAnswer(s, r.b.id, linkv1.Answer_APPROVED)
	r.awaitAnswer(s, r.c.id, linkv1.Answer_APPROVED)
	r.clock.step(3 * time.Minute)
	r.do(func() { r.manual = true })
	call.approve()
	r.awaitAnswer(s, r.a.id, linkv1.Answer_APPROVED)
	r.do(func() { r.begin(s) })
	r.mustFail(t, s, "request has expired", r.a, r.b, r.c)
	for _, m := range []*member{r.a, r.b, r.c} {
		r.mustBeSilent(s, m.id)
	}
}

func TestARequesterThatIsTakenOffTheList(t *testing.T) {
	t.Parallel()
	r := newPatrons(t)
	r.do(func() { r.manual = true })
	a := r.signed(time.Hour)
	s := r.offer(a)
	r.awaitAnswer(s, r.a.id, linkv1.Answer_APPROVED)
	r.end(s, "failed", "another party failed")
	r.a.settings.change(func(s *settings) { s.requesters = nil })
	again := r.offer(a)
	if answer := r.awaitAnswer(again, r.a.id, linkv1.Answer_REFUSED); !contains(answer.Reason, "is not listed") {
		t.Fatalf("refused with %q", answer.Reason)
	}
}
