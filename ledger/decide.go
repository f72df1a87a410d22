package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
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
	var res Result
	var found bool
	mayAmend := a.Amends
	a.Amends = false
	first, name := a.name(), Hash{}
	lookup := func(r Reader) (err error) {
		a.Amends, name = false, first
		res, found, err = l.recorded(r, a, name)
		if mayAmend && errors.Is(err, ErrConflict) {
			if err = mayFollow(r, first, err); err != nil {
				return err
			}
			a.Amends = true
			name = a.name()
			res, found, err = l.recorded(r, a, name)
		}
		return err
	}
	if err := l.view(ctx, lookup); err != nil || found {
		return res, wrapDecide(a, err)
	}
	err := l.update(ctx, func(tx Tx) error {
		if err := lookup(tx); err != nil || found {
			return err
		}
		if err := l.reallyNew(tx, a, name); err != nil {
			return err
		}
		d := decision{ledger: l, tx: tx, ask: a, name: name}
		if err := d.run(ctx, evaluate, reply); err != nil {
			return err
		}
		res = Result{Reply: d.record.Reply, ID: d.record.ID, Action: d.record.Action}
		return nil
	})
	if err != nil {
		return Result{}, wrapDecide(a, err)
	}
	return res, nil
}

func wrapDecide(a Ask, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("decide %s %s: %w", a.Path, a.CallbackID, err)
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

// name is under what the ask is known: a hash, so that ids can be kept for ever and of one length.
func (a *Ask) name() Hash { return askName(a.Node, a.Path, a.CallbackID, a.Amends) }

func askName(node string, path wire.Path, callbackID string, amends bool) Hash {
	fields := [][]byte{[]byte(node), []byte(path), []byte(callbackID)}
	if amends {
		fields = append(fields, []byte("amends"))
	}
	return sha256.Sum256(wire.SigningBytes("callback-id", fields...))
}

// known is what is kept of an ask for ever.
type known struct {
	body   Hash
	record id
	action wire.Action
}

const askVersion = 1

func (k known) marshal() []byte {
	v := append([]byte{askVersion}, k.body[:]...)
	v = append(v, k.record[:]...)
	return append(v, actionCode(k.action))
}

func getKnown(r Reader, name Hash) (known, bool, error) {
	v, err := r.Get(bucketAsk, name[:])
	if err != nil {
		return known{}, false, fmt.Errorf("look up the callback_id: %w", err)
	}
	if v == nil {
		return known{}, false, nil
	}
	d := decoder{b: v}
	if d.u8() != askVersion {
		d.fail("its version is not known")
	}
	k := known{body: d.hash(), record: id(d.take(16)), action: d.action()}
	return k, true, d.done("a callback_id's record")
}

// decision returns the record of what is known under a name, held against it; ErrExpired if it is no longer kept.
func (k known) decision(r Reader, name Hash) (*Record, error) {
	_, e, err := getEntry(r, k.record)
	if errors.Is(err, ErrNotFound) {
		return nil, fmt.Errorf("%w: the record of a decided callback_id is missing", ErrDamaged)
	}
	if err != nil {
		return nil, err
	}
	if rec := e.Decision; rec != nil && rec.Ask.name() == name && rec.Ask.BodyHash == k.body && rec.Action == k.action {
		return rec, nil
	}
	return nil, fmt.Errorf("%w: the record %s of a callback_id is of something else", ErrDamaged, k.record)
}

// recorded returns the reply to an ask, of this name, that was decided before.
func (l *Ledger) recorded(r Reader, a Ask, name Hash) (Result, bool, error) {
	k, ok, err := getKnown(r, name)
	if err != nil || !ok {
		return Result{}, false, err
	}
	if k.body != a.BodyHash {
		return Result{}, false, ErrConflict
	}
	rec, err := k.decision(r, name)
	if err != nil {
		return Result{}, false, err
	}
	return Result{Reply: rec.Reply, Replayed: true, ID: rec.ID, Action: rec.Action}, true, nil
}

// mayFollow returns conflict unless an ask that conflicts with the one before of its name may follow it: that one said that nothing
// was signed.
func mayFollow(r Reader, name Hash, conflict error) error {
	before, err := decisionNamed(r, name)
	if err != nil {
		return err
	}
	if before == nil || len(before.Counts) == 0 || before.Counts[0].Effect != EffectReleased {
		return conflict
	}
	return nil
}

// reallyNew looks for a decision about an ask by another way than its name: a store that lost the name must not make it
// decided twice. Retention removes this second trace, not the first.
func (l *Ledger) reallyNew(r Reader, a Ask, name Hash) error {
	prefix := indexKey(a.CallbackID, 0)
	return r.Scan(bucketCallback, prefix, after(prefix[:indexText]), false, func(key, _ []byte) (bool, error) {
		index, err := indexOf(key)
		if err != nil {
			return false, err
		}
		rec, err := l.decisionAt(r, index)
		if err == nil && rec != nil && rec.Ask.name() == name {
			err = fmt.Errorf("%w: this callback_id was decided as %s, and its name is lost: verify the log", ErrDamaged, rec.ID)
		}
		return true, err
	})
}

// decision is one run of a Decide within a transaction.
type decision struct {
	ledger    *Ledger
	tx        Tx
	ask       Ask
	name      Hash // of ask
	now       time.Time
	trusted   bool
	approvals []*Approval // of this execution, newest first
	changed   []*Approval // to be written
	record    Record
	approval  *Approval // waited for or used
	pending   []pending // what an Approve counts
	sums      *sumCache
	held      []*reservation // for each of the record's counts, as it is before
	// attachment is to be written beside the record; nil for none
	attachment []byte
}

func (d *decision) run(ctx context.Context, evaluate EvaluateFunc, reply ReplyFunc) (err error) {
	if d.sums, err = d.ledger.sums.begin(d.tx, d.ledger.log); err != nil {
		return err
	}
	defer d.sums.end()
	if d.now, d.trusted, err = d.ledger.clock(d.tx); err != nil {
		return err
	}
	if d.approvals, err = approvalsOf(d.tx, execution(d.ask.IntentHash, d.ask.Digests, d.ask.Requester)); err != nil {
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
	index, err := d.ledger.append(d.tx, Entry{Decision: r})
	if err != nil {
		return err
	}
	name, err := parseID(r.ID)
	if err != nil {
		return err
	}
	k := known{body: d.ask.BodyHash, record: name, action: r.Action}
	if err := d.tx.Put(bucketAsk, d.name[:], k.marshal()); err != nil {
		return err
	}
	if err := d.tx.Put(bucketCallback, indexKey(d.ask.CallbackID, index), nil); err != nil {
		return err
	}
	if d.ask.RequestID != "" {
		if err := d.tx.Put(bucketRequest, indexKey(d.ask.RequestID, index), nil); err != nil {
			return err
		}
	}
	if d.attachment != nil {
		if err := putAttachment(d.tx, index, d.attachment); err != nil {
			return err
		}
	}
	for _, a := range d.changed {
		if err := putApproval(d.tx, a); err != nil {
			return err
		}
	}
	if err := d.count(); err != nil {
		return err
	}
	d.sums.written(index, name[:])
	return nil
}

// indexKey is the key under which an entry is found by a callback_id or request_id.
func indexKey(text string, index int64) []byte {
	h := sha256.Sum256(wire.SigningBytes("ledger-index", []byte(text)))
	return binary.BigEndian.AppendUint64(h[:indexText:indexText], uint64(index))
}

// indexText is how many bytes of the hash of the text an index key has.
const indexText = 16

func indexOf(key []byte) (int64, error) {
	if len(key) != indexText+8 {
		return 0, fmt.Errorf("%w: an index key has %d bytes", ErrDamaged, len(key))
	}
	return int64(binary.BigEndian.Uint64(key[indexText:])), nil
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
