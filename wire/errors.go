package wire

import (
	"errors"
)

// Code is the closed, append-only list of reasons for which a server gives an error instead of a decision.
type Code string

// The codes; the table in Code.HTTPStatus and Code.WireStatus says how each is sent.
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

// Error is a refusal with a code of the protocol. Detail is safe to send: it says what was wrong and what to do, and
// never repeats a payload.
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
