package evidence

// Spend is how the signed input of a Bitcoin transaction is spent.
type Spend string

// The spends for which digests are computed.
const (
	SpendP2PKH       Spend = "p2pkh"
	SpendP2SHP2WPKH  Spend = "p2sh-p2wpkh"
	SpendP2WPKH      Spend = "p2wpkh"
	SpendP2WSH       Spend = "p2wsh"
	SpendTaprootKey  Spend = "p2tr-key"
	SpendTaprootLeaf Spend = "p2tr-script"
)

// Bitcoin is a Bitcoin transaction for the policy's eyes. Amounts are in satoshi, as decimal strings.
type Bitcoin struct {
	// TxID is the id of the transaction. Where inputs need signature scripts (p2pkh, p2sh) the final id is another.
	TxID     string          `json:"txid"`
	Network  string          `json:"network,omitempty"`
	Version  int32           `json:"version"`
	LockTime uint32          `json:"locktime"`
	Inputs   []BitcoinInput  `json:"inputs"`
	Outputs  []BitcoinOutput `json:"outputs"`
	// InputAmount, OutputAmount and Fee are sums. The first and the last are empty where an input's amount is not known.
	InputAmount  string `json:"input_amount,omitempty"`
	OutputAmount string `json:"output_amount"`
	Fee          string `json:"fee,omitempty"`
	// VSize is the size of the signed transaction in virtual bytes (BIP141), estimated: signatures are taken at their
	// greatest length, and a p2wsh input with as many of them as its script asks for.
	VSize int `json:"vsize"`
	// FeeRate is Fee divided by VSize, with three decimals, rounded up.
	FeeRate string `json:"fee_rate,omitempty"`
	// SignedInput is the index of the input that is signed.
	SignedInput int    `json:"signed_input"`
	SighashType string `json:"sighash_type"` // DEFAULT or ALL: both commit to all inputs and outputs
	Spend       Spend  `json:"spend"`
	// TapScriptRoot is the Merkle root that the spent output commits to, LeafScript the script that a script path
	// reveals; both in lower-case hex without 0x.
	TapScriptRoot string `json:"tap_script_root,omitempty"`
	LeafScript    string `json:"leaf_script,omitempty"`
	// Runestone is the runes protocol's message in the outputs, Inscription the BRC-20 operation that LeafScript reveals.
	Runestone   *Runestone   `json:"runestone,omitempty"`
	Inscription *Inscription `json:"inscription,omitempty"`
}

// BitcoinInput is an input with the output that it spends, as far as the PSBT shows it.
type BitcoinInput struct {
	TxID     string `json:"txid"`
	Vout     uint32 `json:"vout"`
	Sequence uint32 `json:"sequence"`
	// Address is empty where the script has none; Script is its bytes in lower-case hex. Both, and Amount, are empty where
	// the PSBT does not show the output.
	Address string `json:"address,omitempty"`
	Script  string `json:"script,omitempty"`
	Amount  string `json:"amount,omitempty"`
	// Proven says that Script and Amount are what is on the chain, or else the signature is good for nothing: the PSBT
	// holds the transaction that is spent, or the signature commits to them.
	Proven bool `json:"proven"`
}

// BitcoinOutput is an output. Address is empty where the script has none.
type BitcoinOutput struct {
	Address string `json:"address,omitempty"`
	Script  string `json:"script"` // lower-case hex
	Amount  string `json:"amount"`
	// OpReturn is set where the script starts with OP_RETURN: its other bytes in lower-case hex. Nobody can spend it.
	OpReturn *string `json:"op_return,omitempty"`
	// Change says that the output goes neither to the claimed recipient nor to nobody.
	Change bool `json:"change"`
	// Own says that the output pays to the script of the signed input, which the signing key alone or, for a script, at
	// least also spends.
	Own bool `json:"own"`
}
