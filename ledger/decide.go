package ledger

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"runtime/debug"
	"time"

	"github.com/countersign-mpc/countersign/wire"
)

// The rules under which the ledger itself speaks, beside those of the policy.
const (
	RuleClock       = "ledger.clock"       // the clock jumped: a check is told to wait
	RuleRequirement = "ledger.requirement" // a requirement that nobody could meet, or for nothing in particular: Reject
	RuleRequester   = "ledger.requester"   // it is not known who asked, or too few others are left to approve: Reject
	RuleRejected    = "ledger.rejected"    // approvers have rejected it: Reject
	RuleApproval    = "ledger.approval"    // it is approved on condition of an approval that is not there yet: Wait
)

// clockWait and approvalWait are the seconds to wait where the ledger says Wait and nobody said how long. maxWait is the
// longest that a node waits (WIRE.md, "Node behaviour").
const (
	clockWait    = 60
	approvalWait = 30
	maxWait      = 3600
)

// lookTime bounds the look at what is durable, after an update that failed.
const lookTime = 2 * time.Second

// Decide answers an ask, once and for ever.
//
// Seen before, with the same body: the recorded reply, without evaluation. With another body: ErrConflict. With a reply
// that retention has removed: ErrExpired. Otherwise evaluate and reply are called, all of it is recorded, and only when
// that is durable the reply is returned. Two asks of one name at the same time are evaluated once.
//
// The ledger never makes a verdict milder. It makes it stricter where the clock is not trusted and a check would be approved, where
// what is required cannot be approved or was rejected, and where the condition of an Approve is not met; see the Rule constants.
//
// An error means that nothing was decided. It may also mean that the decision was recorded and the caller's ctx ended
// first: the same ask then gets the recorded reply.
func (l *Ledger) Decide(ctx context.Context, a Ask, evaluate EvaluateFunc, reply ReplyFunc) (Result, error) {
	if err := a.validate(); err != nil {
		return Result{}, fmt.Errorf("decide: %w", err)
	}
	if evaluate == nil || reply == nil {
		return Result{}, fmt.Errorf("decide: %w: an evaluation and a reply are needed", ErrInvalid)
	}
	u := newLookup(l, a)
	// Most asks are new, and are looked up where they are decided. One that is known here to have been decided is answered without
	// a turn among those who write.
	looked := l.lately.has(u.first)
	if looked {
		if err := l.view(ctx, u.look); err != nil || u.found {
			return u.answer(err)
		}
	}
	err := l.updateSized(ctx, func(tx Tx) (int64, error) {
		if err := u.look(tx); err != nil {
			return 0, err
		}
		if u.found {
			return l.log.Size(tx)
		}
		return l.decide(ctx, tx, u, evaluate, reply)
	})
	if err != nil && !looked {
		err = l.afterFailure(ctx, u, err)
	}
	return u.answer(err)
}

// afterFailure looks for an ask of which the update has failed: what was decided is answered also where nothing can be written, and where
// all of the time was waited for that. It returns why there is no answer: the update's error, unless the ask has one of its own.
func (l *Ledger) afterFailure(ctx context.Context, u *lookup, failed error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookTime)
	defer cancel()
	err := l.view(ctx, u.look)
	if err == nil && u.found || errors.Is(err, ErrConflict) || errors.Is(err, ErrExpired) || errors.Is(err, ErrDamaged) {
		return err
	}
	return failed
}

func (a *Ask) validate() error {
	switch a.Path {
	case wire.PathCheck, wire.PathRawdata, wire.PathOutcome:
	default:
		return fmt.Errorf("%w ask: the path is none of the protocol's", ErrInvalid)
	}
	if a.Amends && a.Path != wire.PathOutcome {
		return fmt.Errorf("%w ask: only an outcome can amend another", ErrInvalid)
	}
	if a.Node == "" || a.CallbackID == "" {
		return fmt.Errorf("%w ask: it needs a node and a callback_id", ErrInvalid)
	}
	for _, s := range []string{a.Node, a.CallbackID, a.SinoID, a.RequestID, a.RequestType, a.Requester} {
		if len(s) > MaxName {
			return fmt.Errorf("%w ask: a name or id has more than %d bytes", ErrInvalid, MaxName)
		}
	}
	if len(a.Digests) > MaxDigests {
		return fmt.Errorf("%w ask: more than %d digests", ErrInvalid, MaxDigests)
	}
	total := 0
	for _, d := range a.Digests {
		if len(d) == 0 {
			return fmt.Errorf("%w ask: an empty digest", ErrInvalid)
		}
		total += len(d)
	}
	if total > MaxBytes {
		return fmt.Errorf("%w ask: the digests have more than %d bytes", ErrInvalid, MaxBytes)
	}
	return a.Execution.validate()
}

