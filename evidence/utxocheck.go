package evidence

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"slices"

	"github.com/btcsuite/btcd/txscript"
	"github.com/countersign-mpc/countersign/derive"
)

// checkUTXO compares a claim about a Bitcoin transaction with its PSBT, or with its own lists if there is none.
func checkUTXO(claim *Claim) Finding {
	k := &comparison{}
	k.utxoCompleteness(claim)
	if claim.RawTx == "" {
		k.obstruct(CodeNoRawTx, "no rawTx came with the request: the digest cannot be tied to tx_info")
		k.claimedLists(claim)
		return k.finding()
	}
	view, err := newBitcoinView(claim)
	if err != nil {
		k.explain(err)
		k.obstruct(CodeUndecodable, err.Error())
		k.claimedLists(claim)
		return k.finding()
	}
	k.decoded = Decoded{Kind: KindBitcoin, Digest: formatDigest(view.spend.digest), Bitcoin: view.fields(claim)}
	k.bitcoinTransaction(claim, view)
	if len(k.differences) == 0 && len(k.obstacles) == 0 {
		k.decoded.Transfer = &Transfer{Asset: AssetNative, To: view.canonical(claim.To), Amount: claim.Amount.String()}
	}
	return k.finding()
}

// utxoCompleteness notes what a claim must name before anything can be verified.
func (k *comparison) utxoCompleteness(claim *Claim) {
	if !claim.UTXO.Network.Known() {
		k.obstruct(CodeChain, "the claimed chain's network is not known: add the chain to data.json")
	}
	if claim.Asset.Kind != AssetNative {
		k.obstruct(CodeAsset, "the claimed asset is not known as this chain's coin: add it to data.json")
	}
	if claim.To == "" || claim.Amount == nil {
		k.obstruct(CodeIncomplete, "tx_info must name both recipient (to) and amount")
	}
}

// bitcoinView is a transaction as the claim's comparisons see it.
type bitcoinView struct {
	*bitcoinTx
	network derive.Network
	input   int // the index of the signed one
	spend   *spend
	// inputs and outputs are the addresses, empty where there is none.
	inputs, outputs []string
}

func newBitcoinView(claim *Claim) (*bitcoinView, error) {
	tx, err := claim.Memo.bitcoin(claim.RawTx)
	if err != nil {
		return nil, fmt.Errorf("rawTx: %w", err)
	}
	root, err := parseRoot(claim.UTXO.TapScriptRoot)
	if err != nil {
		return nil, err
	}
	input, err := selectInput(claim.UTXO.InputID, vinIDs(claim.UTXO.Vins), len(tx.tx.TxIn))
	if err != nil {
		return nil, err
	}
	s, err := tx.spend(input, claim.UTXO.RequestType, root)
	if err != nil {
		return nil, fmt.Errorf("rawTx: %w", err)
	}
	v := &bitcoinView{bitcoinTx: tx, network: claim.UTXO.Network, input: input, spend: s}
	for _, out := range tx.tx.TxOut {
		v.outputs = append(v.outputs, v.address(out.PkScript))
	}
	for _, out := range tx.prevouts {
		if out == nil {
			v.inputs = append(v.inputs, "")
		} else {
			v.inputs = append(v.inputs, v.address(out.PkScript))
		}
	}
	return v, nil
}

func vinIDs(vins []VinClaim) []string {
	ids := make([]string, len(vins))
	for i, v := range vins {
		ids[i] = v.ID
	}
	return ids
}

// address is that of a script on the claimed network, empty if it has none or the network is not known.
func (v *bitcoinView) address(script []byte) string {
	address, err := derive.BitcoinAddress(v.network, script)
	if err != nil {
		return ""
	}
	return address
}

// canonical is the one spelling of an address, empty for what is none on the claimed network.
func (v *bitcoinView) canonical(address string) string { return canonicalBitcoin(v.network, address) }

