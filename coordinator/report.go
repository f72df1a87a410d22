package coordinator

import (
	"fmt"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/wire"
)

// report takes a party's signed word about how a session ended there. A result counts only if all parties report the same
// one and, for a signature, if it verifies here or is encrypted for the recipient that alone may know it.
func (p *Peer) report(s *step, f *linkv1.Report) error {
	r, m, err := p.seat(s, f.SessionId)
	if err != nil || r == nil {
		return err
	}
	report, err := reportOf(f)
	if err != nil {
		return err
	}
	if err := report.Verify(p.node); err != nil {
		return refuse(CodeViolation, "%v", err)
	}
	if !r.sess.State.Final() && !r.sess.begun() {
		return refuse(CodeViolation, "a report for session %s, which has not begun", r.sess.ID)
	}
	if !f.Completed && (len(f.Result) != 0 || f.Released || f.Encrypted) {
		return refuse(CodeViolation, "a report of session %s says that it failed, and has a result", r.sess.ID)
	}
	if !f.Completed {
		return p.failedReport(s, r, m, f)
	}
	return p.completedReport(s, r, m, f)
}

func (p *Peer) failedReport(s *step, r *run, m *Member, f *linkv1.Report) (err error) {
	if r.sess.State.Final() {
		if m.Report == nil { // it knows that the session is over
			return p.taken(s, Receipt{Session: r.sess.ID})
		}
		return nil
	}
	if m.Report != nil {
		return nil // it has reported a result before: that stands
	}
	if m.Report, err = stored(f); err != nil {
		return err
	}
	m.State = MemberFailed
	failure := Failure{Cause: CauseAbort, Party: m.Name, retry: f.Culprit == 0,
		Message: "party " + m.Name + " reports: " + clip(f.Reason, maxReason)}
	if culprit := r.sess.memberAt(f.Culprit); culprit != nil {
		failure.Message += " (it names party " + culprit.Name + ")"
	}
	return s.fail(r, failure)
}

func (p *Peer) completedReport(s *step, r *run, m *Member, f *linkv1.Report) error {
	if m.Contribution == nil {
		return refuse(CodeViolation, "party %d reports a result of session %s, to which it has not contributed", m.Index, r.sess.ID)
	}
	known, err := m.storedReport()
	if err != nil {
		return err
	}
	if known != nil && known.Completed && sameReport(known, f) {
		return nil // sent again
	}
	failure, err := s.checkReport(r, m, f)
	if err != nil {
		return err
	}
	if failure != nil {
		if r.sess.State.Final() {
			s.warn("a late report does not count", "session_id", r.sess.ID, "cause", failure.Cause)
			return nil
		}
		return s.fail(r, *failure)
	}
	if m.Report, err = stored(f); err != nil {
		return err
	}
	m.State, m.Released = MemberCompleted, f.Released
	if err := s.Delete(TableTodo, todoKey(m.NodeID, Subject{Session: r.sess.ID})); err != nil {
		return fmt.Errorf("forget session: %w", err)
	}
	if r.sess.State.Final() {
		return s.lateReport(r)
	}
	if !r.sess.all((*Member).completed) {
		return s.save(r)
	}
	return s.finish(r)
}

func (m *Member) completed() bool { return m.State == MemberCompleted }

// finish ends a session in which all parties have reported the same result.
func (s *step) finish(r *run) error {
	if err := s.end(r.sess, StateCompleted, nil); err != nil {
		return err
	}
	if r.req.Type != wire.TypeKeygen {
		result, err := s.result(r.req, r.sess)
		if err != nil {
			return err
		}
		return s.complete(r.req, result)
	}
	if !r.req.State.Final() {
		r.req.State = StateInProgress // until the shares are confirmed
	}
	return s.keyReported(r)
}

// lateReport takes a result that a party reports after its session was ended: a signature that exists must be known, and a
// key whose parties all have it may be used.
func (s *step) lateReport(r *run) error {
	if err := put(s, TableSessions, r.sess.ID, r.sess); err != nil {
		return err
	}
	s.info("late report", "session_id", r.sess.ID, "sino_id", r.req.SinoID)
	if r.req.State == StateCompleted {
		return s.saveRequest(r.req)
	}
	if r.req.Type == wire.TypeKeygen && r.sess.all((*Member).completed) {
		return s.keyReported(r)
	}
	result, err := s.result(r.req, r.sess)
	if err != nil {
		return err
	}
	if result != nil {
		return s.complete(r.req, result)
	}
	if r.sess.releasedBy() != "" && !r.req.State.Final() {
		return s.stopReleased(r)
	}
	return s.saveRequest(r.req)
}