// decision is one run of a Decide within a transaction.
type decision struct {
	*lookup
	tx        Tx
	now       time.Time
	trusted   bool
	approvals []*Approval // of this execution, newest first
	changed   []*Approval // to be written
	record    Record
	approval  *Approval // waited for or used
	pending   []pending // what an Approve counts
	sums      *sumCache
	held      []held // for each of the record's counts
	// attachment is to be written beside the record; nil for none
	attachment []byte

	values values                // what is written
	key    [2 * len(Hash{})]byte // space for a key that is read or written
	moves  [1]moved              // space for what an entry changes
	words  [roomWords]big.Word   // space for what an entry comes to
	counts []Count               // space for the record's
	bounds []Bound               // space for the record's
}

// keepItems bounds the lists whose space is kept for the next decision.
const keepItems = 64

// clear takes out what a decision was about. Space for lists stays, since nobody has them any more.
func (d *decision) clear() {
	*d = decision{pending: emptied(d.pending), held: emptied(d.held), counts: emptied(d.counts), bounds: emptied(d.bounds)}
}

func emptied[T any](list []T) []T {
	if cap(list) > keepItems {
		return nil
	}
	clear(list[:cap(list)])
	return list[:0]
}

// resized returns n empty items, in the space of an emptied list if that is enough.
func resized[T any](list []T, n int) []T {
	if cap(list) < n {
		return make([]T, n)
	}
	return list[:n]
}

// values are what a decision writes, one behind the other, in space that is never used again: a store keeps them as they are.
type values []byte

// from returns what was appended since there was a number of bytes.
func (v values) from(begin int) []byte { return v[begin:len(v):len(v)] }

// decide decides a new ask. It returns the size of the log with it.
func (l *Ledger) decide(ctx context.Context, tx Tx, u *lookup, evaluate EvaluateFunc, reply ReplyFunc) (int64, error) {
	sums, err := l.sums.begin(tx, l.log)
	if err != nil {
		return 0, err
	}
	defer sums.giveBack()
	d := sums.decision()
	d.lookup, d.tx, d.sums = u, tx, sums
	if err := d.reallyNew(); err != nil {
		return 0, err
	}
	if err := d.run(ctx, evaluate, reply); err != nil {
		return 0, err
	}
	return d.record.Index + 1, nil
}

func (d *decision) run(ctx context.Context, evaluate EvaluateFunc, reply ReplyFunc) (err error) {
	recorded, err := d.sums.recordedTime(d.tx)
	if err != nil {
		return err
	}
	if d.now, d.trusted, err = d.ledger.keeper.read(d.tx, recorded); err != nil {
		return err
	}
	if d.approvals, err = d.approvalsOf(); err != nil {
		return err
	}
	state := d.state()
	if state.Windows, err = d.charges(); err != nil {
		return err
	}
	v, err := callEvaluate(ctx, evaluate, state)
	if err != nil {
		return fmt.Errorf("evaluate: %w", err)
	}
	if err := validVerdict(v); err != nil {
		return err
	}
	if err := d.byActive(v.Revision); err != nil {
		return err
	}
	d.record = Record{
		ID: newID(d.now).String(), Time: d.now, Ask: d.ask, Action: v.Action, Verdict: v.Action,
		Reasons: v.Reasons, WaitSeconds: v.WaitSeconds, Requirement: v.Requirement, Revision: v.Revision,
		Fired: v.Fired, ClockJumped: !d.trusted, Input: v.Input,
	}
	if v.Attachment != nil {
		sum := Hash(sha256.Sum256(v.Attachment))
		d.attachment, d.record.Attachment = v.Attachment, &sum
	}
	d.settle(v)
	if err := d.bound(); err != nil {
		return err
	}
	d.reserve()
	if err := d.conclude(v.Concluded); err != nil {
		return fmt.Errorf("count how a check ended: %w", err)
	}
	if d.record.Reply, err = callReply(reply, d.outcome()); err != nil {
		return fmt.Errorf("make the reply: %w", err)
	}
	if len(d.record.Reply) == 0 || len(d.record.Reply) > MaxBytes {
		return fmt.Errorf("%w reply: it has %d bytes", ErrInvalid, len(d.record.Reply))
	}
	if err := ctx.Err(); err != nil { // nobody waits for it: it is asked again
		return err
	}
	d.result = Result{Reply: d.record.Reply, ID: d.record.ID, Action: d.record.Action}
	return d.write()
}

