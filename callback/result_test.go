package callback_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/wire"
)

// agreeable approves everything that can be judged.
var agreeable = sync.OnceValue(func() *policy.Live { return custom(panicking{}, approveAll) })

const approveAll = `
# METADATA
# labels:
#   id: own.all
allow contains {"id": "own.all"} if true

require contains "own.all"`

// panicking lets a helper of tests be used where there is no test.
type panicking struct{ testing.TB }

func (panicking) Helper()           {}
func (panicking) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

// raw asks for the signature of data, by the key at a path.
func raw(callbackID, requestType, path string, digest []byte) *wire.Check {
	return &wire.Check{
		CallbackID: callbackID, RequestType: requestType,
		RequestDetail: wire.RequestDetail{
			Cryptography: wire.ECDSASecp256k1, SignType: wire.SignTypeRaw, PublicKey: rootKey, Path: path, Message: hex.EncodeToString(digest),
		},
		ExtraInfo: wire.ExtraInfo{SinoID: "s-1", RequestID: "r-1"},
	}
}

// with gives a request a tx_info of names and values.
func with(c *wire.Check, pairs ...string) *wire.Check {
	info := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		info[pairs[i]] = pairs[i+1]
	}
	c.RequestDetail.TxInfo = mustGet(json.Marshal(info))
	return c
}

func setInfo(c *wire.Check, info map[string]any) {
	c.RequestDetail.TxInfo = mustGet(json.Marshal(info))
}

func at(c *wire.Check, path string) *wire.Check {
	c.RequestDetail.Path = path
	return c
}

// results lists what is kept.
func (w *world) results(query string) []callback.ResultSummary {
	w.t.Helper()
	return get[callback.ResultList](w, "/admin/v1/results?"+query).Results
}

// result is the one that is kept under a callback_id.
func (w *world) result(callbackID string) callback.ResultView {
	w.t.Helper()
	list := w.results("callback_id=" + callbackID)
	if len(list) != 1 {
		w.t.Fatalf("%d results under %s, want 1", len(list), callbackID)
	}
	return get[callback.ResultView](w, "/admin/v1/results/"+list[0].ID)
}

