package coordinator

import (
	"time"

	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/wire"
)

// State is how far a session or a request is.
type State string

// The states. The last three are final for a session. A request that failed or expired still becomes completed if its
// result arrives after all: a signature that exists must be known.
const (
	StateCreated    State = "created"     // offered; not all parties hold an Approve reply yet
	StateWaiting    State = "waiting"     // begun; not all parties have joined and contributed yet
	StateInProgress State = "in_progress" // the protocol runs; of a keygen request also: the shares are being confirmed
	StateCompleted  State = "completed"
	StateFailed     State = "failed"
	StateExpired    State = "expired"
)

// Final tells whether a state does not change any more.
func (s State) Final() bool { return s == StateCompleted || s == StateFailed || s == StateExpired }

// MemberState is how far one party of a session is.
type MemberState string

// The states of a party in a session.
const (
	MemberInvited   MemberState = "invited"
	MemberJoined    MemberState = "joined"
	MemberReady     MemberState = "ready" // it has contributed to the binding
	MemberComputing MemberState = "computing"
	MemberCompleted MemberState = "completed"
	MemberFailed    MemberState = "failed"
)

// Approval is what a party last said of an offer.
type Approval string

// The approvals; empty: nothing yet.
const (
	ApprovalAsking   Approval = "asking"
	ApprovalWaiting  Approval = "waiting"
	ApprovalApproved Approval = "approved"
	ApprovalRejected Approval = "rejected"
	ApprovalRefused  Approval = "refused"
	ApprovalDone     Approval = "done"
)

// Cause names why a session or a request failed. The list is closed and append-only.
type Cause string

// The causes.
const (
	CauseRejected       Cause = "party_rejected"        // a party's callback answered Reject
	CauseRefused        Cause = "party_refused"         // a party's own rules refuse
	CauseRestarted      Cause = "party_restarted"       // a party lost its running session
	CauseDisconnected   Cause = "party_disconnected"    // a party was away for too long
	CauseReleased       Cause = "party_released"        // a party has used its share for this request, and no result came
	CauseDeadline       Cause = "session_expired"       // the session's time was over
	CauseExpired        Cause = "request_expired"       // the request's time was over
	CauseManifests      Cause = "manifests_differ"      // the parties were not asked for the same thing
	CauseEquivocation   Cause = "contribution_conflict" // a party contributed twice, differently
	CauseAbort          Cause = "protocol_abort"        // a party reports that the protocol failed
	CauseReportInvalid  Cause = "report_invalid"        // a reported result does not verify
	CauseReportsDiffer  Cause = "reports_differ"        // the parties report different results
	CauseMailbox        Cause = "mailbox_full"          // a party does not take its messages
	CauseMessageLost    Cause = "message_lost"          // a party skipped a message
	CauseKeyConflicted  Cause = "key_conflicted"        // the parties confirm different shares
	CauseCompletedOther Cause = "request_completed"     // another session of the request had the result
	CauseRecipients     Cause = "two_recipients"        // two parties of a keygen want results for themselves alone
)

// Failure is why a session or a request ended without a result.
type Failure struct {
	Cause   Cause  `json:"cause"`
	Message string `json:"message"`
	Party   string `json:"party,omitempty"` // name of the party that is to blame or was waited for, if there is one
	retry   bool   // another session may follow
}

// Participant is a party as a requester names it.
type Participant struct {
	Party      string `json:"party"` // node id, or the name under which the account bound the node
	DeviceType string `json:"device_type,omitempty"`
	DeviceID   string `json:"device_id,omitempty"`
}

// Seat is a party's place in a request: its share index, who it is, and how it is named.
type Seat struct {
	Index      byte        `json:"index"`
	NodeID     wire.NodeID `json:"node_id"`
	Name       string      `json:"name"`  // under which the account bound it
	Label      string      `json:"label"` // as the requester named it: name or node id
	DeviceType string      `json:"device_type,omitempty"`
	DeviceID   string      `json:"device_id,omitempty"`
}

// Order is a request as an account submits it.
type Order struct {
	Account       string
	Terms         manifest.Terms // RequestID is generated if empty; Parties is filled in from Participants
	Participants  []Participant  // keygen: all parties, by share index from 1; else the signers, or nobody
	Authorization *manifest.Authorization
	Life          time.Duration // 0: the longest that is allowed
	WantT, WantN  int           // sign: what the requester takes the key's thresholds to be; 0: it does not say
}

// Request is an order that was taken: it is worked on in one session after another until one gives its result, a party
// rejects it, or it expires.
type Request struct {
	SinoID      string    `json:"sino_id"` // the request's id, generated
	Account     string    `json:"account"`
	RequestID   string    `json:"request_id"` // the requester's own
	Type        string    `json:"type"`
	ContentHash []byte    `json:"content_hash"`
	KeyID       string    `json:"key_id"`
	T           int       `json:"t"`
	N           int       `json:"n"`
	Path        string    `json:"path,omitempty"`
	Seats       []Seat    `json:"seats"`           // whoever may take part, by index
	Named       bool      `json:"named,omitempty"` // sign: the requester named the signers, Seats are these
	Created     time.Time `json:"created"`
	Expires     time.Time `json:"expires"`
	State       State     `json:"state"`
	Sessions    []string  `json:"sessions"` // oldest first
	RetryAt     time.Time `json:"retry_at,omitzero"`
	// Recipient alone learns the signature: what it reports is encrypted. nil: every party reports the signature.
	Recipient *Recipient `json:"recipient,omitempty"`
	Failure   *Failure   `json:"failure,omitempty"` // of the request, or of the last session
	Result    *Result    `json:"result,omitempty"`
	Revision  uint64     `json:"revision"` // grows with every change
}

