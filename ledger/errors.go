package ledger

import "errors"

// What a caller may branch on. Each is wrapped with what was being done.
var (
	// ErrConflict: the (node, path, callback_id) of the ask belongs to another body.
	ErrConflict = errors.New("this callback_id was used for another body: send a new request under a new one")
	// ErrExpired: the ask was decided, but its record is older than what is kept. It is never decided again.
	ErrExpired = errors.New("this callback_id was decided, and its reply is no longer kept: send a new request under a new one")
	// ErrNotFound: there is no such decision or approval.
	ErrNotFound = errors.New("not found")
	// ErrInvalid: an argument does not have the form that is asked for.
	ErrInvalid = errors.New("invalid")
	// ErrUnavailable: the store cannot read or write now; nothing was decided, and the same call may succeed later.
	ErrUnavailable = errors.New("the ledger cannot be read or written")
	// ErrShrunk: the log has fewer entries than this process has seen in it; it comes with ErrUnavailable, and stays.
	ErrShrunk = errors.New("the ledger has lost decisions")
	// ErrDamaged: what is stored is not what was written. Nothing is decided on it: verify the log, restore a backup.
	ErrDamaged = errors.New("the ledger is damaged")

	// ErrRevision: the policy is not the active one, or not any more. What was judged by it is judged again by the active one.
	ErrRevision = errors.New("another policy is active")
	// ErrUnchanged: the policy is the active one already.
	ErrUnchanged = errors.New("this policy is the active one already")
	// ErrNeedsApproval: the active policy asks for approvals of its change, which are not there.
	ErrNeedsApproval = errors.New("the active policy asks for approvals before it is changed")

	// ErrProposalVoid: the proposal was activated, or another policy was after it was made.
	ErrProposalVoid = errors.New("the proposal is void: another policy was activated after it was made")

	// ErrNotApprover: the approval's requirement does not name this approver.
	ErrNotApprover = errors.New("not an approver of this approval's group")
	// ErrBadSignature: the approver's signature does not verify over the approval's bytes.
	ErrBadSignature = errors.New("the approver's signature does not verify")
	// ErrOwnRequest: the approver is who asked for the signature.
	ErrOwnRequest = errors.New("a requester cannot approve its own request")
	// ErrApprovalExpired: the approval's time is over.
	ErrApprovalExpired = errors.New("the approval has expired: it is asked for anew with the next request")
	// ErrApprovalVoid: the requirement changed after the approval was opened.
	ErrApprovalVoid = errors.New("the approval is void: its requirement has changed")
	// ErrApprovalRejected: the approval was rejected and takes no more votes.
	ErrApprovalRejected = errors.New("the approval was rejected")
	// ErrAlreadyVoted: the approver has voted otherwise; a vote stands.
	ErrAlreadyVoted = errors.New("the approver has voted otherwise, and a vote cannot be changed")
)
