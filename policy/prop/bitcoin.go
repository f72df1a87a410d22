package prop

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/wire"
)

// change is what comes back of every payment, in satoshi.
const change = 10_000

// output is an output of a transaction.
type output struct {
	address string // "" for data
	script  []byte
	value   int64
}

// bitcoin fills in a payment of inputs and outputs.
func (b *built) bitcoin() error {
	key := keyBytes(b.request[dimKey])
	if b.request[dimPath] != "m" {
		b.info["publickKey"] = b.request[dimKey]
	}
	spent, tree, err := b.coin(key)
	if err != nil {
		return errUnbuildable
	}
	outputs, err := b.outputs(spent)
	if err != nil {
		return errUnbuildable
	}
	spent.value = b.integer(dimFee).Int64()
	if b.besides() {
		outputs[1].value += aside
		spent.value -= aside
	}
	for _, o := range outputs {
		spent.value += o.value
	}
	b.info["from"] = spent.address
	b.tokens(spent.address)
	if b.request[dimWhat] == formListed {
		return b.lists(spent, outputs)
	}
	b.info["extraData"] = map[string]any{"voutList": b.vouts(outputs)}
	if tree.root != nil && tree.leaf == nil {
		b.info["tapScriptRoot"] = hex.EncodeToString(tree.root)
	}
	switch b.request[dimTwist] {
	case "amount":
		outputs[0].value++
		spent.value++
	case "recipient":
		if outputs[0].script, err = b.script(b.address(b.request[dimChain], stranger)); err != nil {
			return errUnbuildable
		}
	case "chain", "token":
		return errUnbuildable
	}
	inputs, signed := b.inputs(spent)
	if len(inputs) > 1 {
		b.info["curInputId"] = strconv.Itoa(signed)
	}
	return b.digest(psbt(b.serial, inputs, signed, tree, outputs))
}

func (b *built) network() derive.Network {
	return derive.Network(b.world.Chains[b.request[dimChain]].Network)
}

func (b *built) script(address string) ([]byte, error) {
	return derive.BitcoinScript(b.network(), address)
}

// scriptTree is the leaf that a spend shows, and the root of a tree that holds it alone.
type scriptTree struct {
	leaf, control, root []byte
	internal            []byte // x coordinate
}

// coin is the output that is spent: of the key, or of another address.
func (b *built) coin(key []byte) (output, scriptTree, error) {
	if source := b.request[dimSource]; source != "signer" && source != "" {
		return b.pay(b.request[dimSource], 0), scriptTree{}, nil
	}
	var address string
	var err error
	var tree scriptTree
	switch b.request[dimSpend] {
	case "":
		address, err = derive.P2WPKHAddress(b.network(), key)
	case "key":
		tree.internal = key[1:]
		address, err = derive.P2TRAddress(b.network(), key, nil)
	default:
		if tree, err = b.tree(key); err == nil {
			address, err = derive.P2TRAddress(b.network(), key, tree.root)
		}
		if b.request[dimSpend] == "tree" {
			tree.leaf = nil
		}
	}
	return b.pay(address, 0), tree, err
}

// aside is what another input holds, in satoshi: it comes back as change.
const aside = 20_000

// besides tells whether more than one output is spent.
func (b *built) besides() bool { return b.request[dimInputs] != "" && b.request[dimInputs] != none }

// inputs are the outputs that are spent, with the place of the one that is signed.
func (b *built) inputs(spent output) ([]output, int) {
	if !b.besides() {
		return []output{spent}, 0
	}
	other := output{spent.address, spent.script, aside}
	if b.request[dimInputs] != "own" {
		other = b.pay(b.address(b.request[dimChain], stranger), aside)
	}
	if b.request[dimInputs] == "another's before" {
		return []output{other, spent}, 1
	}
	return []output{spent, other}, 0
}

