package ledger

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/countersign-mpc/countersign/wire"
)

// Decision returns a decision by its id, or ErrNotFound, or ErrExpired if retention has removed it.
func (l *Ledger) Decision(ctx context.Context, decision string) (Record, error) {
	name, err := parseID(decision)
	if err != nil {
		return Record{}, fmt.Errorf("read a decision: %w", err)
	}
	var out Record
	err = l.view(ctx, func(r Reader) error {
		_, e, err := getEntry(r, name)
		if err != nil {
			return err
		}
		if e.Decision == nil {
			return fmt.Errorf("%s is no decision: %w", name, ErrNotFound)
		}
		out = *e.Decision
		return nil
	})
	return out, err
}

// ApprovedCheck returns the decision about the /check request of this node and callback_id, and whether it was Approve.
// The caller compares what it was about. ErrExpired if it was approved and its record is no longer kept.
func (l *Ledger) ApprovedCheck(ctx context.Context, node, callbackID string) (Record, bool, error) {
	var out Record
	var approved bool
	err := l.view(ctx, func(r Reader) error {
		out, approved = Record{}, false
		name := askName(node, wire.PathCheck, callbackID, false)
		k, ok, err := getKnown(r, name[:])
		if err != nil || !ok || k.action != wire.Approve {
			return err
		}
		rec, err := k.decision(r, name)
		if err != nil {
			return err
		}
		out, approved = *rec, true
		return nil
	})
	if err != nil {
		return Record{}, false, fmt.Errorf("look for the check %s: %w", callbackID, err)
	}
	return out, approved, nil
}

// Filter selects decisions; an empty one selects all, and of the two ids the first that is set counts.
type Filter struct {
	CallbackID string
	RequestID  string
	Attached   bool // only those with an attachment
}

// Page is a part of a list, newest first.
type Page struct {
	Decisions []Record `json:"decisions"`
	Next      string   `json:"next,omitempty"` // cursor of the next page; "" at the end
}

// DefaultPage and MaxPage are how many decisions a page has, maxScan how many entries are looked at for one.
const (
	DefaultPage = 100
	MaxPage     = 1000
	maxScan     = 20000
)

// Decisions lists decisions, newest first, at most limit (up to MaxPage; 0: DefaultPage), from the cursor of the page
// before, or "". A page may be short or empty although there is a next one.
func (l *Ledger) Decisions(ctx context.Context, f Filter, limit int, cursor string) (Page, error) {
	if limit == 0 {
		limit = DefaultPage
	}
	if limit < 0 || limit > MaxPage {
		return Page{}, fmt.Errorf("list decisions: %w limit: want 1 to %d", ErrInvalid, MaxPage)
	}
	before := int64(math.MaxInt64)
	if cursor != "" {
		n, err := strconv.ParseInt(cursor, 10, 64)
		if err != nil || n < 0 {
			return Page{}, fmt.Errorf("list decisions: %w cursor: give that of the page before", ErrInvalid)
		}
		before = n
	}
	var page Page
	err := l.view(ctx, func(r Reader) error {
		page = Page{}
		return l.list(r, f, before, func(index int64, scanned int) (bool, error) {
			rec, err := l.decisionAt(r, index)
			if err != nil {
				return false, err
			}
			if rec != nil && (!f.Attached || rec.Attachment != nil) {
				page.Decisions = append(page.Decisions, *rec)
			}
			if len(page.Decisions) == limit || scanned == maxScan {
				page.Next = strconv.FormatInt(index, 10)
				return false, nil
			}
			return true, nil
		})
	})
	if err != nil {
		return Page{}, fmt.Errorf("list decisions: %w", err)
	}
	return page, nil
}

// list calls fn with the indexes of the entries that the filter selects, newest first, and how many that makes so far.
func (l *Ledger) list(r Reader, f Filter, before int64, fn func(index int64, scanned int) (bool, error)) error {
	bucket, text := bucketCallback, f.CallbackID
	if text == "" {
		bucket, text = bucketRequest, f.RequestID
	}
	if text == "" && f.Attached {
		return listAttached(r, before, fn)
	}
	if text == "" {
		return l.listAll(r, before, fn)
	}
	scanned := 0
	return r.Scan(bucket, indexKey(text, 0), indexKey(text, before), true, func(key, _ []byte) (bool, error) {
		index, err := indexOf(key)
		if err != nil {
			return false, err
		}
		scanned++
		return fn(index, scanned)
	})
}

