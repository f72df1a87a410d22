package wire

import (
	"crypto/ecdsa"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Action is what a callback server decided. The zero value is no decision.
type Action string

// The actions.
const (
	Approve Action = "Approve"
	Reject  Action = "Reject"
	Wait    Action = "Wait"
)

// ParseAction reads an action as a node does: without regard to case, and ACCEPT is Approve.
func ParseAction(s string) (Action, error) {
	switch strings.ToLower(s) {
	case "approve", "accept":
		return Approve, nil
	case "reject":
		return Reject, nil
	case "wait":
		return Wait, nil
	}
	return "", errors.New("action is neither Approve, Reject nor Wait")
}

// ActionStyle is how a server writes actions.
type ActionStyle string

// The styles. The empty style is StyleTitle; the vendor's demo server writes capitals.
const (
	StyleTitle ActionStyle = "title"
	StyleUpper ActionStyle = "upper"
)

// ParseActionStyle reads the setting action-style. Empty is StyleTitle.
func ParseActionStyle(s string) (ActionStyle, error) {
	switch style := ActionStyle(s); style {
	case "":
		return StyleTitle, nil
	case StyleTitle, StyleUpper:
		return style, nil
	}
	return "", fmt.Errorf("action-style %q: want %q or %q", printable(s, 20), StyleTitle, StyleUpper)
}

// statusDecided is the status of every reply that carries a decision.
const statusDecided = "0"

// Response is the body of a reply. The order of the fields is that of the wire.
type Response struct {
	Status    string        `json:"status,omitempty"`
	Error     string        `json:"error,omitempty"`
	Data      *ResponseData `json:"data,omitempty"`
	Signature string        `json:"signature,omitempty"`
}

// ResponseData is the part of a reply that is signed. The order of the fields is the order in which they are signed.
type ResponseData struct {
	CallbackID string `json:"callback_id,omitempty"`
	SinoID     string `json:"sino_id,omitempty"`
	RequestID  string `json:"request_id,omitempty"`
	Action     Action `json:"action,omitempty"`
	WaitTime   string `json:"wait_time,omitempty"` // seconds, decimal; on Wait only: see WaitSeconds
}

// WaitSeconds writes a duration as a wait_time: whole seconds, rounded up, at least 1.
func WaitSeconds(d time.Duration) string {
	return strconv.FormatInt(int64(max(1, math.Ceil(d.Seconds()))), 10)
}

// Reply returns the body of an HTTP 200 reply that carries a decision: status "0", the data signed over its compact JSON.
// The same arguments always give the same bytes. errorText is the reason of a Reject or a Wait, not signed, and left out
// on Approve. data.Action is one of the three actions, written by style; WaitTime is there exactly on Wait.
func Reply(key *ecdsa.PrivateKey, data ResponseData, style ActionStyle, errorText string) ([]byte, error) {
	if err := data.validate(); err != nil {
		return nil, fmt.Errorf("reply: %w", err)
	}
	if data.Action == Approve {
		errorText = ""
	}
	switch style {
	case StyleUpper:
		data.Action = Action(strings.ToUpper(string(data.Action)))
	case StyleTitle, "":
	default:
		return nil, fmt.Errorf("reply: unknown action style %q", style)
	}
	signed := data.appendTo(make([]byte, 0, replyRoom)) // most have room on the stack
	der, err := SignP256(key, signed)
	if err != nil {
		return nil, fmt.Errorf("reply: %w", err)
	}
	const members = `{"status":"","error":"","data":,"signature":""}`
	body := make([]byte, 0, len(members)+len(statusDecided)+len(errorText)+len(signed)+hex.EncodedLen(len(der)))
	body = append(body, '{')
	body = appendGiven(body, "status", statusDecided)
	body = appendGiven(body, "error", errorText)
	body = append(append(body, `,"data":`...), signed...)
	body = append(body, `,"signature":"`...)
	return append(hex.AppendEncode(body, der), `"}`...), nil
}

// replyRoom is what the data of most replies have room in.
const replyRoom = 512

// appendTo appends the data as encoding/json writes it, byte for byte. There is an action, so that it is never empty.
func (d *ResponseData) appendTo(b []byte) []byte {
	b = append(b, '{')
	b = appendGiven(b, "callback_id", d.CallbackID)
	b = appendGiven(b, "sino_id", d.SinoID)
	b = appendGiven(b, "request_id", d.RequestID)
	b = appendGiven(b, "action", string(d.Action))
	b = appendGiven(b, "wait_time", d.WaitTime)
	return append(b, '}')
}

// appendGiven appends a member of an object, unless it is empty.
func appendGiven(b []byte, key, text string) []byte {
	if text == "" {
		return b
	}
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	b = append(append(append(b, '"'), key...), `":`...)
	return appendQuoted(b, text)
}

// escaped has a 1 for each byte that encoding/json may write in another way than as it is.
var escaped = func() (all [256]byte) {
	for c := range all {
		if c < ' ' || c > '~' || strings.ContainsRune(`"\<>&`, rune(c)) {
			all[c] = 1
		}
	}
	return all
}()

// appendQuoted appends text as encoding/json writes it, which does so itself where something has to be escaped or replaced.
func appendQuoted(b []byte, text string) []byte {
	var found byte
	for i := range len(text) {
		found |= escaped[text[i]]
	}
	if found == 0 {
		return append(append(append(b, '"'), text...), '"')
	}
	quoted, err := json.Marshal(text)
	if err != nil { // a string cannot fail to marshal
		panic("wire: quote: " + err.Error())
	}
	return append(b, quoted...)
}

func (d *ResponseData) validate() error {
	for _, s := range []string{d.CallbackID, d.SinoID, d.RequestID, d.WaitTime} {
		if !utf8.ValidString(s) {
			return errors.New("a field is not valid UTF-8")
		}
	}
	switch d.Action {
	case Approve, Reject:
		if d.WaitTime != "" {
			return fmt.Errorf("wait_time on %s: it belongs to Wait", d.Action)
		}
	case Wait:
		if n, err := strconv.ParseUint(d.WaitTime, 10, 32); err != nil || n == 0 || d.WaitTime[0] == '0' {
			return errors.New("a Wait needs a wait_time in whole seconds, from 1, without leading zeros")
		}
	default:
		return fmt.Errorf("action %q: want Approve, Reject or Wait", printable(string(d.Action), 20))
	}
	return nil
}
