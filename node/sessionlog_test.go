package node_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/node/asking"
)

// TestEachLineAboutASessionNamesIt: whoever looks for a session in the logs of its nodes finds all of it by one id, what the
// callback said included.
func TestEachLineAboutASessionNamesIt(t *testing.T) {
	t.Parallel()
	r := newAskers(t)
	down := func(context.Context, asking.Question) error { return errors.New("connection refused") }
	r.guard.mu.Lock()
	r.guard.report, r.guard.outcome = down, down
	r.guard.mu.Unlock()
	s := r.offer(r.signing())
	c := r.guard.next(t)
	c.progress(asking.Try{Server: "http://callback/v1/check", Number: 1, Err: errors.New("connection refused")})
	c.approve()
	r.mustBeSigned(t, s)
	r.a.log.await(t, "kind=report")
	r.a.log.await(t, "kind=outcome")

	r.do(func() { r.route = noEnvelopes })
	aborted := r.offer(r.signing())
	r.guard.next(t).approve()
	r.await("contributions", func() bool { return len(aborted.contributions) == 3 })
	r.end(aborted, "failed", "a party is away")
	for _, m := range []*member{r.a, r.b, r.c} {
		r.awaitReport(aborted, m.id)
	}

	rejected := r.offer(r.signing())
	r.guard.next(t).reject("no")
	r.awaitAnswer(rejected, r.a.id, linkv1.Answer_REJECTED)
	for _, m := range []*member{r.a, r.b, r.c} {
		must(t, m.node.Close())
	}

	whole := "session_id=" + s.id + " "
	for _, says := range []string{"request taken on", "callback gave no answer that counts", "callback answered", "session starts", "session completed",
		"outcome stored", "a report is not acknowledged yet"} {
		if !hasLine(r.a.log, says, whole) {
			t.Errorf("no line %q names session %s:\n%s", says, s.id, r.a.log.bytes())
		}
	}
	if !hasLine(r.a.log, "session aborted", "session_id="+aborted.id+" ") || !hasLine(r.a.log, "callback answered", "session_id="+rejected.id+" ") {
		t.Errorf("what became of the other sessions is not told:\n%s", r.a.log.bytes())
	}
	for _, m := range []*member{r.a, r.b, r.c} {
		for line := range strings.Lines(string(m.log.bytes())) {
			about := contains(line, "session") || contains(line, "sino_id=") || contains(line, "callback_id=")
			if about && strings.Count(line, " session_id=session-") != 1 {
				t.Errorf("a line about a session names none: %s", line)
			}
			if contains(line, "level=DEBUG-4") {
				t.Errorf("a frame is told at a level above trace: %s", line)
			}
		}
	}
}

// hasLine tells whether a line of a log has some texts in it.
func hasLine(log *logBuffer, texts ...string) bool {
	for line := range strings.Lines(string(log.bytes())) {
		all := true
		for _, text := range texts {
			all = all && contains(line, text)
		}
		if all {
			return true
		}
	}
	return false
}
