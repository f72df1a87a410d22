package policy

import (
	"slices"
	"strconv"
	"strings"

	"github.com/countersign-mpc/countersign/evidence"
	"github.com/countersign-mpc/countersign/wire"
)

// safeTxType is encodeType of a Safe's transaction (Safe contracts since 1.0.0), which owners sign as typed data.
const safeTxType = "SafeTx(address to,uint256 value,bytes data,uint8 operation,uint256 safeTxGas,uint256 baseGas,uint256 gasPrice," +
	"address gasToken,address refundReceiver,uint256 nonce)"

// isERC3009 recognises the messages by which a token's contract moves what belongs to who signs.
func isERC3009(encodedType string) bool {
	name, isAuthorization := strings.CutSuffix(encodedType, "WithAuthorization"+fields3009)
	return isAuthorization && (name == "Transfer" || name == "Receive")
}

// byMessage writes the transaction that others carry out by a message into the input, so that it is held against the limits of
// transactions too. The amounts and addresses are those that are signed; of tx_info stay the wallet, the vault and the
// payment's name, and what else it claims has to be the same. What cannot be made exact, of the message or of the claim, becomes a
// problem of the transaction.
func (d *Data) byMessage(in *Input) {
	tx := &Tx{Family: FamilyEVM, Source: SourceEvidence}
	claimed := in.Tx
	if claimed != nil {
		tx.VaultID, tx.WalletID, tx.RequestID = claimed.VaultID, claimed.WalletID, claimed.RequestID
	}
	in.Tx, in.UTXO = tx, nil
	n := normaliser{data: d}
	defer func() { tx.Problems = n.problems }()
	account := in.Evidence.decoded()
	if account == nil || account.TypedData == nil {
		n.problem(RuleTxInvalid, "message", "has a transaction carried out that could not be read")
		return
	}
	domain := account.TypedData.Domain
	if n.chain = d.chainOf(domain.ChainID); n.chain.Symbol == "" {
		n.problem(RuleAssetUnknown, "message.domain.chainId", "is that of no chain of data.json /chains, or of more than one: the message has to name its chain")
		return
	}
	tx.Chain = n.chain.Symbol
	if domain.VerifyingContract == nil {
		n.problem(RuleTxInvalid, "message.domain.verifyingContract", "is missing: it names the contract that acts")
		return
	}
	contract := n.address("message.domain.verifyingContract", *domain.VerifyingContract)
	if account.TypedData.EncodedType == safeTxType {
		n.safe(in, account, contract)
	} else {
		m := account.TypedData.Message
		tx.From = n.address("message.from", text(m, "from"))
		n.transfer(in, evidence.Movement{Asset: evidence.AssetERC20, Contract: *domain.VerifyingContract, To: text(m, "to"), Amount: text(m, "value")})
	}
	n.sameAsClaimed(in, claimed)
}

// safe is what a Safe does: one transfer of its own, or a call.
func (n *normaliser) safe(in *Input, account *evidence.Decoded, safe string) {
	in.Tx.From = safe
	if len(account.Calls) == 0 {
		n.problem(RuleTxInvalid, "message", "is a Safe's transaction that could not be read")
		return
	}
	if price := text(account.TypedData.Message, "gasPrice"); price != "0" {
		n.problem(RuleTxInvalid, "message.gasPrice", "is %q: the Safe would pay for gas, and how much the message does not bound", clip(price))
	}
	in.Call = n.data.call(in, account)
	if sole := soleTransfer(account, safe, n.chain); sole != nil {
		n.transfer(in, *sole)
	} else {
		n.safeCall(in, account)
	}
}

// chainOf finds the one EVM chain of data.json with a chain id in decimal.
func (d *Data) chainOf(chainID *string) (found Chain) {
	if chainID == nil {
		return found
	}
	id, err := strconv.ParseUint(*chainID, 10, 64)
	if err != nil || id == 0 {
		return found
	}
	for _, symbol := range sortedKeys(d.chains) {
		if chain := d.chains[symbol]; chain.Family == FamilyEVM && chain.ChainID == id {
			if found.Symbol != "" {
				return Chain{}
			}
			found = chain
		}
	}
	return found
}

// soleTransfer is the movement that is all that happens: one, of the Safe's own coins or tokens; else nil.
func soleTransfer(account *evidence.Decoded, safe string, chain Chain) *evidence.Movement {
	if !account.Complete || len(account.Movements) != 1 || len(account.Approvals) > 0 {
		return nil
	}
	m := &account.Movements[0]
	from, err := chain.canonicalAddress(m.From)
	if err != nil || from != safe || (m.Asset != evidence.AssetNative && m.Asset != evidence.AssetERC20) {
		return nil
	}
	return m
}

