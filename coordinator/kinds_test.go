package coordinator_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"google.golang.org/protobuf/proto"

	"github.com/countersign-mpc/countersign/bolt/coordstore/coordtest"
	"github.com/countersign-mpc/countersign/coordinator"
	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/wire"
)

var (
	digest = coordtest.Hex(coordtest.Digest("payment"))
	root   = coordtest.Hex(coordtest.Digest("script tree"))
)

// kind is a kind of signing.
type kind struct {
	ed25519 bool // else secp256k1
	terms   manifest.Terms
	scheme  derive.Scheme
}

func kindsOfSigning() map[string]kind {
	terms := func(requestType, path, signType, message, root string) manifest.Terms {
		return manifest.Terms{Type: requestType, Path: path, SignType: signType, Message: message, TapScriptRoot: root, TxInfo: []byte(`{"chainSymbol":"X"}`)}
	}
	return map[string]kind{
		"ecdsa":                  {false, terms(wire.TypeSign, "m/44/60/0/0/0", "1", digest, ""), derive.SchemeECDSA},
		"bip340":                 {false, terms(wire.TypeBIP340SchnorrSign, "m/86/0/1", "1", digest, ""), derive.SchemeBIP340},
		"bip340, raw":            {false, terms(wire.TypeBIP340SchnorrSign, "", "3", "0x"+digest, ""), derive.SchemeBIP340},
		"taproot, no tree":       {false, terms(wire.TypeTaprootSign, "m/86/0/2", "1", digest, ""), derive.SchemeTaproot},
		"taproot, a tree":        {false, terms(wire.TypeTaprootSign, "m/86/0/3", "3", digest, strings.ToUpper(root)), derive.SchemeTaproot},
		"ed25519":                {true, terms(wire.TypeSign, "", "1", hex.EncodeToString(bytes.Repeat([]byte("solana"), 34)), ""), derive.SchemeEd25519},
		"ed25519, derived":       {true, terms(wire.TypeSign, "m/44/501/0", "3", "00", ""), derive.SchemeEd25519},
		"ed25519, long message":  {true, terms(wire.TypeSign, "m/1", "3", "0x"+strings.Repeat("5a", 256<<10), ""), derive.SchemeEd25519},
		"ed25519, of 32 bytes":   {true, terms(wire.TypeSign, "m/1", "1", digest, ""), derive.SchemeEd25519},
		"ed25519, upper-case 0x": {true, terms(wire.TypeSign, "m/1", "3", "0xABCD", ""), derive.SchemeEd25519},
	}
}

// started submits a kind for a key of two of three, and brings it to the point where the protocol runs.
func (k kind) started(t *testing.T) (w *coordtest.World, id string, wallet *coordtest.Wallet, message []byte) {
	t.Helper()
	w = coordtest.NewWorld(t, 3, coordinator.Limits{})
	wallet = w.Wallet
	if k.ed25519 {
		wallet = w.Ed25519
	}
	terms := k.terms
	terms.KeyID, terms.RequestID = w.KeyOf(wallet, 2).ID, "pay"
	id = w.Submit(coordinator.Order{Account: coordtest.Account, Terms: terms}).Request.SinoID
	w.Run(id)
	return w, id, wallet, must(hex.DecodeString(strings.TrimPrefix(terms.Message, "0x")))(t)
}

// Each kind of signature is verified here, and by code that is not this project's.
func TestKindsOfSigning(t *testing.T) {
	for name, k := range kindsOfSigning() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, id, wallet, message := k.started(t)
			for _, m := range w.Members(w.Last(id)) {
				m.Must(m.Report(t, m.Session, wallet.Sign(t, k.terms, message)))
			}
			st := w.Status(id)
			expect(t, "request", st.Request.State, coordinator.StateCompleted)
			r := st.Request.Result
			if r == nil {
				t.Fatal(st.Sessions[0].Failure)
			}
			expect(t, "scheme", []any{r.Scheme, r.Encrypted}, []any{k.scheme, false})
			want := message
			if k.ed25519 {
				sum := sha256.Sum256(message)
				want = sum[:]
			}
			expect(t, "digest", coordtest.Hex(r.Digest), coordtest.Hex(want))
			switch k.scheme {
			case derive.SchemeEd25519:
				if !ed25519.Verify(r.VerifyingKey, message, r.Signature) || !bytes.Equal(r.VerifyingKey, r.DerivedKey) {
					t.Error("crypto/ed25519 does not take the signature")
				}
			case derive.SchemeBIP340, derive.SchemeTaproot:
				key, signature := must(schnorr.ParsePubKey(r.VerifyingKey))(t), must(schnorr.ParseSignature(r.Signature))(t)
				if !signature.Verify(message, key) {
					t.Error("btcec does not take the signature")
				}
				if tweaked := !bytes.Equal(r.VerifyingKey, r.DerivedKey[1:]); tweaked != (k.scheme == derive.SchemeTaproot) {
					t.Errorf("the verifying key is tweaked: %t", tweaked)
				}
			}
		})
	}
}