// Recipient is the party of a key to which signatures of sign_type 2 and 3 belong alone.
type Recipient struct {
	Index byte   `json:"index"`
	Key   string `json:"key"` // lower-case hex of the SPKI that results are encrypted to, P-256
}

// Result is what came out of a request.
type Result struct {
	PublicKey []byte `json:"public_key"`           // root public key: 33 bytes (secp256k1, compressed) or 32 (Ed25519)
	ChainCode []byte `json:"chain_code,omitempty"` // keygen: 32 bytes
	// Digest is what was signed, 32 bytes; for Ed25519 SHA-256 of it.
	Digest []byte `json:"digest,omitempty"`
	// Signature has 64 bytes: r ‖ s, or R ‖ s. With Encrypted it is ciphertext for the request's Recipient, and not verified.
	Signature  []byte `json:"signature,omitempty"`
	Encrypted  bool   `json:"encrypted,omitempty"`
	RecoveryID byte   `json:"recovery_id,omitempty"` // ECDSA, not encrypted
	DerivedKey []byte `json:"derived_key,omitempty"` // sign: the key at the path, as long as PublicKey
	// Scheme is one of package derive's; empty in a result of an earlier version, which is ECDSA.
	Scheme       derive.Scheme `json:"scheme,omitempty"`
	VerifyingKey []byte        `json:"verifying_key,omitempty"` // sign: what the signature verifies under: derive.Scheme.VerifyingKey
}

// Session is one run of one protocol for a request.
type Session struct {
	ID       string    `json:"id"` // UUID
	SinoID   string    `json:"sino_id"`
	Account  string    `json:"account"`
	Type     string    `json:"type"`
	KeyID    string    `json:"key_id"`
	T        int       `json:"t"`
	N        int       `json:"n"`
	State    State     `json:"state"`
	Members  []Member  `json:"members"` // by index
	Created  time.Time `json:"created"`
	Began    time.Time `json:"began,omitzero"`
	Deadline time.Time `json:"deadline,omitzero"` // once it began
	Ended    time.Time `json:"ended,omitzero"`
	Failure  *Failure  `json:"failure,omitempty"`
}

// Member is one party of a session.
type Member struct {
	Seat
	Token        string      `json:"token"`
	State        MemberState `json:"state"`
	Approval     Approval    `json:"approval,omitempty"`
	Reason       string      `json:"reason,omitempty"` // what the party said with its approval
	ApprovalAt   time.Time   `json:"approval_at,omitzero"`
	Guarded      bool        `json:"guarded,omitempty"`
	Recipient    string      `json:"recipient,omitempty"`
	CallbackID   string      `json:"callback_id,omitempty"`
	Released     bool        `json:"released,omitempty"`     // it gave its share to the recipient, and knows no signature
	Contribution []byte      `json:"contribution,omitempty"` // protobuf linkv1.Contribution
	Report       []byte      `json:"report,omitempty"`       // protobuf linkv1.Report
}

// KeyState is how far a key is.
type KeyState string

// The states of a key.
const (
	KeyPending    KeyState = "pending"    // not all parties have reported it, stored it and made it active
	KeyActive     KeyState = "active"     // it signs, and its address may be shown
	KeyConflicted KeyState = "conflicted" // its parties confirmed different shares: it never signs
	KeyFailed     KeyState = "failed"     // its keygen is over without a result
)

// Key is a key that a keygen makes or has made.
type Key struct {
	ID            string         `json:"id"`
	Account       string         `json:"account"`
	SinoID        string         `json:"sino_id"` // of its keygen
	Cryptography  string         `json:"cryptography"`
	T             int            `json:"t"`
	Seats         []Seat         `json:"seats"`
	State         KeyState       `json:"state"`
	Epoch         uint32         `json:"epoch"`
	PublicKey     []byte         `json:"public_key,omitempty"` // agreed by the reports of all parties
	ChainCode     []byte         `json:"chain_code,omitempty"`
	Recipient     *Recipient     `json:"recipient,omitempty"`     // as its party stated it when it approved the keygen
	Confirmations []Confirmation `json:"confirmations,omitempty"` // at most two of each party: pending, active
	Problem       string         `json:"problem,omitempty"`
	Created       time.Time      `json:"created"`
}

// Confirmation is a party's signed word about its share, as it is relayed to the other parties.
type Confirmation struct {
	Epoch  uint32 `json:"epoch"`
	Index  byte   `json:"index"`
	Active bool   `json:"active"`
	Hash   []byte `json:"hash"`  // of the statement
	Frame  []byte `json:"frame"` // protobuf linkv1.Confirmation
}

// Node is a node that accounts have bound.
type Node struct {
	ID       wire.NodeID       `json:"id"`
	Names    map[string]string `json:"names"`              // by account
	Instance string            `json:"instance,omitempty"` // of the process that last connected
	Software string            `json:"software,omitempty"`
	LastSeen time.Time         `json:"last_seen,omitzero"`
}

// BoundNode is a node as one account sees it.
type BoundNode struct {
	ID       wire.NodeID
	Name     string
	Online   bool
	Software string
	LastSeen time.Time // connected or disconnected last; zero: never
}

// Status is a request with its sessions, oldest first, and the key that it makes or uses.
type Status struct {
	Request  Request
	Sessions []Session
	Key      Key
}