// transfer makes the transaction a transfer of an asset of data.json.
func (n *normaliser) transfer(in *Input, m evidence.Movement) {
	tx := in.Tx
	tx.To = n.address("message.to", m.To)
	tx.AmountBase = exactBase(m.Amount)
	contract := ""
	if m.Contract != "" {
		contract = n.address("message.to", m.Contract)
	}
	for id, asset := range n.chain.Assets {
		if asset.Kind == string(m.Asset) && asset.Contract == contract {
			tx.Asset = id
		}
	}
	if tx.Asset == "" {
		n.problem(RuleAssetUnknown, "message.to", "%q is no token of data.json /chains/%s/assets", clip(m.Contract), n.chain.Symbol)
	}
	in.Evidence.Transfer = &Transfer{Kind: string(m.Asset), Contract: m.Contract, To: m.To, Amount: m.Amount}
}

// safeCall makes the transaction a call that takes coins along. It is one that the rules for calls may approve if nothing in
// it is hidden: steps whose effect only a contract knows are theirs to judge, by contract and method.
func (n *normaliser) safeCall(in *Input, account *evidence.Decoded) {
	tx := in.Tx
	tx.Asset = n.chain.Native
	tx.To = n.address("message.to", account.Calls[0].Contract)
	tx.AmountBase = exactBase(text(account.TypedData.Message, "value"))
	in.Call.Declared = !slices.ContainsFunc(account.Calls, func(s evidence.Step) bool {
		return s.Delegate || (s.Code != "" && !slices.Contains(declaredCodes, string(s.Code)))
	})
}

// sameAsClaimed holds what tx_info says of the transaction against what is signed, on the chain and of the token that the message
// names. It may leave any of it out. What it says is shown to approvers and stands in the log, so that what cannot be made exact of it
// is as good a reason to reject as another amount.
func (n *normaliser) sameAsClaimed(in *Input, claimed *Tx) {
	if claimed == nil {
		return
	}
	said, _, err := wire.ReadTxInfo(in.TxInfo)
	if err != nil {
		n.problem(RuleTxInvalid, "tx_info", "cannot be read")
		return
	}
	told := n.takeProblems(in, claimed, &said)
	for _, f := range []struct {
		name, claimed, signed string
		exact                 func(string) (string, error)
	}{
		{"chainSymbol", said.ChainSymbol, in.Tx.Chain, nil},
		{"assetId", said.AssetID, in.Tx.Asset, nil},
		{"from", said.From, in.Tx.From, n.chain.canonicalAddress},
		{"to", said.To, in.Tx.To, n.chain.canonicalAddress},
		{"amount", said.Amount, string(in.Tx.AmountBase), n.exactAmount(in)},
	} {
		if f.claimed == "" || told[f.name] {
			continue
		}
		exact := f.claimed
		if f.exact != nil {
			exact, err = f.exact(f.claimed)
		}
		if err != nil || exact != f.signed {
			n.problem(RuleTxInvalid, f.name, "%q is claimed, and the message says %q", clip(f.claimed), clip(f.signed))
		}
	}
	n.besideMessage(&said, told)
}

// besideMessage holds what else tx_info says: what the message does not tell has to be exact, and what no message can be about must not
// be there.
func (n *normaliser) besideMessage(said *wire.TxInfo, told map[string]bool) {
	if native, known := n.chain.Assets[n.chain.Native]; said.Fee != "" && !told["fee"] {
		if _, err := baseUnits(said.Fee, n.chain.AmountUnit, native.Decimals); err != nil || !known {
			n.problem(RuleTxInvalid, "fee", "%q is no amount of the chain's coin", clip(said.Fee))
		}
	}
	for _, f := range [][2]string{{"gasPrice", said.GasPrice}, {"gasLimit", said.GasLimit}} {
		if f[1] != "" && exactBase(f[1]) == "" && !told[f[0]] {
			n.problem(RuleTxInvalid, f[0], "%q is not an integer", clip(f[1]))
		}
	}
	const foreign = "is claimed, and a message has none"
	if x := said.ExtraData; x != nil && len(x.VinList)+len(x.VoutList) > 0 {
		n.problem(RuleTxInvalid, "extraData", foreign)
	}
	if len(said.RuneDetails) > 0 {
		n.problem(RuleTxInvalid, "runeDetails", foreign)
	}
	if len(said.BRC20Details) > 0 {
		n.problem(RuleTxInvalid, "brc20Details", foreign)
	}
}

// exactAmount makes a claimed amount one in base units of what the message moves.
func (n *normaliser) exactAmount(in *Input) func(string) (string, error) {
	return func(amount string) (string, error) {
		base, err := baseUnits(amount, n.chain.AmountUnit, n.chain.Assets[in.Tx.Asset].Decimals)
		return string(base), err
	}
}

// takeProblems keeps the problems of the claim and returns the fields that they are of. Those of what nobody has said are none: a
// request for a message need not repeat it.
func (n *normaliser) takeProblems(in *Input, claimed *Tx, said *wire.TxInfo) map[string]bool {
	words := map[string]string{
		"chainSymbol": said.ChainSymbol, "assetId": said.AssetID, "to": said.To + in.Request.ToAddress, "amount": said.Amount + in.Request.Amount,
	}
	told := map[string]bool{}
	for _, p := range claimed.Problems {
		if word, optional := words[p.Field]; !optional || word != "" {
			n.problem(p.Rule, p.Field, "%s", p.Message)
			told[p.Field] = true
		}
	}
	return told
}
