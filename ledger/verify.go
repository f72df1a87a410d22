package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/countersign-mpc/countersign/auditlog"
)

// Verify reads the whole log and everything that hangs on it, and reports each entry that was changed, is missing or
// stands in another's place; callback_ids that lost their record; entries that are not found by their callback_id or request_id, and
// keys that lead to another's; approvals and proposals with a vote that nobody signed, or
// without one that was cast; and what windows, reservations and bindings say that the entries do not. kept are checkpoints kept
// elsewhere (Checkpoint), out of which the log must have grown. Decisions go on meanwhile. The error is for what could not be read;
// damage is a problem of the report, and is one only if not even the log's size can be told.
func (l *Ledger) Verify(ctx context.Context, kept ...[]byte) (auditlog.Report, error) {
	v := verification{Ledger: l, unreadable: map[id]bool{}, named: map[string]bool{}, about: map[string]string{}, found: map[string]int{}}
	var err error
	if v.report, err = l.log.Verify(ctx, &v, kept...); err != nil {
		return v.report, fmt.Errorf("verify the log: %w", damaged(err))
	}
	for _, check := range []struct {
		of string
		do func(context.Context) error
	}{
		{"entries", v.records}, {"callback_ids", v.asks}, {"what entries are found by", v.indexes}, {"approvals", v.approvals},
		{"executions", v.executions}, {"attachments", v.attachments}, {"where older checks are counted", v.charged},
		{"the history of policies and proposals", v.policies}, {"reservations, bindings and windows", v.accounts},
	} {
		err := check.do(ctx)
		if errors.Is(err, ErrDamaged) { // of something that the check needs as a whole; the others may need it not
			v.report.Add("%v", err)
			v.report.Note("%s, or a part of them: what that needs cannot be read", check.of)
		} else if err != nil {
			return v.report, fmt.Errorf("verify the ledger: %w", err)
		}
	}
	return v.report, nil
}

// Inspection is what Inspect needs.
type Inspection struct {
	Store  Store
	Public string   // the log's public key, from a source that is trusted; "": the one that the store names
	Kept   [][]byte // checkpoints kept elsewhere, out of which the log must have grown
}

// Inspect verifies the ledger in a store as Verify does, without the key that signs the log, and writes nothing. It returns
// the public key too, that the log was verified under. A log that was begun with another key than Public is ErrDamaged.
func Inspect(ctx context.Context, i Inspection) (report auditlog.Report, public string, err error) {
	if i.Store == nil {
		return report, "", fmt.Errorf("%w inspection: a store is needed", ErrInvalid)
	}
	log, public, err := verifierOf(ctx, i.Store)
	switch {
	case err != nil:
		return report, public, fmt.Errorf("inspect the ledger: %w", err)
	case i.Public != "" && i.Public != public:
		return report, public, fmt.Errorf("inspect the ledger: %w: the log is under the key %s, and the one expected is %s", ErrDamaged, public, i.Public)
	}
	report, err = (&Ledger{store: i.Store, log: log}).Verify(ctx, i.Kept...)
	return report, public, err
}

// verification is one run of Verify. It gives the log what that verifies, and remembers what was named so that the same
// damage is reported once.
type verification struct {
	*Ledger
	report     auditlog.Report
	unreadable map[id]bool       // entries of the log that are missing or cannot be read
	named      map[string]bool   // buckets of which a value that cannot be read has been named, by the entry it belongs to or as their first
	about      map[string]string // of a bucket: what is known of a value in it that cannot be read
	found      map[string]int    // of a bucket by whose keys entries are found: of how many entries it was seen
}

// View implements auditlog.Source.
func (v *verification) View(ctx context.Context, fn func(Reader) error) error { return v.view(ctx, fn) }

// view is the ledger's over a logReader.
func (v *verification) view(ctx context.Context, fn func(Reader) error) error {
	return v.Ledger.view(ctx, func(r Reader) error { return fn(logReader{r}) })
}

// logReader makes a value that the store finds altered a damage of the log too, so that the log names its hashes as those that cannot be
// read, and goes on behind them.
type logReader struct{ Reader }

func (r logReader) Get(bucket string, key []byte) ([]byte, error) {
	v, err := r.Reader.Get(bucket, key)
	return v, logDamaged(err)
}

func (r logReader) Scan(bucket string, from, to []byte, reverse bool, fn func(key, value []byte) (bool, error)) error {
	return logDamaged(r.Reader.Scan(bucket, from, to, reverse, fn))
}

