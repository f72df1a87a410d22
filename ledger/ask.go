package ledger

import (
	"context"
	"encoding/json"
	"time"

	"github.com/countersign-mpc/countersign/wire"
)

// Ask is a request whose signature has been verified and whose body is well formed.
type Ask struct {
	Node       string    // id of the node whose key verified the request
	Path       wire.Path // endpoint; with Node and CallbackID it owns BodyHash for ever
	CallbackID string
	BodyHash   Hash // SHA-256 of the bytes that the signature verified over

	// Amends allows the ask, which says that something was signed, to follow one of the same name that said it was not, and that
	// freed what was reserved: what has moved counts. In a record it says that it did. For reports only.
	Amends bool

	SinoID      string
	RequestID   string
	RequestType string

	// IntentHash and Digests say for what an approval counts (DESIGN.md, "Approvals"). Digests are the bytes to be signed;
	// all inputs of a payment, in their order, where it has several. Without digests nothing can wait for approvals.
	IntentHash Hash
	Digests    [][]byte
	Requester  string // key id of who asked: hex of SHA-256 of its SPKI DER; "" if nobody's signature was verified

	// Execution is what an Approve counts in windows and binds; nil: nothing. It is not recorded: the input tells it.
	Execution *Execution
}

// Limits on what is recorded, in bytes or numbers. A callback server's own limits are tighter.
const (
	MaxName    = 4096    // each name, id and message
	MaxReasons = 1000    // reasons of one verdict, and rules that fired
	MaxDigests = 4096    // digests of one ask
	MaxBytes   = 8 << 20 // input, reply, attachment, all digests together: each
)

// State is what an evaluation may know beside the request.
type State struct {
	// Now is the ledger's time: never before a time it has recorded.
	Now time.Time
	// ClockJumped says that the clock is not trusted at present; an Approve of a check would be answered with Wait.
	ClockJumped bool
	// Approvals are those of the ask's intent, digests and requester, newest first: pending, approved and rejected ones.
	// Void and expired ones are left out; one whose rejection is final stays when its time is over.
	Approvals []Approval
	// Windows are those of the ask's execution, in the order of its charges.
	Windows []WindowState
}

// Reason is one rule's say in a verdict.
type Reason struct {
	Rule     string      `json:"rule"`
	Severity wire.Action `json:"severity"`
	Message  string      `json:"message"`
}

// Verdict is what an evaluation says.
type Verdict struct {
	Action      wire.Action
	Reasons     []Reason
	WaitSeconds int
	// Requirement, with Wait, is what is waited for: an approval is opened for it unless there is one. With Approve it
	// is a condition: unless an approval under exactly this requirement has been granted, Wait is answered instead.
	Requirement *Requirement
	Revision    string   // of the policy
	Fired       []string // ids of the rules that had a say
	// Input is the whole input, byte for byte, as it is needed to evaluate again. It is copied: its space is the caller's again when
	// Decide has returned.
	Input json.RawMessage
	// Attachment is kept beside the record, as it is, until retention removes both; nil for none. Its hash stands in the
	// log. The caller seals what is not to be read in the store.
	Attachment []byte
	// Concluded, with Approve on an ask about an earlier check of the same node and callback_id, is how that ended.
	Concluded Conclusion
}

// Outcome is what is decided and to be replied.
type Outcome struct {
	ID          string // of the decision
	Time        time.Time
	Action      wire.Action
	Reasons     []Reason // the ledger's own first, if it changed the verdict
	WaitSeconds int
	Revision    string
	Approval    *Approval // the one that is waited for, or under which it is approved
}

// EvaluateFunc evaluates an ask. It must have no effect: it may be called again for the same ask, and only the last
// verdict counts. An error means that there is no decision and no reply; a policy's failure is a verdict (Reject).
type EvaluateFunc func(ctx context.Context, s State) (Verdict, error)

// ReplyFunc makes the bytes to reply with. It must have no effect beside, like EvaluateFunc.
type ReplyFunc func(o Outcome) ([]byte, error)

// Result is a reply, which is recorded and durable.
type Result struct {
	Reply    []byte
	Replayed bool   // the ask had been decided before
	ID       string // of the decision
	Action   wire.Action
}
