package evidence

import "github.com/countersign-mpc/countersign/derive"

// RuneClaim is an element of tx_info.runeDetails, its fields as written.
type RuneClaim struct {
	FromAddress  string
	ToAddress    string
	Name         string // runeName
	ID           string // runeId
	SpacedName   string // runeSpacedName
	Amount       string // runeAmount
	Symbol       string // runeSymbol
	Divisibility string // runeDivisibility
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
