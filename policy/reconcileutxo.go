package policy

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"

	"github.com/countersign-mpc/countersign/evidence"
)

// scriptSpends are the spends by a script that the spender shows; every other is by a signature of the key alone.
var scriptSpends = map[evidence.Spend]bool{evidence.SpendTaprootLeaf: true, evidence.SpendP2WSH: true}

// reconcileUTXO puts what evidence decoded in the place of what extraData claims. Where the evidence is not verified,
// the policy's data may still take it on trust: then nothing of it counts as own that data.json does not list.
func (e *Engine) reconcileUTXO(in *Input) {
	if in.Evidence.Status == EvidenceMismatch || len(in.Tx.Problems) > 0 { // either rejects by itself
		return
	}
	verified := in.Evidence.Status == EvidenceVerified
	var b *evidence.Bitcoin
	if found := in.Evidence.decoded(); found != nil {
		b = found.Bitcoin
	}
	if b == nil {
		if verified {
			in.Evidence.Status, in.Evidence.Code = EvidenceUnverifiable, "no-transfer"
			in.Evidence.Reason = "what is signed was not described as a transaction"
		}
		return
	}
	e.compareRunes(in, b)
	e.compareBRC20(in, b)
	verified = in.Evidence.Status == EvidenceVerified // the comparisons may have found otherwise
	in.UTXO = e.data.signedUTXO(in.Tx, b, verified)
	if in.UTXO.ToBase == "" || in.UTXO.ToBase != in.Tx.AmountBase {
		in.Evidence.differ("amount", string(in.Tx.AmountBase), string(in.UTXO.ToBase))
	}
	if in.Evidence.Status == EvidenceVerified {
		in.Tx.Source, in.UTXO.Source = SourceEvidence, SourceEvidence
	}
}

// signedUTXO writes what evidence decoded in the input's form. What cannot be read is left out, which no rule takes.
func (d *Data) signedUTXO(tx *Tx, b *evidence.Bitcoin, verified bool) *UTXO {
	chain, u := d.chains[tx.Chain], &UTXO{Source: SourceClaim, Spend: SpendKey}
	if scriptSpends[b.Spend] {
		u.Spend = SpendScript
	}
	ownChange := verified && u.Spend == SpendKey
	for i, c := range b.Inputs {
		coin := Coin{AmountBase: exactBase(c.Amount), Own: verified && i == b.SignedInput}
		coin.Address, _ = chain.canonicalAddress(c.Address) // "" for a script that has none
		u.Inputs = append(u.Inputs, coin)
	}
	for _, c := range b.Outputs {
		coin := Coin{AmountBase: exactBase(c.Amount), Data: c.OpReturn != nil, Own: ownChange && c.Own}
		coin.Address, _ = chain.canonicalAddress(c.Address)
		u.Outputs = append(u.Outputs, coin)
	}
	if ownChange && b.SignedInput >= 0 && b.SignedInput < len(u.Inputs) { // inputs of the key that signs
		for i := range u.Inputs {
			u.Inputs[i].Own = u.Inputs[i].Own || u.Inputs[i].Address != "" && u.Inputs[i].Address == u.Inputs[b.SignedInput].Address
		}
	}
	d.weigh(tx, u)
	if fee, ok := new(big.Int).SetString(string(u.FeeBase), 10); ok && b.VSize > 0 {
		u.FeeRate = json.Number(ceilDiv(fee.Mul(fee, big.NewInt(1000)), big.NewInt(int64(b.VSize))).String())
	}
	return u
}

// runeTotals are amounts by "rune id, address".
type runeTotals map[[2]string]*total

func (t runeTotals) add(id, address string, amount json.Number) {
	key := [2]string{id, address}
	if t[key] == nil {
		t[key] = &total{}
	}
	t[key].add(amount)
}

func (t runeTotals) says(key [2]string) string {
	if t[key] == nil {
		return "nothing"
	}
	return fmt.Sprintf("%s base units of %s to %s", t[key].number(), key[0], key[1])
}

// compareRunes holds the amounts that the runestone gives to each address against those that runeDetails claims. An edict
// that is not claimed may only go to an own address: change.
func (e *Engine) compareRunes(in *Input, b *evidence.Bitcoin) {
	claimed, signed := runeTotals{}, runeTotals{}
	for _, r := range in.Runes {
		if r.AmountBase == "" && in.Evidence.Status == EvidenceVerified { // a rune that data.json does not know
			in.Evidence.Status, in.Evidence.Code = EvidenceUnverifiable, "runestone"
			in.Evidence.Reason = "an amount of runeDetails is not known, so that the runestone cannot be held against it"
			return
		}
		claimed.add(r.ID, r.To, r.AmountBase)
	}
	if b.Runestone != nil {
		for _, edict := range b.Runestone.Edicts {
			address, own := "", false
			if uint64(edict.Output) < uint64(len(b.Outputs)) {
				address, _ = e.data.chains[in.Tx.Chain].canonicalAddress(b.Outputs[edict.Output].Address)
				own = b.Outputs[edict.Output].Own && in.Evidence.Status == EvidenceVerified && !scriptSpends[b.Spend] || e.data.owns(in.Tx.Chain, address)
			}
			if claimed[[2]string{edict.RuneID, address}] != nil || !own {
				signed.add(edict.RuneID, address, exactBase(edict.Amount.String()))
			}
		}
	}
	all := maps.Clone(signed)
	maps.Copy(all, claimed)
	for _, key := range slices.SortedFunc(maps.Keys(all), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }) {
		c, s := claimed[key], signed[key]
		if c == nil || s == nil || c.number() == "" || c.number() != s.number() {
			in.Evidence.differ("runeDetails", claimed.says(key), signed.says(key))
		}
	}
}

// compareBRC20 holds the operation that the signed script reveals against the one that brc20Details claims.
func (e *Engine) compareBRC20(in *Input, b *evidence.Bitcoin) {
	if b.Inscription == nil {
		if len(in.BRC20) > 0 && in.Evidence.Status == EvidenceVerified {
			in.Evidence.Status, in.Evidence.Code = EvidenceUnverifiable, "inscription"
			in.Evidence.Reason = "the transaction reveals no inscription that brc20Details could be held against"
		}
		return
	}
	signed := *b.Inscription
	ticker, err := canonicalTicker(signed.Ticker)
	if err != nil {
		ticker = signed.Ticker
	}
	text := signed.Amount
	if signed.Operation == BRC20Deploy {
		text = signed.Max
	}
	quantity, err := baseUnits(text, UnitCoin, e.data.brc20Decimals(in.Tx.Chain, ticker))
	if err != nil {
		quantity = ""
	}
	says := fmt.Sprintf("%s %s %s", signed.Operation, text, signed.Ticker)
	if len(in.BRC20) != 1 {
		in.Evidence.differ("brc20Details", fmt.Sprintf("%d operations", len(in.BRC20)), says)
		return
	}
	if c := in.BRC20[0]; c.Method != signed.Operation || c.Ticker != ticker || quantity == "" || c.QuantityBase != quantity {
		in.Evidence.differ("brc20Details", fmt.Sprintf("%s %s %s", c.Method, c.Quantity, c.Ticker), says)
	}
}
