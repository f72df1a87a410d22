package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/countersign-mpc/countersign/wire"
)

// Active is the policy that decides: all decisions of every server that shares the store are made by it, or not made.
type Active struct {
	Number   uint64    `json:"number"`   // of the activation, from 1; 0: none was ever active
	Revision string    `json:"revision"` // of the policy
	Entry    string    `json:"entry"`    // id of the activation in the log
	Since    time.Time `json:"since"`
	// Files is the revision that the files of a server held when they were last made live; "": they never were.
	Files string `json:"files"`
	// Guard is what a change of this policy has to pass; nil: nothing.
	Guard *Guard `json:"guard,omitempty"`
}

// Guard is what the active policy asks of whoever changes it.
type Guard struct {
	Requirement Requirement `json:"requirement"`
	// MinJudged is how many requests a proposal's backtest must have judged.
	MinJudged uint32 `json:"min_judged"`
	// RollbackSeconds is for how long after an activation the policy before it may be taken again without approvals; 0: never.
	RollbackSeconds uint32 `json:"rollback_seconds"`
}

// MaxRevision bounds a revision's name, MaxPolicy the stored content of a policy and each document of a proposal; in bytes.
const (
	MaxRevision = 128
	MaxPolicy   = 48 << 20
)

var metaActive = []byte("active") // version, Active

// byActive holds a policy's verdict about a check against the policy that is active.
func (d *decision) byActive(revision string) error {
	if d.ask.Path != wire.PathCheck {
		return nil // reports are judged by no policy
	}
	active, err := d.sums.active(d.tx)
	if err == nil && active != "" && active != revision {
		err = fmt.Errorf("%w: the active one is %s, and this is a verdict of %s", ErrRevision, active, revision)
	}
	return err
}

// Active returns the active policy's place in the history; its Number is 0 where there is none yet.
func (l *Ledger) Active(ctx context.Context) (Active, error) {
	var out Active
	err := l.view(ctx, func(r Reader) (err error) {
		out, err = getActive(r)
		return err
	})
	if err != nil {
		return Active{}, fmt.Errorf("read which policy is active: %w", err)
	}
	return out, nil
}

func getActive(r Reader) (Active, error) {
	v, err := getMeta(r, metaActive)
	if err != nil || v == nil {
		return Active{}, err
	}
	return parseActive(v)
}

func parseActive(v []byte) (Active, error) {
	d := decoder{b: v}
	a := Active{Number: d.u64(), Revision: d.str(), Entry: d.id(), Since: d.time(), Files: d.str(), Guard: d.guard()}
	if a.Number == 0 || a.Revision == "" {
		d.fail("it names none")
	}
	return a, d.done("which policy is active")
}

// standing is getActive held against the log's last activation: whoever changes in the store alone which policy is active, since
// when, or what its change has to pass, changes no policy.
func (l *Ledger) standing(r Reader) (Active, error) {
	active, err := getActive(r)
	if err != nil || active.Number == 0 {
		return active, err
	}
	last, err := l.activation(r, active.Number)
	if err != nil {
		return Active{}, err
	}
	return active, active.heldTo(last)
}

// heldTo compares what is stored of the active policy with its activation in the log.
func (a *Active) heldTo(last *ActivationRecord) error {
	switch {
	case last.To != a.Revision || last.ID != a.Entry || !last.Time.Equal(a.Since):
		return fmt.Errorf("%w: the active policy is %s, and the last activation in the log is of %s: verify the log", ErrDamaged, a.Revision, last.To)
	case last.GuardKnown && !bytes.Equal(a.Guard.encoded(), last.Guard.encoded()):
		return fmt.Errorf("%w: what has to be passed before the active policy %s is changed is not what the log has of it: verify the log", ErrDamaged, a.Revision)
	}
	return nil
}

func (g *Guard) encoded() []byte {
	var e encoder
	e.guard(g)
	return e.b
}

func putActive(tx Tx, a Active) error {
	var e encoder
	e.u64(a.Number)
	e.str(a.Revision)
	e.id(a.Entry)
	e.time(a.Since)
	e.str(a.Files)
	e.guard(a.Guard)
	if e.err != nil {
		return e.err
	}
	return putMeta(tx, metaActive, e.b)
}

