package node_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"testing"

	secpecdsa "github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"google.golang.org/protobuf/proto"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/ecies"
	"github.com/countersign-mpc/countersign/node/asking"
	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/wire"
)

// secluded is a trio whose key has party 2 as the recipient of its results; parties 1 and 2 ask callbacks.
type secluded struct {
	*trio
	key    *ecdsa.PrivateKey // opens the results
	second *guard            // of party 2
	got    chan asking.Question
}

// newSecluded makes the parties and a t-of-3 key.
func newSecluded(t testing.TB, cryptography string, threshold int) *secluded {
	t.Helper()
	r := &secluded{trio: newTrio(t), key: newP256(t), got: make(chan asking.Question, 8)}
	r.second = r.b.guarded(wire.Approve)
	r.second.reportsTo(reports{got: r.got})
	r.guard.reportsTo(reports{got: r.got, failing: errors.New("party 1 has nothing to report")})
	r.b.settings.change(func(s *settings) { s.recipient = spki(t, &r.key.PublicKey) })
	a := r.keygen(threshold)
	a.terms.Cryptography = cryptography
	s := r.offer(a)
	r.awaitActive(r.keyID, r.a, r.b, r.c)
	r.public = r.awaitReport(s, r.a.id).PublicKey
	return r
}

func spki(t testing.TB, key *ecdsa.PublicKey) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	must(t, err)
	return hexOf(der)
}

// mustBeSecluded has a request signed and gives the report of the recipient and the signature that is in it. No other party
// may say more than that it released its share.
func (r *secluded) mustBeSecluded(t testing.TB, a ask) (*linkv1.Report, []byte) {
	t.Helper()
	s := r.offer(a)
	for _, p := range a.parties {
		report := r.awaitReport(s, p.NodeID)
		if !report.Completed {
			t.Fatalf("the session failed at party %d: %s", p.Index, report.Reason)
		}
		if p.Index == 2 {
			continue
		}
		if !report.Released || report.Encrypted || len(report.Result) != 0 || report.RecoveryId != 0 {
			t.Fatalf("party %d reports %v", p.Index, report)
		}
	}
	report := r.awaitReport(s, r.b.id)
	if !report.Encrypted || report.Released || report.RecoveryId != 0 || !bytes.Equal(report.PublicKey, r.public) {
		t.Fatalf("the recipient reports %v", report)
	}
	plain, err := ecies.Decrypt(r.key, report.Result)
	must(t, err)
	reported := receive(t, r.got)
	if d := checkOf(t, reported).RequestDetail; d.Signature != hexOf(report.Result) {
		t.Fatalf("the callback is told %q", d.Signature)
	}
	return report, plain
}

func TestTheRecipientAloneLearnsTheSignature(t *testing.T) {
	t.Parallel()
	r := newSecluded(t, wire.ECDSASecp256k1, 3)
	for _, m := range []*member{r.a, r.b, r.c} {
		if k := m.key(r.keyID); k.Recipient != 2 {
			t.Fatalf("the key is shown as %+v", k)
		}
	}
	r.b.settings.change(func(s *settings) { s.recipient = spki(t, &newP256(t).PublicKey) }) // is for new keys
	digest := hexOf(eip191("other"))
	for _, c := range []struct {
		name, signType, message, txInfo string
		length                          int
		firstV                          byte
	}{
		{"message", "2", "hello", "", 65, 27},
		{"message on no EVM chain", "2", "hello", `{"chainSymbol":"BTC"}`, 65, 27},
		{"raw data", "3", digest, "", 64, 0},
		{"raw data on an EVM chain", "3", digest, `{"chainSymbol":"ETH"}`, 65, 0},
		{"raw data on another chain", "3", digest, `{"chainSymbol":"BTC"}`, 64, 0},
		{"a digest alone", "1", digest, "", 64, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := r.signing()
			a.terms.SignType, a.terms.Message, a.terms.TxInfo = c.signType, c.message, []byte(c.txInfo)
			report, plain := r.mustBeSecluded(t, a)
			if len(plain) != c.length {
				t.Fatalf("the signature has %d bytes", len(plain))
			}
			alone := proto.CloneOf(report)
			alone.Result = plain[:64]
			mustVerify(t, alone)
			if c.length == 65 {
				recovered, _, err := secpecdsa.RecoverCompact(append([]byte{plain[64] - c.firstV + 27 + 4}, plain[:64]...), report.Digest)
				if err != nil || !bytes.Equal(recovered.SerializeCompressed(), report.DerivedKey) {
					t.Fatalf("v is %d, which recovers another key (%v)", plain[64], err)
				}
			}
			r.mustBeNowhere(t, plain[:64], report.Result)
			for _, m := range []*member{r.a, r.c} {
				if state := m.record("request", a.sino)["state"]; state != "share-released" {
					t.Fatalf("the request is %v", state)
				}
			}
		})
	}
}

