package policy

// Claim is what tx_info says, field by field, as sent.
type Claim struct {
	Chain         string // chainSymbol
	Asset         string // assetId
	From          string
	To            string
	ToTag         string
	Amount        string
	Fee           string
	GasPrice      string
	GasLimit      string
	VaultID       string
	WalletID      string
	RequestID     string
	InputID       string // curInputId
	TapScriptRoot string
}

// Normalise makes a claim exact against the engine's data, and completes the evidence by what only data.json can
// tell: whether the signed asset, recipient and amount are those that were claimed.
//
// With verified evidence the returned Tx holds what is signed, not what was claimed; a disagreement is added to the
// returned evidence's differences, which makes it a mismatch. What is unknown or malformed stands in Tx.Problems and is
// rejected; nothing is guessed. Safe for concurrent use.
func (e *Engine) Normalise(claim Claim, ev Evidence) (*Tx, Evidence) {
	return &Tx{Problems: []Problem{{Rule: RuleTxInvalid, Message: "not made exact"}}}, ev
}
