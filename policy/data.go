package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/countersign-mpc/countersign/internal/pace"
)

// DataFormat is the first thing in a data.json: the version of its form.
const DataFormat = "countersign/policy-data/v1"

// fileData is data.json as it is written. docs/POLICY.md, "data.json", says what each key means.
type fileData struct {
	Format        string                            `json:"format"`
	RequestTypes  []string                          `json:"request_types"`
	UnknownFields []string                          `json:"unknown_fields"`
	Chains        map[string]fileChain              `json:"chains"`
	Keygen        fileKeygen                        `json:"keygen"`
	Limits        map[string]map[string][]fileLimit `json:"limits"`
	Windows       map[string]fileWindow             `json:"windows"`
	Wallets       map[string]fileBinding            `json:"wallets"`
	Vaults        map[string]fileBinding            `json:"vaults"`
	// UnboundWallets takes the word of requesters for wallets and vaults that are not bound.
	UnboundWallets bool `json:"unbound_wallets"`

	Addresses     map[string]fileAddresses            `json:"addresses"`
	Hours         map[string]fileHours                `json:"hours"`
	Contracts     map[string]map[string]fileContract  `json:"contracts"`
	Allowances    map[string]map[string]fileAllowance `json:"allowances"`
	NFTs          map[string]map[string]fileNFT       `json:"nfts"`
	Gas           map[string]fileGas                  `json:"gas"`
	Evidence      fileEvidence                        `json:"evidence"`
	Messages      map[string]fileMessages             `json:"messages"`
	TypedData     map[string]fileTypedData            `json:"typed_data"`
	Permits       map[string]map[string]filePermit    `json:"permits"`
	Raw           map[string]fileRaw                  `json:"raw"`
	PreSign       map[string]filePreSign              `json:"pre_sign"`
	UTXO          map[string]fileUTXO                 `json:"utxo"`
	BRC20         map[string]map[string]fileBRC20     `json:"brc20"`
	Runes         map[string]map[string]fileRune      `json:"runes"`
	Taproot       map[string]fileTaproot              `json:"taproot"`
	Approvers     map[string]fileApprover             `json:"approvers"`
	Groups        map[string]fileGroup                `json:"groups"`
	PolicyChanges *filePolicyChanges                  `json:"policy_changes"`
	Custom        customData                          `json:"custom"`
}

type fileChain struct {
	Family     string               `json:"family"`
	ChainID    uint64               `json:"chain_id"`
	Network    string               `json:"network"`
	AmountUnit string               `json:"amount_unit"`
	Assets     map[string]fileAsset `json:"assets"`
}

type fileAsset struct {
	Kind     string `json:"kind"`
	Contract string `json:"contract"`
	Decimals *int   `json:"decimals"` // a pointer, since leaving it out must not mean 0
}

type fileKeygen struct {
	Parties map[string]string `json:"parties"` // node id -> whose it is
	Schemes []fileScheme      `json:"schemes"`
}

type fileScheme struct {
	Cryptography string `json:"cryptography"`
	T            int    `json:"t"`
	N            int    `json:"n"`
}

type fileLimit struct {
	Max       string         `json:"max"`     // in coins
	Wallets   []string       `json:"wallets"` // nil: every wallet
	Vaults    []string       `json:"vaults"`
	Approvals []fileApproval `json:"approvals"`
}

type fileApproval struct {
	Above          string `json:"above"` // in coins
	Group          string `json:"group"`
	Threshold      int    `json:"threshold"`
	ExpirySeconds  int64  `json:"expiry_seconds"`
	WaitSeconds    int    `json:"wait_seconds"`
	NotRequester   bool   `json:"not_requester"`
	RejectionFinal bool   `json:"rejection_final"`
}

type fileAddresses struct {
	AllowAny bool        `json:"allow_any"`
	Allow    addressList `json:"allow"` // address -> whose it is
	Deny     addressList `json:"deny"`  // address -> why
	Own      addressList `json:"own"`   // address -> which wallet it is of
}

type fileEvidence struct {
	Unverifiable map[string]fileUnverifiable `json:"unverifiable"`
}