// A report that is right but for one thing does not count, is not kept, and ends the request.
func TestKindsOfInvalidResults(t *testing.T) {
	changes := map[string]func(t *testing.T, k kind, w *coordtest.Wallet, r *manifest.Report){
		"a bit of R":          func(_ *testing.T, _ kind, _ *coordtest.Wallet, r *manifest.Report) { r.Result[3] ^= 1 },
		"a bit of s":          func(_ *testing.T, _ kind, _ *coordtest.Wallet, r *manifest.Report) { r.Result[40] ^= 1 },
		"no signature":        func(_ *testing.T, _ kind, _ *coordtest.Wallet, r *manifest.Report) { r.Result = nil },
		"a byte more":         func(_ *testing.T, _ kind, _ *coordtest.Wallet, r *manifest.Report) { r.Result = append(r.Result, 0) },
		"released":            func(_ *testing.T, _ kind, _ *coordtest.Wallet, r *manifest.Report) { r.Released = true },
		"encrypted":           func(_ *testing.T, _ kind, _ *coordtest.Wallet, r *manifest.Report) { r.Encrypted = true },
		"released, no result": func(_ *testing.T, _ kind, _ *coordtest.Wallet, r *manifest.Report) { *r = coordtest.Released(*r) },
		"a recovery id":       func(_ *testing.T, _ kind, _ *coordtest.Wallet, r *manifest.Report) { r.RecoveryID ^= 2 },
		"another digest":      func(_ *testing.T, _ kind, _ *coordtest.Wallet, r *manifest.Report) { r.Digest = coordtest.Digest("x") },
		"no digest":           func(_ *testing.T, _ kind, _ *coordtest.Wallet, r *manifest.Report) { r.Digest = nil },
		"the root key": func(_ *testing.T, _ kind, _ *coordtest.Wallet, r *manifest.Report) {
			r.DerivedKey = append([]byte{9}, r.PublicKey...)
		},
		"another public key": func(_ *testing.T, _ kind, _ *coordtest.Wallet, r *manifest.Report) { r.PublicKey = r.PublicKey[1:] },
		"another path": func(t *testing.T, k kind, w *coordtest.Wallet, r *manifest.Report) {
			k.terms.Path = "m/7/7"
			derived := r.DerivedKey
			*r = w.Sign(t, k.terms, must(hex.DecodeString(strings.TrimPrefix(k.terms.Message, "0x")))(t))
			r.DerivedKey = derived
		},
		"another message": func(t *testing.T, k kind, w *coordtest.Wallet, r *manifest.Report) {
			right := r.Digest
			*r = w.Sign(t, k.terms, coordtest.Digest("another"))
			r.Digest = right
		},
	}
	for name, k := range kindsOfSigning() {
		if !slices.Contains([]string{"ecdsa", "bip340", "taproot, no tree", "taproot, a tree", "ed25519, derived"}, name) {
			continue // one of each way to verify
		}
		for what, change := range changes {
			t.Run(name+", "+what, func(t *testing.T) {
				t.Parallel()
				w, id, wallet, message := k.started(t)
				r := wallet.Sign(t, k.terms, message)
				change(t, k, wallet, &r)
				a := w.Members(w.Last(id))[0]
				a.Must(a.Report(t, a.Session, r))
				expectInvalid(t, w, id)
			})
		}
	}
}

func expectInvalid(t *testing.T, w *coordtest.World, id string) {
	t.Helper()
	w.Clock.Step(coordinator.DefaultRetryDelay)
	w.Tick()
	st := w.Status(id)
	expect(t, "request", []any{st.Request.State, len(st.Sessions)}, []any{coordinator.StateFailed, 1})
	if st.Request.Failure == nil || st.Request.Failure.Cause != coordinator.CauseReportInvalid || st.Request.Failure.Party != "a" {
		t.Errorf("it fails for %+v", st.Request.Failure)
	}
	for _, m := range st.Sessions[0].Members {
		if m.Report != nil {
			t.Errorf("the report of %s is kept", m.Name)
		}
	}
	if st.Request.Result != nil {
		t.Error("the request has a result")
	}
}