// state leaves out what counts for nothing any more, so that an evaluation that forgets to look at the time of an approval
// cannot approve under it.
func (d *decision) state() State {
	s := State{Now: d.now, ClockJumped: !d.trusted}
	for _, a := range d.approvals {
		switch state := a.stateAt(d.now); state {
		case ApprovalVoid, ApprovalExpired:
		default:
			c := *a
			c.State = state
			s.Approvals = append(s.Approvals, c)
		}
	}
	return s
}

func (d *decision) outcome() Outcome {
	r := &d.record
	o := Outcome{ID: r.ID, Time: r.Time, Action: r.Action, Reasons: r.Reasons, WaitSeconds: r.WaitSeconds, Revision: r.Revision}
	if d.approval != nil {
		c := *d.approval
		c.State = c.stateAt(d.now)
		o.Approval = &c
	}
	return o
}

func validVerdict(v Verdict) error {
	if actionCode(v.Action) == 0 {
		return fmt.Errorf("%w verdict: the action is none", ErrInvalid)
	}
	switch v.Concluded {
	case "", ConcludedSigned, ConcludedNotSigned, ConcludedUnknown:
	default:
		return fmt.Errorf("%w verdict: %q is no way in which a check is concluded", ErrInvalid, v.Concluded)
	}
	if len(v.Input) > MaxBytes || len(v.Attachment) > MaxBytes {
		return fmt.Errorf("%w verdict: the input has %d bytes and the attachment %d, of at most %d each", ErrInvalid, len(v.Input), len(v.Attachment), MaxBytes)
	}
	if len(v.Reasons) > MaxReasons || len(v.Fired) > MaxReasons {
		return fmt.Errorf("%w verdict: it has %d reasons and %d rules that fired, of at most %d each", ErrInvalid, len(v.Reasons), len(v.Fired), MaxReasons)
	}
	long := len(v.Revision) > MaxName
	for _, r := range v.Reasons {
		if actionCode(r.Severity) == 0 {
			return fmt.Errorf("%w verdict: a reason of rule %q has no severity", ErrInvalid, r.Rule)
		}
		long = long || len(r.Rule) > MaxName || len(r.Message) > MaxName
	}
	for _, rule := range v.Fired {
		long = long || len(rule) > MaxName
	}
	if long {
		return fmt.Errorf("%w verdict: a rule, message or revision has more than %d bytes", ErrInvalid, MaxName)
	}
	return nil
}

// write records the decision.
func (d *decision) write() error {
	r := &d.record
	d.sums.changing()
	index, name, err := d.ledger.appendTo(d.tx, d.sums.end(), Entry{Decision: r})
	if err != nil {
		return err
	}
	r.Index = index
	d.values = make(values, 0, d.room())
	k := known{body: d.ask.BodyHash, record: name, action: r.Action}
	d.values = k.appendTo(d.values)
	if err := d.tx.Put(bucketAsk, append(d.key[:0], d.name[:]...), d.values.from(0)); err != nil {
		return err
	}
	if err := d.tx.Put(bucketCallback, d.callback.key(d.key[:0], index), nil); err != nil {
		return err
	}
	if d.ask.RequestID != "" {
		if err := d.tx.Put(bucketRequest, indexedBy(d.ask.RequestID).key(d.key[:0], index), nil); err != nil {
			return err
		}
	}
	if d.attachment != nil {
		if err := putAttachment(d.tx, index, d.attachment); err != nil {
			return err
		}
	}
	for _, a := range d.changed {
		d.sums.opening()
		if err := putApproval(d.tx, a); err != nil {
			return err
		}
	}
	if err := d.count(); err != nil {
		return err
	}
	d.sums.written(index, name, r.Time)
	return nil
}

// room is how many bytes of values are written beside the record, or a little more or less.
func (d *decision) room() int {
	size := knownSize + len(d.record.Bound)*(1+len(Hash{}))
	for i := range d.record.Counts {
		amount := amountSize(d.record.Counts[i].Amount) + 1 // the sums are larger
		size += (levelTotal+1)*(1+4+amount) + 14 + (1+len(d.held[i].reservation.parts))*(9+amount)
	}
	return size
}

// callEvaluate and callReply turn a panic into an error: they run what others wrote, for requests that come from outside,
// and in a transaction that others may share.
func callEvaluate(ctx context.Context, evaluate EvaluateFunc, s State) (v Verdict, err error) {
	defer recovered(&err)
	return evaluate(ctx, s)
}

func callReply(reply ReplyFunc, o Outcome) (b []byte, err error) {
	defer recovered(&err)
	return reply(o)
}

func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
	}
}