func logDamaged(err error) error {
	if errors.Is(err, ErrDamaged) && !errors.Is(err, auditlog.ErrDamaged) {
		return logDamage{err}
	}
	return err
}

// logDamage is a store's error over a damaged value, in its own words.
type logDamage struct{ error }

func (e logDamage) Unwrap() []error { return []error{auditlog.ErrDamaged, e.error} }

// Entry returns the bytes under ref as they are, also if they are not an entry.
func (v *verification) Entry(r Reader, ref []byte) ([]byte, error) {
	if len(ref) != len(id{}) {
		return nil, fmt.Errorf("%w: it refers to nothing", auditlog.ErrDamaged)
	}
	_, data, err := getRecord(r, id(ref))
	switch {
	case err == nil:
		return data, nil
	case errors.Is(err, ErrExpired):
		return nil, auditlog.ErrRemoved
	case errors.Is(err, ErrNotFound):
		v.unreadable[id(ref)] = true
		return nil, fmt.Errorf("%w: it is missing", auditlog.ErrDamaged)
	case errors.Is(err, ErrDamaged):
		v.unreadable[id(ref)], v.named[bucketRecord] = true, true
		return nil, fmt.Errorf("%w: %w", auditlog.ErrDamaged, err)
	}
	return nil, err
}

// Check looks whether the entry stands where its id and its callback_id lead to, and whether a vote is counted.
func (v *verification) Check(r Reader, index int64, data []byte) error {
	e, err := ParseEntry(data)
	if err != nil {
		return fmt.Errorf("%w: %w", auditlog.ErrDamaged, err)
	}
	name, err := parseID(e.ID())
	if err != nil {
		return fmt.Errorf("%w: %w", auditlog.ErrDamaged, err)
	}
	at, _, err := getRecord(r, name)
	if err != nil || at != index {
		return fmt.Errorf("%w: its id %s does not lead to it", auditlog.ErrDamaged, name)
	}
	switch {
	case e.Vote != nil:
		return v.voted(r, e.Vote)
	case e.PolicyVote != nil:
		return v.votedOnProposal(r, e.PolicyVote)
	case e.Decision == nil:
		return nil
	}
	ask := e.Decision.Ask.name()
	k, ok, err := getKnown(r, ask[:])
	if err != nil && !errors.Is(err, ErrDamaged) {
		return err
	}
	if err != nil {
		v.named[bucketAsk] = true
	}
	if err != nil || !ok || k.record != name || k.body != e.Decision.Ask.BodyHash || k.action != e.Decision.Action {
		return fmt.Errorf("%w: its callback_id does not lead to it", auditlog.ErrDamaged)
	}
	if err := v.foundBy(r, e.Decision, index); err != nil || e.Decision.Attachment == nil {
		return err
	}
	_, err = attachmentOf(r, e.Decision, index)
	if errors.Is(err, ErrDamaged) {
		v.named[bucketAttachment] = true
		return fmt.Errorf("%w: %w", auditlog.ErrDamaged, err)
	}
	return err
}

// voted looks whether a vote is counted in its approval: one that was lost would let pass what it has rejected. An approval that
// cannot be read is reported by itself.
func (v *verification) voted(r Reader, rec *VoteRecord) error {
	name, err := parseID(rec.Approval)
	if err != nil {
		return fmt.Errorf("%w: %w", auditlog.ErrDamaged, err)
	}
	a, err := getApproval(r, name)
	switch {
	case errors.Is(err, ErrNotFound):
		return fmt.Errorf("%w: its approval %s is missing", auditlog.ErrDamaged, name)
	case errors.Is(err, ErrDamaged):
		return nil
	case err == nil && !slices.ContainsFunc(a.Votes, rec.Vote.equal):
		return fmt.Errorf("%w: it is not counted in its approval %s", auditlog.ErrDamaged, name)
	}
	return err
}

// votedOnProposal is voted for a proposal, unless that was forgotten.
func (v *verification) votedOnProposal(r Reader, rec *PolicyVoteRecord) error {
	name, err := parseID(rec.Proposal)
	if err != nil {
		return fmt.Errorf("%w: %w", auditlog.ErrDamaged, err)
	}
	p, err := v.getProposal(r, name)
	switch {
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrDamaged):
		return nil
	case err == nil && !slices.ContainsFunc(p.Votes, rec.Vote.equal):
		return fmt.Errorf("%w: it is not counted in its proposal %s", auditlog.ErrDamaged, name)
	}
	return err
}

