package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/countersign-mpc/countersign/internal/secret"
	"github.com/countersign-mpc/countersign/keystore"
	"github.com/countersign-mpc/countersign/keystore/segment"
)

// EntryTimeout is how long the segments that were entered, or the present password that was right, are kept for what is
// still missing.
const EntryTimeout = 10 * time.Minute

// Entry is what a password or a segment is entered for, named as the guide names the call.
type Entry string

// What is entered.
const (
	EntryInit   Entry = "init"         // a first password
	EntryUnseal Entry = "in-bkey"      // the present one
	EntryReset  Entry = "re-bkey-init" // the present one, before a change
	EntryChange Entry = "re-bkey"      // the new one
)

// Progress says how far t segments have been entered.
type Progress struct {
	Call    Entry `json:"call"`
	Entered []int `json:"entered"` // numbers of the segments
	Needed  int   `json:"needed"`
}

// entering is what was entered of something that is not complete. It does not survive a restart.
type entering struct {
	call     Entry
	segments *segment.Collection
	change   *keystore.Change // the present password was right: a new one is awaited
	promise  *promise         // which one; nil: any
	until    time.Time        // when all this is forgotten
	timer    *time.Timer
}

// Enter takes a password, or one segment, for init, unseal, reset or change, and does that once all t segments are there.
// The result is an Identity for init, else a line of text, which says how many segments are still missing. A refused segment
// is named by its number and changes nothing. The caller wipes text.
func (n *Node) Enter(ctx context.Context, call Entry, text secret.Bytes) (any, error) {
	return n.EnterWith(ctx, call, text, secret.Bytes{})
}

// EnterWith is Enter where reset also brings the new password, if next is not empty: the change then takes no other. Between reset
// and the change nobody else can put a password of their own in its place. The caller wipes next.
func (n *Node) EnterWith(ctx context.Context, call Entry, text, next secret.Bytes) (any, error) {
	n.entryMu.Lock()
	defer n.entryMu.Unlock()
	defer n.noteEntry()
	n.expireEntry()
	if err := n.mayEnter(call); err != nil {
		return nil, err
	}
	set, err := n.setFor(call)
	if err != nil {
		return nil, err
	}
	if next.Len() > 0 {
		if call != EntryReset || set != nil {
			return nil, errors.New("a new password comes with re-bkey-init of one password, and with nothing else")
		}
		if err := keystore.CheckPassword(next); err != nil {
			return nil, err
		}
	}
	if set == nil {
		if call == EntryChange {
			if err := n.entry.promise.kept(text); err != nil {
				return nil, err
			}
		}
		data, err := n.perform(ctx, call, keystore.Password(text))
		if err == nil && next.Len() > 0 {
			n.entry.promise = newPromise(next)
		}
		return data, err
	}
	if call == EntryChange && n.entry.promise != nil {
		return nil, errOtherPassword
	}
	e := &n.entry
	if e.segments != nil && e.call != call {
		return nil, fmt.Errorf("%s has %d of %d segments: go on with it, or cancel it", e.call, len(e.segments.Numbers()), e.segments.Manifest().T)
	}
	if e.segments == nil || !e.segments.Manifest().Equal(set) {
		n.dropSegments()
		e.call, e.segments = call, segment.Collect(set)
	}
	if err := e.segments.Add(text); err != nil {
		if len(e.segments.Numbers()) == 0 {
			n.dropSegments()
		}
		return nil, err
	}
	n.keepEntry()
	if !e.segments.Complete() {
		return fmt.Sprintf("%s: %d of %d segments entered", call, len(e.segments.Numbers()), set.T), nil
	}
	n.noteEntry()
	defer n.dropSegments()
	credential, err := keystore.Segments(e.segments)
	if err != nil {
		return nil, err
	}
	defer credential.Wipe()
	return n.perform(ctx, call, credential)
}

// segmentsText describes a set.
func segmentsText(set *segment.Manifest) string {
	return fmt.Sprintf("%d of %d, set %x", set.T, set.N, set.ID)
}