// A signature of one kind is not taken for another: each verifies under its own key only.
func TestKindsAreApart(t *testing.T) {
	all := kindsOfSigning()
	for _, c := range [][2]string{{"bip340", "taproot, no tree"}, {"taproot, no tree", "taproot, a tree"}, {"taproot, a tree", "bip340"}, {"bip340", "ecdsa"}, {"ecdsa", "bip340"}} {
		t.Run(c[0]+" for "+c[1], func(t *testing.T) {
			t.Parallel()
			asked, given := all[c[1]], all[c[0]]
			given.terms.Path = asked.terms.Path
			w, id, wallet, message := asked.started(t)
			a := w.Members(w.Last(id))[0]
			a.Must(a.Report(t, a.Session, wallet.Sign(t, given.terms, message)))
			expectInvalid(t, w, id)
		})
	}
}

// What kinds of orders are refused, and what is said.
func TestSubmitRefusalsByKind(t *testing.T) {
	w := coordtest.NewWorld(t, 3, coordinator.Limits{})
	secp, ed := w.Key(2).ID, w.KeyOf(w.Ed25519, 2).ID
	w.Drain()
	for name, c := range map[string]struct {
		terms manifest.Terms
		code  coordinator.Code
		field string
	}{
		"refresh":                      {manifest.Terms{Type: wire.TypeRefresh, KeyID: secp}, coordinator.CodeUnsupported, "request_type"},
		"reshare":                      {manifest.Terms{Type: wire.TypeReshare, KeyID: secp}, coordinator.CodeUnsupported, "request_type"},
		"pre-sign":                     {manifest.Terms{Type: wire.TypePreSign, KeyID: secp}, coordinator.CodeUnsupported, "request_type"},
		"pre-sign-online":              {manifest.Terms{Type: wire.TypePreSignOnline, KeyID: secp}, coordinator.CodeUnsupported, "request_type"},
		"outcome":                      {manifest.Terms{Type: wire.TypeOutcome, KeyID: secp}, coordinator.CodeInvalid, "request_type"},
		"another case":                 {manifest.Terms{Type: "Taproot-Sign", KeyID: secp, SignType: "3", Message: digest}, coordinator.CodeInvalid, "request_type"},
		"bip340 with Ed25519":          {manifest.Terms{Type: wire.TypeBIP340SchnorrSign, KeyID: ed, SignType: "3", Message: digest}, coordinator.CodeInvalid, "request_type"},
		"taproot with Ed25519":         {manifest.Terms{Type: wire.TypeTaprootSign, KeyID: ed, SignType: "3", Message: digest}, coordinator.CodeInvalid, "request_type"},
		"root with sign":               {manifest.Terms{Type: wire.TypeSign, KeyID: secp, SignType: "3", Message: digest, TapScriptRoot: root}, coordinator.CodeInvalid, "tapScriptRoot"},
		"root with bip340":             {manifest.Terms{Type: wire.TypeBIP340SchnorrSign, KeyID: secp, SignType: "3", Message: digest, TapScriptRoot: root}, coordinator.CodeInvalid, "tapScriptRoot"},
		"short root":                   {manifest.Terms{Type: wire.TypeTaprootSign, KeyID: secp, SignType: "3", Message: digest, TapScriptRoot: root[2:]}, coordinator.CodeInvalid, "tapScriptRoot"},
		"long root":                    {manifest.Terms{Type: wire.TypeTaprootSign, KeyID: secp, SignType: "3", Message: digest, TapScriptRoot: root + "00"}, coordinator.CodeInvalid, "tapScriptRoot"},
		"root with 0x":                 {manifest.Terms{Type: wire.TypeTaprootSign, KeyID: secp, SignType: "3", Message: digest, TapScriptRoot: "0x" + root}, coordinator.CodeInvalid, "tapScriptRoot"},
		"root of letters":              {manifest.Terms{Type: wire.TypeTaprootSign, KeyID: secp, SignType: "3", Message: digest, TapScriptRoot: strings.Repeat("xy", 32)}, coordinator.CodeInvalid, "tapScriptRoot"},
		"text for taproot":             {manifest.Terms{Type: wire.TypeTaprootSign, KeyID: secp, SignType: "2", Message: "hello"}, coordinator.CodeInvalid, "sign_type"},
		"text for bip340":              {manifest.Terms{Type: wire.TypeBIP340SchnorrSign, KeyID: secp, SignType: "2", Message: "hello"}, coordinator.CodeInvalid, "sign_type"},
		"text for Ed25519":             {manifest.Terms{Type: wire.TypeSign, KeyID: ed, SignType: "2", Message: "hello"}, coordinator.CodeInvalid, "sign_type"},
		"sign_type 4":                  {manifest.Terms{Type: wire.TypeTaprootSign, KeyID: secp, SignType: "4", Message: digest}, coordinator.CodeInvalid, "sign_type"},
		"33 bytes for bip340":          {manifest.Terms{Type: wire.TypeBIP340SchnorrSign, KeyID: secp, SignType: "3", Message: digest + "00"}, coordinator.CodeInvalid, "message"},
		"31 bytes for taproot":         {manifest.Terms{Type: wire.TypeTaprootSign, KeyID: secp, SignType: "1", Message: digest[2:]}, coordinator.CodeInvalid, "message"},
		"raw data, none":               {manifest.Terms{Type: wire.TypeTaprootSign, KeyID: secp, SignType: "3", TxInfo: []byte(`{}`)}, coordinator.CodeInvalid, "message"},
		"transaction, nothing":         {manifest.Terms{Type: wire.TypeTaprootSign, KeyID: secp, SignType: "1"}, coordinator.CodeInvalid, "message"},
		"Ed25519, no message":          {manifest.Terms{Type: wire.TypeSign, KeyID: ed, SignType: "1", TxInfo: []byte(`{"rawTx":"0x00"}`)}, coordinator.CodeInvalid, "message"},
		"Ed25519, no bytes":            {manifest.Terms{Type: wire.TypeSign, KeyID: ed, SignType: "3", Message: "0x"}, coordinator.CodeInvalid, "message"},
		"Ed25519, half a byte":         {manifest.Terms{Type: wire.TypeSign, KeyID: ed, SignType: "3", Message: "abc"}, coordinator.CodeInvalid, "message"},
		"Ed25519, text":                {manifest.Terms{Type: wire.TypeSign, KeyID: ed, SignType: "3", Message: "hello"}, coordinator.CodeInvalid, "message"},
		"Ed25519, a byte too long":     {manifest.Terms{Type: wire.TypeSign, KeyID: ed, SignType: "3", Message: strings.Repeat("00", 256<<10+1)}, coordinator.CodeInvalid, "message"},
		"Ed25519, 0x, a byte too long": {manifest.Terms{Type: wire.TypeSign, KeyID: ed, SignType: "3", Message: "0x" + strings.Repeat("00", 256<<10+1)}, coordinator.CodeInvalid, "message"},
		"hardened":                     {manifest.Terms{Type: wire.TypeSign, KeyID: ed, SignType: "3", Message: "00", Path: "m/44'/501'"}, coordinator.CodeInvalid, "path"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := w.C.Submit(t.Context(), coordinator.Order{Account: coordtest.Account, Terms: c.terms})
			expect(t, "code", coordtest.CodeOf(err), c.code)
			e, _ := err.(*coordinator.Error)
			if e == nil {
				t.Fatal(err)
			}
			if _, ok := e.Details[c.field]; !ok || len(e.Message) > 500 {
				t.Errorf("%q, details %v, do not name %s", e.Message, e.Details, c.field)
			}
		})
	}
	expect(t, "offered", kinds(w.Lives[0].Receive()), "")
}

