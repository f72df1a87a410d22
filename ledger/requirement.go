package ledger

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/countersign-mpc/countersign/wire"
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
	RejectionFinal  bool       `json:"rejection_final"`  // one rejection rejects, and stays when the time is over
}

// MaxLifetime bounds an approval's lifetime, MaxApprovers a group, maxKeyIDs an approver's further keys.
const (
	MaxLifetime  = 30 * 24 * time.Hour
	MaxApprovers = 100
	maxKeyIDs    = 100
)

// normal checks the requirement and returns it sorted, as it is stored.
func (r Requirement) normal() (Requirement, error) {
	if r.Group == "" || len(r.Group) > MaxName || len(r.Rule) > MaxName || len(r.GroupRevision) > MaxName {
		return r, fmt.Errorf("%w requirement: it needs a group, and names of at most %d bytes", ErrInvalid, MaxName)
	}
	if r.LifetimeSeconds <= 0 || r.LifetimeSeconds > int64(MaxLifetime/time.Second) {
		return r, fmt.Errorf("%w requirement of group %s: an approval lives 1 second to %d days", ErrInvalid, r.Group, MaxLifetime/(24*time.Hour))
	}
	if len(r.Approvers) > MaxApprovers || r.Threshold < 1 || r.Threshold > len(r.Approvers) {
		return r, fmt.Errorf("%w requirement of group %s: %d of %d approvers; want 1 <= threshold <= approvers <= %d", ErrInvalid, r.Group, r.Threshold, len(r.Approvers), MaxApprovers)
	}
	r = r.sorted()
	for i, a := range r.Approvers {
		if a.Name == "" || len(a.Name) > MaxName || len(a.RequesterKeyIDs) > maxKeyIDs {
			return r, fmt.Errorf("%w requirement of group %s: an approver needs a name of at most %d bytes and has at most %d requester keys", ErrInvalid, r.Group, MaxName, maxKeyIDs)
		}
		if _, err := a.key(); err != nil {
			return r, fmt.Errorf("requirement of group %s, approver %s: %w", r.Group, a.Name, err)
		}
		for _, b := range r.Approvers[:i] {
			if a.Name == b.Name || bytes.Equal(a.PublicKey, b.PublicKey) {
				return r, fmt.Errorf("%w requirement of group %s: approvers %s and %s have the same name or key and would count twice", ErrInvalid, r.Group, b.Name, a.Name)
			}
		}
	}
	return r, nil
}

// sorted returns the requirement with approvers in the order of their names, and their key ids in order.
func (r Requirement) sorted() Requirement {
	r.Approvers = slices.Clone(r.Approvers)
	slices.SortStableFunc(r.Approvers, func(a, b Approver) int { return strings.Compare(a.Name, b.Name) })
	for i := range r.Approvers {
		r.Approvers[i].RequesterKeyIDs = slices.Sorted(slices.Values(r.Approvers[i].RequesterKeyIDs))
	}
	return r
}

// Hash is over everything in the requirement (docs/FORMATS.md, ledger). Approvers sign it, and an approval is void for a
// requirement with another hash.
func (r Requirement) Hash() Hash {
	r = r.sorted()
	u32 := func(v int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(v)) }
	var flags byte
	if r.NotRequester {
		flags |= 1
	}
	if r.RejectionFinal {
		flags |= 2
	}
	fields := [][]byte{
		[]byte(r.Rule), []byte(r.Group), []byte(r.GroupRevision), u32(r.Threshold),
		binary.BigEndian.AppendUint64(nil, uint64(r.LifetimeSeconds)), {flags}, u32(len(r.Approvers)),
	}
	for _, a := range r.Approvers {
		fields = append(fields, []byte(a.Name), a.PublicKey, u32(len(a.RequesterKeyIDs)))
		for _, k := range a.RequesterKeyIDs {
			fields = append(fields, []byte(k))
		}
	}
	return sha256.Sum256(wire.SigningBytes("approval-condition", fields...))
}

// find returns the approver of this name.
func (r Requirement) find(name string) (Approver, bool) {
	for _, a := range r.Approvers {
		if a.Name == name {
			return a, true
		}
	}
	return Approver{}, false
}

// eligible is how many approvers may approve what this requester asks for.
func (r Requirement) eligible(requester string) int {
	n := 0
	for _, a := range r.Approvers {
		if !a.is(requester) {
			n++
		}
	}
	return n
}

// KeyID is lower-case hex of SHA-256 of the key's SPKI DER, as requesters' keys are named.
func (a Approver) KeyID() string { return Hash(sha256.Sum256(a.PublicKey)).String() }

// is reports whether the approver is who asked under this key id, by its own key or by one it is known to ask with.
func (a Approver) is(requester string) bool {
	return requester != "" && (requester == a.KeyID() || slices.Contains(a.RequesterKeyIDs, requester))
}

// key parses PublicKey; the DER must be the one encoding of the key, so that a key has one id.
func (a Approver) key() (any, error) {
	pub, err := x509.ParsePKIXPublicKey(a.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("%w public key: it is not SPKI DER", ErrInvalid)
	}
	switch k := pub.(type) {
	case ed25519.PublicKey:
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return nil, fmt.Errorf("%w public key: want P-256 or Ed25519", ErrInvalid)
		}
	default:
		return nil, fmt.Errorf("%w public key: want P-256 or Ed25519", ErrInvalid)
	}
	if der, err := x509.MarshalPKIXPublicKey(pub); err != nil || !bytes.Equal(der, a.PublicKey) {
		return nil, fmt.Errorf("%w public key: its DER is not canonical", ErrInvalid)
	}
	return pub, nil
}

// verify reports whether sig is this approver's signature of msg.
func (a Approver) verify(msg, sig []byte) bool {
	pub, err := a.key()
	if err != nil {
		return false
	}
	switch k := pub.(type) {
	case ed25519.PublicKey:
		return ed25519.Verify(k, msg, sig)
	case *ecdsa.PublicKey:
		return wire.VerifyP256(k, msg, sig)
	}
	return false
}

func (e *encoder) requirement(r Requirement) {
	e.str(r.Rule)
	e.str(r.Group)
	e.str(r.GroupRevision)
	e.u32(uint32(r.Threshold))
	e.u64(uint64(r.LifetimeSeconds))
	e.bool(r.NotRequester)
	e.bool(r.RejectionFinal)
	e.u32(uint32(len(r.Approvers)))
	for _, a := range r.Approvers {
		e.str(a.Name)
		e.bytes(a.PublicKey)
		e.strs(a.RequesterKeyIDs)
	}
}

func (d *decoder) requirement() Requirement {
	r := Requirement{Rule: d.str(), Group: d.str(), GroupRevision: d.str(), Threshold: int(d.u32()), LifetimeSeconds: int64(d.u64())}
	r.NotRequester, r.RejectionFinal = d.bool(), d.bool()
	n := d.count(12)
	for range n {
		r.Approvers = append(r.Approvers, Approver{Name: d.str(), PublicKey: d.bytes(), RequesterKeyIDs: d.strs()})
	}
	return r
}
