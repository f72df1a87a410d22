package policy

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
)

// inputWriter writes the canonical JSON of plain transfers as encoding/json writes it (Input.marshal), in a fraction of the
// time, and notes on the way where the parts are that rules look at. Whatever is not plain makes it give up, and encoding/json
// writes the input.
type inputWriter struct {
	b      []byte
	table  spanTable
	places places
	at     *spanned // the member of the input that is being written; nil: nobody looks at it, or in parts
	begin  int      // where its value begins
	ok     bool
}

// write returns the input as it is evaluated; ok is false where encoding/json has to write it.
func (in *Input) write(t spanTable) (d inputDoc, ok bool) {
	w := inputWriter{b: make([]byte, 0, 6144), table: t, places: make(places, t.size()), ok: true}
	w.b = append(w.b, `{"format":"`+InputFormat+`"`...)
	w.request(&in.Request)
	w.open("node")
	w.text("id", in.Node.ID)
	w.text("name", in.Node.Name)
	w.close()
	if in.Requester == nil {
		w.plain("requester", "null", true)
	} else {
		w.open("requester")
		w.text("key_id", in.Requester.KeyID)
		w.close()
	}
	w.txInfo(in.TxInfo)
	w.tx(in.Tx)
	w.plain("brc20", "[]", len(in.BRC20) == 0)
	w.plain("runes", "[]", len(in.Runes) == 0)
	w.plain("utxo", "null", in.UTXO == nil)
	w.call(in.Call)
	w.plain("message", "null", in.Message == nil)
	w.evidence(&in.Evidence)
	w.windows(in.Windows)
	w.plain("approvals", "[]", len(in.Approvals) == 0)
	w.open("now")
	w.integer("unix", in.Now.Unix)
	w.text("rfc3339", in.Now.RFC3339)
	w.close()
	w.plain("unknown_fields", "[]", len(in.UnknownFields) == 0)
	w.plain("problems", "[]", len(in.Problems) == 0)
	w.b = append(w.b, '}')
	if !w.ok || len(w.b) > maxInputSize {
		return d, false
	}
	return w.places.document(w.b), true
}

// open begins a member of the input that is an object, and close ends it.
func (w *inputWriter) open(name string) {
	w.key(name)
	w.at, w.begin = w.table[name], len(w.b)
	w.b = append(w.b, '{')
}

func (w *inputWriter) close() {
	w.b = append(w.b, '}')
	if w.at != nil {
		w.places[w.at.index] = [2]int{w.begin, len(w.b)}
		w.at = nil
	}
}

// plain writes a member of the input that holds nothing.
func (w *inputWriter) plain(name, value string, holdsNothing bool) {
	w.ok = w.ok && holdsNothing
	w.key(name)
	begin := len(w.b)
	w.b = append(w.b, value...)
	if s := w.table[name]; s != nil {
		w.places[s.index] = [2]int{begin, len(w.b)}
	}
}

// key writes a name, which is one of ours.
func (w *inputWriter) key(name string) {
	if last := w.b[len(w.b)-1]; last != '{' && last != '[' {
		w.b = append(w.b, ',')
	}
	w.b = append(append(append(w.b, '"'), name...), '"', ':')
}

// note notes where the value of a member's member is that was just written.
func (w *inputWriter) note(name string, begin int) {
	if w.at != nil {
		if i, wanted := w.at.members[name]; wanted {
			w.places[i] = [2]int{begin, len(w.b)}
		}
	}
}

// literal writes a member whose value is written as it is.
func (w *inputWriter) literal(name, value string) {
	w.key(name)
	begin := len(w.b)
	w.b = append(w.b, value...)
	w.note(name, begin)
}

func (w *inputWriter) integer(name string, n int64) {
	w.key(name)
	begin := len(w.b)
	w.b = strconv.AppendInt(w.b, n, 10)
	w.note(name, begin)
}

// base writes an integer in base units that may be absent. Input.validate has checked it.
func (w *inputWriter) base(name string, n json.Number) {
	if n != "" {
		w.literal(name, string(n))
	}
}

func (w *inputWriter) text(name, value string) {
	w.key(name)
	begin := len(w.b)
	w.quote(value)
	w.note(name, begin)
}

func (w *inputWriter) texts(name string, values []string) {
	w.key(name)
	begin := len(w.b)
	w.b = append(w.b, '[')
	for i, v := range values {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		w.quote(v)
	}
	w.b = append(w.b, ']')
	w.note(name, begin)
}

func (w *inputWriter) quote(text string) {
	w.b = append(w.b, '"')
	for i := range len(text) {
		if c := text[i]; c < ' ' || c >= 0x7f || special[c] {
			w.ok = false
			return
		}
	}
	w.b = append(append(w.b, text...), '"')
}

// special are the characters that encoding/json escapes.
var special = [256]bool{'"': true, '\\': true, '<': true, '>': true, '&': true}

// sent writes JSON that came with the request or from a decoder, where it stands so deep in the input.
func (w *inputWriter) sent(raw json.RawMessage, depth int, each func(name []byte, begin, end int)) {
	w.ok = w.ok && plainJSON(raw, maxJSONDepth-depth, each)
	w.b = append(w.b, raw...)
}

