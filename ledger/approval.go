package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/countersign-mpc/countersign/wire"
	"github.com/countersign-mpc/countersign/wire/label"
)

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

// ApprovalSigningBytes is what an approver signs for its vote (docs/FORMATS.md, ledger). The requirement's hash is computed
// from a.Requirement and not taken from a.RequirementHash: who signs has seen the one, and is told the other.
func ApprovalSigningBytes(a Approval, decision VoteKind) []byte {
	requirement := a.Requirement.Hash()
	fields := [][]byte{[]byte(a.ID), a.IntentHash[:], binary.BigEndian.AppendUint32(nil, uint32(len(a.Digests)))}
	for _, d := range a.Digests {
		fields = append(fields, d)
	}
	fields = append(fields, []byte(decision), []byte(a.Requirement.Group),
		binary.BigEndian.AppendUint64(nil, uint64(a.Expires.Unix())), requirement[:])
	return wire.SigningBytes("approval", fields...)
}

// execution names that for which an approval counts. The requester is in it beside the intent hash, which covers it too:
// an approval must not serve another requester even if a caller hashes an intent wrongly.
func execution(intent Hash, digests [][]byte, requester string) Hash {
	var space [512]byte
	b := label.Field(append(space[:0], beginExecution...), intent[:])
	var number [4]byte
	binary.BigEndian.PutUint32(number[:], uint32(len(digests)))
	b = label.Field(b, number[:])
	for _, digest := range digests {
		b = label.Field(b, digest)
	}
	return sha256.Sum256(label.Field(b, requester))
}

func (a Approval) execution() Hash {
	digests := make([][]byte, len(a.Digests))
	for i, d := range a.Digests {
		digests[i] = d
	}
	return execution(a.IntentHash, digests, a.Requester)
}

// stateAt is what the approval has come to at a time.
func (a *Approval) stateAt(now time.Time) ApprovalState {
	approved, rejected := tally(a.Votes)
	r := a.Requirement
	switch {
	case a.void:
		return ApprovalVoid
	case r.RejectionFinal && rejected > 0:
		return ApprovalRejected // stays when the time is over
	case !now.Before(a.Expires):
		return ApprovalExpired
	case r.eligible(a.Requester)-rejected < r.Threshold:
		return ApprovalRejected
	case approved >= r.Threshold:
		return ApprovalApproved
	}
	return ApprovalPending
}

const approvalMagic = "CSLA\x01"

func (a *Approval) marshal() ([]byte, error) {
	e := encoder{b: []byte(approvalMagic)}
	e.id(a.ID)
	e.hash(a.IntentHash)
	e.u32(uint32(len(a.Digests)))
	for _, d := range a.Digests {
		e.bytes(d)
	}
	e.str(a.Requester)
	e.requirement(a.Requirement)
	e.time(a.Opened)
	e.u64(uint64(a.Expires.Unix()))
	e.id(a.OpenedBy)
	e.bool(a.void)
	e.votes(a.Votes)
	return e.b, e.err
}

// parseApproval reads an approval and checks everything that it counts by: the requirement, and each vote's signature.
func parseApproval(b []byte) (*Approval, error) {
	d := decoder{b: b}
	d.magic(approvalMagic)
	a := &Approval{ID: d.id(), IntentHash: d.hash()}
	for range d.count(4) {
		a.Digests = append(a.Digests, d.bytes())
	}
	a.Requester = d.str()
	a.Requirement = d.requirement()
	a.Opened, a.Expires = d.time(), time.Unix(int64(d.u64()), 0).UTC()
	a.OpenedBy = d.id()
	a.void = d.bool()
	a.Votes = d.votes()
	if err := d.done("an approval"); err != nil {
		return nil, err
	}
	r, err := a.Requirement.normal()
	if err != nil {
		return nil, fmt.Errorf("%w: approval %s: %w", ErrDamaged, a.ID, err)
	}
	a.Requirement, a.RequirementHash = r, r.Hash()
	if again, err := a.marshal(); err != nil || !bytes.Equal(again, b) {
		return nil, fmt.Errorf("%w: approval %s is not as it is written", ErrDamaged, a.ID)
	}
	for i, v := range a.Votes {
		if err := a.admit(v.signed(), a.Votes[:i]); err != nil {
			return nil, fmt.Errorf("%w: approval %s: the vote of %s: %w", ErrDamaged, a.ID, v.Approver, err)
		}
	}
	return a, nil
}

// admit checks that a vote may be counted beside earlier ones.
func (a *Approval) admit(s Signed, earlier []Vote) error {
	return a.Requirement.admit(s, ApprovalSigningBytes(*a, s.Decision), func(by Approver) bool { return by.is(a.Requester) }, earlier)
}