type fileUnverifiable struct {
	Codes        []string `json:"codes"`
	AnyRequester bool     `json:"any_requester"`
	Requesters   []string `json:"requesters"`
}

type fileGrant struct {
	AnyRequester bool     `json:"any_requester"`
	Requesters   []string `json:"requesters"`
}

type fileRaw struct {
	Paths        []string `json:"paths"` // nil: every path
	AnyRequester bool     `json:"any_requester"`
	Requesters   []string `json:"requesters"`
}

type filePreSign struct {
	Paths        []string `json:"paths"`
	AnyRequester bool     `json:"any_requester"`
	Requesters   []string `json:"requesters"`
}

type fileApprover struct {
	PublicKey       string   `json:"public_key"` // base64 of SPKI DER
	RequesterKeyIDs []string `json:"requester_key_ids"`
}

type fileGroup struct {
	Members []string `json:"members"`
}

// Data is a validated data.json. It does not change.
type Data struct {
	chains    map[string]Chain
	groups    map[string]Group
	own       map[string]map[string]bool      // own addresses by chain
	tokens    map[tokenKey]tokenAt            // ERC-20 assets by chain id and contract
	brc20     map[string]map[string]int       // decimals by chain and ticker
	runes     map[string]map[string]runeAsset // by chain and rune id
	nfts      map[string]map[string]string    // kinds by chain and contract
	windows   []windowRule                    // by id
	wallets   *bindings
	vaults    *bindings
	unbound   bool           // wallets and vaults that are not bound are taken as claimed
	changes   *PolicyChanges // nil: whoever may change the policy may do it alone
	canonical []byte         // what Rego sees as data, as JSON with sorted keys
}

// ParseData reads and validates a data.json. The error names every fault that was found, up to a bound, each with its
// place as a JSON pointer (RFC 6901); nothing is put right in silence. name stands in front of the errors.
func ParseData(name string, b []byte) (*Data, error) { return parseData(name, b, nil) }

// parseData is ParseData that gives way to others; p may be nil.
func parseData(name string, b []byte, p *pace.Pacer) (*Data, error) {
	if err := checkPacedJSON(b, maxDataSize, true, true, p); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var f fileData
	// That no name is there twice has been checked.
	if err := jsonv2.Unmarshal(b, &f, jsonv2.RejectUnknownMembers(true), jsontext.AllowDuplicateNames(true)); err != nil {
		return nil, fmt.Errorf("%s: %w", name, semanticError(err))
	}
	if f.Format != DataFormat {
		return nil, fmt.Errorf("%s: at /format: is %q, but this version reads %q", name, f.Format, DataFormat)
	}
	p.Pause()
	d, err := f.compile(len(b), p)
	if err != nil {
		return nil, fmt.Errorf("%s:\n%w", name, err)
	}
	return d, nil
}

// customData is the custom part, with integers that are exact.
type customData map[string]any

var _ jsonv2.UnmarshalerFrom = (*customData)(nil)

// UnmarshalJSONFrom implements jsonv2.UnmarshalerFrom.
func (c *customData) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	b, err := d.ReadValue()
	if err != nil {
		return err
	}
	if b.Kind() != '{' {
		return jsonv2.Unmarshal(b, (*map[string]any)(c)) // which says what is wrong
	}
	exact := json.NewDecoder(bytes.NewReader(b))
	exact.UseNumber()
	return exact.Decode((*map[string]any)(c))
}

func semanticError(err error) error {
	var semantic *jsonv2.SemanticError
	if !errors.As(err, &semantic) {
		return jsonError(err)
	}
	at := place(semantic.JSONPointer)
	if errors.Is(err, jsonv2.ErrUnknownName) {
		return fmt.Errorf("%s: this key is not known here (docs/POLICY.md lists them; own data goes under /custom)", at)
	}
	if semantic.GoType == nil {
		return fmt.Errorf("%s: cannot be read: %v", at, semantic.Err)
	}
	return fmt.Errorf("%s: a %s is expected here", at, jsonTypeName(semantic.GoType))
}

// Canonical returns what Rego sees as data, as JSON with sorted keys; it is part of the revision.
func (d *Data) Canonical() []byte { return bytes.Clone(d.canonical) }
