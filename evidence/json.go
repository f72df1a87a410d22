package evidence

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// JSON is the account as encoding/json writes it, byte for byte. What EVM transactions are made of is written here, without
// reflection, since it is written for nearly every request; the rest is left to encoding/json. Safe for concurrent use.
func (d *Decoded) JSON() ([]byte, error) {
	w, _ := writers.Get().(*jsonWriter)
	defer w.release()
	w.b = append(w.b, '{')
	w.text("kind", string(d.Kind))
	w.given("digest", d.Digest)
	writeObject(w, "transaction", d.Transaction, (*jsonWriter).transaction)
	if d.Bitcoin != nil {
		w.other("bitcoin", d.Bitcoin)
	}
	writeObject(w, "call", d.Call, (*jsonWriter).call)
	writeList(w, "calls", d.Calls, (*jsonWriter).step)
	writeList(w, "movements", d.Movements, (*jsonWriter).movement)
	writeList(w, "approvals", d.Approvals, (*jsonWriter).approval)
	w.givenTrue("complete", d.Complete)
	writeObject(w, "transfer", d.Transfer, (*jsonWriter).transfer)
	w.given("text", d.Text)
	w.given("data", d.Data)
	if d.TypedData != nil {
		w.other("typed_data", d.TypedData)
	}
	w.b = append(w.b, '}')
	return bytes.Clone(w.b), w.err
}

// jsonWriter appends members of objects. After its first error what it has written is good for nothing.
type jsonWriter struct {
	b   []byte
	err error
}

// writers are those that have nothing to write, with the room that they had for what they wrote last.
var writers = sync.Pool{New: func() any { return &jsonWriter{b: make([]byte, 0, 4096)} }}

// maxWriterRoom is with how much room a writer is kept.
const maxWriterRoom = 64 << 10

// release gives a writer back, of which nothing may be in use any more.
func (w *jsonWriter) release() {
	if cap(w.b) <= maxWriterRoom {
		w.b, w.err = w.b[:0], nil
		writers.Put(w)
	}
}

// next begins a member or an element.
func (w *jsonWriter) next() {
	if last := w.b[len(w.b)-1]; last != '{' && last != '[' {
		w.b = append(w.b, ',')
	}
}

// name begins a member.
func (w *jsonWriter) name(name string) {
	w.next()
	w.b = append(append(append(w.b, '"'), name...), '"', ':')
}

func (w *jsonWriter) text(name, value string) {
	w.name(name)
	w.quote(value)
}

// given is text that is left out where it is empty.
func (w *jsonWriter) given(name, value string) {
	if value != "" {
		w.text(name, value)
	}
}

func (w *jsonWriter) number(name string, n int) {
	w.name(name)
	w.b = strconv.AppendInt(w.b, int64(n), 10)
}

func (w *jsonWriter) truth(name string, value bool) {
	w.name(name)
	w.b = strconv.AppendBool(w.b, value)
}

// givenTrue is truth that is left out where it is false.
func (w *jsonWriter) givenTrue(name string, value bool) {
	if value {
		w.truth(name, value)
	}
}

// other is a member that encoding/json writes.
func (w *jsonWriter) other(name string, value any) {
	w.name(name)
	w.value(value)
}

func (w *jsonWriter) value(value any) {
	b, err := json.Marshal(value)
	if err != nil && w.err == nil {
		w.err = err
	}
	w.b = append(w.b, b...)
}

// escaped has a 1 for each byte that encoding/json may write in another way than as it is.
var escaped = func() (all [256]byte) {
	for c := range all {
		if c < ' ' || c > '~' || strings.ContainsRune(`"\<>&`, rune(c)) {
			all[c] = 1
		}
	}
	return all
}()

// quote writes a string; encoding/json does so where something in it has to be escaped or replaced.
func (w *jsonWriter) quote(text string) {
	var found byte
	for i := range len(text) {
		found |= escaped[text[i]]
	}
	if found != 0 {
		w.value(text)
		return
	}
	w.b = append(append(append(w.b, '"'), text...), '"')
}

