package coordinator

import (
	"errors"
	"fmt"
)

// Code names why a call was refused. The list is closed and append-only; mpcapi maps each to an HTTP status.
type Code string

// The codes.
const (
	CodeInvalid         Code = "invalid_request"   // malformed, or contradicts itself
	CodeThreshold       Code = "threshold_not_met" // not as many parties as the threshold asks for
	CodeNotFound        Code = "not_found"         // nothing of that name in this account
	CodeRequestConflict Code = "request_conflict"  // the request id stands for another content
	CodeNameTaken       Code = "name_taken"        // the name is another node's
	CodeAlreadyBound    Code = "already_bound"     // the node has another name
	CodeKeyNotActive    Code = "key_not_active"    // the key cannot sign (yet)
	CodeNotApproved     Code = "not_approved"      // not all parties hold an Approve reply yet
	CodeTokenInvalid    Code = "token_invalid"     // not the join token of this party
	CodeUnsupported     Code = "not_supported"     // known, but not done by this version
	CodeTooMany         Code = "too_many_requests" // a bound on open requests or nodes is reached
	CodeNotBound        Code = "node_not_bound"    // the node may not connect
	CodeViolation       Code = "protocol_violation"
	CodeReplaced        Code = "replaced" // a newer connection of the same node took over
)

// Error is a refusal that is told to the caller. Every other error of this package is a failure of the store.
type Error struct {
	Code    Code
	Message string
	Details map[string]string // by field of the request
}

// Error returns code and message.
func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

func refuse(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// field says which field of the request the refusal is about.
func (e *Error) field(name, problem string) *Error {
	if e.Details == nil {
		e.Details = make(map[string]string)
	}
	e.Details[name] = problem
	return e
}

// ErrCorrupt is wrapped where a stored record cannot be read.
var ErrCorrupt = errors.New("stored record cannot be read: restore the coordinator's store from a backup, or use the version that wrote it")
