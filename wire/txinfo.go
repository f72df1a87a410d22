package wire

import "encoding/json"

// TxInfo is the claim of what a transaction does, as it stands in request_detail.tx_info. It is a claim: package evidence
// holds it against what is really signed. A field that was absent, empty or null is the zero value.
type TxInfo struct {
	VaultID       string // vaultId
	WalletID      string // walletId
	RequestID     string // requestId: names the payment
	ChainSymbol   string // chainSymbol
	AssetID       string // assetId
	From          string // from
	To            string // to
	ToTag         string // toTag
	Amount        string // amount, as written
	Fee           string // fee; for UTXO chains a rate per byte
	FeeRate       string // fee_rate: 1 fast, 2 medium, 3 slow
	GasPrice      string // gasPrice
	GasLimit      string // gasLimit
	InputData     string // inputdata
	Remark        string // remark
	Note          string // note
	CurInputID    string // curInputId: the input that is signed, by its id in vinList or its index; package evidence finds it
	TapScriptRoot string // tapScriptRoot, hex
	PublicKey     string // publickKey (sic): the derived public key
	ExtraData     *ExtraData
	BRC20Details  []BRC20Detail
	RuneDetails   []RuneDetail
	RawTx         string     // rawTx: the unsigned transaction; EVM: hex signing payload, Bitcoin: PSBT in base64
	Requester     *Requester // who asked, as verified by the node
}

// ExtraData describes a UTXO transaction.
type ExtraData struct {
	ToTag    string
	VinList  []Vin
	VoutList []Vout
}

// Vin is an input of a UTXO transaction. A field that the vendor writes as a JSON number (or as a string holding one) is
// kept as it was written.
type Vin struct {
	Address         string
	Amount          string // number
	BlockHash       string
	BlockHeight     string // number
	BlockState      string // number
	BlockTimeStamp  string // number
	Currency        string
	ID              string // number
	State           string // number
	Tag             string
	TransactionHash string
	VoutIndex       string // number
}

// Vout is an output of a UTXO transaction.
type Vout struct {
	Address string
	Amount  string // number, as written
}

// BRC20Detail is one entry of brc20Details.
type BRC20Detail struct {
	Method        string
	Ticker        string
	Quantity      string
	InscriptionID string // inscriptionId
	Step          string // number, as written
	From          string
	To            string
}

// RuneDetail is one entry of runeDetails.
type RuneDetail struct {
	FromAddress      string
	ToAddress        string
	RuneName         string
	RuneID           string // runeId
	RuneSpacedName   string
	RuneAmount       string
	RuneSymbol       string
	RuneDivisibility string // number, as written
}

// Requester names the key that asked for the request, with its signature. The node verifies it and writes it into
// tx_info: see SetRequester.
type Requester struct {
	KeyID     string `json:"key_id"`
	Signature string `json:"signature"`
}

// UnknownField is a key that this protocol version does not know, with its value.
type UnknownField struct {
	Pointer string          // RFC 6901, from the body's root; an object that came as a string counts as an object
	Value   json.RawMessage // as received
}

// Problem is something in a well-formed body that makes it impossible to judge: the answer is a signed Reject.
type Problem struct {
	Pointer string // RFC 6901, from the body's root
	Reason  string // what is wrong and what is expected; it never repeats the value
}
