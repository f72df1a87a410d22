package wire

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// Path is an endpoint of a callback server, without the "/v1" in front of which it is also served.
type Path string

// The endpoints. A body is good for one of them only: see ParseCheck.
const (
	PathCheck   Path = "/check"
	PathRawdata Path = "/rawdata_signature"
	PathOutcome Path = "/outcome"
)

// Request types. The vendor's guide has the first four, its newer nodes the two pre-sign types; the rest are ours.
const (
	TypeKeygen            = "keygen"
	TypeSign              = "sign"
	TypeBIP340SchnorrSign = "bip340-schnorr-sign"
	TypeTaprootSign       = "taproot-sign"
	TypeRefresh           = "refresh"
	TypeReshare           = "reshare"
	TypePreSign           = "pre-sign"
	TypePreSignOnline     = "pre-sign-online"
	TypeOutcome           = "outcome"
)

// Values of RequestDetail.Cryptography.
const (
	ECDSASecp256k1 = "ecdsa-secp256k1"
	EdDSAEd25519   = "eddsa-ed25519"
)

// Values of RequestDetail.SignType.
const (
	SignTypeTransaction = "1" // an ordinary transaction
	SignTypeMessage     = "2" // an EIP-191 or EIP-712 message
	SignTypeRaw         = "3" // raw data
)

// Values of RequestDetail.Message in an outcome.
const (
	OutcomeSigned    = "signed"
	OutcomeNotSigned = "not-signed"
	OutcomeUnknown   = "unknown"
)

// Check is the body of a request on every endpoint. Marshal gives the bytes that are sent and signed.
type Check struct {
	CallbackID    string        `json:"callback_id,omitempty"`
	RequestType   string        `json:"request_type,omitempty"`
	RequestDetail RequestDetail `json:"request_detail"`
	ExtraInfo     ExtraInfo     `json:"extra_info"`
}

// RequestDetail says what is asked. The order of the fields is the order in which they are signed.
type RequestDetail struct {
	T            int             `json:"t,omitempty"` // signers needed
	N            int             `json:"n,omitempty"` // parties of the key
	Cryptography string          `json:"cryptography,omitempty"`
	PartyIDs     []string        `json:"party_ids,omitempty"` // node ids, compared as opaque strings
	SignType     string          `json:"sign_type,omitempty"`
	PublicKey    string          `json:"public_key,omitempty"` // the key's root public key, lower-case hex
	Path         string          `json:"path,omitempty"`       // derivation path
	Message      string          `json:"message,omitempty"`    // what is to be signed; its form depends on SignType
	Coin         string          `json:"coin,omitempty"`
	FromAddress  string          `json:"from_address,omitempty"`
	ToAddress    string          `json:"to_address,omitempty"`
	Amount       string          `json:"amount,omitempty"`
	Fee          string          `json:"fee,omitempty"`
	GasPrice     string          `json:"gas_price,omitempty"`
	GasLimit     string          `json:"gas_limit,omitempty"`
	Signature    string          `json:"signature,omitempty"`
	TxInfo       json.RawMessage `json:"tx_info,omitempty"` // a JSON object, see TxInfo; nil if there is none
}

// ExtraInfo names the request in the systems around the node.
type ExtraInfo struct {
	SinoID    string `json:"sino_id,omitempty"`
	RequestID string `json:"request_id,omitempty"`
}

// Asked is what a node remembers of a request to recognise its reply.
type Asked struct {
	CallbackID string
	ExtraInfo  ExtraInfo
}

// Asked returns what OpenReply needs to know of the request.
func (c *Check) Asked() Asked { return Asked{CallbackID: c.CallbackID, ExtraInfo: c.ExtraInfo} }

// NewCallbackID makes a callback_id of 128 random bits, as 32 hex digits. A nil rand means crypto/rand. The id belongs to
// one body for ever: store both before sending.
func NewCallbackID(random io.Reader) (string, error) {
	if random == nil {
		random = rand.Reader
	}
	var id [16]byte
	if _, err := io.ReadFull(random, id[:]); err != nil {
		return "", fmt.Errorf("make callback id: %w", err)
	}
	return hex.EncodeToString(id[:]), nil
}

// Marshal returns the canonical bytes: compact, fields in the order of the struct, empty ones left out, '<', '>', '&',
// U+2028 and U+2029 escaped, as encoding/json writes them. A string that is not UTF-8 is an error, because it would be
// changed silently; so is a TxInfo that is not strictly well-formed JSON.
func (c *Check) Marshal() ([]byte, error) {
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("marshal request: %w", err)
	}
	out, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("marshal request: %w", err)
	}
	return out, nil
}

func (c *Check) validate() error {
	d := &c.RequestDetail
	texts := append([]string{
		c.CallbackID, c.RequestType, d.Cryptography, d.SignType, d.PublicKey, d.Path, d.Message, d.Coin, d.FromAddress,
		d.ToAddress, d.Amount, d.Fee, d.GasPrice, d.GasLimit, d.Signature, c.ExtraInfo.SinoID, c.ExtraInfo.RequestID,
	}, d.PartyIDs...)
	for _, s := range texts {
		if !utf8.ValidString(s) {
			return errors.New("a field is not valid UTF-8")
		}
	}
	if len(d.TxInfo) == 0 {
		return nil
	}
	if err := scan(d.TxInfo, txInfoDepth); err != nil {
		return fmt.Errorf("tx_info: %w", err)
	}
	return nil
}
