package coordinator_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/bolt/coordstore/coordtest"
	"github.com/countersign-mpc/countersign/coordinator"
	"github.com/countersign-mpc/countersign/ecies"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/wire"
)

// sealedWorld is a world of three in which b encrypts results, with a key of two of three.
func sealedWorld(t *testing.T, ed25519 bool) (*coordtest.World, *coordtest.Wallet, coordinator.Key) {
	t.Helper()
	w := coordtest.NewWorld(t, 3, coordinator.Limits{})
	w.Parties[1].EncryptResults(t)
	wallet := w.Wallet
	if ed25519 {
		wallet = w.Ed25519
	}
	return w, wallet, w.KeyOf(wallet, 2)
}

// sealed submits a request for b alone and brings it to the point where the protocol runs: a and b are its signers.
func sealed(t *testing.T) (w *coordtest.World, id string, a, b coordtest.Member, signed manifest.Report) {
	t.Helper()
	w, wallet, key := sealedWorld(t, false)
	order := coordtest.SignOrder(key.ID, "m/1", "pay", "payment")
	id = w.Submit(order).Request.SinoID
	w.Run(id)
	members := w.Members(w.Last(id))
	return w, id, members[0], members[1], wallet.Sign(t, order.Terms, coordtest.Digest("payment"))
}

// The recipient's ciphertext is the result; the signature is nowhere at the coordinator.
func TestSealedResult(t *testing.T) {
	for name, k := range kindsOfSigning() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, wallet, key := sealedWorld(t, k.ed25519)
			k.terms.KeyID, k.terms.RequestID, k.terms.SignType = key.ID, "pay", wire.SignTypeRaw
			id := w.Submit(coordinator.Order{Account: coordtest.Account, Terms: k.terms}).Request.SinoID
			w.Run(id)
			message := must(hex.DecodeString(strings.TrimPrefix(k.terms.Message, "0x")))(t)
			signed := wallet.Sign(t, k.terms, message)
			m := w.Members(w.Last(id))
			m[0].Must(m[0].Report(t, m[0].Session, coordtest.Released(signed)))
			expect(t, "one released", []any{states(w.Last(id)), w.Last(id).Members[0].Released, w.Status(id).Request.State},
				[]any{"in_progress: completed computing", true, "in_progress"})
			m[1].Must(m[1].Report(t, m[1].Session, m[1].Sealed(t, signed)))
			st := w.Status(id)
			expect(t, "request", []any{st.Request.State, states(st.Sessions[0])}, []any{coordinator.StateCompleted, "completed: completed completed"})
			r := st.Request.Result
			expect(t, "result", []any{r.Encrypted, r.Scheme, r.RecoveryID, st.Request.Recipient.Index, st.Request.Recipient.Key},
				[]any{true, k.scheme, 0, 2, m[1].Recipient(t)})
			plain := must(ecies.Decrypt(m[1].Results, r.Signature))(t)
			if !bytes.Equal(plain, signed.Result) || !k.scheme.Verify(r.VerifyingKey, message, plain) {
				t.Error("what the ciphertext holds does not verify")
			}
			if text := must(json.Marshal(st))(t); bytes.Contains(text, []byte(coordtest.Hex(plain))) || bytes.Contains(text, must(json.Marshal(plain))(t)) {
				t.Error("the coordinator shows the signature")
			}
		})
	}
}

// The word of the recipient is enough, also where the nodes compute what is signed.
func TestSealedMessage(t *testing.T) {
	w, wallet, key := sealedWorld(t, false)
	order := coordtest.SignOrder(key.ID, "m/1", "pay", "")
	order.Terms.SignType, order.Terms.Message = wire.SignTypeMessage, "hello"
	id := w.Submit(order).Request.SinoID
	m := w.Members(w.Run(id))
	signed := wallet.Sign(t, order.Terms, coordtest.Digest("what the nodes make of hello"))
	signed.Result = append(signed.Result, 27) // r ‖ s ‖ v
	m[1].Must(m[1].Report(t, m[1].Session, m[1].Sealed(t, signed)))
	w.Parties[0].Instance = "a-2" // it restarts after it released its share, and before it could say so
	w.Connect(0)
	st := w.Status(id)
	expect(t, "request", []any{st.Request.State, st.Request.Result.Encrypted, states(st.Sessions[0])}, []any{"completed", true, "failed: failed completed"})
	expect(t, "plaintext", coordtest.Hex(must(ecies.Decrypt(m[1].Results, st.Request.Result.Signature))(t)), coordtest.Hex(signed.Result))
}