// tree is one of a single leaf: the key's own check, with what it reveals, or a script of another kind.
func (b *built) tree(key []byte) (scriptTree, error) {
	if len(key) != 33 {
		return scriptTree{}, errUnbuildable
	}
	t := scriptTree{internal: key[1:]}
	t.leaf = append(append([]byte{0x20}, key[1:]...), 0xac) // <key> OP_CHECKSIG
	switch b.request[dimSpend] {
	case "checksig":
	case spendReveal, spendOther:
		envelope, err := b.envelope()
		if err != nil {
			return t, err
		}
		t.leaf = append(t.leaf, envelope...)
	default:
		t.leaf = append(t.leaf, 0x61) // OP_NOP
	}
	tag := sha256.Sum256([]byte("TapLeaf"))
	hash := sha256.Sum256(append(append(append([]byte{}, tag[:]...), tag[:]...), append(append([]byte{0xc0}, compact(len(t.leaf))...), t.leaf...)...))
	t.root = hash[:]
	out, err := derive.TaprootOutputKey(key, t.root)
	parity := byte(0)
	if out.Odd {
		parity = 1
	}
	t.control = append([]byte{0xc0 | parity}, key[1:]...)
	return t, err
}

func (b *built) pay(address string, value int64) output {
	script, err := b.script(address)
	if err != nil {
		return output{}
	}
	return output{address, script, value}
}

// outputs are the recipient's, change, and what else the request asks for.
func (b *built) outputs(spent output) ([]output, error) {
	amount := b.integer(dimAmount)
	if !amount.IsInt64() || spent.script == nil {
		return nil, errUnbuildable
	}
	out := []output{b.pay(b.request[dimTo], amount.Int64()), {spent.address, spent.script, change}}
	for _, own := range sorted(b.world.Addresses[b.request[dimChain]].Own) {
		if b.request[dimType] == wire.TypeBIP340SchnorrSign && own != b.request[dimTo] {
			out[1] = b.pay(own, change) // what a script guards is not the key's own
		}
	}
	symbol := b.request[dimChain]
	var other string
	switch extra := b.request[dimExtra]; extra {
	case none:
	case "data":
		out = append(out, output{script: []byte{0x6a, 1, 7}})
	default:
		for _, address := range b.recipients(b.request, words{extra}) {
			if other == "" && address != b.request[dimTo] {
				other = address
			}
		}
		if other == "" {
			return nil, errUnbuildable
		}
		out = append(out, b.pay(other, 5000))
	}
	if id := b.request[dimRune]; id != none && b.request[dimWhat] == formPayment {
		script, ok := runestone(id, b.integer(dimRunes))
		if !ok {
			return nil, errUnbuildable
		}
		out = append(out, output{script: script})
	}
	for _, o := range out {
		if o.script == nil {
			return nil, fmt.Errorf("%w: no script on chain %s", errUnbuildable, symbol)
		}
	}
	return out, nil
}

// tokens fills in what is claimed of runes and BRC-20 tokens.
func (b *built) tokens(from string) {
	if own := b.request[dimTokenFrom]; own != "" {
		from = own
	}
	to := b.request[dimTo]
	if t := b.request[dimTokenTo]; t != "" && t != "recipient" {
		to = t
	}
	if id := b.request[dimRune]; id != none && id != "" {
		known := b.world.Runes[b.request[dimChain]][id]
		if known.SpacedName == "" {
			known.SpacedName = "UNKNOWN•RUNE"
		}
		name, amount := strings.ReplaceAll(known.SpacedName, "•", ""), b.integer(dimRunes).String()
		if known.AmountUnit == "coin" {
			amount = coins(b.integer(dimRunes), known.Divisibility)
		}
		if b.request[dimRuneName] == "wrong" {
			name += "X"
		}
		b.info["runeDetails"] = []any{map[string]any{
			"fromAddress": from, "toAddress": to, "runeName": name, "runeId": id, "runeSpacedName": known.SpacedName, "runeAmount": amount,
			"runeSymbol": known.Symbol, "runeDivisibility": known.Divisibility,
		}}
	}
	if ticker := b.request[dimTicker]; ticker != "" && ticker != none {
		method, step, _ := strings.Cut(b.request[dimStep], " ")
		decimals := 18
		if known, ok := b.world.BRC20[b.request[dimChain]][ticker]; ok {
			decimals = known.Decimals
		}
		details := map[string]any{
			"method": method, "ticker": ticker, "quantity": coins(b.integer(dimQuantity), decimals), "step": atoi(step), "from": from, "to": to,
			"inscriptionId": strings.Repeat("11", 32) + "i0",
		}
		if b.request[dimWhat] == formReveal { // it is made by this transaction, whose id is not known before
			delete(details, "inscriptionId")
		}
		b.info["brc20Details"] = []any{details}
	}
}

