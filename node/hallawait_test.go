package node_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/wire"
)

// await waits until something holds; ok is called with mu held, after every frame that comes.
func (h *hall) await(what string, ok func() bool) {
	h.t.Helper()
	late := false
	timer := time.AfterFunc(patience, func() {
		h.mu.Lock()
		late = true
		h.cond.Broadcast()
		h.mu.Unlock()
	})
	defer timer.Stop()
	h.mu.Lock()
	defer h.mu.Unlock()
	for !ok() {
		if late {
			h.t.Fatalf("this did not happen: %s; the last frames were\n%s", what, h.tail())
		}
		h.cond.Wait()
	}
}

// tail is the end of the log, for people.
func (h *hall) tail() string {
	var out strings.Builder
	for _, e := range h.log[max(0, len(h.log)-12):] {
		fmt.Fprintf(&out, "  %s: %.300s\n", e.from.Short(), fmt.Sprint(e.frame))
	}
	return out.String()
}

// awaitAnswer waits until a node's latest answer in a session is of a state.
func (h *hall) awaitAnswer(s *session, from wire.NodeID, state linkv1.Answer_State) *linkv1.Answer {
	h.t.Helper()
	var out *linkv1.Answer
	h.await(fmt.Sprintf("answer %s in %s", state, s.id), func() bool {
		out = s.answers[from]
		return out.GetState() == state
	})
	return out
}

// awaitReport waits until a node has reported how a session ended.
func (h *hall) awaitReport(s *session, from wire.NodeID) *linkv1.Report {
	h.t.Helper()
	var out *linkv1.Report
	h.await("report of "+s.id, func() bool {
		out = s.reports[from]
		return out != nil
	})
	return out
}

// settle waits until a node has dealt with every frame sent to it so far, and what it answered has arrived. What its
// goroutines do by themselves may still come.
func (h *hall) settle(id wire.NodeID) {
	h.t.Helper()
	for range 2 { // an acknowledgement may overtake an answer, but not the answer before it
		h.mu.Lock()
		s := h.ports[id].(*socket)
		seq := s.number(&linkv1.Frame{Body: &linkv1.Frame_End{End: &linkv1.End{SessionId: "none"}}})
		h.mu.Unlock()
		h.await("acknowledgement", func() bool { return s.acked >= seq || h.ports[id] != s })
	}
}

// count tells how many frames of a kind came from a node.
func (h *hall) count(from wire.NodeID, kind func(*linkv1.Frame) bool) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, e := range h.log {
		if e.from == from && kind(e.frame) {
			n++
		}
	}
	return n
}

// mustBeSilent fails if a node has taken part in a session: joined, contributed or sent a protocol message.
func (h *hall) mustBeSilent(s *session, from wire.NodeID) {
	h.t.Helper()
	h.settle(from)
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.log {
		ids := []string{e.frame.GetJoin().GetSessionId(), e.frame.GetContribution().GetSessionId(), e.frame.GetEnvelope().GetSessionId()}
		if e.from == from && slices.Contains(ids, s.id) {
			h.t.Fatalf("the node took part: %v", e.frame)
		}
	}
}
