package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/countersign-mpc/countersign/auditlog"
	"github.com/countersign-mpc/countersign/wire"
)

// Clock tells the time. Both methods are safe for concurrent use.
type Clock interface {
	// Now is the wall clock.
	Now() time.Time
	// Elapsed is time passed since some fixed moment, by a clock that nobody sets.
	Elapsed() time.Duration
}

// Config is what New needs.
type Config struct {
	Store Store
	Clock Clock // nil: the system's
	// Origin names the log in its checkpoints, such as "callback.example.com/countersign".
	Origin string
	// LogKey signs the checkpoints; its origin must be Origin. nil: a key made at the first start and kept in the store.
	LogKey *auditlog.Key
}

// Ledger decides, records and proves. Safe for concurrent use.
type Ledger struct{}

// New opens the ledger in cfg.Store. It checks that the newest checkpoint verifies, that the log is what it names, and
// that it is signed by the configured key.
func New(ctx context.Context, cfg Config) (*Ledger, error) { return nil, errors.New("being written") }

// Decide answers an ask, once and for ever.
//
// Seen before, with the same body: the recorded reply, without evaluation. With another body: ErrConflict. With a reply
// that retention has removed: ErrExpired. Otherwise evaluate and reply are called, all of it is recorded, and only when
// that is durable the reply is returned. Two asks of one name at the same time are evaluated once.
func (l *Ledger) Decide(ctx context.Context, a Ask, evaluate EvaluateFunc, reply ReplyFunc) (Result, error) {
	return Result{}, errors.New("being written")
}

// Decision returns a decision by its id, or ErrNotFound, or ErrExpired.
func (l *Ledger) Decision(ctx context.Context, id string) (Record, error) {
	return Record{}, errors.New("being written")
}

// Decisions lists decisions, newest first, at most limit (up to 1000; 0: 100) from the cursor of the page before.
func (l *Ledger) Decisions(ctx context.Context, f Filter, limit int, cursor string) (Page, error) {
	return Page{}, errors.New("being written")
}

// ApprovedCheck returns the decision about the /check request of this node and callback_id, and whether it was Approve.
// The caller compares what it was about. ErrExpired if it was approved and is no longer kept.
func (l *Ledger) ApprovedCheck(ctx context.Context, node, callbackID string) (Record, bool, error) {
	return Record{}, false, errors.New("being written")
}

// Approvals lists the approvals that are pending, newest first; all states if all is set.
func (l *Ledger) Approvals(ctx context.Context, all bool) ([]Approval, error) {
	return nil, errors.New("being written")
}

// Approval returns an approval by its id, or ErrNotFound.
func (l *Ledger) Approval(ctx context.Context, id string) (Approval, error) {
	return Approval{}, errors.New("being written")
}

// SubmitApproval records an approver's vote and returns the approval with it. The same vote again changes nothing and
// is no error. Errors: ErrNotFound, ErrNotApprover, ErrBadSignature, ErrOwnRequest, ErrAlreadyVoted, ErrApprovalExpired,
// ErrApprovalVoid, ErrApprovalRejected, ErrInvalid.
func (l *Ledger) SubmitApproval(ctx context.Context, id string, s Signed) (Approval, error) {
	return Approval{}, errors.New("being written")
}

// ConfirmClock is an operator's word that the clock is right now: approvals go on, and the ledger's time is the clock's
// even if that is behind what was recorded. It stands in the log, with who said it and why.
func (l *Ledger) ConfirmClock(ctx context.Context, operator, reason string) error {
	return errors.New("being written")
}

// Checkpoint signs the log as it is and returns the checkpoint; call it from time to time and before the end.
func (l *Ledger) Checkpoint(ctx context.Context) ([]byte, error) {
	return nil, errors.New("being written")
}

// LogPublic is the log's public key, as auditlog.CheckInclusion takes it.
func (l *Ledger) LogPublic() string { return "" }

// Prove returns a decision's entry and the proof that it is in the log, for auditlog.CheckInclusion.
func (l *Ledger) Prove(ctx context.Context, id string) (entry, proof []byte, err error) {
	return nil, nil, errors.New("being written")
}

// ProveGrowth returns a proof for auditlog.CheckConsistency that the log of the older checkpoint only grew.
func (l *Ledger) ProveGrowth(ctx context.Context, older []byte) ([]byte, error) {
	return nil, errors.New("being written")
}

// Verify reads the whole log and everything that hangs on it, and reports each entry that was changed, is missing or
// stands in another's place.
func (l *Ledger) Verify(ctx context.Context) (auditlog.Report, error) {
	return auditlog.Report{}, errors.New("being written")
}

// Prune removes what was recorded before the given time, except hashes: the ids stay taken, the log stays provable.
// It returns how many entries it removed.
func (l *Ledger) Prune(ctx context.Context, before time.Time) (int, error) {
	return 0, errors.New("being written")
}

// Summary is the state of the ledger for metrics and health.
type Summary struct {
	LogSize        int64
	Checkpointed   int64 // entries below the newest checkpoint
	Pending        int   // approvals
	ClockJumped    bool
	LastRecordTime time.Time
}

// Summary reads it.
func (l *Ledger) Summary(ctx context.Context) (Summary, error) {
	return Summary{}, errors.New("being written")
}

var _ = wire.Approve
