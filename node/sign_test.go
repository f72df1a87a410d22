package node_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"golang.org/x/crypto/sha3"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/node/asking"
	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/wire"
)

// eip191 is the digest of a text, computed here by itself.
func eip191(text string) []byte {
	h := sha3.NewLegacyKeccak256()
	h.Write([]byte("\x19Ethereum Signed Message:\n5" + text))
	return h.Sum(nil)
}

func TestWhatIsSignedIsComputedHere(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	tx := transactionNamed(t, "legacy-eip155-erc20-transfer")
	digest := unhex(t, tx.Digest)
	for name, c := range map[string]struct {
		signType, message string
		txInfo            []byte
		digest            []byte
		askedType         string
		askedMessage      string
	}{
		"transaction":            {"1", "", tx.info(t), digest, "1", tx.Digest},
		"transaction and digest": {"1", tx.Digest, tx.info(t), digest, "1", tx.Digest},
		"digest with tx_info":    {"1", tx.Digest, []byte(`{"chainSymbol":"ETH"}`), digest, "1", tx.Digest},
		"digest alone":           {"1", tx.Digest, nil, digest, "3", tx.Digest},
		"message":                {"2", "hello", nil, eip191("hello"), "2", "hello"},
		"raw data":               {"3", tx.Digest, nil, digest, "3", tx.Digest},
	} {
		t.Run(name, func(t *testing.T) {
			a := r.signing()
			a.terms.SignType, a.terms.Message, a.terms.TxInfo = c.signType, c.message, c.txInfo
			report := r.mustSign(a)
			if !bytes.Equal(report.Digest, c.digest) || !bytes.Equal(report.PublicKey, r.public) {
				t.Fatalf("the report is %v", report)
			}
			path, err := derive.ParsePath(a.terms.Path)
			must(t, err)
			chain := r.chainCode(t)
			child, err := derive.Secp256k1Child(r.public, chain, path)
			must(t, err)
			if !bytes.Equal(report.DerivedKey, child.PublicKey[:]) {
				t.Fatal("the signature is not of the key that the path names")
			}
			questions := r.guard.questions()
			check := checkOf(t, questions[len(questions)-1])
			d := check.RequestDetail
			if d.SignType != c.askedType || d.Message != c.askedMessage || d.Path != a.terms.Path || d.PublicKey != hexOf(r.public) ||
				d.T != 3 || d.N != 3 || d.Cryptography != wire.ECDSASecp256k1 || string(d.TxInfo) != string(c.txInfo) ||
				check.RequestType != wire.TypeSign || check.ExtraInfo != (wire.ExtraInfo{SinoID: a.sino, RequestID: a.terms.RequestID}) {
				t.Fatalf("the callback was asked %s", questions[len(questions)-1].Body)
			}
		})
	}
}

// chainCode is that of the trio's key.
func (r *trio) chainCode(t testing.TB) []byte {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.log {
		if report := e.frame.GetReport(); len(report.GetChainCode()) == 32 {
			return report.ChainCode
		}
	}
	t.Fatal("no keygen was reported")
	return nil
}

func TestTheBodyIsSignedByTheNode(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	r.mustSign(r.signing())
	key, err := r.a.id.PublicKey()
	must(t, err)
	for _, q := range r.guard.questions() {
		got, err := wire.OpenRequest(wire.PathCheck, q.Body, q.Signature, []*ecdsa.PublicKey{key})
		must(t, err)
		if got.Check.CallbackID != q.Asked.CallbackID || len(q.Asked.CallbackID) != 32 {
			t.Fatalf("callback_id is %q", got.Check.CallbackID)
		}
	}
}

func TestSomeOfTheParties(t *testing.T) {
	t.Parallel()
	r := newTrio(t)
	r.c.guarded(wire.Approve)
	r.offer(r.keygen(2))
	r.awaitActive(r.keyID, r.a, r.b, r.c)
	for _, signers := range [][]byte{{1, 2}, {1, 3}, {2, 3}} {
		a := r.signing()
		a.parties = only(r.all, signers...)
		r.mustSign(a)
	}
	if r.a.key(r.keyID).LastUsed.IsZero() || r.b.key(r.keyID).LastUsed.IsZero() {
		t.Fatal("it is not noted that the key was used")
	}
}

