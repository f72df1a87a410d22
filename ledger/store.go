package ledger

import (
	"context"

	"github.com/countersign-mpc/countersign/auditlog"
)

// Reader reads within one transaction; see auditlog.Reader.
type Reader = auditlog.Reader

// Tx reads and writes within one transaction. Its reads see its own writes.
type Tx interface {
	auditlog.Storage
	// Delete removes key from bucket; it is no error if it is not there.
	Delete(bucket string, key []byte) error
}

// Store keeps a ledger. It is a map from (bucket, key) to value with transactions, so that all rules of the ledger are
// in this package and hold for every store. It is safe for concurrent use.
//
// Errors wrap ErrDamaged if what is stored cannot be trusted and ErrUnavailable if the store cannot be reached or
// written now. A store never gives out a value that it has reason to think altered.
type Store interface {
	// View runs fn over a state that is durable: what it reads was committed and survives a crash.
	View(ctx context.Context, fn func(Reader) error) error
	// Update runs fn as if no other Update ran at the same time, and returns nil only when all that fn wrote is durable.
	// If it returns an error, nothing is written, or, where the store cannot know, it refuses all further work until it
	// is opened anew. fn may be run more than once, and on another goroutine; only its last run counts.
	Update(ctx context.Context, fn func(Tx) error) error
}

// The buckets (docs/FORMATS.md, ledger), beside those of package auditlog.
const (
	bucketAsk        = "ask"        // hash of (node, path, callback_id) -> body hash, id, action
	bucketRecord     = "record"     // id -> log index and entry, or what is left of them
	bucketCallback   = "callback"   // hash of callback_id, log index -> nothing
	bucketRequest    = "request"    // hash of request_id, log index -> nothing
	bucketApproval   = "approval"   // id -> approval
	bucketExecution  = "execution"  // execution, approval id -> nothing
	bucketAttachment = "attachment" // log index -> what is kept beside the entry
	bucketMeta       = "meta"       // "time", "key", "public", "version"
	// Velocity windows.
	bucketWindow      = "window"      // series, level, time -> sums
	bucketReservation = "reservation" // series, anchor -> what executions at the anchor count
	bucketCharged     = "charged"     // name of an approved check -> where it is counted
	bucketBinding     = "binding"     // name -> what it is bound to
	// Policies.
	bucketRevision   = "revision"   // revision -> the policy's content
	bucketActivation = "activation" // number -> id of the entry
	bucketProposal   = "proposal"   // id, part -> proposal, or what belongs to it
	bucketShadow     = "shadow"     // what a policy beside the live one would have decided
)

// Buckets lists all buckets that a Store must have.
func Buckets() []string {
	return []string{
		bucketAsk, bucketRecord, bucketCallback, bucketRequest, bucketApproval, bucketExecution, bucketAttachment, bucketMeta,
		bucketWindow, bucketReservation, bucketCharged, bucketBinding,
		bucketRevision, bucketActivation, bucketProposal, bucketShadow,
		auditlog.BucketLeaf, auditlog.BucketCheckpoint, auditlog.BucketHead,
	}
}
