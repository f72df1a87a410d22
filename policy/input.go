package policy

import (
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/countersign-mpc/countersign/evidence"
)

// Input is what a policy sees of one request. Its JSON form (docs/POLICY.md, "Input") is `input` in Rego. Slices and
// maps that hold nothing are written as [] and {}, so that a rule never has to ask whether they are there.
type Input struct {
	Request       Request           `json:"request"`
	Node          Node              `json:"node"`
	Requester     *Requester        `json:"requester"` // nil: nobody's signature was verified
	TxInfo        json.RawMessage   `json:"tx_info"`   // as sent, canonical JSON; nil when the request has none
	Tx            *Tx               `json:"tx"`        // made by Engine.NewInput; nil when the request has no tx_info
	BRC20         []BRC20           `json:"brc20"`
	Runes         []Rune            `json:"runes"`
	UTXO          *UTXO             `json:"utxo"`
	Call          *Call             `json:"call"`    // what an EVM transaction calls; made by Engine.Complete
	Message       *Message          `json:"message"` // what a sign_type 2 request signs; made by Engine.Complete
	Evidence      Evidence          `json:"evidence"`
	Windows       map[string]Window `json:"windows"`
	Approvals     []Approval        `json:"approvals"`
	Now           Now               `json:"now"`
	UnknownFields []UnknownField    `json:"unknown_fields"`
	Problems      []Problem         `json:"problems"` // of the body as a whole; those of the transaction are in Tx
}

// UnknownField is a key of the body that the protocol does not know.
type UnknownField struct {
	Pointer string          `json:"pointer"` // RFC 6901, from the body's root
	Value   json.RawMessage `json:"value"`
}

// Request is the callback's request, as sent (WIRE.md "Request").
type Request struct {
	CallbackID   string   `json:"callback_id"`
	RequestType  string   `json:"request_type"`
	T            int      `json:"t"`
	N            int      `json:"n"`
	Cryptography string   `json:"cryptography"`
	PartyIDs     []string `json:"party_ids"`
	SignType     string   `json:"sign_type"`
	PublicKey    string   `json:"public_key"`
	Path         string   `json:"path"`
	Message      string   `json:"message"`
	SinoID       string   `json:"sino_id"`
	RequestID    string   `json:"request_id"`
	// The flat fields of older nodes. Where tx_info claims the same thing otherwise, the claim is a mismatch.
	Coin        string `json:"coin"`
	FromAddress string `json:"from_address"`
	ToAddress   string `json:"to_address"`
	Amount      string `json:"amount"`
	Fee         string `json:"fee"`
	GasPrice    string `json:"gas_price"`
	GasLimit    string `json:"gas_limit"`
}

// Node is the node whose key verified the request.
type Node struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Requester is who asked for the signature, as the node verified it.
type Requester struct {
	KeyID string `json:"key_id"`
}

// Where the values of a Tx are known from.
const (
	SourceClaim    = "claim"    // tx_info only
	SourceEvidence = "evidence" // verified evidence says the same
)

// Tx is what tx_info claims, made exact. Source says whether verified evidence says the same.
// Addresses are in the chain's canonical form ("0x" and lower-case hex for EVM, lower-case bech32 for Bitcoin).
type Tx struct {
	Chain         string      `json:"chain"`  // symbol in data.json; "" when unknown
	Family        string      `json:"family"` // "evm" or "utxo"
	Asset         string      `json:"asset"`  // id in data.json; "" when unknown
	From          string      `json:"from"`
	To            string      `json:"to"`
	ToTag         string      `json:"to_tag"`
	Amount        string      `json:"amount"`                // as sent
	AmountBase    json.Number `json:"amount_base,omitempty"` // integer in base units; absent when it is not known
	Fee           string      `json:"fee"`                   // as sent; on utxo chains a rate
	FeeBase       json.Number `json:"fee_base,omitempty"`    // integer in the native asset's base units, EVM only
	GasPrice      string      `json:"gas_price"`
	GasLimit      string      `json:"gas_limit"`
	VaultID       string      `json:"vault_id"`
	WalletID      string      `json:"wallet_id"`
	RequestID     string      `json:"request_id"`
	InputID       string      `json:"input_id"` // tx_info.curInputId
	TapScriptRoot string      `json:"tap_script_root"`
	Gas           *Gas        `json:"gas"`      // EVM only, else nil
	Source        string      `json:"source"`   // "evidence" or "claim"
	Problems      []Problem   `json:"problems"` // each one a reason to reject
}

