package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/countersign-mpc/countersign/wire"
)

// TestNames: every name that is hashed is the hash of the labelled bytes that docs/FORMATS.md has for it.
func TestNames(t *testing.T) {
	labelled := func(purpose string, fields ...[]byte) Hash {
		return sha256.Sum256(wire.SigningBytes(purpose, fields...))
	}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringN(200, 600, -1)) // longer than the space that is kept ready, too
		node, path, callback := text.Draw(t, "node"), text.Draw(t, "path"), text.Draw(t, "callback_id")
		fields := [][]byte{[]byte(node), []byte(path), []byte(callback)}
		if askName(node, wire.Path(path), callback, false) != labelled("callback-id", fields...) {
			t.Error("an ask's name")
		}
		if askName(node, wire.Path(path), callback, true) != labelled("callback-id", append(fields, []byte("amends"))...) {
			t.Error("the name of an ask that amends another")
		}
		if seriesKey(node) != labelled("window-series", []byte(node)) {
			t.Error("a series' key")
		}
		h := labelled("ledger-index", []byte(node))
		if string(indexKey(node, 1<<40+7)) != string(h[:16])+"\x00\x00\x01\x00\x00\x00\x00\x07" {
			t.Error("an index key")
		}
		intent := Hash(sha256.Sum256([]byte(path)))
		digests := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 1, 64), 0, 12).Draw(t, "digests")
		fields = [][]byte{intent[:], binary.BigEndian.AppendUint32(nil, uint32(len(digests)))}
		fields = append(append(fields, digests...), []byte(node))
		if execution(intent, digests, node) != labelled("approval-execution", fields...) {
			t.Error("an execution's name")
		}
	})
}

// TestParseID: an id is read only in the form in which it is written.
func TestParseID(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := id(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
		text := v.String()
		if got, err := parseID(text); err != nil || got != v {
			t.Errorf("%s became %s (%v)", text, got, err)
		}
		other := []byte(text)
		other[rapid.IntRange(0, 31).Draw(t, "at")] = rapid.SampledFrom([]byte("ABCDEFg/:`G\x00\xff ")).Draw(t, "byte")
		for _, wrong := range []string{string(other), text[1:], text + "0", ""} {
			if _, err := parseID(wrong); err == nil {
				t.Errorf("%q is taken for an id", wrong)
			}
		}
	})
}

// TestEntrySize: the space that is kept ready for a decision's entry is what it needs, where no requirement is in it.
func TestEntrySize(t *testing.T) {
	text := rapid.StringN(0, 40, -1)
	hash := rapid.Custom(func(t *rapid.T) Hash { return Hash(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "hash")) })
	amount := rapid.Custom(func(t *rapid.T) *big.Int {
		return new(big.Int).SetBytes(rapid.SliceOfN(rapid.Byte(), 0, 64).Draw(t, "amount"))
	})
	action := rapid.SampledFrom([]wire.Action{wire.Approve, wire.Reject, wire.Wait})
	ids := rapid.Custom(func(t *rapid.T) string { return id(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id")).String() })
	rapid.Check(t, func(t *rapid.T) {
		r := &Record{
			ID: ids.Draw(t, "id"), Action: action.Draw(t, "action"), Verdict: action.Draw(t, "verdict"), Revision: text.Draw(t, "revision"),
			Ask: Ask{
				Node: text.Draw(t, "node"), Path: wire.Path(text.Draw(t, "path")), CallbackID: text.Draw(t, "callback"), SinoID: text.Draw(t, "sino"),
				RequestID: text.Draw(t, "request"), RequestType: text.Draw(t, "type"), Requester: text.Draw(t, "requester"),
				Digests: rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 1, 64), 0, 3).Draw(t, "digests"),
			},
			Fired: rapid.SliceOfN(text, 0, 3).Draw(t, "fired"), Voided: rapid.SliceOfN(ids, 0, 3).Draw(t, "voided"),
			Input: rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "input"), Reply: rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "reply"),
		}
		for range rapid.IntRange(0, 3).Draw(t, "reasons") {
			r.Reasons = append(r.Reasons, Reason{Rule: text.Draw(t, "rule"), Severity: wire.Reject, Message: text.Draw(t, "message")})
		}
		for range rapid.IntRange(0, 3).Draw(t, "counts") {
			r.Counts = append(r.Counts, Count{Series: hash.Draw(t, "series"), Effect: EffectReserved, Amount: amount.Draw(t, "amount"), Added: amount.Draw(t, "added")})
		}
		for range rapid.IntRange(0, 3).Draw(t, "bound") {
			r.Bound = append(r.Bound, Bound{Name: hash.Draw(t, "name")})
		}
		if rapid.Bool().Draw(t, "approval") {
			r.Approval = ids.Draw(t, "approval id")
		}
		if rapid.Bool().Draw(t, "attachment") {
			r.Attachment = &Hash{}
		}
		e := Entry{Decision: r}
		b, err := e.Marshal()
		if err != nil || len(b) != e.size() {
			t.Fatalf("%d bytes are kept ready for %d (%v)", e.size(), len(b), err)
		}
	})
}