// A transaction of a key with a recipient is no secret: its signature is for the chain. A bare digest is raw data to the nodes.
func TestWhatIsSealed(t *testing.T) {
	w, wallet, key := sealedWorld(t, false)
	for name, c := range map[string]struct {
		signType, message, txInfo string
		sealed                    bool
	}{
		"a transaction": {"1", digest, `{"to":"x"}`, false}, "a bare digest": {"1", digest, "", true}, "raw data": {"3", digest, "", true},
		"raw data with a tx_info": {"3", digest, `{"to":"x"}`, true}, "a message": {"2", "hello", "", true}, "a message with a tx_info": {"2", "hello", `{"to":"x"}`, true},
	} {
		order := coordtest.SignOrder(key.ID, "m/1", name, "")
		order.Terms.SignType, order.Terms.Message, order.Terms.TxInfo = c.signType, c.message, []byte(c.txInfo)
		expect(t, name, w.Submit(order).Request.Recipient != nil, c.sealed)
	}
	m := w.Members(w.Run("a transaction"))
	signed := wallet.Signed(t, "m/1", coordtest.Digest("payment"))
	m[0].Must(m[0].Report(t, m[0].Session, signed))
	m[1].Must(m[1].Report(t, m[1].Session, signed))
	expect(t, "transaction", w.Status("a transaction").Request.Result.Encrypted, false)
}

// The recipient signs whoever else is online or named.
func TestRecipientSigns(t *testing.T) {
	w, _, key := sealedWorld(t, false)
	submit := func(id string, names ...string) (coordinator.Status, error) {
		order := coordtest.SignOrder(key.ID, "m/1", id, id)
		for _, n := range names {
			order.Participants = append(order.Participants, coordinator.Participant{Party: n})
		}
		st, _, err := w.C.Submit(t.Context(), order)
		return st, err
	}
	indices := func(st coordinator.Status) string {
		var out []byte
		for _, m := range st.Sessions[0].Members {
			out = append(out, m.Index)
		}
		return fmt.Sprint(out)
	}
	_, err := submit("without", "a", "c")
	expect(t, "named without it", coordtest.CodeOf(err), coordinator.CodeInvalid)
	if !strings.Contains(fmt.Sprint(err), "belong to party b") {
		t.Errorf("the refusal is %v", err)
	}
	expect(t, "named with it", indices(must(submit("with", "c", "b"))(t)), "[2 3]")
	expect(t, "all online", indices(must(submit("online"))(t)), "[1 2]")
	w.Disconnect(0)
	expect(t, "a away", indices(must(submit("a away"))(t)), "[2 3]")
	w.Disconnect(1)
	expect(t, "a and b away", indices(must(submit("a and b away"))(t)), "[2 3]")
	order := coordtest.SignOrder(key.ID, "m/1", "transaction", "x")
	order.Terms.SignType, order.Terms.TxInfo = wire.SignTypeTransaction, []byte(`{"to":"x"}`)
	order.Participants = []coordinator.Participant{{Party: "a"}, {Party: "c"}}
	expect(t, "a transaction without it", indices(w.Submit(order)), "[1 3]")
}

