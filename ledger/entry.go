package ledger

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/countersign-mpc/countersign/wire"
)

// Entry is what the log has one of for each thing that was recorded. Exactly one of the fields is set.
type Entry struct {
	Decision *Record
	Vote     *VoteRecord
	Clock    *ClockRecord
	// What comes of policies.
	Activation *ActivationRecord
	Proposal   *ProposalRecord
	PolicyVote *PolicyVoteRecord
}

// Record is a decision as it stands in the log.
type Record struct {
	ID    string    `json:"id"`
	Index int64     `json:"index"` // in the log; not part of the entry
	Time  time.Time `json:"time"`

	Ask Ask `json:"-"`

	Action      wire.Action  `json:"action"`
	Verdict     wire.Action  `json:"verdict"` // what the evaluation said; differs from Action where the ledger stepped in
	Reasons     []Reason     `json:"reasons"`
	WaitSeconds int          `json:"wait_seconds,omitempty"`
	Requirement *Requirement `json:"requirement,omitempty"`
	Revision    string       `json:"revision"`
	Fired       []string     `json:"fired"`
	ClockJumped bool         `json:"clock_jumped,omitempty"`
	Approval    string       `json:"approval,omitempty"` // id of the one that was opened, waited for or used
	Opened      bool         `json:"opened,omitempty"`   // this decision opened it
	Voided      []string     `json:"voided,omitempty"`   // ids of approvals that it made void
	// Attachment is the SHA-256 of what is kept beside the record (Ledger.Attachment); nil for nothing.
	Attachment *Hash `json:"attachment_sha256,omitempty"`
	// Counts and Bound are what it counted in windows, and which names it bound.
	Counts []Count `json:"counts,omitempty"`
	Bound  []Bound `json:"bound,omitempty"`

	Input json.RawMessage `json:"input"`
	Reply []byte          `json:"-"` // as it was sent
}

// VoteRecord is an approver's vote as it stands in the log.
type VoteRecord struct {
	ID         string    `json:"id"`
	Time       time.Time `json:"time"`
	Approval   string    `json:"approval"`
	IntentHash Hash      `json:"intent_hash"`
	KeyID      string    `json:"key_id"` // of the key that signed
	Vote       Vote      `json:"vote"`
}

// ClockRecord is an operator's confirmation of the clock as it stands in the log.
type ClockRecord struct {
	ID       string    `json:"id"`
	Time     time.Time `json:"time"`   // the clock's, which was confirmed
	Before   time.Time `json:"before"` // the ledger's until then
	Operator string    `json:"operator"`
	Reason   string    `json:"reason"`
}

// entryMagic starts an entry; the byte after it is its kind. The record's id follows.
const (
	entryMagic   = "CSLE\x01"
	kindDecision = 1
	kindVote     = 2
	kindClock    = 3

	kindActivation = 4
	kindProposal   = 5
	kindPolicyVote = 6

	entryHead = len(entryMagic) + 1 // before the id
)

// ID is that of the record in the entry.
func (e Entry) ID() string {
	switch {
	case e.Decision != nil:
		return e.Decision.ID
	case e.Vote != nil:
		return e.Vote.ID
	case e.Clock != nil:
		return e.Clock.ID
	case e.Activation != nil:
		return e.Activation.ID
	case e.Proposal != nil:
		return e.Proposal.ID
	case e.PolicyVote != nil:
		return e.PolicyVote.ID
	}
	return ""
}

// Time is that of the record in the entry.
func (e Entry) Time() time.Time {
	switch {
	case e.Decision != nil:
		return e.Decision.Time
	case e.Vote != nil:
		return e.Vote.Time
	case e.Clock != nil:
		return e.Clock.Time
	case e.Activation != nil:
		return e.Activation.Time
	case e.Proposal != nil:
		return e.Proposal.Time
	case e.PolicyVote != nil:
		return e.PolicyVote.Time
	}
	return time.Time{}
}

// Marshal writes the bytes that are in the log (docs/FORMATS.md, ledger).
func (e Entry) Marshal() ([]byte, error) { return e.appendTo(make([]byte, 0, e.size())) }