// TestResultsAreVerified: a signature is held against the approved message, scheme and key, as far as the key is known.
func TestResultsAreVerified(t *testing.T) {
	const path = "m/44/60/0/0/7"
	digest, other := bytes.Repeat([]byte{0x5a}, 32), bytes.Repeat([]byte{0x5b}, 32)
	solana := bytes.Repeat([]byte("solana message "), 14)
	key, pub := privateAt(path), publicAt(path)
	root := bytes.Repeat([]byte{7}, 32)
	address := mustGet(derive.EVMAddress(fromHex(pub)))
	message := func() *wire.Check { return at(message("", "hello"), path) }
	rawAt := func() *wire.Check { return raw("", wire.TypeSign, path, digest) }
	ed := &wire.Check{RequestType: wire.TypeSign, RequestDetail: wire.RequestDetail{
		Cryptography: wire.EdDSAEd25519, SignType: wire.SignTypeRaw, PublicKey: edPublic(), Message: hex.EncodeToString(solana),
	}}
	flip := func(signature []byte) []byte { signature[40] ^= 1; return signature }
	known := must[*callback.Keys](t)(callback.NewKeys([]callback.Key{{PublicKey: fromHex(rootKey), ChainCode: chainCode}}))
	for _, tc := range []struct {
		name      string
		keys      *callback.Keys
		check     *wire.Check
		signature []byte
		status    string
		source    string
	}{
		{"message, by chain code", known, message(), signECDSA(key, messageDigest("hello"), 27), callback.ResultVerified, callback.KeyFromChainCode},
		{"message, by publickKey", nil, with(message(), "publickKey", pub), signECDSA(key, messageDigest("hello"), 27), callback.ResultVerified, callback.KeyFromTxInfo},
		{"message, by the root", nil, message0(), signMessage("hello"), callback.ResultVerified, callback.KeyFromRoot},
		{"message, by from", nil, with(message(), "from", address), signECDSA(key, messageDigest("hello"), 27), callback.ResultVerified, callback.KeyFromAddress},
		{"message, nothing known", nil, message(), signECDSA(key, messageDigest("hello"), 27), callback.ResultUnverified, ""},
		{"message, from of a name", nil, with(message(), "from", "somebody"), signECDSA(key, messageDigest("hello"), 27), callback.ResultUnverified, ""},
		{"message, another from", nil, with(message(), "from", recipient), signECDSA(key, messageDigest("hello"), 27), callback.ResultInvalid, ""},
		{"message, another text", known, message(), signECDSA(key, messageDigest("hellp"), 27), callback.ResultInvalid, callback.KeyFromChainCode},
		{"message, another key", known, message(), signMessage("hello"), callback.ResultInvalid, callback.KeyFromChainCode},
		{"message, without v", known, message(), signECDSA(key, messageDigest("hello"), 27)[:64], callback.ResultInvalid, ""},
		{"message, v from 0", known, message(), signECDSA(key, messageDigest("hello"), 0), callback.ResultInvalid, ""},
		{"message, v of another key", known, message(), otherV(signECDSA(key, messageDigest("hello"), 27)), callback.ResultInvalid, callback.KeyFromChainCode},
		{"raw", known, rawAt(), signECDSA(key, digest, 0)[:64], callback.ResultVerified, callback.KeyFromChainCode},
		{"raw with v", known, with(rawAt(), "chainSymbol", "ETH"), signECDSA(key, digest, 0), callback.ResultVerified, callback.KeyFromChainCode},
		{"raw with v of a message", known, with(rawAt(), "chainSymbol", "ETH"), signECDSA(key, digest, 27), callback.ResultInvalid, ""},
		{"raw, another digest", known, rawAt(), signECDSA(key, other, 0)[:64], callback.ResultInvalid, callback.KeyFromChainCode},
		{"raw, nothing known", nil, rawAt(), signECDSA(key, digest, 0)[:64], callback.ResultUnverified, ""},
		{"raw, under no key", nil, rawAt(), bytes.Repeat([]byte{0xff}, 65), callback.ResultInvalid, ""},
		{"BIP340", known, raw("", wire.TypeBIP340SchnorrSign, path, digest), signSchnorr(key, digest), callback.ResultVerified, callback.KeyFromChainCode},
		{"BIP340, altered", known, raw("", wire.TypeBIP340SchnorrSign, path, digest), flip(signSchnorr(key, digest)), callback.ResultInvalid, callback.KeyFromChainCode},
		{"BIP340 with v", known, raw("", wire.TypeBIP340SchnorrSign, path, digest), append(signSchnorr(key, digest), 0), callback.ResultInvalid, ""},
		{"BIP340 by the output key", known, raw("", wire.TypeBIP340SchnorrSign, path, digest), signTaproot(key, digest, nil), callback.ResultInvalid, callback.KeyFromChainCode},
		{"taproot", known, raw("", wire.TypeTaprootSign, path, digest), signTaproot(key, digest, nil), callback.ResultVerified, callback.KeyFromChainCode},
		{"taproot with a script tree", known, with(raw("", wire.TypeTaprootSign, path, digest), "tapScriptRoot", hex.EncodeToString(root)), signTaproot(key, digest, root), callback.ResultVerified, callback.KeyFromChainCode},
		{"taproot without its script tree", known, with(raw("", wire.TypeTaprootSign, path, digest), "tapScriptRoot", hex.EncodeToString(root)), signTaproot(key, digest, nil), callback.ResultInvalid, callback.KeyFromChainCode},
		{"Ed25519", nil, ed, ed25519.Sign(edPrivate, solana), callback.ResultVerified, callback.KeyFromRoot},
		{"Ed25519, altered", nil, ed, flip(ed25519.Sign(edPrivate, solana)), callback.ResultInvalid, callback.KeyFromRoot},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, options{live: agreeable(), cfg: func(c *callback.Config) { c.Keys = tc.keys }})
			c := *tc.check
			c.CallbackID, c.ExtraInfo = "cb-1", wire.ExtraInfo{SinoID: "s-1", RequestID: "r-1"}
			d, _ := w.ask(&c)
			want(t, d, wire.Approve)
			action := wire.Approve
			if tc.status == callback.ResultInvalid {
				action = wire.Reject
			}
			d, _ = w.ask(report("cb-1", c.RequestDetail.Message, hex.EncodeToString(tc.signature)))
			want(t, d, action)
			got := w.result("cb-1")
			if got.Status != tc.status || got.KeySource != tc.source || !bytes.Equal(got.Signature, tc.signature) || got.Message != c.RequestDetail.Message {
				t.Errorf("kept is %+v", got)
			}
			if n := w.metric(`countersign_callback_results_total{status="` + tc.status + `"}`); n != "1" {
				t.Errorf("the metric says %s", n)
			}
			w.neverLogged(tc.signature)
		})
	}
}

// message0 asks for a signature of the root key.
func message0() *wire.Check { return message("", "hello") }

func otherV(signature []byte) []byte {
	signature[64] = 27 + 28 - signature[64]
	return signature
}

// metric reads one line of the metrics.
func (w *world) metric(name string) string {
	w.t.Helper()
	for line := range strings.Lines(open(w, "/metrics").body) {
		if value, is := strings.CutPrefix(line, name+" "); is {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// neverLogged wants no signature in the server's log or in what is recorded of a decision.
func (w *world) neverLogged(signature []byte) {
	w.t.Helper()
	for _, form := range []string{hex.EncodeToString(signature), fmt.Sprint(signature), string(mustGet(json.Marshal(signature)))} {
		if strings.Contains(w.logged.String(), form) {
			w.t.Error("a signature is logged")
		}
		for _, d := range w.decisions("") {
			if strings.Contains(string(mustGet(json.Marshal(d))), form) {
				w.t.Error("a signature is recorded in the log of decisions")
			}
		}
	}
}
