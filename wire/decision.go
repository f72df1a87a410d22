package wire

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	// MaxWait is the longest time that one Wait may put a node off.
	MaxWait = time.Hour
	// DefaultWait stands for a wait_time that is missing, zero or not a decimal number of seconds.
	DefaultWait = time.Minute

	maxReason = 512 // bytes
)

// Decision is what a reply that counts says.
type Decision struct {
	Action Action        // Approve, Reject or Wait
	Wait   time.Duration // on Wait: when to ask again, 1 s to MaxWait; 0 otherwise
	Reason string        // why not approved; for people only: it is not signed. At most 512 printable bytes
}

// Fault is why a reply does not count.
type Fault string

// The faults.
const (
	FaultHTTP      Fault = "http"      // the HTTP status is not 200
	FaultMalformed Fault = "malformed" // not strictly well formed
	FaultStatus    Fault = "status"    // the status is not "0"
	FaultSignature Fault = "signature" // missing, malformed or not of the configured key
	FaultMismatch  Fault = "mismatch"  // a reply to another request
	FaultAction    Fault = "action"    // neither Approve, Reject nor Wait
)

// ReplyError says why a reply does not count as a decision. A node treats all of them as a network error.
type ReplyError struct {
	Fault      Fault
	HTTPStatus int
	Status     string // the status in the body, where one could be read; at most 16 bytes
	Detail     string // what was wrong and what to do; printable
}

// Error returns what was wrong.
func (e *ReplyError) Error() string {
	return fmt.Sprintf("callback reply does not count (%s): %s", e.Fault, e.Detail)
}

// DecryptFailed reports that the server could not decrypt a signature result: the node tells its operator, and tries
// again daily at most.
func (e *ReplyError) DecryptFailed() bool { return e.Status == wireDecryptFailed }

// OpenReply returns the decision of a reply, if it counts: HTTP 200, strictly well formed, status "0", signed by pub over
// the bytes of data as received (or over data serialised again), naming the callback_id that was asked about and, where
// it names them, its sino_id and request_id, and one of the three actions. Anything else is a *ReplyError. Fields that
// this version does not know are ignored.
func OpenReply(httpStatus int, body []byte, pub *ecdsa.PublicKey, asked Asked) (*Decision, error) {
	decision, err := openReply(httpStatus, body, pub, asked)
	var fault *ReplyError
	if errors.As(err, &fault) {
		fault.HTTPStatus = httpStatus
	}
	return decision, err
}

func openReply(httpStatus int, body []byte, pub *ecdsa.PublicKey, asked Asked) (*Decision, error) {
	r, err := parseReply(body)
	if httpStatus != http.StatusOK {
		return nil, httpFault(httpStatus, r)
	}
	if err != nil {
		return nil, &ReplyError{Fault: FaultMalformed, Detail: err.Error()}
	}
	if r.status != statusDecided {
		return nil, &ReplyError{Fault: FaultStatus, Status: printable(r.status, 16),
			Detail: fmt.Sprintf("status %q where \"0\" is a decision: %s", printable(r.status, 16), printable(r.errorText, maxReason))}
	}
	if err := r.verify(pub); err != nil {
		return nil, &ReplyError{Fault: FaultSignature, Status: r.status, Detail: err.Error()}
	}
	if err := r.data.answers(asked); err != nil {
		return nil, &ReplyError{Fault: FaultMismatch, Status: r.status, Detail: err.Error()}
	}
	action, err := ParseAction(string(r.data.Action))
	if err != nil {
		return nil, &ReplyError{Fault: FaultAction, Status: r.status, Detail: err.Error()}
	}
	decision := &Decision{Action: action}
	if action != Approve {
		decision.Reason = printable(r.errorText, maxReason)
	}
	if action == Wait {
		decision.Wait = parseWait(r.data.WaitTime)
	}
	return decision, nil
}

// httpFault describes a refusal. r holds what could be read of its body, which may be anything.
func httpFault(httpStatus int, r *reply) *ReplyError {
	e := &ReplyError{Fault: FaultHTTP, Status: printable(r.status, 16), Detail: fmt.Sprintf("HTTP %d", httpStatus)}
	if r.errorText != "" {
		e.Detail += ": " + printable(r.errorText, maxReason)
	}
	if httpStatus == http.StatusNotFound {
		e.Detail += "; older callback servers, the vendor's demo among them, do not serve /v1: " +
			"write callback.server.address in full, as http://host:port/check"
	}
	return e
}