// size is how many bytes a decision's entry has, as exactly as it costs little to say, and about what another one has.
func (e Entry) size() int {
	if e.Decision == nil {
		return 512
	}
	return entryHead + e.Decision.size()
}

// size is how many bytes encoder.decision writes; of a requirement, which few have, about how many.
func (r *Record) size() int {
	const (
		id, hash = 16, len(Hash{})
		fixed    = id + 8 + 2 + 4 + 4 + 4 + 4 + 1 + 4 + 4 + 4 // without the ask
	)
	size := fixed + r.Ask.size() + len(r.Revision) + id*len(r.Voided) + len(r.Input) + len(r.Reply)
	for i := range r.Reasons {
		size += 4 + 1 + 4 + len(r.Reasons[i].Rule) + len(r.Reasons[i].Message)
	}
	for _, rule := range r.Fired {
		size += 4 + len(rule)
	}
	if r.Requirement != nil {
		size += 512
	}
	if r.Approval != "" {
		size += id
	}
	if r.Attachment != nil {
		size += hash
	}
	if len(r.Counts) > 0 {
		size += 4
	}
	for i := range r.Counts {
		size += 2*hash + 1 + amountSize(r.Counts[i].Amount) + amountSize(r.Counts[i].Added)
	}
	if len(r.Bound) > 0 {
		size += 4 + 2*hash*len(r.Bound)
	}
	return size
}

func (a *Ask) size() int {
	size := 4 + len(a.Node) + 4 + len(a.Path) + 4 + len(a.CallbackID) + len(a.BodyHash) + 4 + len(a.SinoID) + 4 + len(a.RequestID) +
		4 + len(a.RequestType) + len(a.IntentHash) + 4 + 4 + len(a.Requester)
	for _, digest := range a.Digests {
		size += 4 + len(digest)
	}
	return size
}

// appendTo is Marshal behind other bytes.
func (e Entry) appendTo(b []byte) ([]byte, error) {
	enc := encoder{b: append(b, entryMagic...)}
	switch {
	case e.Decision != nil:
		enc.u8(kindDecision)
		enc.decision(e.Decision)
	case e.Vote != nil:
		enc.u8(kindVote)
		enc.id(e.Vote.ID)
		enc.time(e.Vote.Time)
		enc.id(e.Vote.Approval)
		enc.hash(e.Vote.IntentHash)
		enc.str(e.Vote.KeyID)
		enc.vote(e.Vote.Vote)
	case e.Clock != nil:
		enc.u8(kindClock)
		enc.id(e.Clock.ID)
		enc.time(e.Clock.Time)
		enc.time(e.Clock.Before)
		enc.str(e.Clock.Operator)
		enc.str(e.Clock.Reason)
	case e.Activation != nil:
		enc.u8(kindActivation)
		enc.activation(e.Activation)
	case e.Proposal != nil:
		enc.u8(kindProposal)
		enc.proposal(e.Proposal)
	case e.PolicyVote != nil:
		enc.u8(kindPolicyVote)
		enc.policyVote(e.PolicyVote)
	default:
		return nil, fmt.Errorf("%w entry: it is empty", ErrInvalid)
	}
	return enc.b, enc.err
}

// ParseEntry reads what Marshal writes, and nothing else. The bytes are not kept.
func ParseEntry(b []byte) (Entry, error) {
	var e Entry
	d := decoder{b: b}
	d.magic(entryMagic)
	switch kind := d.u8(); kind {
	case kindDecision:
		e.Decision = d.decision()
	case kindVote:
		e.Vote = &VoteRecord{ID: d.id(), Time: d.time(), Approval: d.id(), IntentHash: d.hash(), KeyID: d.str(), Vote: d.vote()}
	case kindClock:
		e.Clock = &ClockRecord{ID: d.id(), Time: d.time(), Before: d.time(), Operator: d.str(), Reason: d.str()}
	case kindActivation:
		e.Activation = d.activation()
	case kindProposal:
		e.Proposal = d.proposal()
	case kindPolicyVote:
		e.PolicyVote = d.policyVote()
	default:
		d.fail("its kind %d is not known", kind)
	}
	if err := d.done("an entry"); err != nil {
		return Entry{}, err
	}
	return e, nil
}