func (e *encoder) guard(g *Guard) {
	e.bool(g != nil)
	if g != nil {
		e.requirement(g.Requirement)
		e.u32(g.MinJudged)
		e.u32(g.RollbackSeconds)
	}
}

func (d *decoder) guard() *Guard {
	if !d.bool() {
		return nil
	}
	return &Guard{Requirement: d.requirement(), MinJudged: d.u32(), RollbackSeconds: d.u32()}
}

const revisionMagic = "CSLV\x01" // then the number of the activation and the content

// Revision returns the stored content of a policy that was active at some time, and checks that it is what the log has of
// it. ErrNotFound.
func (l *Ledger) Revision(ctx context.Context, revision string) ([]byte, error) {
	var out []byte
	err := l.view(ctx, func(r Reader) error {
		content, err := l.revision(r, revision)
		out = bytes.Clone(content)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the policy %.16s: %w", revision, err)
	}
	return out, nil
}

// revision reads a policy and holds it against the entry of the activation that stored it.
func (l *Ledger) revision(r Reader, revision string) ([]byte, error) {
	content, number, err := storedRevision(r, revision)
	if err != nil {
		return nil, err
	}
	rec, err := l.activation(r, number)
	if err != nil {
		return nil, err
	}
	if rec.To != revision || rec.Content != Hash(sha256.Sum256(content)) {
		return nil, fmt.Errorf("%w: the stored policy %s is not what entry %s of the log has of it", ErrDamaged, revision, rec.ID)
	}
	return content, nil
}

// revisionHead is what stands under a revision.
type revisionHead struct {
	number  uint64  // of the activation that stored it
	content []byte  // where there are no pieces
	pieces  *pieces // of the content; nil: it stands there itself
}

// headOf returns what stands under a revision.
func headOf(r Reader, revision string) (h revisionHead, err error) {
	v, err := r.Get(bucketRevision, []byte(revision))
	if err != nil {
		return h, err
	}
	if v == nil {
		return h, fmt.Errorf("policy %s: %w", revision, ErrNotFound)
	}
	if rest, found := bytes.CutPrefix(v, []byte(revisionPieces)); found {
		d := decoder{b: rest}
		h.number = d.u64()
		p := d.pieces(revision)
		h.pieces = &p
		return h, d.done("the stored policy " + revision)
	}
	head := len(revisionMagic) + 8
	if len(v) < head || string(v[:len(revisionMagic)]) != revisionMagic {
		return h, fmt.Errorf("%w: the stored policy %s is of another format", ErrDamaged, revision)
	}
	h.content, h.number = v[head:], binary.BigEndian.Uint64(v[len(revisionMagic):])
	return h, nil
}

// storedRevision returns the content under a revision, and the number of the activation that stored it.
func storedRevision(r Reader, revision string) (content []byte, number uint64, err error) {
	h, err := headOf(r, revision)
	if err == nil && h.pieces != nil {
		h.content, err = h.pieces.read(r)
	}
	return h.content, h.number, err
}

// keepRevision stores a policy's content unless that revision is stored already, and returns the hash of what is stored. A revision is
// a hash over what a policy means, so that what was stored first stands for all that has the same one. in are the pieces in which it was
// stored before; nil: it is stored as a whole.
func (l *Ledger) keepRevision(tx Tx, c *Change, number uint64, in *pieces) (Hash, error) {
	stored, err := l.revision(tx, c.Revision)
	switch {
	case err == nil:
		return sha256.Sum256(stored), nil
	case !errors.Is(err, ErrNotFound):
		return Hash{}, err
	case in == nil:
		v := binary.BigEndian.AppendUint64([]byte(revisionMagic), number)
		return sha256.Sum256(c.Content), tx.Put(bucketRevision, []byte(c.Revision), append(v, c.Content...))
	}
	if err := in.complete(tx, c.Content); err != nil {
		return Hash{}, err
	}
	e := encoder{b: []byte(revisionPieces)}
	e.u64(number)
	in.encode(&e)
	return in.content, tx.Put(bucketRevision, []byte(c.Revision), e.b)
}
