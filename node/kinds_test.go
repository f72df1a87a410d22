package node_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/txscript"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/wire"
)

// kind is one way to sign.
type kind struct {
	name, cryptography, requestType, scriptRoot string
	length                                      int // of the message, in bytes
	verify                                      func(t testing.TB, key, scriptRoot, message, signature []byte) bool
}

var scriptRoot = strings.Repeat("5a", 32)

// kinds are all ways; each signature is verified by code that is not the project's.
var kinds = []kind{
	{"ECDSA", wire.ECDSASecp256k1, wire.TypeSign, "", 32, nil}, // mustVerify
	{"BIP340", wire.ECDSASecp256k1, wire.TypeBIP340SchnorrSign, "", 32, func(t testing.TB, key, _, message, signature []byte) bool {
		return verifySchnorr(t, key[1:], message, signature)
	}},
	{"Taproot", wire.ECDSASecp256k1, wire.TypeTaprootSign, "", 32, verifyTaproot},
	{"Taproot with scripts", wire.ECDSASecp256k1, wire.TypeTaprootSign, scriptRoot, 32, verifyTaproot},
	{"Ed25519", wire.EdDSAEd25519, wire.TypeSign, "", 200, func(_ testing.TB, key, _, message, signature []byte) bool {
		return ed25519.Verify(key, message, signature)
	}},
}

func verifySchnorr(t testing.TB, xOnly, message, signature []byte) bool {
	t.Helper()
	key, err := schnorr.ParsePubKey(xOnly)
	must(t, err)
	parsed, err := schnorr.ParseSignature(signature)
	must(t, err)
	return parsed.Verify(message, key)
}

func verifyTaproot(t testing.TB, key, root, message, signature []byte) bool {
	t.Helper()
	internal, err := btcec.ParsePubKey(key)
	must(t, err)
	return verifySchnorr(t, schnorr.SerializePubKey(txscript.ComputeTaprootOutputKey(internal, root)), message, signature)
}

// mustVerifyAs checks what a report says of a signature.
func (k kind) mustVerifyAs(t testing.TB, r *linkv1.Report, message, signature []byte) {
	t.Helper()
	digest := message
	if k.cryptography == wire.EdDSAEd25519 {
		sum := sha256.Sum256(message)
		digest = sum[:]
	}
	if !bytes.Equal(r.Digest, digest) || len(signature) != 64 {
		t.Fatalf("the report is %v", r)
	}
	if k.verify == nil {
		mustVerify(t, &linkv1.Report{DerivedKey: r.DerivedKey, Digest: r.Digest, Result: signature})
		return
	}
	if r.RecoveryId != 0 || !k.verify(t, r.DerivedKey, unhex(t, k.scriptRoot), message, signature) {
		t.Fatalf("the signature %x does not verify: %v", signature, r)
	}
}

// ask is a request of this kind, for raw data that no other has, and what is signed.
func (k kind) ask(t testing.TB, h *hall, keyID string, all []manifest.Party) (ask, []byte) {
	sino := h.number("sino")
	message := bytes.Repeat([]byte{7}, k.length)
	copy(message, sino)
	terms := manifest.Terms{Type: k.requestType, RequestID: "request-" + sino, KeyID: keyID, Path: "m/44/501/0",
		SignType: wire.SignTypeRaw, Message: hexOf(message), TapScriptRoot: k.scriptRoot}
	if k.scriptRoot != "" { // the callback is told by tx_info
		terms.TxInfo = fmt.Appendf(nil, `{"tapScriptRoot":%q}`, k.scriptRoot)
	}
	return ask{sino: sino, parties: all, terms: terms}, message
}

// curves are the keys of a world of both curves, by cryptography.
var curves = map[string]string{wire.ECDSASecp256k1: "key-1", wire.EdDSAEd25519: "key-2"}

// newCurves makes a trio with a t-of-3 key of each curve.
func newCurves(t testing.TB, threshold int) *trio {
	t.Helper()
	r := newTrio(t)
	for _, m := range []*member{r.b, r.c} {
		m.guarded(wire.Approve)
	}
	for cryptography, keyID := range curves {
		a := keygenOf(r.number("sino"), keyID, threshold, r.all)
		a.terms.Cryptography = cryptography
		r.offer(a)
		r.awaitActive(keyID, r.a, r.b, r.c)
	}
	return r
}

// mustSignAs has a request of a kind signed by all its parties.
func (h *hall) mustSignAs(t testing.TB, k kind, a ask, message []byte) *linkv1.Report {
	t.Helper()
	s := h.offer(a)
	var last *linkv1.Report
	for _, p := range a.parties {
		report := h.awaitReport(s, p.NodeID)
		if !report.Completed || (last != nil && !bytes.Equal(last.Result, report.Result)) || report.Released || report.Encrypted {
			t.Fatalf("party %d reports %v", p.Index, report)
		}
		last = report
	}
	k.mustVerifyAs(t, last, message, last.Result)
	return last
}

func TestEachKindOfSignature(t *testing.T) {
	t.Parallel()
	r := newCurves(t, 3)
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			keyID := curves[k.cryptography]
			for _, path := range []string{"", "m/44/501/0/2147483647"} {
				a, message := k.ask(t, r.hall, keyID, r.all)
				a.terms.Path = path
				report := r.mustSignAs(t, k, a, message)
				if at, _ := derive.ParsePath(path); bytes.Equal(report.DerivedKey, report.PublicKey) != (len(at) == 0) {
					t.Fatalf("path %q signs with %x of %x", path, report.DerivedKey, report.PublicKey)
				}
				questions := r.guard.questions()
				check := checkOf(t, questions[len(questions)-1])
				d := check.RequestDetail
				if check.RequestType != k.requestType || d.Cryptography != k.cryptography || d.Message != hexOf(message) || d.Path != path ||
					d.SignType != wire.SignTypeRaw || d.PublicKey != hexOf(report.PublicKey) {
					t.Fatalf("the callback was asked %s", questions[len(questions)-1].Body)
				}
			}
		})
	}
}