// What would show the signature, or is not what its party has to say, does not count and is not kept.
func TestSealedRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		by     int // 0: a, 1: b, the recipient
		change func(t *testing.T, b coordtest.Member, r manifest.Report) manifest.Report
	}{
		"plaintext of the recipient": {1, func(_ *testing.T, _ coordtest.Member, r manifest.Report) manifest.Report { return r }},
		"plaintext of the other":     {0, func(_ *testing.T, _ coordtest.Member, r manifest.Report) manifest.Report { return r }},
		"plaintext called encrypted": {1, func(_ *testing.T, _ coordtest.Member, r manifest.Report) manifest.Report {
			r.Encrypted, r.RecoveryID = true, 0
			return r
		}},
		"padded plaintext called encrypted": {1, func(_ *testing.T, _ coordtest.Member, r manifest.Report) manifest.Report {
			r.Encrypted, r.RecoveryID, r.Result = true, 0, append(r.Result, make([]byte, ecies.Overhead)...)
			return r
		}},
		"plaintext with released": {0, func(_ *testing.T, _ coordtest.Member, r manifest.Report) manifest.Report {
			r.Released, r.RecoveryID = true, 0
			return r
		}},
		"ciphertext of the other": {0, func(t *testing.T, b coordtest.Member, r manifest.Report) manifest.Report { return b.Sealed(t, r) }},
		"the recipient released": {1, func(_ *testing.T, _ coordtest.Member, r manifest.Report) manifest.Report {
			return coordtest.Released(r)
		}},
		"both at once": {1, func(t *testing.T, b coordtest.Member, r manifest.Report) manifest.Report {
			r = b.Sealed(t, r)
			r.Released = true
			return r
		}},
		"a recovery id beside the ciphertext": {1, func(t *testing.T, b coordtest.Member, r manifest.Report) manifest.Report {
			r = b.Sealed(t, r)
			r.RecoveryID = 1
			return r
		}},
		"a recovery id beside a release": {0, func(_ *testing.T, _ coordtest.Member, r manifest.Report) manifest.Report {
			r = coordtest.Released(r)
			r.RecoveryID = 1
			return r
		}},
		"a short ciphertext": {1, func(t *testing.T, b coordtest.Member, r manifest.Report) manifest.Report {
			r = b.Sealed(t, r)
			r.Result = r.Result[1:]
			return r
		}},
		"a long ciphertext": {1, func(t *testing.T, b coordtest.Member, r manifest.Report) manifest.Report {
			r.Result = append(r.Result, 0, 0)
			return b.Sealed(t, r)
		}},
		"no ciphertext": {1, func(_ *testing.T, _ coordtest.Member, r manifest.Report) manifest.Report {
			r = coordtest.Released(r)
			r.Released, r.Encrypted = false, true
			return r
		}},
		"of another message": {1, func(t *testing.T, b coordtest.Member, r manifest.Report) manifest.Report {
			r = b.Sealed(t, r)
			r.Digest = coordtest.Digest("x")
			return r
		}},
		"of another key": {0, func(_ *testing.T, _ coordtest.Member, r manifest.Report) manifest.Report {
			r = coordtest.Released(r)
			r.DerivedKey = r.PublicKey
			return r
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, id, a, b, signed := sealed(t)
			m := []coordtest.Member{a, b}[c.by]
			m.Must(m.Report(t, m.Session, c.change(t, b, signed)))
			st := w.Status(id)
			if st.Request.Failure == nil {
				t.Fatalf("the request is %s", st.Request.State)
			}
			expect(t, "request", []any{st.Request.State, st.Request.Failure.Cause, st.Request.Failure.Party}, []any{"failed", "report_invalid", m.Name})
			text := string(must(json.Marshal(st))(t))
			if st.Sessions[0].Members[c.by].Report != nil || st.Request.Result != nil || strings.Contains(text, coordtest.Hex(signed.Result)) {
				t.Error("something of the report is kept")
			}
		})
	}
}

// A failed report cannot carry a signature past the checks either.
func TestFailedReportWithAResult(t *testing.T) {
	for name, change := range map[string]func(r *manifest.Report){
		"a signature": func(*manifest.Report) {}, "released": func(r *manifest.Report) { r.Result, r.Released = nil, true }, "encrypted": func(r *manifest.Report) { r.Result, r.Encrypted = nil, true },
	} {
		w, id, _, b, signed := sealed(t)
		r := manifest.Report{Reason: "x", Result: signed.Result}
		change(&r)
		expect(t, name, coordtest.CodeOf(b.Send(b.Report(t, b.Session, r))), coordinator.CodeViolation)
		expect(t, name+", session", states(w.Last(id)), "in_progress: computing computing")
	}
}

// The reports of both parties are about the same thing.
func TestSealedReportsDiffer(t *testing.T) {
	w, wallet, key := sealedWorld(t, false)
	order := coordtest.SignOrder(key.ID, "m/1", "pay", "")
	order.Terms.SignType, order.Terms.Message = wire.SignTypeMessage, "hello"
	id := w.Submit(order).Request.SinoID
	m := w.Members(w.Run(id))
	m[0].Must(m[0].Report(t, m[0].Session, coordtest.Released(wallet.Sign(t, order.Terms, coordtest.Digest("one")))))
	m[1].Must(m[1].Report(t, m[1].Session, m[1].Sealed(t, wallet.Sign(t, order.Terms, coordtest.Digest("other")))))
	st := w.Status(id)
	expect(t, "session", st.Sessions[0].Failure.Cause, coordinator.CauseReportsDiffer)
	expect(t, "request", []any{st.Request.State, st.Request.Failure.Cause}, []any{"failed", "party_released"})
}

