package evidence

import (
	"math/big"
	"slices"

	"github.com/btcsuite/btcd/txscript"

	"github.com/countersign-mpc/countersign/derive"
)

// RuneClaim is an element of tx_info.runeDetails, its fields as written, and its amount in the rune's smallest unit, nil if
// the caller does not know the unit.
type RuneClaim struct {
	FromAddress  string
	ToAddress    string
	Name         string // runeName
	ID           string // runeId
	SpacedName   string // runeSpacedName
	Amount       string // runeAmount
	Symbol       string // runeSymbol
	Divisibility string // runeDivisibility
	AmountBase   *big.Int
}

// BRC20Claim is an element of tx_info.brc20Details, its fields as written.
type BRC20Claim struct {
	Method        string
	Ticker        string
	Quantity      string
	InscriptionID string // inscriptionId
	Step          string
	From          string
	To            string
}

// ordinalsView is what the comparisons with runeDetails and brc20Details see of a transaction that decoded.
type ordinalsView struct {
	network derive.Network
	// scripts are those of the outputs, addresses theirs, empty where a script has none; amounts are in satoshi.
	scripts   [][]byte
	addresses []string
	amounts   []int64
	// inputAddresses are those of the inputs, empty where they are not known; signed is the index of the signed input.
	inputAddresses []string
	// inputOutpoints name the outputs that the inputs spend, as "txid:vout".
	inputOutpoints []string
	signed         int
	// leaf is the script that a script-path spend reveals, nil for other spends.
	leaf []byte
	// bitcoin is the account of the transaction for the policy: checkRunes fills its Runestone, checkBRC20 its Inscription.
	bitcoin *Bitcoin
}

// checkOrdinals holds a transaction against what is claimed of runes and BRC-20. A message of either protocol moves what
// the amounts in satoshi do not show, so one that no claim vouches for is an obstacle, and so is a claim without one.
func (k *comparison) checkOrdinals(claim UTXOClaim, tx ordinalsView) {
	k.checkRunes(claim.Runes, tx)
	k.checkBRC20(claim.BRC20, tx)
}

// spendsFrom tells whether an address is one of the inputs'.
func (tx ordinalsView) spendsFrom(address string) bool {
	return address != "" && slices.Contains(tx.inputAddresses, address)
}

func isOpReturn(script []byte) bool { return len(script) > 0 && script[0] == txscript.OP_RETURN }

// canonical writes an address as the view does; one that is none of the network's stays as it is.
func (tx ordinalsView) canonical(address string) string {
	script, err := derive.BitcoinScript(tx.network, address)
	if err != nil {
		return address
	}
	canonical, err := derive.BitcoinAddress(tx.network, script)
	if err != nil {
		return address
	}
	return canonical
}
