package node_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/wire"
)

func TestRefusedSigningsOfEachKind(t *testing.T) {
	t.Parallel()
	r := newCurves(t, 3)
	tx := transactionNamed(t, "legacy-eip155-erc20-transfer")
	always := []struct {
		name   string
		change func(*ask)
		reason string
	}{
		{"a stranger", func(a *ask) { a.parties = parties(r.a.id, r.b.id, newID(t)) }, "is not in this node's share"},
		{"too few signers", func(a *ask) { a.parties = only(a.parties, 1, 3) }, "needs exactly 3"},
		{"hardened path", func(a *ask) { a.terms.Path = "m/44'/0" }, "hardened"},
		{"odd path", func(a *ask) { a.terms.Path = "m/01" }, "path"},
		{"no such key", func(a *ask) { a.terms.KeyID = "key-9" }, "holds no share"},
		{"no message", func(a *ask) { a.terms.Message = "" }, "message"},
		{"message is not hex", func(a *ask) { a.terms.Message = strings.Repeat("zz", 32) }, "message"},
		{"another key claimed", func(a *ask) {
			a.terms.TxInfo = []byte(`{"publickKey":"0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"}`)
		}, "tx_info.publickKey is"},
		{"odd tx_info", func(a *ask) { a.terms.TxInfo = []byte(`{"publickKey":7}`) }, "tx_info/publickKey must be a string"},
		{"odd curInputId", func(a *ask) { a.terms.TxInfo = []byte(`{"curInputId":[]}`) }, "tx_info/curInputId"},
		{"a message of no scheme", func(a *ask) { a.terms.SignType = "4" }, "sign_type"},
	}
	for _, k := range kinds {
		refused := always
		add := func(name string, change func(*ask), reason string) {
			refused = append(refused, struct {
				name   string
				change func(*ask)
				reason string
			}{name, change, reason})
		}
		add("a transaction that is raw data", func(a *ask) { a.terms.TxInfo = infoWith(t, tx, "tapScriptRoot", k.scriptRoot) }, "sign_type 3 with a rawTx")
		if k.requestType == wire.TypeTaprootSign {
			for name, root := range map[string]string{"short": "00", "long": strings.Repeat("00", 33), "not hex": strings.Repeat("zz", 32), "0x": "0x" + strings.Repeat("00", 32)} {
				add("a root that is "+name, func(a *ask) { a.terms.TapScriptRoot = root }, "neither empty nor 32 bytes")
			}
			add("another root claimed", func(a *ask) { a.terms.TxInfo = fmt.Appendf(nil, `{"tapScriptRoot":"%064x"}`, 1) }, "both must name the same root")
			if k.scriptRoot != "" {
				add("a root that the callback is not told of", func(a *ask) { a.terms.TxInfo = nil }, "both must name the same root")
			}
			add("a claimed root that is odd", func(a *ask) { a.terms.TxInfo = []byte(`{"tapScriptRoot":"5"}`) }, "both must name the same root")
		} else {
			add("a root", func(a *ask) { a.terms.TapScriptRoot = scriptRoot }, "tapScriptRoot is for taproot-sign only")
		}
		if k.name == "Taproot with scripts" {
			add("a claim without its root", func(a *ask) { a.terms.TxInfo = []byte(`{"chainSymbol":"BTC"}`) }, "both must name the same root")
		}
		if k.cryptography == wire.EdDSAEd25519 {
			for _, requestType := range []string{wire.TypeBIP340SchnorrSign, wire.TypeTaprootSign} {
				add(requestType+" with a key of the wrong curve", func(a *ask) { a.terms.Type = requestType }, "needs a key of ecdsa-secp256k1")
			}
			add("an EVM transaction", func(a *ask) {
				a.terms.SignType, a.terms.Message, a.terms.TxInfo = wire.SignTypeTransaction, "", tx.info(t)
			}, "rawTx with eddsa-ed25519")
		} else {
			add("a message of another length", func(a *ask) { a.terms.Message += "00" }, "message")
			add("another digest than the transaction's", func(a *ask) {
				a.terms.SignType, a.terms.TxInfo = wire.SignTypeTransaction, infoWith(t, tx, "tapScriptRoot", k.scriptRoot)
			}, map[bool]string{true: "digest does not belong to the transaction", false: "must be a PSBT"}[k.requestType == wire.TypeSign])
		}
		if k.name != "ECDSA" {
			add("a message to be hashed", func(a *ask) { a.terms.SignType, a.terms.Message = wire.SignTypeMessage, "hello" }, "sign_type 2 is for")
		}
		t.Run(k.name, func(t *testing.T) {
			for _, c := range refused {
				t.Run(c.name, func(t *testing.T) {
					a, _ := k.ask(t, r.hall, curves[k.cryptography], r.all)
					c.change(&a)
					r.mustRefuse(t, a, c.reason)
				})
			}
		})
	}
}