// sweep calls fn with every key and value of a bucket, a chunk per transaction. A value that the store finds altered is
// reported unless it was named already, and ends it, of which there is a note.
func (v *verification) sweep(ctx context.Context, bucket string, fn func(r Reader, key, value []byte) error) error {
	const chunk = 512
	var from []byte
	for done := false; !done; {
		err := v.view(ctx, func(r Reader) error {
			n := 0
			done = true
			return r.Scan(bucket, from, nil, false, func(key, value []byte) (bool, error) {
				if n++; n > chunk {
					from, done = bytes.Clone(key), false
					return false, ctx.Err()
				}
				return true, fn(r, key, value)
			})
		})
		if errors.Is(err, ErrDamaged) {
			v.unswept(bucket, err)
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// unswept reports what ended a sweep, once for each bucket.
func (v *verification) unswept(bucket string, err error) {
	if !v.named[bucket] {
		text := fmt.Sprintf("%s: %v", bucket, err)
		if about := v.about[bucket]; about != "" {
			text += ": " + about
		}
		v.report.Add("%s", text)
	}
	v.named[bucket] = true
	note := fmt.Sprintf("what else is stored in %s, behind a value that cannot be read", bucket)
	if !slices.Contains(v.report.Notes, note) {
		v.report.Note("%s", note)
	}
}

// records looks for entries that the log does not have.
func (v *verification) records(ctx context.Context) error {
	return v.sweep(ctx, bucketRecord, func(r Reader, key, _ []byte) error {
		if len(key) != len(id{}) {
			return fmt.Errorf("%w: an entry is stored under a key that is none", ErrDamaged)
		}
		if v.unreadable[id(key)] {
			return nil
		}
		index, _, err := getRecord(r, id(key))
		if err != nil && !errors.Is(err, ErrExpired) {
			return err
		}
		ref, _, err := v.log.Ref(r, index)
		if errors.Is(err, auditlog.ErrDamaged) && index >= 0 && index < v.report.Size {
			return nil // the hashes of that entry cannot be read, which has been reported
		}
		if err != nil && !errors.Is(err, auditlog.ErrDamaged) {
			return err
		}
		if err != nil || !bytes.Equal(ref, key) {
			v.report.Add("entry %s is stored and not in the log", id(key))
		}
		return nil
	})
}

// asks looks for callback_ids that lead nowhere: their asks would get no reply.
func (v *verification) asks(ctx context.Context) error {
	return v.sweep(ctx, bucketAsk, func(r Reader, key, _ []byte) error {
		if len(key) != len(Hash{}) {
			return fmt.Errorf("%w: a callback_id is stored under a key that is none", ErrDamaged)
		}
		k, _, err := getKnown(r, key)
		if err != nil {
			return err
		}
		if v.unreadable[k.record] {
			return nil
		}
		if _, _, err := getRecord(r, k.record); err != nil && !errors.Is(err, ErrExpired) {
			if !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrDamaged) {
				return err
			}
			v.report.Add("a callback_id leads to entry %s, which is missing or not readable", k.record)
		}
		return nil
	})
}

// attachments looks for what is kept beside entries that do not name it.
func (v *verification) attachments(ctx context.Context) error {
	return v.sweep(ctx, bucketAttachment, func(r Reader, key, _ []byte) error {
		index, err := attachmentIndex(key)
		if err != nil {
			return err
		}
		ref, _, err := v.log.Ref(r, index)
		if err != nil && !errors.Is(err, auditlog.ErrDamaged) {
			return err
		}
		if err == nil && len(ref) == len(id{}) && v.unreadable[id(ref)] {
			return nil
		}
		rec, err := v.decisionAt(r, index)
		if err != nil && !errors.Is(err, ErrDamaged) {
			return err
		}
		if err != nil || rec == nil || rec.Attachment == nil {
			v.report.Add("an attachment is stored beside entry %d, which names none", index)
		}
		return nil
	})
}

// approvals checks every approval with all its signatures, and that its execution leads to it.
func (v *verification) approvals(ctx context.Context) error {
	return v.sweep(ctx, bucketApproval, func(r Reader, key, value []byte) error {
		a, err := parseApproval(value)
		if err != nil {
			v.report.Add("%v", err)
			return nil
		}
		if a.ID != fmt.Sprintf("%x", key) {
			v.report.Add("approval %s is stored under another id", a.ID)
			return nil
		}
		execution := a.execution()
		found := false
		err = r.Scan(bucketExecution, append(execution[:], key...), nil, false, func(k, _ []byte) (bool, error) {
			found = bytes.Equal(k, append(execution[:], key...))
			return false, nil
		})
		if err == nil && !found {
			v.report.Add("approval %s is not found by its execution", a.ID)
		}
		return err
	})
}