func (w *inputWriter) txInfo(raw json.RawMessage) {
	if raw == nil {
		w.plain("tx_info", "null", true)
		return
	}
	w.key("tx_info")
	begin, s := len(w.b), w.table["tx_info"]
	if s == nil {
		w.sent(raw, 1, nil)
		return
	}
	w.sent(raw, 1, func(name []byte, from, to int) {
		if i, wanted := s.members[string(name)]; wanted {
			w.places[i] = [2]int{begin + from, begin + to}
		}
	})
	w.places[s.index] = [2]int{begin, len(w.b)}
}

func (w *inputWriter) request(r *Request) {
	w.open("request")
	w.text("callback_id", r.CallbackID)
	w.text("request_type", r.RequestType)
	w.integer("t", int64(r.T))
	w.integer("n", int64(r.N))
	w.text("cryptography", r.Cryptography)
	w.texts("party_ids", r.PartyIDs)
	w.text("sign_type", r.SignType)
	w.text("public_key", r.PublicKey)
	w.text("path", r.Path)
	w.text("message", r.Message)
	w.text("sino_id", r.SinoID)
	w.text("request_id", r.RequestID)
	w.text("coin", r.Coin)
	w.text("from_address", r.FromAddress)
	w.text("to_address", r.ToAddress)
	w.text("amount", r.Amount)
	w.text("fee", r.Fee)
	w.text("gas_price", r.GasPrice)
	w.text("gas_limit", r.GasLimit)
	w.close()
}

func (w *inputWriter) tx(tx *Tx) {
	if tx == nil {
		w.plain("tx", "null", true)
		return
	}
	w.open("tx")
	w.text("chain", tx.Chain)
	w.text("family", tx.Family)
	w.text("asset", tx.Asset)
	w.text("from", tx.From)
	w.text("to", tx.To)
	w.text("to_tag", tx.ToTag)
	w.text("amount", tx.Amount)
	w.base("amount_base", tx.AmountBase)
	w.text("fee", tx.Fee)
	w.base("fee_base", tx.FeeBase)
	w.text("gas_price", tx.GasPrice)
	w.text("gas_limit", tx.GasLimit)
	w.text("vault_id", tx.VaultID)
	w.text("wallet_id", tx.WalletID)
	w.text("request_id", tx.RequestID)
	w.text("input_id", tx.InputID)
	w.text("tap_script_root", tx.TapScriptRoot)
	w.gas(tx.Gas)
	w.text("source", tx.Source)
	w.ok = w.ok && len(tx.Problems) == 0
	w.literal("problems", "[]")
	w.close()
}

func (w *inputWriter) gas(g *Gas) {
	if g == nil {
		w.literal("gas", "null")
		return
	}
	done := w.inner("gas", '{')
	w.base("price_base", g.PriceBase)
	w.base("limit", g.Limit)
	w.base("fee_base", g.FeeBase)
	w.text("source", g.Source)
	done('}')
}

// inner begins an object or array within a member of the input; what it returns ends it.
func (w *inputWriter) inner(name string, bracket byte) func(byte) {
	w.key(name)
	outer, begin := w.at, len(w.b)
	w.at, w.b = nil, append(w.b, bracket)
	return func(bracket byte) {
		w.at, w.b = outer, append(w.b, bracket)
		w.note(name, begin)
	}
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
		w.plain("call", "null", true)
		return
	}
	w.open("call")
	w.literal("declared", strconv.FormatBool(c.Declared))
	done := w.inner("steps", '[')
	for i, s := range c.Steps {
		w.element(i)
		w.text("contract", s.Contract)
		w.text("selector", s.Selector)
		w.text("method", s.Method)
		w.literal("delegate", strconv.FormatBool(s.Delegate))
		w.b = append(w.b, '}')
	}
	done(']')
	done = w.inner("movements", '[')
	for i, m := range c.Movements {
		w.element(i)
		w.text("kind", m.Kind)
		w.text("contract", m.Contract)
		w.text("to", m.To)
		if m.TokenID != "" {
			w.text("token_id", m.TokenID)
		}
		w.base("amount_base", m.AmountBase)
		w.b = append(w.b, '}')
	}
	done(']')
	w.ok = w.ok && len(c.Approvals) == 0
	w.literal("approvals", "[]")
	w.close()
}

func (w *inputWriter) evidence(ev *Evidence) {
	w.open("evidence")
	w.text("status", string(ev.Status))
	w.texts("codes", ev.allCodes())
	w.text("code", ev.Code)
	w.text("reason", ev.Reason)
	if ev.Decoded == nil {
		w.literal("decoded", "null")
	} else {
		w.key("decoded")
		begin := len(w.b)
		w.sent(ev.Decoded, 2, nil)
		w.note("decoded", begin)
	}
	if t := ev.Transfer; t == nil {
		w.literal("transfer", "null")
	} else {
		done := w.inner("transfer", '{')
		w.text("kind", t.Kind)
		w.text("contract", t.Contract)
		w.text("to", t.To)
		w.text("amount", t.Amount)
		done('}')
	}
	w.ok = w.ok && len(ev.Differences) == 0
	w.literal("differences", "[]")
	w.close()
}

func (w *inputWriter) windows(all map[string]Window) {
	w.open("windows")
	for _, id := range slices.Sorted(maps.Keys(all)) {
		w.ok = w.ok && namePattern.MatchString(id)
		done := w.inner(id, '{')
		w.literal("used", string(all[id].Used))
		w.literal("reserved", string(all[id].Reserved))
		w.literal("after", string(all[id].After))
		done('}')
	}
	w.close()
}
