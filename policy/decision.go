package policy

// Action is what is answered to a node. Its values are those of the wire protocol.
type Action string

// The actions. Reject beats Wait beats Approve.
const (
	Approve Action = "Approve"
	Reject  Action = "Reject"
	Wait    Action = "Wait"
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

// Decision is the outcome of an evaluation.
type Decision struct {
	Action      Action       `json:"action"`
	Reasons     []Reason     `json:"reasons"` // sorted: Reject, Wait, Approve, then by rule and message
	WaitSeconds int          `json:"wait_seconds,omitempty"`
	Requirement *Requirement `json:"requirement,omitempty"` // on a Wait for approvals
	Revision    string       `json:"revision"`              // of the engine that decided
	Fired       []string     `json:"fired"`                 // ids of all rules that had a say, sorted
}

// MaxMessage bounds a reason's message, and ErrorText, in bytes.
const (
	MaxMessage   = 400
	MaxErrorText = 1000
)

// ErrorText is the decision's reasons as they go into the reply's error field: "rule.id: reason; rule.id: reason" of
// the deciding severity, and "" for Approve.
func (d Decision) ErrorText() string { return "" }

// Hash is SHA-256 over the requirement's labelled bytes (docs/FORMATS.md); approvers sign it, and an approval is void
// for a requirement with another hash.
func (r Requirement) Hash() [32]byte { return [32]byte{} }
