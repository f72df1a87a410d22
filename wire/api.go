package wire

import (
	"crypto/ecdsa"
	"errors"
	"io"
	"net/http"
	"time"
)

var errAPI = errors.New("being written")

// NodeID is "sino" and base64 of the lower-case hex of the SPKI DER of a P-256 key.
type NodeID string

// NodeIDOf returns the id of a P-256 key; it panics for a key on another curve.
func NodeIDOf(pub *ecdsa.PublicKey) NodeID { panic(errAPI) }

// ParseNodeID checks s strictly.
func ParseNodeID(s string) (NodeID, error) { return "", errAPI }

// PublicKey returns the key that the id names.
func (id NodeID) PublicKey() (*ecdsa.PublicKey, error) { return nil, errAPI }

// Short returns the tail of the id, for logs.
func (id NodeID) Short() string { return "" }

// ParsePrivateKey reads a P-256 private key from PEM.
func ParsePrivateKey(pem []byte) (*ecdsa.PrivateKey, error) { return nil, errAPI }

// ParsePublicKey reads a P-256 public key from PEM.
func ParsePublicKey(pem []byte) (*ecdsa.PublicKey, error) { return nil, errAPI }

// LoadPrivateKey is ParsePrivateKey over a file.
func LoadPrivateKey(path string) (*ecdsa.PrivateKey, error) { return nil, errAPI }

// LoadPublicKey is ParsePublicKey over a file.
func LoadPublicKey(path string) (*ecdsa.PublicKey, error) { return nil, errAPI }

// MarshalPrivateKey writes PEM. MarshalPublicKey likewise.
func MarshalPrivateKey(key *ecdsa.PrivateKey) ([]byte, error) { return nil, errAPI }

// MarshalPublicKey writes PEM.
func MarshalPublicKey(pub *ecdsa.PublicKey) ([]byte, error) { return nil, errAPI }

// NewCallbackID returns 128 random bits in lower-case hex.
func NewCallbackID(rand io.Reader) (string, error) { return "", errAPI }

// Marshal returns the canonical bytes.
func (c *Check) Marshal() ([]byte, error) { return nil, errAPI }

// Parsed is a body that is strictly well formed.
type Parsed struct {
	Path           Path
	Check          Check          // TxInfo compacted
	TxInfo         *TxInfo        // nil if there is no tx_info
	DetailAsString bool           // request_detail came as a string holding an object
	ExtraAsString  bool           // extra_info likewise
	UnknownFields  []UnknownField // at most MaxUnknownFields
	Problems       []Problem      // if any: answer with a signed Reject
}

// MaxUnknownFields is how many unknown fields a body may have and still be judged.
const MaxUnknownFields = 64

// ParseCheck parses strictly; its errors are *Error with CodeParse or CodePath.
func ParseCheck(path Path, body []byte) (*Parsed, error) { return nil, errAPI }

// Canonical is the serialised form of the parsed struct.
func (p *Parsed) Canonical() ([]byte, error) { return nil, errAPI }

// Request is a Parsed whose signature verified.
type Request struct {
	Parsed
	Key    int    // index into the keys given to OpenRequest
	Signed []byte // the bytes that the signature verified over: own the callback_id by their hash
}

// OpenRequest verifies and parses; its errors are *Error with CodeSignature, CodeParse or CodePath.
func OpenRequest(path Path, body []byte, signature string, keys []*ecdsa.PublicKey) (*Request, error) {
	return nil, errAPI
}

// SignatureHeader returns the Signature (or Sigature) header.
func SignatureHeader(h http.Header) (string, error) { return "", errAPI }

// DefaultBodyLimit is the size in bytes over which a body is refused unless configured otherwise.
const DefaultBodyLimit = 1 << 20

// ReadBody reads at most limit bytes; a longer body is an *Error with CodeTooLarge.
func ReadBody(r io.Reader, limit int64) ([]byte, error) { return nil, errAPI }