// writeObject writes an object, of which write writes the members; it is left out where there is none.
func writeObject[T any](w *jsonWriter, name string, object *T, write func(*jsonWriter, *T)) {
	if object != nil {
		w.name(name)
		writeMembers(w, object, write)
	}
}

func writeMembers[T any](w *jsonWriter, object *T, write func(*jsonWriter, *T)) {
	w.b = append(w.b, '{')
	write(w, object)
	w.b = append(w.b, '}')
}

// writeList writes a list of objects, of each of which write writes the members; nil is left out, as by omitzero.
func writeList[T any](w *jsonWriter, name string, list []T, write func(*jsonWriter, *T)) {
	if list == nil {
		return
	}
	w.name(name)
	w.b = append(w.b, '[')
	for i := range list {
		w.next()
		writeMembers(w, &list[i], write)
	}
	w.b = append(w.b, ']')
}

func (w *jsonWriter) transaction(t *Transaction) {
	w.text("type", t.Type)
	w.given("chain_id", t.ChainID)
	w.text("nonce", t.Nonce)
	w.given("to", t.To)
	w.text("value", t.Value)
	w.text("data", t.Data)
	w.text("gas_limit", t.GasLimit)
	w.given("gas_price", t.GasPrice)
	w.given("max_fee_per_gas", t.MaxFeePerGas)
	w.given("max_priority_fee_per_gas", t.MaxPriorityFeePerGas)
	w.text("max_fee", t.MaxFee)
	w.number("access_list_entries", t.AccessList)
	if t.Blobs != 0 {
		w.number("blobs", t.Blobs)
	}
	if len(t.Authorizations) > 0 {
		w.other("authorizations", t.Authorizations)
	}
}

func (w *jsonWriter) call(c *CallFields) {
	w.text("method", c.Method)
	w.text("selector", c.Selector)
	w.given("contract", c.Contract)
	w.given("from", c.From)
	w.text("to", c.To)
	w.text("amount", c.Amount)
}

func (w *jsonWriter) step(s *Step) {
	w.number("depth", s.Depth)
	w.given("from", s.From)
	w.given("contract", s.Contract)
	w.given("value", s.Value)
	w.given("method", s.Method)
	w.given("selector", s.Selector)
	w.args(s.Args)
	w.given("data", s.Data)
	w.givenTrue("delegate_call", s.Delegate)
	w.given("code", string(s.Code))
}

// args are the arguments by the order of their names. Those names come from ABIs, which may name them as they like.
func (w *jsonWriter) args(args map[string]any) {
	if len(args) == 0 {
		return
	}
	names := make([]string, 0, 8)
	for name := range args {
		names = append(names, name)
	}
	slices.Sort(names)
	w.name("args")
	w.b = append(w.b, '{')
	for _, name := range names {
		w.next()
		w.quote(name)
		w.b = append(w.b, ':')
		if text, ok := args[name].(string); ok {
			w.quote(text)
		} else {
			w.value(args[name])
		}
	}
	w.b = append(w.b, '}')
}

// asset begins a movement and a transfer.
func (w *jsonWriter) asset(kind AssetKind, contract, tokenID string) {
	w.text("asset", string(kind))
	w.given("contract", contract)
	w.given("token_id", tokenID)
}

func (w *jsonWriter) movement(m *Movement) {
	w.asset(m.Asset, m.Contract, m.TokenID)
	w.given("from", m.From)
	w.text("to", m.To)
	w.given("amount", m.Amount)
	w.given("amount_or_token_id", m.AmountOrID)
}

func (w *jsonWriter) approval(a *Approval) {
	w.text("kind", string(a.Kind))
	w.given("token", a.Token)
	w.given("token_id", a.TokenID)
	w.given("owner", a.Owner)
	w.text("spender", a.Spender)
	w.given("amount", a.Amount)
	w.given("amount_or_token_id", a.AmountOrID)
	w.truth("unlimited", a.Unlimited)
	w.text("change", a.Change)
	w.givenTrue("revoke", a.Revoke)
	w.given("deadline", a.Deadline)
	w.given("expires", a.Expires)
}

func (w *jsonWriter) transfer(t *Transfer) {
	w.asset(t.Asset, t.Contract, t.TokenID)
	w.text("to", t.To)
	w.text("amount", t.Amount)
}