// Once a share was released there is no other session; a ciphertext that comes after all is still the result.
func TestReleasedWithoutAResult(t *testing.T) {
	for name, fail := range map[string]func(t *testing.T, w *coordtest.World, a, b coordtest.Member, released func()){
		"the recipient fails": func(t *testing.T, _ *coordtest.World, _, b coordtest.Member, released func()) {
			released()
			b.Must(b.Report(t, b.Session, manifest.Report{Reason: "it does not verify"}))
		},
		"the recipient restarts": func(_ *testing.T, w *coordtest.World, _, _ coordtest.Member, released func()) {
			released()
			w.Parties[1].Instance = "b-2"
			w.Connect(1)
		},
		"the recipient is away": func(_ *testing.T, w *coordtest.World, _, _ coordtest.Member, released func()) {
			released()
			w.Disconnect(1)
			w.Clock.Step(2 * coordinator.DefaultDisconnectGrace)
			w.Tick()
			w.Connect(1)
		},
		"the session's time is over": func(_ *testing.T, w *coordtest.World, _, _ coordtest.Member, released func()) {
			released()
			w.Clock.Step(coordinator.DefaultSessionTime)
			w.Tick()
		},
		"released after the end": func(t *testing.T, _ *coordtest.World, _, b coordtest.Member, released func()) {
			b.Must(b.Report(t, b.Session, manifest.Report{Reason: "lost"}))
			released()
		},
		"released while the next session is offered": func(t *testing.T, w *coordtest.World, _, b coordtest.Member, released func()) {
			b.Must(b.Report(t, b.Session, manifest.Report{Reason: "lost"}))
			w.Clock.Step(coordinator.DefaultRetryDelay)
			w.Tick()
			w.Drain()
			expect(t, "sessions before", len(w.Status("pay").Sessions), 2)
			released()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, id, a, b, signed := sealed(t)
			fail(t, w, a, b, func() { a.Must(a.Report(t, a.Session, coordtest.Released(signed))) })
			st := w.Status(id)
			if st.Request.Failure == nil {
				t.Fatalf("the request is %s", st.Request.State)
			}
			expect(t, "request", []any{st.Request.State, st.Request.Failure.Cause}, []any{"failed", "party_released"})
			if text := st.Request.Failure.Message; !strings.Contains(text, "to the recipient: a; submit it anew") {
				t.Errorf("the reason is %q", text)
			}
			sessions := len(st.Sessions)
			for range 3 {
				w.Clock.Step(coordinator.DefaultRetryDelay)
				w.Tick()
			}
			st = w.Status(id)
			expect(t, "sessions", []any{len(st.Sessions), st.Sessions[sessions-1].State.Final()}, []any{sessions, true})
			late := w.Lives[1]
			late.Must(late.Report(t, b.Session, late.Sealed(t, signed)))
			st = w.Status(id)
			expect(t, "late ciphertext", []any{st.Request.State, st.Request.Result != nil && st.Request.Result.Encrypted}, []any{"completed", true})
		})
	}
}

// The key's recipient is what its party said when it approved the keygen; two are one too many.
func TestRecipientOfAKey(t *testing.T) {
	w, _, key := sealedWorld(t, true)
	if key.Recipient == nil || key.Recipient.Index != 2 || key.Recipient.Key != w.Parties[1].Recipient(t) {
		t.Errorf("the key's recipient is %+v", key.Recipient)
	}
	w.Parties[1].Results = nil
	if other := w.Key(2); other.Recipient != nil {
		t.Errorf("a key without a recipient has %+v", other.Recipient)
	}
	w.Parties[0].EncryptResults(t)
	w.Parties[2].EncryptResults(t)
	id := w.Submit(w.KeygenOrder(2, "two")).Request.SinoID
	for i, m := range w.Members(w.Last(id)) {
		answer := coordtest.Answer(m.Session, approved, "")
		answer.GetAnswer().Recipient = w.Parties[i].Recipient(t)
		m.Must(answer)
	}
	st := w.Status(id)
	expect(t, "request", []any{st.Request.State, st.Request.Failure.Cause, len(st.Sessions)}, []any{"failed", coordinator.CauseRecipients, 1})
	if text := st.Request.Failure.Message; !strings.Contains(text, "parties a and c") {
		t.Errorf("the reason is %q", text)
	}
	expect(t, "key", st.Key.State, coordinator.KeyFailed)
}

func TestRecipientsThatAreNone(t *testing.T) {
	w := coordtest.NewWorld(t, 2, coordinator.Limits{})
	w.Parties[0].EncryptResults(t)
	right := w.Parties[0].Recipient(t)
	id := w.Submit(w.KeygenOrder(2, "k")).Request.SinoID
	session := w.Last(id).ID
	for name, text := range map[string]string{
		"text": "b", "not hex": "zz" + right[2:], "upper case": strings.ToUpper(right), "cut": right[2:], "trailing": right + "00", "not a key": "3000",
		"Ed25519": "302a300506032b6570032100" + strings.Repeat("01", 32), "long": strings.Repeat("00", 300),
	} {
		answer := coordtest.Answer(session, approved, "")
		answer.GetAnswer().Recipient = text
		expect(t, name, coordtest.CodeOf(w.Lives[0].Send(answer)), coordinator.CodeViolation)
	}
	expect(t, "session", w.Last(id).Members[0].Approval, "")
}
