package policy

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"sync"
)

// inputWriter writes the canonical JSON of plain transfers as encoding/json writes it (Input.marshal), in a fraction of the
// time, and notes on the way where the parts are that rules look at. Whatever is not plain makes it give up, and encoding/json
// writes the input. It writes every field of a struct or leaves it out, in their order: what is looked at is found by counting them.
type inputWriter struct {
	b      []byte
	parts  []*spanned // by the members of the input that are still to be written, nil for those at which nobody looks
	places places
	at     *spanned // the member of the input that is being written; nil: nobody looks at it
	begin  int      // where its value begins
	spans  []int32  // by its members that are still to be written: their indexes, or unseen
	ok     bool
}

// Bounds on what is made room for at once.
const (
	usualInput   = 4096
	maxKeptInput = 1 << 16 // of which the room is used again
	usualWindows = 8
)

// rooms are where inputs are written before it is known how long they are: what is kept of each is as long as it is.
var rooms = sync.Pool{New: func() any {
	b := make([]byte, 0, usualInput)
	return &b
}}

// write returns the input as it is evaluated; ok is false where encoding/json has to write it, and where an amount is not exact.
func (in *Input) write(t *spanTable) (d inputDoc, ok bool) {
	if in.UTXO != nil || in.Message != nil || len(in.BRC20)+len(in.Runes)+len(in.Approvals) > 0 {
		return inputDoc{}, false // input would find it too
	}
	room := rooms.Get().(*[]byte)
	w := inputWriter{b: (*room)[:0], places: make(places, t.size()), ok: true}
	if t != nil {
		w.parts = t.fields
	}
	if w.input(in); w.ok && len(w.b) <= maxInputSize {
		b := bytes.Clone(w.b)
		d, ok = inputDoc{json: b[:len(b):len(b)], places: w.places, given: given{true, in.Tx, in.Call, in.Windows}}, true
	}
	if cap(w.b) <= maxKeptInput {
		*room = w.b
		rooms.Put(room)
	}
	return d, ok
}

func (w *inputWriter) input(in *Input) {
	w.b = append(w.b, `{"format":"`+InputFormat+`"`...)
	w.request(&in.Request)
	w.open(`,"node":`)
	w.text(`,"id":"`, in.Node.ID)
	w.text(`,"name":"`, in.Node.Name)
	w.close()
	if in.Requester == nil {
		w.plain(`,"requester":`, "null", true)
	} else {
		w.open(`,"requester":`)
		w.text(`,"key_id":"`, in.Requester.KeyID)
		w.close()
	}
	w.txInfo(in.TxInfo)
	w.tx(in.Tx)
	w.plain(`,"brc20":`, "[]", len(in.BRC20) == 0)
	w.plain(`,"runes":`, "[]", len(in.Runes) == 0)
	w.plain(`,"utxo":`, "null", in.UTXO == nil)
	w.call(in.Call)
	w.plain(`,"message":`, "null", in.Message == nil)
	w.evidence(&in.Evidence)
	w.windows(in.Windows)
	w.plain(`,"approvals":`, "[]", len(in.Approvals) == 0)
	w.open(`,"now":`)
	w.integer(`,"unix":`, in.Now.Unix)
	w.text(`,"rfc3339":"`, in.Now.RFC3339)
	w.close()
	w.plain(`,"unknown_fields":`, "[]", len(in.UnknownFields) == 0)
	w.plain(`,"problems":`, "[]", len(in.Problems) == 0)
	w.b = append(w.b, '}')
}

// part is what is looked at of the member of the input that is written now; nil for nothing.
func (w *inputWriter) part() *spanned {
	if len(w.parts) == 0 {
		return nil
	}
	s := w.parts[0]
	w.parts = w.parts[1:]
	return s
}

// key writes what stands between two values: a comma, which is left out behind a bracket, a name of ours with its quotes, the colon, and
// the quote of a text.
func (w *inputWriter) key(key string) {
	if w.b[len(w.b)-1] == '{' {
		key = key[1:]
	}
	w.b = append(w.b, key...)
}

// open begins a member of the input that is an object, and close ends it.
func (w *inputWriter) open(key string) {
	w.key(key)
	w.at, w.begin, w.spans = w.part(), len(w.b), nil
	if w.at != nil {
		w.spans = w.at.fields
	}
	w.b = append(w.b, '{')
}

func (w *inputWriter) close() {
	w.b = append(w.b, '}')
	if w.at != nil {
		w.places.note(w.at.index, w.begin, len(w.b))
		w.at = nil
	}
}

// plain writes a member of the input that holds nothing.
func (w *inputWriter) plain(key, value string, holdsNothing bool) {
	w.ok = w.ok && holdsNothing
	w.key(key)
	begin := len(w.b)
	w.b = append(w.b, value...)
	if s := w.part(); s != nil {
		w.places.note(s.index, begin, len(w.b))
	}
}