func TestTheRequesterIsWhomTheNodeVerified(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	key := newP256(t)
	known, err := manifest.NewRequesterKey(&key.PublicKey)
	must(t, err)
	r.acceptRequester(key)

	last := func() wire.TxInfo {
		questions := r.guard.questions()
		var info wire.TxInfo
		must(t, json.Unmarshal(checkOf(t, questions[len(questions)-1]).RequestDetail.TxInfo, &info))
		return info
	}
	a := r.signing()
	a.terms.SignType, a.terms.TxInfo = wire.SignTypeTransaction, []byte(`{"chainSymbol":"ETH","requester":{"key_id":"me","signature":"00"}}`)
	r.mustSign(a)
	if info := last(); info.Requester != nil {
		t.Fatalf("the callback was told of a requester that nobody verified: %+v", info.Requester)
	}
	a = r.signing()
	a.terms.TxInfo, a.terms.SignType = []byte(`{"chainSymbol":"ETH","requester":{"key_id":"me","signature":"00"}}`), wire.SignTypeTransaction
	a = a.authorized(t, key, time.Now().Add(time.Hour))
	r.mustSign(a)
	if info := last(); info.Requester == nil || info.Requester.KeyID != known.ID() || info.Requester.Signature != hexOf(a.auth.Signature) {
		t.Fatalf("the callback was told of the requester %+v", info.Requester)
	}
}

func TestACompletedRequestIsDone(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	a := r.signing()
	first := r.mustSign(a)
	asked := len(r.guard.questions())
	for _, between := range []func(){func() {}, r.a.restart, r.a.crash} {
		between()
		again := r.offer(a)
		r.awaitAnswer(again, r.a.id, linkv1.Answer_DONE)
		done := 0
		r.await("the report again", func() bool {
			done = 0
			for _, e := range r.log {
				if e.from == r.a.id && bytes.Equal(e.frame.GetReport().GetResult(), first.Result) {
					done++
				}
			}
			return done >= 2
		})
		r.do(func() { r.begin(again) }) // nobody may begin it
		r.mustBeSilent(again, r.a.id)
	}
	if len(r.guard.questions()) != asked {
		t.Fatal("the callback was asked about what is done")
	}
}

// sealing is a protocol before whose use of the share, or before whose result, the store goes away.
type sealing struct {
	signing.SignSession
	release, result func()
}

func (s sealing) Outgoing() []signing.Message {
	out := s.SignSession.Outgoing()
	for _, m := range out {
		if m.ReleasesShare && s.release != nil {
			s.release()
		}
	}
	return out
}

func (s sealing) Signature() (signing.Signature, error) {
	if s.result != nil {
		s.result()
	}
	return s.SignSession.Signature()
}

// lastRound tells whether a frame carries what the toy's share goes into.
func lastRound(s *session, f *linkv1.Frame) bool {
	return f.GetEnvelope().GetSessionId() == s.id && f.GetEnvelope().GetRound() == 3
}

func TestNoShareIsUsedThatIsNotOnTheDisk(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	r.a.toys.change(func(y *toys) {
		y.sign = func(s signing.SignSession) signing.SignSession { return sealing{s, r.a.store.Seal, nil} }
	})
	s := r.offer(r.signing())
	if report := r.awaitReport(s, r.a.id); report.Completed || !contains(report.Reason, "sealed") {
		t.Fatalf("the report is %v", report)
	}
	r.settle(r.a.id)
	if n := r.count(r.a.id, func(f *linkv1.Frame) bool { return lastRound(s, f) }); n != 0 {
		t.Fatal("the share went out and that is not on the disk")
	}
}

func TestNoResultIsReportedThatIsNotOnTheDisk(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	r.a.toys.change(func(y *toys) {
		y.sign = func(s signing.SignSession) signing.SignSession { return sealing{s, nil, r.a.store.Seal} }
	})
	s := r.offer(r.signing())
	if report := r.awaitReport(s, r.a.id); report.Completed || len(report.Result) != 0 || !contains(report.Reason, "sealed") {
		t.Fatalf("the report is %v", report)
	}
}