func TestAnyPairSignsWithOneNodeDown(t *testing.T) {
	t.Parallel()
	r := newCurves(t, 2)
	for i, down := range []*member{r.a, r.b, r.c} {
		down.node.Seal()
		var pair []manifest.Party
		for _, p := range r.all {
			if p.NodeID != down.id {
				pair = append(pair, p)
			}
		}
		for _, k := range kinds {
			t.Run(fmt.Sprintf("%s without party %d", k.name, i+1), func(t *testing.T) {
				a, message := k.ask(t, r.hall, curves[k.cryptography], pair)
				r.mustSignAs(t, k, a, message)
				a, _ = k.ask(t, r.hall, curves[k.cryptography], pair[:1])
				s := r.offer(a)
				if answer := r.awaitAnswer(s, pair[0].NodeID, linkv1.Answer_REFUSED); !contains(answer.Reason, "needs exactly 2") {
					t.Fatalf("refused with %q", answer.Reason)
				}
				r.do(func() { r.begin(s) })
				r.mustBeSilent(s, pair[0].NodeID)
			})
		}
		down.unseal()
	}
}

func TestKeysOfEachCurveByTheRealProtocols(t *testing.T) {
	t.Parallel()
	r := newTrio(t)
	for _, m := range []*member{r.a, r.b, r.c} {
		m.toys.change(func(y *toys) { y.real = true })
		m.guarded(wire.Approve)
	}
	a := r.keygen(2)
	a.terms.Cryptography = wire.EdDSAEd25519
	s := r.offer(a)
	r.awaitActive(r.keyID, r.a, r.b, r.c)
	report := r.awaitReport(s, r.a.id)
	if len(report.PublicKey) != ed25519.PublicKeySize || len(report.ChainCode) != 32 {
		t.Fatalf("the report is %v", report)
	}
	k := kindOf("Ed25519")
	for _, signers := range [][]byte{{1, 2}, {2, 3}} {
		a, message := k.ask(t, r.hall, r.keyID, only(r.all, signers...))
		r.mustSignAs(t, k, a, message)
	}
	if info := r.a.key(r.keyID); info.Algorithm != wire.EdDSAEd25519 || info.EVM != "" || len(info.Solana) < 32 {
		t.Fatalf("the key is shown as %+v", info)
	}
}

// payments are PSBTs with the digest of each input.
func payments(t testing.TB) (out []struct {
	Name    string   `json:"name"`
	PSBT    string   `json:"psbt"`
	Root    string   `json:"tap_script_root"`
	Digests []string `json:"digests"`
}) {
	t.Helper()
	data, err := os.ReadFile("../testdata/psbt/payments.json")
	must(t, err)
	file := struct{ Vectors any }{&out}
	must(t, json.Unmarshal(data, &file))
	return out
}

func TestTheInputOfAPaymentIsComputedHere(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	for _, v := range payments(t) {
		k := kindOf("Taproot")
		switch {
		case contains(v.Name, "wpkh"):
			k = kindOf("ECDSA")
		case contains(v.Name, "script-path"):
			k = kindOf("BIP340")
		}
		k.scriptRoot = v.Root
		for i, digest := range v.Digests {
			t.Run(fmt.Sprint(v.Name, " ", i), func(t *testing.T) {
				a, _ := k.ask(t, r.hall, r.keyID, r.all)
				info := map[string]any{"chainSymbol": "BTC", "rawTx": v.PSBT, "tapScriptRoot": v.Root, "curInputId": fmt.Sprint(70 + i)}
				var inputs []any
				for j := range v.Digests {
					inputs = append(inputs, map[string]any{"id": 70 + j})
				}
				info["extraData"] = map[string]any{"vinList": inputs}
				data, err := json.Marshal(info)
				must(t, err)
				a.terms.SignType, a.terms.Message, a.terms.TxInfo = wire.SignTypeTransaction, "", data
				r.mustSignAs(t, k, a, unhex(t, digest))
				questions := r.guard.questions()
				if d := checkOf(t, questions[len(questions)-1]).RequestDetail; d.Message != digest || d.SignType != wire.SignTypeTransaction {
					t.Fatalf("the callback was asked %s", questions[len(questions)-1].Body)
				}
				a, _ = k.ask(t, r.hall, r.keyID, r.all)
				a.terms.SignType, a.terms.TxInfo = wire.SignTypeTransaction, data // with a digest of something else
				r.mustRefuse(t, a, "digest")
			})
		}
	}
}

func TestTheRecipientOfEachKind(t *testing.T) {
	t.Parallel()
	for _, curve := range []string{wire.ECDSASecp256k1, wire.EdDSAEd25519} {
		t.Run(curve, func(t *testing.T) {
			t.Parallel()
			r := newSecluded(t, curve, 3)
			for _, k := range kinds {
				if k.cryptography != curve {
					continue
				}
				a, message := k.ask(t, r.hall, r.keyID, r.all)
				report, plain := r.mustBeSecluded(t, a)
				k.mustVerifyAs(t, report, message, plain)
				r.mustBeNowhere(t, plain, report.Result)
				a, message = k.ask(t, r.hall, r.keyID, r.all)
				a.terms.TxInfo = fmt.Appendf(nil, `{"chainSymbol":"ETH","tapScriptRoot":%q}`, k.scriptRoot)
				if report, plain = r.mustBeSecluded(t, a); k.verify != nil {
					k.mustVerifyAs(t, report, message, plain)
				}
			}
		})
	}
}