func (l *Ledger) listAll(r Reader, before int64, fn func(index int64, scanned int) (bool, error)) error {
	size, err := l.log.Size(r)
	if err != nil {
		return err
	}
	floor, _, err := getMetaUint(r, metaFloor)
	if err != nil {
		return err
	}
	for i := min(before, size) - 1; i >= int64(floor); i-- {
		if more, err := fn(i, int(min(before, size)-i)); err != nil || !more {
			return err
		}
	}
	return nil
}

// decisionAt returns the decision at an index of the log, nil if what is there is none or has been removed.
func (l *Ledger) decisionAt(r Reader, index int64) (*Record, error) {
	ref, _, err := l.log.Ref(r, index)
	if err != nil {
		return nil, err
	}
	if len(ref) != len(id{}) {
		return nil, fmt.Errorf("%w: entry %d refers to nothing", ErrDamaged, index)
	}
	_, e, err := getEntry(r, id(ref))
	if errors.Is(err, ErrExpired) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return e.Decision, nil
}

// Approval returns an approval by its id, or ErrNotFound.
func (l *Ledger) Approval(ctx context.Context, approval string) (Approval, error) {
	name, err := parseID(approval)
	if err != nil {
		return Approval{}, fmt.Errorf("read an approval: %w", err)
	}
	var out Approval
	err = l.view(ctx, func(r Reader) error {
		a, err := getApproval(r, name)
		if err != nil {
			return err
		}
		now, err := l.now(r)
		if err != nil {
			return err
		}
		a.State = a.stateAt(now)
		out = *a
		return nil
	})
	return out, err
}

// Approvals lists the approvals that are pending, newest first, at most MaxPage; with all set those of every state.
func (l *Ledger) Approvals(ctx context.Context, all bool) ([]Approval, error) {
	var out []Approval
	err := l.view(ctx, func(r Reader) error {
		out = nil
		now, err := l.now(r)
		if err != nil {
			return err
		}
		var from []byte // pending ones are not older than the longest lifetime, as ids begin with the time
		if oldest := newID(now.Add(-MaxLifetime - time.Second)); !all {
			from = oldest[:6]
		}
		return r.Scan(bucketApproval, from, nil, true, func(_, value []byte) (bool, error) {
			a, err := parseApproval(value)
			if err != nil {
				return false, err
			}
			if a.State = a.stateAt(now); all || a.State == ApprovalPending {
				out = append(out, *a)
			}
			return len(out) < MaxPage, nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("list approvals: %w", err)
	}
	return out, nil
}

// Summary is the state of the ledger for metrics and health.
type Summary struct {
	LogSize      int64     // entries
	Checkpointed int64     // entries below the newest checkpoint
	Pending      int       // approvals, at most MaxPage
	ClockJumped  bool      // nothing is approved at present
	LastRecord   time.Time // of the last entry; zero if there is none
}

// Summary reads it.
func (l *Ledger) Summary(ctx context.Context) (Summary, error) {
	if err := l.grown.fault(); err != nil {
		return Summary{}, fmt.Errorf("summarise the ledger: %w", err)
	}
	pending, err := l.Approvals(ctx, false)
	if err != nil {
		return Summary{}, fmt.Errorf("summarise the ledger: %w", err)
	}
	s := Summary{Pending: len(pending), ClockJumped: l.keeper.jumped()}
	seen := l.grown.size.Load() // before the view, which does not show what is recorded meanwhile
	err = l.view(ctx, func(r Reader) error {
		if s.LogSize, err = l.log.Size(r); err != nil {
			return err
		}
		if s.LogSize < seen {
			return l.grown.lost(s.LogSize)
		}
		if _, s.Checkpointed, err = l.log.LatestCheckpoint(r); err != nil {
			return err
		}
		s.LastRecord, err = recordedTime(r)
		return err
	})
	if err != nil {
		return Summary{}, fmt.Errorf("summarise the ledger: %w", err)
	}
	return s, nil
}