func TestEachPointIsOnTheDiskBeforeItIsSeen(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	a := r.signing()
	checked := make(map[string]bool)
	r.do(func() {
		r.seen = func(from wire.NodeID, f *linkv1.Frame) {
			if from != r.a.id {
				return
			}
			data, err := r.a.store.Get("request", a.sino)
			if err != nil {
				t.Errorf("read the request: %v", err)
				return
			}
			var rec struct {
				State    string   `json:"state"`
				Released bool     `json:"share_released"`
				Sessions []string `json:"sessions"`
				Ask      struct {
					CallbackID string `json:"callback_id"`
				} `json:"ask"`
			}
			must(t, json.Unmarshal(data, &rec))
			checked[fmt.Sprintf("%T", f.Body)] = true
			switch {
			case f.GetAnswer() != nil && (rec.Ask.CallbackID == "" || rec.Ask.CallbackID != f.GetAnswer().CallbackId):
				t.Error("the callback was asked before its body was stored")
			case f.GetContribution() != nil && len(rec.Sessions) != 1:
				t.Error("a contribution left before it was stored that the session is joined")
			case f.GetEnvelope().GetRound() == 3 && !rec.Released:
				t.Error("the share was used before that was stored")
			case f.GetReport() != nil && rec.State != "done":
				t.Error("a result was reported before it was stored")
			}
		}
	})
	r.mustSign(a)
	r.do(func() {
		if len(checked) != 5 { // Answer, Join, Contribution, Envelope, Report
			t.Errorf("only %v were looked at", checked)
		}
	})
}

// reports counts what a guard is given as reports, and fails them as long as failing.
type reports struct {
	got     chan asking.Question
	failing error
}

func (g *guard) reportsTo(r reports) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.report = func(_ context.Context, q asking.Question) error {
		r.got <- q
		return r.failing
	}
}

func receive[T any](t testing.TB, c chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

func TestSignaturesOfMessagesAreReportedUntilAcknowledged(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	down := reports{got: make(chan asking.Question, 8), failing: errors.New("the server is down")}
	r.guard.reportsTo(down)
	a := r.signing()
	a.terms.SignType, a.terms.Message = wire.SignTypeMessage, "hello"
	signed := r.mustSign(a)
	first := receive(t, down.got)
	questions := r.guard.questions()
	approved := questions[len(questions)-1].Asked
	check := checkOf(t, first)
	if first.Asked != approved || check.CallbackID != approved.CallbackID || check.RequestDetail.Message != "hello" ||
		check.RequestDetail.Signature != hexOf(append(bytes.Clone(signed.Result), 27+byte(signed.RecoveryId&1))) || check.RequestType != "" || check.ExtraInfo != approved.ExtraInfo {
		t.Fatalf("the report is %s", first.Body)
	}
	key, err := r.a.id.PublicKey()
	must(t, err)
	_, err = wire.OpenRequest(wire.PathRawdata, first.Body, first.Signature, []*ecdsa.PublicKey{key})
	must(t, err)

	r.a.crash()
	if again := receive(t, down.got); !bytes.Equal(again.Body, first.Body) || again.Signature != first.Signature {
		t.Fatal("after a crash another report is sent")
	}
	up := reports{got: make(chan asking.Question, 8)}
	r.guard.reportsTo(up)
	r.a.restart()
	if again := receive(t, up.got); !bytes.Equal(again.Body, first.Body) {
		t.Fatal("after a restart another report is sent")
	}
	r.a.node.Seal() // waits for what runs, and the report has been acknowledged
	r.a.unseal()
	if len(up.got) != 0 {
		t.Fatal("an acknowledged report is sent again")
	}
	if stat, err := r.a.store.Stat(); err != nil || stat.Records["report"] != 0 {
		t.Fatalf("the store holds %v reports (%v)", stat.Records["report"], err)
	}

	r.mustSign(func() ask { // a transaction is not reported
		a := r.signing()
		a.terms.SignType, a.terms.TxInfo = wire.SignTypeTransaction, []byte(`{"chainSymbol":"ETH"}`)
		return a
	}())
	r.a.node.Seal()
	if len(up.got) != 0 {
		t.Fatal("the signature of a transaction was reported")
	}
}