// Problem is a part of a request that could not be made exact.
type Problem struct {
	Rule    string `json:"rule"`    // one of the Rule constants
	Field   string `json:"field"`   // of tx_info, or a JSON pointer from the body's root
	Message string `json:"message"` // says what is wrong and what would be right
}

// The rules that a Problem names; the shipped policies reject under them.
const (
	RuleAssetUnknown     = "asset.unknown"     // the chain or the asset, with its unit and decimals, is not in data.json
	RuleTxInvalid        = "tx.invalid"        // an amount or an address is not well formed, or two places claim different things
	RuleRequestMalformed = "request.malformed" // the body is well formed, but cannot be judged
	RuleBRC20Invalid     = "brc20.invalid"     // a part of brc20Details is not well formed
	RuleRunesInvalid     = "runes.invalid"     // a part of runeDetails is not well formed
)

// EvidenceStatus says how what is signed compares with what is claimed.
type EvidenceStatus string

// The statuses. EvidenceNone belongs to requests in which nothing is signed, or no claim is made about it.
const (
	EvidenceNone         EvidenceStatus = ""
	EvidenceVerified     EvidenceStatus = "verified"
	EvidenceMismatch     EvidenceStatus = "mismatch"
	EvidenceUnverifiable EvidenceStatus = "unverifiable"
)

// Evidence is what package evidence found (its Finding), in the policy's terms.
type Evidence struct {
	Status      EvidenceStatus  `json:"status"`
	Codes       []string        `json:"codes"`       // all words that say why it is not verified
	Code        string          `json:"code"`        // the gravest of them: why it is not verified: a stable word, such as "no-raw-tx"
	Reason      string          `json:"reason"`      // the same for people
	Decoded     json.RawMessage `json:"decoded"`     // the decoder's own account; nil for none
	Transfer    *Transfer       `json:"transfer"`    // set only where all that is signed is one plain transfer
	Differences []Difference    `json:"differences"` // each one a mismatch

	account *evidence.Decoded // what Decoded says; nil where it is to be read from there
}

// Describe sets Decoded to what the decoder found. Complete then reads that and not its JSON form again: neither may be
// changed afterwards.
func (ev *Evidence) Describe(found *evidence.Decoded) error {
	b, err := found.JSON()
	if err != nil {
		return fmt.Errorf("what is signed cannot be described: %w", err)
	}
	ev.Decoded, ev.account = b, found
	return nil
}

// decoded is what the decoder found; nil where there is nothing that can be read.
func (ev *Evidence) decoded() *evidence.Decoded {
	if ev.account != nil || len(ev.Decoded) == 0 {
		return ev.account
	}
	var found evidence.Decoded
	if json.Unmarshal(ev.Decoded, &found) != nil {
		return nil
	}
	return &found
}

// Transfer is the one movement of value that the signed bytes cause.
type Transfer struct {
	Kind     string `json:"kind"`     // AssetNative or AssetERC20
	Contract string `json:"contract"` // the token's contract; "" for the chain's native asset
	To       string `json:"to"`
	Amount   string `json:"amount"` // decimal integer in base units
}

// Difference is a field in which the signed bytes and the claim disagree.
type Difference struct {
	Field   string `json:"field"`
	Claimed string `json:"claimed"`
	Signed  string `json:"signed"`
}

// Window is the state of one velocity window: what was used, what is reserved, and what both would come to with this
// request, as integers in base units or as counts.
type Window struct {
	Used     json.Number `json:"used"`
	Reserved json.Number `json:"reserved"`
	After    json.Number `json:"after"`
}

// Approval is one open approval of the same execution, intent and digests. The names are those of approvers whose
// signatures over this requirement were verified.
type Approval struct {
	Requirement Requirement `json:"requirement"`
	ApprovedBy  []string    `json:"approved_by"`
	RejectedBy  []string    `json:"rejected_by"`
	ExpiresUnix int64       `json:"expires_unix"`
}

// Now is the time that a policy may know.
type Now struct {
	Unix    int64  `json:"unix"`    // seconds
	RFC3339 string `json:"rfc3339"` // UTC, to the second
}

// lastNow is a second in the policy's form, since many requests come within one.
var lastNow atomic.Pointer[Now]

// NowAt is t in the policy's form.
func NowAt(t time.Time) Now {
	unix := t.Unix()
	if n := lastNow.Load(); n != nil && n.Unix == unix {
		return *n
	}
	n := Now{Unix: unix, RFC3339: t.UTC().Format(time.RFC3339)}
	lastNow.Store(&n)
	return n
}