// note notes where the value of a member's member is that was just written.
func (w *inputWriter) note(begin int) {
	if len(w.spans) > 0 {
		if i := w.spans[0]; i != unseen {
			w.places.note(int(i), begin, len(w.b))
		}
		w.spans = w.spans[1:]
	}
}

// leaveOut is in the place of writing a member's member that is absent.
func (w *inputWriter) leaveOut() {
	if len(w.spans) > 0 {
		w.spans = w.spans[1:]
	}
}

// literal writes a member whose value is written as it is.
func (w *inputWriter) literal(key, value string) {
	w.key(key)
	begin := len(w.b)
	w.b = append(w.b, value...)
	w.note(begin)
}

func (w *inputWriter) integer(key string, n int64) {
	w.key(key)
	begin := len(w.b)
	w.b = strconv.AppendInt(w.b, n, 10)
	w.note(begin)
}

// base writes an integer in base units that may be absent.
func (w *inputWriter) base(key string, n json.Number) {
	if n == "" {
		w.leaveOut()
		return
	}
	w.exact(key, n)
}

// exact writes an integer in base units.
func (w *inputWriter) exact(key string, n json.Number) {
	w.ok = w.ok && isBase(n)
	w.literal(key, string(n))
}

func (w *inputWriter) text(key, value string) {
	b := w.b
	if b[len(b)-1] == '{' {
		key = key[1:]
	}
	b = append(b, key...)
	begin := len(b)
	if value != "" {
		b = append(b, value...)
		w.ok = w.ok && plainLength(b[begin:]) == len(value)
	}
	w.b = append(b, '"')
	w.note(begin - 1)
}

func (w *inputWriter) texts(key string, values []string) {
	w.key(key)
	begin := len(w.b)
	w.b = append(w.b, '[')
	for i, v := range values {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		w.quote(v)
	}
	w.b = append(w.b, ']')
	w.note(begin)
}

func (w *inputWriter) quote(text string) {
	w.b = append(append(w.b, '"'), text...)
	w.ok = w.ok && plainLength(w.b[len(w.b)-len(text):]) == len(text)
	w.b = append(w.b, '"')
}

// sent writes JSON that came with the request or from a decoder, where it stands so deep in the input. It notes the members that
// are looked at by themselves.
func (w *inputWriter) sent(raw json.RawMessage, depth int, at *spanned) {
	s := plainScanner{b: raw, depth: maxJSONDepth - depth, members: at, places: w.places, offset: len(w.b)}
	w.ok = w.ok && s.all()
	w.b = append(w.b, raw...)
}

func (w *inputWriter) txInfo(raw json.RawMessage) {
	if raw == nil {
		w.plain(`,"tx_info":`, "null", true)
		return
	}
	w.key(`,"tx_info":`)
	begin, at := len(w.b), w.part()
	w.sent(raw, 1, at)
	if at != nil {
		w.places.note(at.index, begin, len(w.b))
	}
}

func (w *inputWriter) request(r *Request) {
	w.open(`,"request":`)
	w.text(`,"callback_id":"`, r.CallbackID)
	w.text(`,"request_type":"`, r.RequestType)
	w.integer(`,"t":`, int64(r.T))
	w.integer(`,"n":`, int64(r.N))
	w.text(`,"cryptography":"`, r.Cryptography)
	w.texts(`,"party_ids":`, r.PartyIDs)
	w.text(`,"sign_type":"`, r.SignType)
	w.text(`,"public_key":"`, r.PublicKey)
	w.text(`,"path":"`, r.Path)
	w.text(`,"message":"`, r.Message)
	w.text(`,"sino_id":"`, r.SinoID)
	w.text(`,"request_id":"`, r.RequestID)
	w.text(`,"coin":"`, r.Coin)
	w.text(`,"from_address":"`, r.FromAddress)
	w.text(`,"to_address":"`, r.ToAddress)
	w.text(`,"amount":"`, r.Amount)
	w.text(`,"fee":"`, r.Fee)
	w.text(`,"gas_price":"`, r.GasPrice)
	w.text(`,"gas_limit":"`, r.GasLimit)
	w.close()
}

func (w *inputWriter) tx(tx *Tx) {
	if tx == nil {
		w.plain(`,"tx":`, "null", true)
		return
	}
	w.open(`,"tx":`)
	w.text(`,"chain":"`, tx.Chain)
	w.text(`,"family":"`, tx.Family)
	w.text(`,"asset":"`, tx.Asset)
	w.text(`,"from":"`, tx.From)
	w.text(`,"to":"`, tx.To)
	w.text(`,"to_tag":"`, tx.ToTag)
	w.text(`,"amount":"`, tx.Amount)
	w.base(`,"amount_base":`, tx.AmountBase)
	w.text(`,"fee":"`, tx.Fee)
	w.base(`,"fee_base":`, tx.FeeBase)
	w.text(`,"gas_price":"`, tx.GasPrice)
	w.text(`,"gas_limit":"`, tx.GasLimit)
	w.text(`,"vault_id":"`, tx.VaultID)
	w.text(`,"wallet_id":"`, tx.WalletID)
	w.text(`,"request_id":"`, tx.RequestID)
	w.text(`,"input_id":"`, tx.InputID)
	w.text(`,"tap_script_root":"`, tx.TapScriptRoot)
	w.gas(tx.Gas)
	w.text(`,"source":"`, tx.Source)
	w.ok = w.ok && len(tx.Problems) == 0
	w.literal(`,"problems":`, "[]")
	w.close()
}