// The flags of a decision.
const (
	flagClockJumped = 1 << iota
	flagOpened
	flagRequirement
	flagApproval
	flagAttachment
	flagCounts
	flagBound
	flagAmends
)

func (e *encoder) decision(r *Record) {
	e.id(r.ID)
	e.time(r.Time)
	e.ask(&r.Ask)
	e.action(r.Action)
	e.action(r.Verdict)
	e.u32(uint32(len(r.Reasons)))
	for _, reason := range r.Reasons {
		e.str(reason.Rule)
		e.action(reason.Severity)
		e.str(reason.Message)
	}
	e.u32(uint32(r.WaitSeconds))
	e.str(r.Revision)
	e.strs(r.Fired)
	e.u8(r.flags())
	if r.Requirement != nil {
		e.requirement(*r.Requirement)
	}
	if r.Approval != "" {
		e.id(r.Approval)
	}
	if r.Attachment != nil {
		e.hash(*r.Attachment)
	}
	if len(r.Counts) > 0 {
		e.counts(r.Counts)
	}
	if len(r.Bound) > 0 {
		e.bounds(r.Bound)
	}
	e.u32(uint32(len(r.Voided)))
	for _, v := range r.Voided {
		e.id(v)
	}
	e.bytes(r.Input)
	e.bytes(r.Reply)
}

func (r *Record) flags() byte {
	var f byte
	if r.ClockJumped {
		f |= flagClockJumped
	}
	if r.Opened {
		f |= flagOpened
	}
	if r.Requirement != nil {
		f |= flagRequirement
	}
	if r.Approval != "" {
		f |= flagApproval
	}
	if r.Attachment != nil {
		f |= flagAttachment
	}
	if len(r.Counts) > 0 {
		f |= flagCounts
	}
	if len(r.Bound) > 0 {
		f |= flagBound
	}
	if r.Ask.Amends {
		f |= flagAmends
	}
	return f
}

func (d *decoder) decision() *Record {
	r := &Record{ID: d.id(), Time: d.time(), Ask: d.ask(), Action: d.action(), Verdict: d.action()}
	for range d.count(9) {
		r.Reasons = append(r.Reasons, Reason{Rule: d.str(), Severity: d.action(), Message: d.str()})
	}
	r.WaitSeconds, r.Revision, r.Fired = int(d.u32()), d.str(), d.strs()
	flags := d.u8()
	r.ClockJumped, r.Opened = flags&flagClockJumped != 0, flags&flagOpened != 0
	if flags&flagRequirement != 0 {
		req := d.requirement()
		r.Requirement = &req
	}
	if flags&flagApproval != 0 {
		r.Approval = d.id()
	}
	if flags&flagAttachment != 0 {
		sum := d.hash()
		r.Attachment = &sum
	}
	if flags&flagCounts != 0 {
		if r.Counts = d.counts(); len(r.Counts) == 0 {
			d.fail("a list that is empty")
		}
	}
	if flags&flagBound != 0 {
		if r.Bound = d.bounds(); len(r.Bound) == 0 {
			d.fail("a list that is empty")
		}
	}
	r.Ask.Amends = flags&flagAmends != 0
	for range d.count(16) {
		r.Voided = append(r.Voided, d.id())
	}
	r.Input, r.Reply = d.bytes(), d.bytes()
	return r
}

func (e *encoder) ask(a *Ask) {
	e.str(a.Node)
	e.str(string(a.Path))
	e.str(a.CallbackID)
	e.hash(a.BodyHash)
	e.str(a.SinoID)
	e.str(a.RequestID)
	e.str(a.RequestType)
	e.hash(a.IntentHash)
	e.u32(uint32(len(a.Digests)))
	for _, digest := range a.Digests {
		e.bytes(digest)
	}
	e.str(a.Requester)
}

func (d *decoder) ask() Ask {
	a := Ask{Node: d.str(), Path: wire.Path(d.str()), CallbackID: d.str(), BodyHash: d.hash(),
		SinoID: d.str(), RequestID: d.str(), RequestType: d.str(), IntentHash: d.hash()}
	for range d.count(4) {
		a.Digests = append(a.Digests, d.bytes())
	}
	a.Requester = d.str()
	return a
}