// vouts are the outputs as tx_info claims them.
func (b *built) vouts(outputs []output) []any {
	var out []any
	for _, o := range outputs {
		if o.address != "" {
			out = append(out, map[string]any{"address": o.address, "amount": b.amountText(big.NewInt(o.value), 8)})
		}
	}
	return out
}

// lists fills in a payment of which nothing but lists is known.
func (b *built) lists(spent output, outputs []output) error {
	b.info["extraData"] = map[string]any{
		"vinList": []any{map[string]any{
			"id": "1", "address": spent.address, "amount": b.amountText(big.NewInt(spent.value), 8), "transactionHash": strings.Repeat("22", 32),
			"voutIndex": strconv.Itoa(int(b.serial)),
		}},
		"voutList": b.vouts(outputs),
	}
	b.info["curInputId"], b.info["fee"] = "1", "2"
	b.check.RequestDetail.Message = strings.Repeat("5e", 32)
	return nil
}

// runestone moves an amount of a rune to the first output and leaves the rest to the second.
func runestone(id string, amount *big.Int) ([]byte, bool) {
	block, tx, found := strings.Cut(id, ":")
	var payload []byte
	for _, text := range []string{"22", "1", "0", block, tx} { // pointer 1; body: block, transaction
		n, ok := new(big.Int).SetString(text, 10)
		if !ok {
			return nil, false
		}
		payload = append(payload, leb128(n)...)
	}
	payload = append(append(payload, leb128(amount)...), 0) // amount, output
	return append([]byte{0x6a, 0x5d, byte(len(payload))}, payload...), found && len(payload) < 76
}

func leb128(n *big.Int) []byte {
	var out []byte
	for n = new(big.Int).Set(n); n.BitLen() > 7; n.Rsh(n, 7) {
		out = append(out, byte(n.Uint64()&0x7f)|0x80)
	}
	return append(out, byte(n.Uint64()))
}

// psbt is a PSBT of version 0 (BIP174) that spends outputs, each with the transaction that holds it; the signed one may be
// below a tree.
func psbt(n serial, inputs []output, signed int, tree scriptTree, outputs []output) string {
	var previous, txids [][]byte
	for i, spent := range inputs {
		origin := sha256.Sum256([]byte(strconv.Itoa(int(n)) + strings.Repeat("'", i))) // no two requests of a sequence spend the same coin
		previous = append(previous, transaction([][]byte{origin[:]}, []output{spent}))
		first := sha256.Sum256(previous[i])
		txid := sha256.Sum256(first[:])
		txids = append(txids, txid[:])
	}
	p := []byte("psbt\xff")
	p = pair(p, []byte{0x00}, transaction(txids, outputs))
	p = append(p, 0)
	for i, spent := range inputs {
		p = pair(p, []byte{0x00}, previous[i])
		p = pair(p, []byte{0x01}, spent.serialise())
		if i == signed && tree.leaf != nil {
			p = pair(p, append([]byte{0x15}, tree.control...), append(bytes.Clone(tree.leaf), 0xc0)) // BIP371
		}
		if i == signed && tree.internal != nil {
			p = pair(p, []byte{0x17}, tree.internal)
		}
		p = append(p, 0)
	}
	return base64.StdEncoding.EncodeToString(append(p, make([]byte, len(outputs))...))
}

func pair(p, key, value []byte) []byte {
	p = append(append(p, compact(len(key))...), key...)
	return append(append(p, compact(len(value))...), value...)
}

func compact(n int) []byte {
	if n < 0xfd {
		return []byte{byte(n)}
	}
	return binary.LittleEndian.AppendUint16([]byte{0xfd}, uint16(n))
}

func (o output) serialise() []byte {
	out := binary.LittleEndian.AppendUint64(nil, uint64(o.value))
	return append(append(out, compact(len(o.script))...), o.script...)
}

// transaction spends the first output of each of some others; it is unsigned.
func transaction(txids [][]byte, outputs []output) []byte {
	out := binary.LittleEndian.AppendUint32(nil, 2)
	out = append(out, compact(len(txids))...)
	for _, txid := range txids {
		out = append(out, txid...)
		out = append(binary.LittleEndian.AppendUint32(out, 0), 0) // its index; no script
		out = binary.LittleEndian.AppendUint32(out, 0xfffffffd)
	}
	out = append(out, compact(len(outputs))...)
	for _, o := range outputs {
		out = append(out, o.serialise()...)
	}
	return binary.LittleEndian.AppendUint32(out, 0)
}