// infoWith is the tx_info of a transaction with one more member.
func infoWith(t testing.TB, tx transaction, name, value string) []byte {
	t.Helper()
	data, err := json.Marshal(map[string]string{"chainSymbol": "ETH", "rawTx": tx.RawTx, name: value})
	must(t, err)
	return data
}

func TestTheKeyThatIsClaimed(t *testing.T) {
	t.Parallel()
	r := newCurves(t, 3)
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			a, message := k.ask(t, r.hall, curves[k.cryptography], r.all)
			report := r.mustSignAs(t, k, a, message)
			a, message = k.ask(t, r.hall, curves[k.cryptography], r.all)
			a.terms.TxInfo = fmt.Appendf(nil, `{"publickKey":%q,"tapScriptRoot":%q}`, strings.ToUpper(hexOf(report.DerivedKey)), strings.ToUpper(k.scriptRoot))
			r.mustSignAs(t, k, a, message)
			for _, claimed := range []string{hexOf(report.PublicKey), "0x" + hexOf(report.DerivedKey), " "} { // the first is the root key, not the path's
				a, _ = k.ask(t, r.hall, curves[k.cryptography], r.all)
				a.terms.TxInfo = fmt.Appendf(nil, `{"publickKey":%q,"tapScriptRoot":%q}`, claimed, k.scriptRoot)
				r.mustRefuse(t, a, "leave it out, or name the key that signs")
			}
		})
	}
}

func TestMessagesOfEd25519OfAnyLength(t *testing.T) {
	t.Parallel()
	r := newCurves(t, 3)
	k := kindOf("Ed25519")
	for _, length := range []int{1, 32, 64, 1232, 256 << 10} {
		k.length = max(length, 32)
		a, message := k.ask(t, r.hall, curves[k.cryptography], r.all)
		message = message[:length]
		a.terms.Message = hexOf(message)
		r.mustSignAs(t, k, a, message)
		a, _ = k.ask(t, r.hall, curves[k.cryptography], r.all)
		a.terms.SignType, a.terms.Message = wire.SignTypeTransaction, hexOf(message)
		a.terms.TxInfo = []byte(`{"chainSymbol":"SOL"}`)
		r.mustSignAs(t, k, a, message)
	}
	a, _ := k.ask(t, r.hall, curves[k.cryptography], r.all)
	a.terms.Message += "00"
	r.mustRefuse(t, a, "it must have 1 to 262144 bytes")
}

// withCurves makes a key of each curve with the rogue as its third party.
func (d *duel) withCurves(t testing.TB) *duel {
	t.Helper()
	for cryptography, keyID := range curves {
		a := keygenOf(d.number("sino"), keyID, 3, d.all)
		a.terms.Cryptography = cryptography
		d.offer(a)
		d.awaitActive(keyID, d.a, d.b)
	}
	return d
}

// mustSignAgainAs wants the nodes to be as good as before.
func (d *duel) mustSignAgainAs(t testing.TB, k kind) {
	t.Helper()
	d.do(func() { d.route = nil })
	d.rogue.change(func() { d.rogue.forge, d.rogue.post, d.rogue.other, d.rogue.twist = nil, nil, nil, nil })
	a, message := k.ask(t, d.hall, curves[k.cryptography], d.all)
	s := d.offer(a)
	for _, m := range []*member{d.a, d.b} {
		report := d.awaitReport(s, m.id)
		if !report.Completed {
			t.Fatalf("the next session failed: %s", report.Reason)
		}
		if !report.Encrypted && !report.Released {
			k.mustVerifyAs(t, report, message, report.Result)
		}
	}
}