// reply is a Response taken apart, with the bytes of data as received.
type reply struct {
	status, errorText, signature string
	rawData                      []byte
	data                         ResponseData
}

// parseReply is as strict as ParseCheck, but white space may follow the object, and null is an absent value. With an
// error it returns what it read before.
func parseReply(body []byte) (*reply, error) {
	r := &reply{}
	rest, err := scanValue(body, 0)
	if err != nil {
		return r, err
	}
	if len(bytes.Trim(rest, " \t\r\n")) > 0 {
		return r, fmt.Errorf("%d byte(s) follow the JSON object", len(rest))
	}
	if jsontext.Value(body).Kind() != '{' {
		return r, errors.New("the body is not a JSON object")
	}
	p := newParser()
	defer p.release()
	return r, readObject(p, r, body, replyMembers)
}

var replyMembers = []member[reply]{
	{"status", nullOr(text(func(r *reply) *string { return &r.status }))},
	{"error", nullOr(text(func(r *reply) *string { return &r.errorText }))},
	{"data", nullOr(readData)},
	{"signature", nullOr(text(func(r *reply) *string { return &r.signature }))},
}

func readData(p *parser, r *reply, value jsontext.Value) error {
	r.rawData = value
	return readObject(p, &r.data, value, dataMembers)
}

var dataMembers = []member[ResponseData]{
	{"callback_id", nullOr(text(func(d *ResponseData) *string { return &d.CallbackID }))},
	{"sino_id", nullOr(text(func(d *ResponseData) *string { return &d.SinoID }))},
	{"request_id", nullOr(text(func(d *ResponseData) *string { return &d.RequestID }))},
	{"action", nullOr(text(func(d *ResponseData) *string { return (*string)(&d.Action) }))},
	{"wait_time", nullOr(text(func(d *ResponseData) *string { return &d.WaitTime }))},
}

// nullOr reads a value that may be null, which leaves it empty.
func nullOr[T any](read reader[T]) reader[T] {
	return func(p *parser, to *T, value jsontext.Value) error {
		if value.Kind() == 'n' {
			return nil
		}
		return read(p, to, value)
	}
}

// verify checks the signature over data as received, then over data serialised again.
func (r *reply) verify(pub *ecdsa.PublicKey) error {
	if r.rawData == nil {
		return errors.New("the reply has no data")
	}
	if r.signature == "" {
		return errors.New("the reply is not signed")
	}
	der, err := decodeSignature(r.signature)
	if err != nil {
		return err
	}
	if VerifyP256(pub, r.rawData, der) {
		return nil
	}
	again, err := json.Marshal(r.data)
	if err != nil {
		return fmt.Errorf("serialise data again: %w", err)
	}
	if !VerifyP256(pub, again, der) {
		return errors.New("not made by the key configured for this server: check callback.server.public-key-path")
	}
	return nil
}

// answers checks that the reply is to this request.
func (d *ResponseData) answers(asked Asked) error {
	switch {
	case asked.CallbackID == "" || d.CallbackID != asked.CallbackID:
		return errors.New("callback_id is not that of the request")
	case d.SinoID != "" && d.SinoID != asked.ExtraInfo.SinoID:
		return errors.New("sino_id is not that of the request")
	case d.RequestID != "" && d.RequestID != asked.ExtraInfo.RequestID:
		return errors.New("request_id is not that of the request")
	}
	return nil
}

// parseWait reads wait_time; however large it is, a node is put off by MaxWait at most.
func parseWait(s string) time.Duration {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return DefaultWait
	}
	if digits := strings.TrimLeft(s, "0"); len(digits) > len("3600") {
		return MaxWait
	}
	seconds, err := strconv.ParseUint(s, 10, 32)
	if err != nil || seconds == 0 {
		return DefaultWait
	}
	return min(time.Duration(seconds)*time.Second, MaxWait)
}
