package ledger

import (
	"time"
)

// Approver is who may vote: a name that is unique in its group, and a key.
type Approver struct {
	Name      string `json:"name"`
	PublicKey Hex    `json:"public_key"` // SPKI DER (RFC 5280, section 4.1.2.7) of a P-256 or an Ed25519 key
	// RequesterKeyIDs are further key ids under which this approver asks for signatures, beside that of PublicKey.
	RequesterKeyIDs []string `json:"requester_key_ids,omitempty"`
}

// Requirement is what has to be approved, by whom and how long it counts. Approvers sign its hash.
type Requirement struct {
	Rule            string     `json:"rule"` // the rule that asks for it
	Group           string     `json:"group"`
	GroupRevision   string     `json:"group_revision"`   // as the policy names the state of the group
	Threshold       int        `json:"threshold"`        // approvals needed
	Approvers       []Approver `json:"approvers"`        // all of the group; names and keys each unique
	LifetimeSeconds int64      `json:"lifetime_seconds"` // from the opening, at most MaxLifetime
	NotRequester    bool       `json:"not_requester"`    // it must be known who asked, else it is Reject
	RejectionFinal  bool       `json:"rejection_final"`
}

// MaxLifetime bounds an approval's lifetime.
const MaxLifetime = 30 * 24 * time.Hour

// ApprovalState is what an approval has come to.
type ApprovalState string

// The states. Only a pending or approved one takes votes, and only an approved one counts.
const (
	ApprovalPending  ApprovalState = "pending"
	ApprovalApproved ApprovalState = "approved"
	ApprovalRejected ApprovalState = "rejected" // by one vote where that is final, or the threshold is out of reach
	ApprovalExpired  ApprovalState = "expired"
	ApprovalVoid     ApprovalState = "void" // its requirement changed
)

// VoteKind is what an approver says.
type VoteKind string

// The votes.
const (
	VoteApprove VoteKind = "approve"
	VoteReject  VoteKind = "reject"
)

// Vote is an approver's verified and recorded say.
type Vote struct {
	Approver  string    `json:"approver"` // its name
	Decision  VoteKind  `json:"decision"`
	Signature Hex       `json:"signature"`
	Time      time.Time `json:"time"`
}

// Approval is opened by a Wait and belongs to one execution: one intent, its digests, one requester.
type Approval struct {
	ID              string        `json:"id"`
	State           ApprovalState `json:"state"` // at the time it was read
	IntentHash      Hash          `json:"intent_hash"`
	Digests         []Hex         `json:"digests"`
	Requester       string        `json:"requester"`
	Requirement     Requirement   `json:"requirement"`
	RequirementHash Hash          `json:"requirement_hash"`
	Opened          time.Time     `json:"opened"`
	Expires         time.Time     `json:"expires"`   // whole seconds
	OpenedBy        string        `json:"opened_by"` // id of the decision; its record holds the request
	Votes           []Vote        `json:"votes"`     // in the order they came

	void bool
}

// Signed is a vote as an approver hands it in.
type Signed struct {
	Approver  string   `json:"approver"`
	Decision  VoteKind `json:"decision"`
	Signature Hex      `json:"signature"` // over ApprovalSigningBytes: ASN.1 DER over SHA-256 (P-256), 64 bytes (Ed25519)
}

// ApprovalSigningBytes is what an approver signs for its vote (docs/FORMATS.md, ledger).
func ApprovalSigningBytes(a Approval, decision VoteKind) []byte { return nil }
