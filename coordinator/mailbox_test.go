package coordinator_test

import (
	"context"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/countersign-mpc/countersign/bolt/coordstore/coordtest"
	"github.com/countersign-mpc/countersign/coordinator"
)

// A node that takes nothing costs a bounded mailbox, then its session; other nodes' sessions go on.
func TestMailboxIsBounded(t *testing.T) {
	for name, c := range map[string]struct {
		limits coordinator.Limits
		size   int
		fits   int
	}{
		"frames": {coordinator.Limits{MailboxFrames: 64}, 1, 63}, // beside one contribution
		"bytes":  {coordinator.Limits{MailboxBytes: 4 << 20}, 256 << 10, 15},
	} {
		t.Run(name, func(t *testing.T) {
			w := coordtest.NewWorld(t, 3, c.limits)
			key := w.Key(2)
			order := func(id string, signers ...string) string {
				o := coordtest.SignOrder(key.ID, "", id, id)
				for _, s := range signers {
					o.Participants = append(o.Participants, coordinator.Participant{Party: s})
				}
				sino := w.Submit(o).Request.SinoID
				w.Run(sino)
				return sino
			}
			slow, other := order("slow", "a", "b"), order("other", "a", "c")
			w.Drain()
			session := w.Last(slow).ID
			sealed := strings.Repeat("x", c.size)
			for seq := range uint64(c.fits) {
				w.Lives[0].Must(coordtest.Envelope(session, 1, 2, seq, sealed))
			}
			expect(t, "full", w.Last(slow).State, coordinator.StateInProgress)
			for seq := uint64(c.fits); w.Last(slow).State == coordinator.StateInProgress && seq < uint64(c.fits)+2; seq++ {
				w.Lives[0].Must(coordtest.Envelope(session, 1, 2, seq, sealed))
			}
			sess := w.Last(slow)
			expect(t, "over", sess.State, coordinator.StateFailed)
			expect(t, "cause", []any{sess.Failure.Cause, sess.Failure.Party}, []any{coordinator.CauseMailbox, ""})
			w.Lives[0].Must(coordtest.Envelope(w.Last(other).ID, 1, 3, 0, "x"))
			expect(t, "other session", w.Last(other).State, coordinator.StateInProgress)
			expect(t, "mail of b", kinds(w.Lives[1].Receive()), "end:failed") // what it had is gone: there is room again
			w.Lives[1].Ack()
			order("again", "a", "b")
		})
	}
}

// A party that sends more than any protocol has ends its session, before it fills another's mailbox, and is named.
func TestMessagesOfOnePartyAreBounded(t *testing.T) {
	w := coordtest.NewWorld(t, 2, coordinator.Limits{})
	id := w.Submit(coordtest.SignOrder(w.Key(2).ID, "", "flood", "flood")).Request.SinoID
	w.Run(id)
	session := w.Last(id).ID
	const most = 128
	for seq := range uint64(most) {
		w.Lives[0].Must(coordtest.Envelope(session, 1, 2, seq, "x"))
	}
	expect(t, "within the bound", w.Last(id).State, coordinator.StateInProgress)
	w.Lives[0].Must(coordtest.Envelope(session, 1, 2, most, "x"))
	sess := w.Last(id)
	expect(t, "beyond it", []any{sess.State, sess.Failure.Cause, sess.Failure.Party}, []any{coordinator.StateFailed, coordinator.CauseAbort, "a"})
}

// Waiting for a change: at once where there is one already, when it comes, or when the context ends.
func TestWait(t *testing.T) {
	w := coordtest.NewWorld(t, 2, coordinator.Limits{})
	st := w.Submit(w.KeygenOrder(2, ""))
	id, seen := st.Request.SinoID, st.Request.Revision
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	now := must(w.C.Wait(ended, coordtest.Account, id, seen))(t)
	expect(t, "no time to wait", now.Request.Revision, seen)
	now = must(w.C.Wait(t.Context(), coordtest.Account, id, seen-1))(t)
	expect(t, "changed before", now.Request.Revision, seen)

	var group sync.WaitGroup
	for _, since := range []uint64{seen, coordinator.UntilFinal} {
		group.Go(func() {
			got, err := w.C.Wait(context.Background(), coordtest.Account, id, since)
			if err != nil || got.Request.Revision <= seen || (since == coordinator.UntilFinal && !got.Request.State.Final()) {
				t.Errorf("waiting since %d gave revision %d, state %s, %v", since, got.Request.Revision, got.Request.State, err)
			}
		})
	}
	w.Lives[0].Must(coordtest.Answer(st.Sessions[0].ID, waiting, "approvers"))
	w.Lives[0].Must(coordtest.Answer(st.Sessions[0].ID, rejected, "no"))
	group.Wait()
	now = must(w.C.Wait(t.Context(), coordtest.Account, id, math.MaxUint64))(t)
	expect(t, "over", now.Request.State, coordinator.StateFailed)
	_, err := w.C.Wait(t.Context(), coordtest.Account, "none", 0)
	expect(t, "unknown", coordtest.CodeOf(err), coordinator.CodeNotFound)
}

func TestWaitersAreBounded(t *testing.T) {
	w := coordtest.NewWorld(t, 2, coordinator.Limits{Waiters: 1})
	st := w.Submit(w.KeygenOrder(2, ""))
	wait := func() {
		_, _ = w.C.Wait(context.Background(), coordtest.Account, st.Request.SinoID, coordinator.UntilFinal)
	}
	first := make(chan struct{})
	second := make(chan struct{})
	go func() { wait(); close(first) }()
	go func() { wait(); close(second) }()
	select { // one of them finds no room and returns at once
	case <-first:
		first = nil
	case <-second:
		second = nil
	}
	w.Lives[0].Must(coordtest.Answer(st.Sessions[0].ID, rejected, "no"))
	if first != nil {
		<-first
	} else {
		<-second
	}
}

func TestLimits(t *testing.T) {
	for name, l := range map[string]coordinator.Limits{
		"long life": {RequestLife: 25 * 3600e9}, "short life": {RequestLife: 1e9}, "long session": {SessionTime: 2 * 3600e9},
		"negative delay": {RetryDelay: -1}, "many sessions": {MaxSessions: 101}, "small mailbox": {MailboxBytes: 1}, "negative": {OpenRequests: -1},
	} {
		if l.Validate() == nil {
			t.Errorf("%s: %+v is taken", name, l)
		}
	}
	if err := (coordinator.Limits{}).Validate(); err != nil {
		t.Error(err)
	}
	if _, err := coordinator.New(coordinator.Config{}); err == nil {
		t.Error("a coordinator without a store is made")
	}
}