// A request id stands for one content of every kind.
func TestOtherContentByKind(t *testing.T) {
	w := coordtest.NewWorld(t, 3, coordinator.Limits{})
	secp, ed := w.Key(2).ID, w.KeyOf(w.Ed25519, 2).ID
	terms := manifest.Terms{Type: wire.TypeTaprootSign, RequestID: "tap", KeyID: secp, SignType: "3", Message: digest, TapScriptRoot: root}
	submit := func(change func(*manifest.Terms)) (coordinator.Status, bool, error) {
		changed := terms
		change(&changed)
		return w.C.Submit(t.Context(), coordinator.Order{Account: coordtest.Account, Terms: changed})
	}
	first, created, err := submit(func(*manifest.Terms) {})
	if err != nil || !created {
		t.Fatal(err)
	}
	again, created, err := submit(func(*manifest.Terms) {})
	if err != nil || created || again.Request.SinoID != first.Request.SinoID {
		t.Errorf("the same again is another request: %v", err)
	}
	for name, change := range map[string]func(*manifest.Terms){
		"no tree":                 func(o *manifest.Terms) { o.TapScriptRoot = "" },
		"another tree":            func(o *manifest.Terms) { o.TapScriptRoot = digest },
		"the same tree, spelt":    func(o *manifest.Terms) { o.TapScriptRoot = strings.ToUpper(root) },
		"bip340":                  func(o *manifest.Terms) { o.Type, o.TapScriptRoot = wire.TypeBIP340SchnorrSign, "" },
		"ecdsa":                   func(o *manifest.Terms) { o.Type, o.TapScriptRoot = wire.TypeSign, "" },
		"a transaction":           func(o *manifest.Terms) { o.SignType = "1" },
		"the key of another kind": func(o *manifest.Terms) { o.Type, o.TapScriptRoot, o.KeyID = wire.TypeSign, "", ed },
	} {
		_, _, err := submit(change)
		expect(t, name, coordtest.CodeOf(err), coordinator.CodeRequestConflict)
	}
	keygen := w.KeygenOrder(2, "key")
	w.Submit(keygen)
	keygen.Terms.Cryptography = wire.EdDSAEd25519
	_, _, err = w.C.Submit(t.Context(), keygen)
	expect(t, "keygen of another curve", coordtest.CodeOf(err), coordinator.CodeRequestConflict)
}