func canonicalBitcoin(n derive.Network, address string) string {
	script, err := derive.BitcoinScript(n, address)
	if err != nil {
		return ""
	}
	canonical, err := derive.BitcoinAddress(n, script)
	if err != nil {
		return ""
	}
	return canonical
}

// trusted tells whether what the PSBT says of an input's output is so, or else the signature good for nothing: a taproot
// digest commits to all spent outputs; any other does not, so that only the spent transaction proves an amount.
func (v *bitcoinView) trusted(i int) bool {
	return v.proven[i] || v.spend.kind.taproot()
}

// explain notes as differences what of an error is one.
func (k *comparison) explain(err error) {
	var root *rootError
	if errors.As(err, &root) {
		k.differ("tapScriptRoot", hex.EncodeToString(root.claimed), hex.EncodeToString(root.signed))
	}
	var count *countError
	if errors.As(err, &count) {
		k.differ("extraData.vinList", fmt.Sprintf("%d inputs", count.listed), fmt.Sprintf("%d inputs", count.inputs))
	}
}

// bitcoinTransaction compares every field of the claim that has a counterpart in the transaction.
func (k *comparison) bitcoinTransaction(claim *Claim, v *bitcoinView) {
	if message, err := parseDigest(claim.Message); err != nil || message != v.spend.digest {
		k.differ("message", claim.Message, k.decoded.Digest)
	}
	for i := range v.prevouts {
		if !v.trusted(i) {
			k.obstruct(CodeUnproven, fmt.Sprintf("the PSBT does not prove what input %d holds: add its non_witness_utxo", i))
			break
		}
	}
	if key := claim.UTXO.PublicKey; len(key) == 0 {
		k.obstruct(CodeUnknownKey, "tx_info must name the derived key that signs (publickKey)")
	} else if !v.spend.signedBy(key) {
		k.differ("publickKey", hex.EncodeToString(key), fmt.Sprintf("a %s input of another key: %s", v.spend.kind, v.inputs[v.input]))
	}
	if !v.network.Known() {
		return // without addresses there is nothing to compare
	}
	k.bitcoinSender(claim, v)
	k.bitcoinRecipient(claim, v)
	k.compareVins(claim.UTXO.Vins, v)
	k.compareVouts(claim, v)
	k.compareRate(claim.UTXO.FeeRate, v)
	k.checkOrdinals(claim.UTXO, v.ordinals(k.decoded.Bitcoin))
}

// bitcoinSender holds from against the signed input's address. Where vinList names all inputs, from may be that of another
// input: a payment from several addresses has one from only.
func (k *comparison) bitcoinSender(claim *Claim, v *bitcoinView) {
	if claim.From == "" {
		return
	}
	from := v.canonical(claim.From)
	for i, address := range v.inputs {
		if from != "" && address == from && (i == v.input || len(claim.UTXO.Vins) > 0) {
			return
		}
	}
	k.differ("from", claim.From, v.inputs[v.input])
}

// bitcoinRecipient holds to and amount against the outputs: together those to the recipient hold the amount or, where the
// recipient's address is also an input's and so gets the change, one of them does.
func (k *comparison) bitcoinRecipient(claim *Claim, v *bitcoinView) {
	if claim.To == "" {
		return
	}
	var paid []int64
	to := v.canonical(claim.To)
	for i, address := range v.outputs {
		if to != "" && address == to {
			paid = append(paid, v.tx.TxOut[i].Value)
		}
	}
	k.compareAmount(claim, paid, to != "" && slices.Contains(v.inputs, to))
}

func (k *comparison) compareAmount(claim *Claim, paid []int64, change bool) {
	if len(paid) == 0 {
		k.differ("to", claim.To, "no output goes there")
		return
	}
	if claim.Amount == nil {
		return
	}
	total := new(big.Int)
	for _, p := range paid {
		amount := big.NewInt(p)
		if change && amount.Cmp(claim.Amount) == 0 {
			return
		}
		total.Add(total, amount)
	}
	k.number("amount", claim.Amount, total)
}