// mustBeNowhere fails if a signature is stored or logged by any node, or its ciphertext logged.
func (r *secluded) mustBeNowhere(t testing.TB, signature, ciphertext []byte) {
	t.Helper()
	for _, m := range []*member{r.a, r.b, r.c} {
		for _, bucket := range []string{"request", "report", "key", "session"} {
			must(t, m.store.ForEach(bucket, "", func(key string, value []byte) error {
				if holds(value, signature) {
					t.Errorf("record %s/%s holds the signature", bucket, key)
				}
				return nil
			}))
		}
		if log := m.log.bytes(); holds(log, signature) || holds(log, ciphertext) || !bytes.Contains(log, []byte("session completed")) {
			t.Errorf("the log holds a signature, or nothing: %s", log)
		}
	}
}

func TestTransactionsOfAKeyWithARecipientAreForAll(t *testing.T) {
	t.Parallel()
	r := newSecluded(t, wire.ECDSASecp256k1, 2)
	for _, signers := range [][]byte{{1, 2}, {1, 3}} {
		a := r.signing()
		a.terms.SignType, a.terms.TxInfo, a.parties = wire.SignTypeTransaction, []byte(`{"chainSymbol":"ETH"}`), only(r.all, signers...)
		r.mustSign(a)
	}
}

func TestTheRecipientMustBeAmongTheSigners(t *testing.T) {
	t.Parallel()
	r := newSecluded(t, wire.ECDSASecp256k1, 2)
	for name, signType := range map[string]string{"raw data": "3", "a digest alone": "1"} {
		t.Run(name, func(t *testing.T) {
			a := r.signing()
			a.parties, a.terms.SignType = only(r.all, 1, 3), signType
			r.mustRefuse(t, a, "are for party 2 ("+r.b.id.Short()+") alone, which encrypts them (encrypt-signature): it must be among the signers")
		})
	}
	for _, signers := range [][]byte{{1, 2}, {2, 3}} {
		a := r.signing()
		a.parties = only(r.all, signers...)
		r.mustBeSecluded(t, a)
	}
}

func TestASessionWithoutTheRecipientIsRefusedLater(t *testing.T) {
	t.Parallel()
	r := newSecluded(t, wire.ECDSASecp256k1, 2)
	r.do(func() { r.manual = true })
	a := r.signing()
	a.parties = only(r.all, 1, 2)
	first := r.offer(a)
	r.awaitAnswer(first, r.a.id, linkv1.Answer_APPROVED)
	a.parties = only(r.all, 1, 3)
	second := r.offer(a)
	if answer := r.awaitAnswer(second, r.a.id, linkv1.Answer_REFUSED); !contains(answer.Reason, "are for party 2") {
		t.Fatalf("refused with %q", answer.Reason)
	}
	r.do(func() { r.begin(second) })
	r.mustBeSilent(second, r.a.id)
}