// A keygen whose reports have the form of another curve makes no key.
func TestKeygenOfAnotherCurve(t *testing.T) {
	for name, change := range map[string]func(w *coordtest.World, r *manifest.Report){
		"secp256k1 for Ed25519": func(w *coordtest.World, r *manifest.Report) { *r = w.Wallet.Made() },
		"no chain code":         func(_ *coordtest.World, r *manifest.Report) { r.ChainCode = nil },
		"not a point":           func(_ *coordtest.World, r *manifest.Report) { r.PublicKey = bytes.Repeat([]byte{0xff}, 32) },
		"a small order":         func(_ *coordtest.World, r *manifest.Report) { r.PublicKey = append([]byte{1}, make([]byte, 31)...) },
		"released":              func(_ *coordtest.World, r *manifest.Report) { r.Released = true },
		"encrypted":             func(_ *coordtest.World, r *manifest.Report) { r.Encrypted = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := coordtest.NewWorld(t, 2, coordinator.Limits{})
			order := w.KeygenOrder(2, "key")
			order.Terms.Cryptography = wire.EdDSAEd25519
			w.Submit(order)
			r := w.Ed25519.Made()
			change(w, &r)
			a := w.Members(w.Run("key"))[0]
			a.Must(a.Report(t, a.Session, r))
			expectInvalid(t, w, "key")
			expect(t, "key", w.Status("key").Key.State, coordinator.KeyFailed)
		})
	}
}

// The largest request that is taken is kept, and fits into a frame of the link.
func TestLargestRequest(t *testing.T) {
	w := coordtest.NewWorld(t, 2, coordinator.Limits{})
	terms := manifest.Terms{Type: wire.TypeSign, KeyID: w.KeyOf(w.Ed25519, 2).ID, RequestID: strings.Repeat("r", manifest.MaxTextSize), SignType: "1",
		Message: "0x" + strings.Repeat("5a", 256<<10), TxInfo: []byte(`{"a":"` + strings.Repeat("x", manifest.MaxTxInfo-8) + `"}`)}
	w.Drain()
	w.Submit(coordinator.Order{Account: coordtest.Account, Terms: terms, Authorization: &manifest.Authorization{KeyID: "k", Nonce: "n", Signature: make([]byte, 128)}})
	frame := w.Lives[0].Receive()[0]
	if size := proto.Size(frame); len(frame.GetOffer().Terms.Message) != manifest.MaxMessage || size > 2<<20-1<<10 {
		t.Errorf("the offer has %d bytes: a frame has 2 MiB at most", size)
	}
	text := terms
	text.RequestID, text.KeyID, text.SignType, text.Message = "text", w.Key(2).ID, "2", strings.Repeat("<", manifest.MaxMessage) // six bytes each where it is stored
	w.Submit(coordinator.Order{Account: coordtest.Account, Terms: text})
	expect(t, "text", len(must(w.C.Terms(t.Context(), coordtest.Account, "text"))(t).Message), manifest.MaxMessage)
}