// mayEnter refuses what the state of the node does not allow before anybody has entered t segments for nothing.
func (n *Node) mayEnter(call Entry) error {
	n.mu.Lock()
	closed := n.closed
	n.mu.Unlock()
	if closed {
		return errClosing
	}
	switch state := n.cfg.Store.State(); {
	case call == EntryInit && state != keystore.Uninitialised:
		return keystore.ErrInitialised
	case call != EntryInit && state == keystore.Uninitialised:
		return keystore.ErrUninitialised
	case call == EntryUnseal && state == keystore.Unsealed:
		return keystore.ErrUnsealed
	case (call == EntryReset || call == EntryChange) && state == keystore.Sealed:
		return keystore.ErrSealed
	case call == EntryChange && n.entry.change == nil:
		return errors.New("the present password was not given, or more than ten minutes ago: run reset first, then cmreset")
	}
	return nil
}

// setFor returns the set whose segments a call takes; nil if it takes a password.
func (n *Node) setFor(call Entry) (*segment.Manifest, error) {
	if call == EntryUnseal || call == EntryReset {
		return n.cfg.Store.SegmentSet()
	}
	if n.cfg.Segments == nil {
		return nil, nil
	}
	return n.cfg.Segments()
}

// perform does what was entered for. The caller holds entryMu.
func (n *Node) perform(ctx context.Context, call Entry, credential keystore.Credential) (any, error) {
	defer n.do(string(call))()
	switch call {
	case EntryInit:
		return n.initWith(ctx, credential)
	case EntryUnseal:
		return "in-bkey success", n.unsealWith(ctx, credential)
	case EntryReset:
		change, err := n.cfg.Store.BeginChange(ctx, credential)
		if err != nil {
			return nil, err
		}
		n.dropChange()
		n.entry.change = change
		n.keepEntry()
		return "re-bkey-init success", nil
	case EntryChange:
		err := n.entry.change.Commit(ctx, credential)
		if errors.Is(err, keystore.ErrWeakPassword) {
			return nil, err
		}
		n.dropChange()
		if err == nil || errors.Is(err, keystore.ErrUnscrubbed) {
			n.cfg.Log.Info("password changed")
		}
		if err != nil {
			return nil, err
		}
		return "re-bkey success", nil
	}
	return nil, fmt.Errorf("nothing is entered for %q", call)
}

// CancelEntry forgets the segments that were entered and ends a change of the password that has begun.
func (n *Node) CancelEntry() {
	n.entryMu.Lock()
	defer n.entryMu.Unlock()
	n.dropEntry()
	n.noteEntry()
}

// keepEntry gives what is missing another while.
func (n *Node) keepEntry() {
	e := &n.entry
	if e.timer != nil {
		e.timer.Stop()
	}
	e.until = n.cfg.Clock().Add(EntryTimeout)
	e.timer = time.AfterFunc(EntryTimeout+time.Second, func() {
		n.entryMu.Lock()
		defer n.entryMu.Unlock()
		n.expireEntry()
		n.noteEntry()
	})
}

func (n *Node) expireEntry() {
	if !n.entry.until.IsZero() && !n.cfg.Clock().Before(n.entry.until) {
		n.cfg.Log.Warn("what was entered is forgotten: it was not completed in time", "timeout", EntryTimeout)
		n.dropEntry()
	}
}

func (n *Node) dropEntry() {
	n.dropSegments()
	n.dropChange()
	if n.entry.timer != nil {
		n.entry.timer.Stop()
	}
	n.entry = entering{}
}

func (n *Node) dropSegments() {
	if n.entry.segments != nil {
		n.entry.segments.Wipe()
		n.entry.segments, n.entry.call = nil, ""
	}
	if n.entry.change == nil {
		n.entry.until = time.Time{}
	}
}

func (n *Node) dropChange() {
	if n.entry.change != nil {
		n.entry.change.Cancel()
		n.entry.change, n.entry.promise = nil, nil
	}
	if n.entry.segments == nil {
		n.entry.until = time.Time{}
	}
}