func TestCiphertextIsReportedUntilAcknowledged(t *testing.T) {
	t.Parallel()
	r := newSecluded(t, wire.ECDSASecp256k1, 3)
	down := reports{got: make(chan asking.Question, 8), failing: errors.New("the server is down")}
	r.second.reportsTo(down)
	a := r.signing()
	s := r.offer(a)
	first := receive(t, down.got)
	report := r.awaitReport(s, r.b.id)
	if checkOf(t, first).RequestDetail.Signature != hexOf(report.Result) {
		t.Fatal("the callback is told something else than is reported")
	}
	for _, m := range []*member{r.a, r.b, r.c} {
		r.awaitReport(s, m.id)
		m.crash()
	}
	if again := receive(t, down.got); !bytes.Equal(again.Body, first.Body) || again.Signature != first.Signature {
		t.Fatal("after a crash another report is sent")
	}
	again := r.offer(a)
	for _, m := range []*member{r.a, r.b, r.c} {
		r.awaitAnswer(again, m.id, linkv1.Answer_DONE)
	}
	r.await("the reports again", func() bool {
		said := map[string]int{}
		for _, e := range r.log {
			if f := e.frame.GetReport(); f.GetSessionId() == s.id && (f.Released || bytes.Equal(f.Result, report.Result)) {
				said[string(e.from)]++
			}
		}
		return len(said) == 3 && said[string(r.a.id)] > 1 && said[string(r.b.id)] > 1 && said[string(r.c.id)] > 1
	})
	r.do(func() { r.begin(again) }) // nobody may begin it
	r.mustBeSilent(again, r.a.id)

	up := reports{got: make(chan asking.Question, 8)}
	r.second.reportsTo(up)
	r.b.restart()
	if got := receive(t, up.got); !bytes.Equal(got.Body, first.Body) {
		t.Fatal("after a restart another report is sent")
	}
	r.b.node.Seal() // waits for what runs, and the report has been acknowledged
	r.b.unseal()
	if stat, err := r.b.store.Stat(); err != nil || stat.Records["report"] != 0 || len(up.got) != 0 {
		t.Fatalf("the store holds %v reports (%v)", stat.Records["report"], err)
	}
}

// oddEnd is a protocol that ends otherwise than it should.
type oddEnd struct {
	signing.SignSession
	signature signing.Signature
	err       error
}

func (o oddEnd) Signature() (signing.Signature, error) { return o.signature, o.err }

func TestAProtocolThatTellsTheWrongParty(t *testing.T) {
	t.Parallel()
	r := newSecluded(t, wire.ECDSASecp256k1, 3)
	ends := func(m *member, end oddEnd) {
		m.toys.change(func(y *toys) {
			y.sign = func(s signing.SignSession) signing.SignSession { end.SignSession = s; return end }
		})
	}
	ends(r.a, oddEnd{signature: signing.Signature{Bytes: [64]byte{1}}})
	ends(r.b, oddEnd{err: signing.ErrForRecipient})
	s := r.offer(r.signing())
	r.mustFail(t, s, "a signature that is for party 2 alone: it is not given out", r.a)
	r.mustFail(t, s, signing.ErrForRecipient.Error(), r.b)
	for _, m := range []*member{r.a, r.b} {
		if report := r.awaitReport(s, m.id); report.Released || report.Encrypted || len(report.Result) != 0 {
			t.Fatalf("the report is %v", report)
		}
	}
	ends(r.b, oddEnd{signature: signing.Signature{Bytes: [64]byte{1}}})
	s = r.offer(r.signing())
	r.mustFail(t, s, "does not verify", r.b)
}

func TestWhatOnlyTheRecipientMayHear(t *testing.T) {
	t.Parallel()
	r := newSecluded(t, wire.ECDSASecp256k1, 3)
	s := r.offer(r.signing())
	r.awaitReport(s, r.b.id)
	r.do(func() {
		for _, e := range r.log {
			if lastRound(s, e.frame) && e.frame.GetEnvelope().To != 2 {
				t.Errorf("party %d was sent a share of the signature by party %d", e.frame.GetEnvelope().To, e.frame.GetEnvelope().From)
			}
		}
	})
}

func TestAReportToAServerThatIsDownBlocksNothing(t *testing.T) {
	t.Parallel()
	r := newSecluded(t, wire.ECDSASecp256k1, 3)
	entered, release := make(chan struct{}, 8), make(chan struct{})
	t.Cleanup(onceClose(release))
	r.second.mu.Lock()
	r.second.report = func(ctx context.Context, q asking.Question) error {
		entered <- struct{}{}
		select {
		case <-release:
		case <-ctx.Done():
		}
		return errors.New("the server is down")
	}
	r.second.mu.Unlock()
	for range 2 {
		s := r.offer(r.signing())
		receive(t, entered)
		if report := r.awaitReport(s, r.b.id); !report.Encrypted {
			t.Fatalf("the report is %v", report)
		}
	}
}
