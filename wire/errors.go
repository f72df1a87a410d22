package wire

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
)

// Code is the closed, append-only list of reasons for which a server gives an error instead of a decision.
type Code string

// The codes; Code.status says how each is sent.
const (
	CodeSignature   Code = "signature"    // missing, malformed or fits no configured key
	CodeParse       Code = "parse"        // the body is not strictly well formed
	CodePath        Code = "path"         // the request type does not belong to the path
	CodeConflict    Code = "conflict"     // another body was seen under this callback_id
	CodeExpired     Code = "expired"      // the reply to this callback_id is no longer kept
	CodeDecrypt     Code = "decrypt"      // an encrypted signature could not be decrypted
	CodeTooLarge    Code = "too_large"    // the body is over the limit
	CodeRateLimited Code = "rate_limited" // too many requests
	CodeUnavailable Code = "unavailable"  // no policy is loaded or the log cannot be written
	CodeNotFound    Code = "not_found"    // no such endpoint
	CodeMethod      Code = "method"       // the endpoint takes POST only
	CodeInternal    Code = "internal"     // anything else; details are in the server's log
)

// wireDecryptFailed is the status in the body that nodes know as a failed decryption.
const wireDecryptFailed = "501"

// HTTPStatus returns the HTTP status under which the code is sent.
func (c Code) HTTPStatus() int {
	status, _ := c.status()
	return status
}

// WireStatus returns the "status" in the body that is sent with the code. It is never "0".
func (c Code) WireStatus() string {
	_, status := c.status()
	return status
}

// status is the one table of codes. A code that is not in it is sent as internal.
func (c Code) status() (httpStatus int, wireStatus string) {
	switch c {
	case CodeSignature, CodeParse, CodePath, CodeConflict, CodeExpired:
		httpStatus = http.StatusBadRequest
	case CodeDecrypt:
		return http.StatusBadRequest, wireDecryptFailed
	case CodeTooLarge:
		httpStatus = http.StatusRequestEntityTooLarge
	case CodeRateLimited:
		httpStatus = http.StatusTooManyRequests
	case CodeUnavailable:
		httpStatus = http.StatusServiceUnavailable
	case CodeNotFound:
		httpStatus = http.StatusNotFound
	case CodeMethod:
		httpStatus = http.StatusMethodNotAllowed
	default:
		httpStatus = http.StatusInternalServerError
	}
	return httpStatus, strconv.Itoa(httpStatus)
}

// Error is a refusal with a code of the protocol. Detail is sent to the client: it says what was wrong and what to do,
// and never repeats a payload.
type Error struct {
	Code   Code
	Detail string
}

// Error returns the code and the detail.
func (e *Error) Error() string {
	if e.Detail == "" {
		return string(e.Code)
	}
	return string(e.Code) + ": " + e.Detail
}

// CodeOf returns the code of the first *Error in err's chain, or CodeInternal.
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeInternal
}

// ErrorReply returns the HTTP status and the body {"status":…,"error":…} with which a server refuses a request. The text
// is that of the *Error in err's chain, beginning with its code; of any other error nothing is told but that it is
// internal. Such a body has no data and no signature and never counts as a decision.
func ErrorReply(err error) (httpStatus int, body []byte) {
	e := &Error{Code: CodeInternal, Detail: "the server could not answer; its log says why"}
	errors.As(err, &e)
	body, marshalErr := json.Marshal(Response{Status: e.Code.WireStatus(), Error: printable(e.Error(), maxReason)})
	if marshalErr != nil { // two strings cannot fail to marshal
		panic("wire: error reply: " + marshalErr.Error())
	}
	return e.Code.HTTPStatus(), body
}