// Action is a decision.
type Action string

// The actions. The zero value is none of them.
const (
	Approve Action = "Approve"
	Reject  Action = "Reject"
	Wait    Action = "Wait"
)

// ActionStyle is how actions are written: "title" (the zero value too) or "upper".
type ActionStyle string

// The styles.
const (
	StyleTitle ActionStyle = "title"
	StyleUpper ActionStyle = "upper"
)

// ResponseData is the signed part of a reply.
type ResponseData struct {
	CallbackID string `json:"callback_id,omitempty"`
	SinoID     string `json:"sino_id,omitempty"`
	RequestID  string `json:"request_id,omitempty"`
	Action     Action `json:"action,omitempty"`
	WaitTime   string `json:"wait_time,omitempty"` // seconds, decimal; on Wait only: see WaitSeconds
}

// Response is a reply.
type Response struct {
	Status    string        `json:"status,omitempty"`
	Error     string        `json:"error,omitempty"`
	Data      *ResponseData `json:"data,omitempty"`
	Signature string        `json:"signature,omitempty"`
}

// WaitSeconds writes a duration as wait_time, rounded up, at least 1.
func WaitSeconds(d time.Duration) string { return "" }

// Reply builds the body of an HTTP 200 reply.
func Reply(key *ecdsa.PrivateKey, data ResponseData, style ActionStyle, errorText string) ([]byte, error) {
	return nil, errAPI
}

// ErrorReply returns the HTTP status and body for an error; an untyped one becomes CodeInternal without its text.
func ErrorReply(err error) (httpStatus int, body []byte) { return 0, nil }

// SealCheck returns the exact body to send and its signature header.
func SealCheck(key *ecdsa.PrivateKey, c *Check) (body []byte, signature string, err error) {
	return nil, "", errAPI
}

// Decision is a reply that counts.
type Decision struct {
	Action Action
	Wait   time.Duration // for Wait: 1 s to 1 h
	Reason string        // unsigned, for people: bounded and printable
}

// Fault says why a reply does not count.
type Fault string

// The faults.
const (
	FaultHTTP      Fault = "http"      // HTTP status other than 200
	FaultMalformed Fault = "malformed" // not strictly well formed
	FaultStatus    Fault = "status"    // status other than "0"
	FaultSignature Fault = "signature" // missing, malformed or wrong
	FaultMismatch  Fault = "mismatch"  // reply to another request
	FaultAction    Fault = "action"    // neither Approve, Reject nor Wait
)

// ReplyError says why a reply does not count as a decision; the node treats it as a network error.
type ReplyError struct {
	Fault      Fault
	HTTPStatus int
	Status     string // the status in the body where there is one, cut to 16 bytes
	Detail     string
}

// Error implements error.
func (e *ReplyError) Error() string { return string(e.Fault) + ": " + e.Detail }

// DecryptFailed reports status "501": the server could not decrypt a signature result; report, retry daily at most.
func (e *ReplyError) DecryptFailed() bool { return e.Status == "501" }

// OpenReply returns the decision of a reply that counts, or a *ReplyError.
func OpenReply(httpStatus int, body []byte, pub *ecdsa.PublicKey, asked Asked) (*Decision, error) {
	return nil, errAPI
}

// CallbackURLs applies the rule for callback.server.address.
func CallbackURLs(address string) (check, rawdata, outcome string, err error) {
	return "", "", "", errAPI
}

// CompactTxInfo returns tx_info as a node sends it.
func CompactTxInfo(raw []byte) ([]byte, error) { return nil, errAPI }

// SetRequester replaces or appends requester; the zero Requester removes it.
func SetRequester(txInfo []byte, requester Requester) ([]byte, error) { return nil, errAPI }

// CurrentInput returns the index in ExtraData.VinList that CurInputID means.
func (t *TxInfo) CurrentInput() (int, error) { return 0, errAPI }