func TestPartiesThatWereAskedForDifferentThingsOfEachKind(t *testing.T) {
	t.Parallel()
	d := newDuel(newHall(t)).withCurves(t)
	others := map[string]func(*manifest.Manifest){
		"tapScriptRoot": func(m *manifest.Manifest) { m.TapScriptRoot += "00" },
		"path":          func(m *manifest.Manifest) { m.Path = "m/1" },
		"recipient":     func(m *manifest.Manifest) { m.Recipient = spki(t, &newP256(t).PublicKey) },
		"message":       func(m *manifest.Manifest) { m.Digest = make([]byte, 32) },
		"curve":         func(m *manifest.Manifest) { m.Cryptography += "x" },
		"scheme": func(m *manifest.Manifest) {
			m.Type = map[string]string{wire.TypeSign: wire.TypeTaprootSign, wire.TypeTaprootSign: wire.TypeBIP340SchnorrSign,
				wire.TypeBIP340SchnorrSign: wire.TypeSign}[m.Type]
		},
	}
	altered := map[string]func(*linkv1.Terms){
		"path":    func(t *linkv1.Terms) { t.Path = "m/0" },
		"message": func(t *linkv1.Terms) { t.Message = strings.Repeat("11", len(t.Message)/2) },
	}
	for _, k := range kinds {
		alter := altered
		if k.requestType == wire.TypeTaprootSign {
			alter = map[string]func(*linkv1.Terms){
				"tapScriptRoot": func(t *linkv1.Terms) {
					t.TapScriptRoot = strings.Repeat("77", 32)
					t.TxInfo = fmt.Appendf(nil, `{"tapScriptRoot":%q}`, t.TapScriptRoot)
				},
				"scheme": func(t *linkv1.Terms) { t.Type, t.TapScriptRoot, t.TxInfo = wire.TypeBIP340SchnorrSign, "", nil },
			}
		}
		t.Run(k.name, func(t *testing.T) {
			for name, other := range others {
				t.Run(name, func(t *testing.T) {
					d.rogue.change(func() {
						d.rogue.other = func(m manifest.Manifest) manifest.Manifest { other(&m); return m }
					})
					a, _ := k.ask(t, d.hall, curves[k.cryptography], d.all)
					d.mustFailSilently(t, d.offer(a))
				})
			}
			d.rogue.change(func() { d.rogue.other = nil })
			for name, change := range alter {
				t.Run(name+", by the coordinator", func(t *testing.T) {
					a, _ := k.ask(t, d.hall, curves[k.cryptography], d.all)
					a.alter = func(to wire.NodeID, o *linkv1.Offer) {
						if to == d.b.id {
							change(o.Terms)
						}
					}
					d.mustFailSilently(t, d.offer(a))
				})
			}
			d.mustSignAgainAs(t, k)
		})
	}
}

// mustFailSilently wants both nodes to find out that the manifests differ before a protocol message is sent.
func (d *duel) mustFailSilently(t testing.TB, s *session) {
	t.Helper()
	d.mustFail(t, s, "manifests differ", d.a, d.b)
	for _, m := range []*member{d.a, d.b} {
		if n := d.count(m.id, func(f *linkv1.Frame) bool { return f.GetEnvelope().GetSessionId() == s.id }); n != 0 {
			t.Fatal("a protocol message was sent")
		}
	}
}

func TestNoKindIsSignedUnasked(t *testing.T) {
	t.Parallel()
	r := newCurves(t, 3)
	r.a.settings.change(func(s *settings) { s.guard = nil })
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			a, _ := k.ask(t, r.hall, curves[k.cryptography], r.all)
			r.mustRefuse(t, a, "was made with this node guarded, and no callback server is configured any more")
		})
	}
	r.a.settings.change(func(s *settings) { s.guard = r.guard })
	r.guard.set(wire.Reject)
	for _, k := range kinds {
		t.Run(k.name+", rejected", func(t *testing.T) {
			a, _ := k.ask(t, r.hall, curves[k.cryptography], r.all)
			s := r.offer(a)
			r.awaitAnswer(s, r.a.id, linkv1.Answer_REJECTED)
			r.do(func() { r.begin(s) })
			r.mustBeSilent(s, r.a.id)
		})
	}
}

func TestALoneDigestIsRawData(t *testing.T) {
	t.Parallel()
	r := newCurves(t, 3)
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			a, message := k.ask(t, r.hall, curves[k.cryptography], r.all)
			a.terms.SignType = wire.SignTypeTransaction
			r.mustSignAs(t, k, a, message)
			questions := r.guard.questions()
			want := wire.SignTypeRaw
			if len(a.terms.TxInfo) > 0 {
				want = wire.SignTypeTransaction // a script tree comes with a tx_info: the digest is not alone
			}
			if d := checkOf(t, questions[len(questions)-1]).RequestDetail; d.SignType != want {
				t.Fatalf("the callback was asked about sign_type %s", d.SignType)
			}
		})
	}
}