func (w *inputWriter) gas(g *Gas) {
	if g == nil {
		w.literal(`,"gas":`, "null")
		return
	}
	gas := w.inner(`,"gas":`, '{')
	w.base(`,"price_base":`, g.PriceBase)
	w.base(`,"limit":`, g.Limit)
	w.base(`,"fee_base":`, g.FeeBase)
	w.text(`,"source":"`, g.Source)
	w.end(gas, '}')
}

// inner is an object or array within a member of the input.
type inner struct {
	spans []int32 // of the member, from this one on
	begin int
}

func (w *inputWriter) inner(key string, bracket byte) inner {
	w.key(key)
	in := inner{w.spans, len(w.b)}
	w.spans, w.b = nil, append(w.b, bracket)
	return in
}

func (w *inputWriter) end(in inner, bracket byte) {
	w.spans, w.b = in.spans, append(w.b, bracket)
	w.note(in.begin)
}

// element begins an object in an array.
func (w *inputWriter) element(i int) {
	if i > 0 {
		w.b = append(w.b, ',')
	}
	w.b = append(w.b, '{')
}

func (w *inputWriter) call(c *Call) {
	if c == nil {
		w.plain(`,"call":`, "null", true)
		return
	}
	w.open(`,"call":`)
	w.literal(`,"declared":`, strconv.FormatBool(c.Declared))
	steps := w.inner(`,"steps":`, '[')
	for i, s := range c.Steps {
		w.element(i)
		w.text(`,"contract":"`, s.Contract)
		w.text(`,"selector":"`, s.Selector)
		w.text(`,"method":"`, s.Method)
		w.literal(`,"delegate":`, strconv.FormatBool(s.Delegate))
		w.b = append(w.b, '}')
	}
	w.end(steps, ']')
	movements := w.inner(`,"movements":`, '[')
	for i, m := range c.Movements {
		w.element(i)
		w.text(`,"kind":"`, m.Kind)
		w.text(`,"contract":"`, m.Contract)
		w.text(`,"to":"`, m.To)
		if m.TokenID != "" {
			w.text(`,"token_id":"`, m.TokenID)
		}
		w.base(`,"amount_base":`, m.AmountBase)
		w.b = append(w.b, '}')
	}
	w.end(movements, ']')
	w.ok = w.ok && len(c.Approvals) == 0
	w.literal(`,"approvals":`, "[]")
	w.close()
}

func (w *inputWriter) evidence(ev *Evidence) {
	w.open(`,"evidence":`)
	w.text(`,"status":"`, string(ev.Status))
	w.texts(`,"codes":`, ev.allCodes())
	w.text(`,"code":"`, ev.Code)
	w.text(`,"reason":"`, ev.Reason)
	if ev.Decoded == nil {
		w.literal(`,"decoded":`, "null")
	} else {
		w.key(`,"decoded":`)
		begin := len(w.b)
		w.sent(ev.Decoded, 2, nil)
		w.note(begin)
	}
	if t := ev.Transfer; t == nil {
		w.literal(`,"transfer":`, "null")
	} else {
		transfer := w.inner(`,"transfer":`, '{')
		w.text(`,"kind":"`, t.Kind)
		w.text(`,"contract":"`, t.Contract)
		w.text(`,"to":"`, t.To)
		w.text(`,"amount":"`, t.Amount)
		w.end(transfer, '}')
	}
	w.ok = w.ok && len(ev.Differences) == 0
	w.literal(`,"differences":`, "[]")
	w.close()
}

func (w *inputWriter) windows(all map[string]Window) {
	w.open(`,"windows":`)
	var room [usualWindows]string
	sorted := room[:0]
	for id := range all {
		sorted = append(sorted, id)
	}
	slices.Sort(sorted)
	for _, id := range sorted {
		w.ok = w.ok && isName(id)
		amounts := all[id]
		w.key(`,"`)
		w.b = append(w.b, id...)
		window := w.inner(`":`, '{')
		w.exact(`,"used":`, amounts.Used)
		w.exact(`,"reserved":`, amounts.Reserved)
		w.exact(`,"after":`, amounts.After)
		w.end(window, '}')
		if w.at != nil {
			if i, wanted := w.at.members[id]; wanted {
				w.places.note(i, window.begin, len(w.b))
			}
		}
	}
	w.close()
}