var feeRate = regexp.MustCompile(`^[0-9]{1,12}(\.[0-9]{1,8})?$`)

// compareRate holds the claimed rate per byte against the fee that the transaction pays.
func (k *comparison) compareRate(claimed string, v *bitcoinView) {
	inputs, known := v.inputAmount()
	if claimed == "" || !known {
		return
	}
	fee, s := inputs-v.outputAmount(), v.estimate()
	rate, ok := new(big.Rat), feeRate.MatchString(claimed)
	if ok {
		rate, ok = rate.SetString(claimed)
	}
	if !ok || !rateFits(rate, fee, s) {
		k.differ("fee", claimed, fmt.Sprintf("%s satoshi for a virtual byte: %d for %d", formatRate(fee, s.virtual), fee, s.virtual))
	}
}

// fields gives the transaction as a policy reads it.
func (v *bitcoinView) fields(claim *Claim) *Bitcoin {
	f := &Bitcoin{
		TxID: v.tx.TxHash().String(), Network: string(v.network), Version: v.tx.Version, LockTime: v.tx.LockTime,
		OutputAmount: fmt.Sprint(v.outputAmount()), VSize: v.estimate().virtual, SignedInput: v.input,
		SighashType: "ALL", Spend: v.spend.kind, TapScriptRoot: hex.EncodeToString(v.spend.root),
	}
	if v.spend.sighash == txscript.SigHashDefault {
		f.SighashType = "DEFAULT"
	}
	if v.spend.kind == SpendTaprootLeaf {
		f.LeafScript = hex.EncodeToString(v.spend.script)
	}
	if total, known := v.inputAmount(); known {
		fee := total - v.outputAmount()
		f.InputAmount, f.Fee, f.FeeRate = fmt.Sprint(total), fmt.Sprint(fee), formatRate(fee, f.VSize)
	}
	for i, in := range v.tx.TxIn {
		input := BitcoinInput{
			TxID: in.PreviousOutPoint.Hash.String(), Vout: in.PreviousOutPoint.Index, Sequence: in.Sequence,
			Address: v.inputs[i], Proven: v.prevouts[i] != nil && v.trusted(i),
		}
		if out := v.prevouts[i]; out != nil {
			input.Script, input.Amount = hex.EncodeToString(out.PkScript), fmt.Sprint(out.Value)
		}
		f.Inputs = append(f.Inputs, input)
	}
	to := v.canonical(claim.To)
	for i := range v.tx.TxOut {
		f.Outputs = append(f.Outputs, v.output(i, to))
	}
	return f
}

func (v *bitcoinView) output(i int, to string) BitcoinOutput {
	out := v.tx.TxOut[i]
	f := BitcoinOutput{
		Address: v.outputs[i], Script: hex.EncodeToString(out.PkScript), Amount: fmt.Sprint(out.Value),
		Own: string(out.PkScript) == string(v.prevouts[v.input].PkScript),
	}
	if isOpReturn(out.PkScript) {
		data := hex.EncodeToString(out.PkScript[1:])
		f.OpReturn = &data
	}
	f.Change = f.OpReturn == nil && (to == "" || f.Address != to)
	return f
}

func (v *bitcoinView) ordinals(account *Bitcoin) ordinalsView {
	o := ordinalsView{network: v.network, addresses: v.outputs, inputAddresses: v.inputs, signed: v.input, bitcoin: account}
	for _, out := range v.tx.TxOut {
		o.scripts, o.amounts = append(o.scripts, out.PkScript), append(o.amounts, out.Value)
	}
	for _, in := range v.tx.TxIn {
		o.inputOutpoints = append(o.inputOutpoints, in.PreviousOutPoint.String())
	}
	if v.spend.kind == SpendTaprootLeaf {
		o.leaf = v.spend.script
	}
	return o
}
