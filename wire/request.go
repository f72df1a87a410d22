package wire

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// HeaderSignature is the header that carries a request's signature; the server also reads the spelling of the vendor's
// guide.
const (
	HeaderSignature           = "Signature"
	HeaderSignatureMisspelled = "Sigature"
)

// DefaultBodyLimit is the size in bytes over which a body is refused unless a server is configured otherwise.
const DefaultBodyLimit = 1 << 20

// maxSignatureHex is the length in hex of the longest DER signature of P-256.
const maxSignatureHex = 2 * 72

// Request is a body whose signature verified.
type Request struct {
	Parsed
	// Key is the index of the key that verified, among those given to OpenRequest: it says which node asks.
	Key int
	// Signed are the bytes that the signature verified over: the body as received, or its canonical form. Their hash is what
	// owns the callback_id. They may share memory with the body.
	Signed []byte
}

// bodyRoom is what most bodies have room in.
const bodyRoom = 4096

// bodyRooms are pieces of memory that nobody uses, with zeros in them: a body is copied out of one once its length is known.
var bodyRooms = sync.Pool{New: func() any { return new([bodyRoom]byte) }}

// ReadBody reads a body of at most limit bytes, before anything is parsed or verified. A longer one is an *Error with
// CodeTooLarge; errors of r are wrapped.
func ReadBody(r io.Reader, limit int64) ([]byte, error) {
	body, err := readAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read body: %w", err)
	}
	if int64(len(body)) > limit {
		return nil, &Error{Code: CodeTooLarge, Detail: fmt.Sprintf("the body is over the limit of %d bytes", limit)}
	}
	return body, nil
}

// readAll is io.ReadAll that makes no more than one piece of memory for most bodies, of their size.
func readAll(r io.Reader) ([]byte, error) {
	room, _ := bodyRooms.Get().(*[bodyRoom]byte)
	n := 0
	defer func() {
		clear(room[:]) // all of it: what a reader does behind what it has read is its own
		bodyRooms.Put(room)
	}()
	for n < len(room) {
		m, err := r.Read(room[n:])
		n += m
		if err == io.EOF {
			return bytes.Clone(room[:n:n]), nil
		}
		if err != nil {
			return nil, err
		}
	}
	rest, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	return slices.Concat(room[:], rest), nil
}

// SignatureHeader returns the signature of a request: the header Signature, or Sigature as the vendor's guide spells it.
// If there is more than one, in either spelling, they must be equal. Errors are *Error with CodeSignature.
func SignatureHeader(h http.Header) (string, error) {
	values := slices.Concat(h.Values(HeaderSignature), h.Values(HeaderSignatureMisspelled))
	if len(values) == 0 || values[0] == "" {
		return "", &Error{Code: CodeSignature, Detail: "the Signature header is missing or empty"}
	}
	for _, v := range values[1:] {
		if v != values[0] {
			return "", &Error{Code: CodeSignature, Detail: "several Signature or Sigature headers that differ: send one"}
		}
	}
	return values[0], nil
}

// OpenRequest verifies and parses a request. The signature (hex, either case, of ASN.1 DER) must verify under one of the
// keys over the body as received or, where it does not, over the body's canonical form: a client in another language may
// have signed that. In the second case fields that the canonical form does not carry are dropped, being unsigned.
//
// Errors are *Error: CodeSignature where no signature verified, whatever else is wrong; CodeParse and CodePath as
// ParseCheck says. The caller has applied its limits of size and rate before.
func OpenRequest(path Path, body []byte, signature string, keys []*ecdsa.PublicKey) (*Request, error) {
	der, err := decodeSignature(signature)
	if err != nil {
		return nil, &Error{Code: CodeSignature, Detail: err.Error()}
	}
	request := &Request{Parsed: Parsed{Path: path}, Key: keyOf(keys, body, der), Signed: body}
	unsigned := false
	err = request.parse(body)
	switch {
	case err != nil && request.Key >= 0:
		return nil, err
	case err != nil:
		return nil, &Error{Code: CodeSignature, Detail: "no configured key made it over the bytes received, " +
			"and they are not strictly well formed either: " + strings.TrimPrefix(err.Error(), string(CodeParse)+": ")}
	case request.Key < 0:
		if request.Signed, err = request.Canonical(); err != nil {
			return nil, fmt.Errorf("open request: %w", err)
		}
		unsigned = true
		request.Key = keyOf(keys, request.Signed, der)
	}
	if request.Key < 0 {
		return nil, &Error{Code: CodeSignature, Detail: "no configured key made it, neither over the bytes received nor " +
			"over the request serialised again: check that the server has this node's public key"}
	}
	if err := request.checkPath(); err != nil {
		return nil, err
	}
	if unsigned {
		request.dropUnsigned()
	}
	request.finish()
	return request, nil
}

// keyOf returns the index of the key under which der is a signature of msg, or -1.
func keyOf(keys []*ecdsa.PublicKey, msg, der []byte) int {
	return slices.IndexFunc(keys, func(pub *ecdsa.PublicKey) bool { return VerifyP256(pub, msg, der) })
}

// decodeSignature reads the hex of a DER signature; what the DER holds is checked by verifying.
func decodeSignature(signature string) ([]byte, error) {
	if signature == "" || len(signature) > maxSignatureHex {
		return nil, errors.New("want the hex of an ASN.1 DER ECDSA P-256 signature")
	}
	der, err := hex.DecodeString(signature)
	if err != nil {
		return nil, errors.New("not hex: want the hex of an ASN.1 DER ECDSA P-256 signature")
	}
	return der, nil
}

// SealCheck returns the exact bytes of a request and its signature header, in hex. The bytes are canonical, so that a
// server which verifies over its own serialisation accepts them too; the caller stores them before sending and never
// makes another body under the same callback_id. A request that a server would find malformed is refused here.
func SealCheck(key *ecdsa.PrivateKey, c *Check) (body []byte, signature string, err error) {
	if c.CallbackID == "" {
		return nil, "", errors.New("seal request: callback_id must not be empty")
	}
	if body, err = c.Marshal(); err != nil {
		return nil, "", fmt.Errorf("seal request: %w", err)
	}
	parsed, err := ParseCheck(c.endpoint(), body)
	if err != nil {
		return nil, "", fmt.Errorf("seal request: %w", err)
	}
	if parsed.Check.RequestDetail.TxInfo != nil && parsed.TxInfo == nil {
		return nil, "", errors.New("seal request: tx_info must be a JSON object")
	}
	der, err := SignP256(key, body)
	if err != nil {
		return nil, "", fmt.Errorf("seal request: %w", err)
	}
	return body, hex.EncodeToString(der), nil
}

// endpoint returns the path that the request's type belongs to.
func (c *Check) endpoint() Path {
	switch c.RequestType {
	case "":
		return PathRawdata
	case TypeOutcome:
		return PathOutcome
	}
	return PathCheck
}
