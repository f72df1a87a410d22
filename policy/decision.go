package policy

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/countersign-mpc/countersign/wire"
)

// Action is what is answered to a node.
type Action = wire.Action

// The actions. Reject beats Wait beats Approve.
const (
	Approve = wire.Approve
	Reject  = wire.Reject
	Wait    = wire.Wait
)

// Reason is one rule's say in a decision.
type Reason struct {
	RuleID   string `json:"rule"`
	Severity Action `json:"severity"`
	Message  string `json:"message"` // one line of at most MaxMessage bytes, without control characters
}

// Requirement is what a Wait waits for: threshold approvals out of a group's keys.
type Requirement struct {
	RuleID         string   `json:"rule"`
	Group          string   `json:"group"`
	GroupRevision  string   `json:"group_revision"` // hex SHA-256 over the group's names and public keys
	Keys           []string `json:"keys"`           // names of the group's approvers, sorted
	Threshold      int      `json:"threshold"`
	ExpirySeconds  int64    `json:"expiry_seconds"`
	NotRequester   bool     `json:"not_requester"`   // the requester's own approval does not count
	RejectionFinal bool     `json:"rejection_final"` // one approver's rejection rejects the request
}

// Hash is SHA-256 over the requirement's labelled bytes (docs/FORMATS.md, "policy"). Approvers sign it, and an approval
// is void for a requirement with another hash. The keys are covered by the group's revision.
func (r Requirement) Hash() [sha256.Size]byte {
	var flags byte
	if r.NotRequester {
		flags |= 1
	}
	if r.RejectionFinal {
		flags |= 2
	}
	return sha256.Sum256(wire.SigningBytes("approval-requirement",
		[]byte(r.RuleID), []byte(r.Group), []byte(r.GroupRevision),
		binary.BigEndian.AppendUint32(nil, uint32(r.Threshold)),
		binary.BigEndian.AppendUint64(nil, uint64(r.ExpirySeconds)),
		[]byte{flags}))
}

// Decision is the outcome of an evaluation. Its lists are shared by decisions that say the same: nobody may change what is in them.
type Decision struct {
	Action      Action       `json:"action"`
	Reasons     []Reason     `json:"reasons"` // sorted: Reject, Wait, Approve, then by rule and message
	WaitSeconds int          `json:"wait_seconds,omitempty"`
	Requirement *Requirement `json:"requirement,omitempty"` // on a Wait for approvals
	Revision    string       `json:"revision"`              // of the engine that decided
	Fired       []string     `json:"fired"`                 // ids of all rules that had a say, sorted
}

// Bounds on a decision, in bytes and in number.
const (
	MaxMessage   = 400
	MaxErrorText = 1000
	maxReasons   = 64
)

// The engine's own rules, under which it rejects by itself.
const (
	RuleEngineInput     = "engine.input"     // the input is not one that can be judged
	RuleEngineError     = "engine.error"     // the evaluation failed, or two rules gave one thing two values
	RuleEngineTimeout   = "engine.timeout"   // the evaluation took too long
	RuleEngineUndefined = "engine.undefined" // the policy gave no result
	RuleEngineShape     = "engine.shape"     // the policy gave a result of another shape
	RuleEngineUnproven  = "engine.unproven"  // nothing speaks against it, but not everything required was proven
)

// ErrorText is the decision's reasons as they go into the reply's error field: "rule.id: reason; rule.id: reason", those
// of the deciding severity, in at most MaxErrorText bytes; "" for Approve.
func (d Decision) ErrorText() string {
	if d.Action == Approve {
		return ""
	}
	var parts []string
	for _, r := range d.Reasons {
		if r.Severity == d.Action {
			parts = append(parts, r.RuleID+": "+r.Message)
		}
	}
	return oneLine(strings.Join(parts, "; "), MaxErrorText)
}

// Rule returns the id of the first rule that decided: what a log line or a table shows of a decision.
func (d Decision) Rule() string {
	for _, r := range d.Reasons {
		if r.Severity == d.Action {
			return r.RuleID
		}
	}
	return ""
}

// rejection is the engine's own Reject.
func (e *Engine) rejection(rule, message string) Decision {
	return Decision{
		Action:   Reject,
		Reasons:  []Reason{{RuleID: rule, Severity: Reject, Message: oneLine(message, MaxMessage)}},
		Revision: e.revision,
		Fired:    []string{rule},
	}
}

// sortReasons brings reasons into their one order, drops repetitions and what is beyond maxReasons.
func sortReasons(reasons []Reason) []Reason {
	slices.SortFunc(reasons, func(a, b Reason) int {
		if a.Severity != b.Severity {
			return rank(a.Severity) - rank(b.Severity)
		}
		return cmp.Or(strings.Compare(a.RuleID, b.RuleID), strings.Compare(a.Message, b.Message))
	})
	reasons = slices.Compact(reasons)
	return reasons[:min(len(reasons), maxReasons)]
}

// rank is where reasons of a severity stand among the others.
func rank(severity Action) int { return slices.Index([]Action{Reject, Wait, Approve}, severity) }

// oneLine makes text printable on one line and at most limit bytes long: control and format characters and invalid
// UTF-8 become '?', since messages repeat names that a requester chose.
func oneLine(text string, limit int) string {
	if len(text) <= limit && isPlainText(text) {
		return text
	}
	text = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
	if len(text) <= limit {
		return text
	}
	cut := limit - len("...")
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "..."
}

// isPlainText reports whether text is printable ASCII.
func isPlainText(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}
