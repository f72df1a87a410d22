package coordinator

import (
	"bytes"
	"errors"
	"fmt"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/wire"
)

// report takes a party's signed word about how a session ended there. A result counts only if all parties report the same
// one and, for a signature, if it verifies here.
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
	m.State = MemberCompleted
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
	return s.saveRequest(r.req)
}

// checkReport holds a reported result against those of the other parties and against the key. A failure is the party's.
func (s *step) checkReport(r *run, m *Member, f *linkv1.Report) (*Failure, error) {
	var problem error
	if r.req.Type == wire.TypeKeygen {
		problem = checkKeyReport(f)
	} else {
		key, err := must[Key](s, TableKeys, r.req.KeyID)
		if err != nil {
			return nil, err
		}
		rec, err := must[termsRecord](s, TableTerms, r.req.SinoID)
		if err != nil {
			return nil, err
		}
		problem = checkSignature(f, key, r.req.Path, digestOf(rec.Terms))
	}
	if problem != nil {
		text := "the result that party " + m.Name + " reports does not verify: " + problem.Error()
		return &Failure{Cause: CauseReportInvalid, Message: text, Party: m.Name}, nil
	}
	for i := range r.sess.Members {
		other := &r.sess.Members[i]
		if other.Index == m.Index || !other.completed() {
			continue
		}
		theirs, err := other.storedReport()
		if err != nil {
			return nil, err
		}
		if what := difference(theirs, f); what != "" {
			text := fmt.Sprintf("parties %s and %s report different results: %s", other.Name, m.Name, what)
			return &Failure{Cause: CauseReportsDiffer, Message: text}, nil
		}
	}
	return nil, nil
}

func checkKeyReport(f *linkv1.Report) error {
	if len(f.Digest) != 0 || len(f.Result) != 0 || len(f.DerivedKey) != 0 {
		return errors.New("a keygen has no digest, signature or derived key")
	}
	_, err := derive.Secp256k1Child(f.PublicKey, f.ChainCode, nil)
	return err
}

// checkSignature verifies a finished signature under the key that is derived here, and that it is of the digest that was
// asked for, where the request names one.
func checkSignature(f *linkv1.Report, key *Key, path string, digest []byte) error {
	if !bytes.Equal(f.PublicKey, key.PublicKey) {
		return errors.New("it names another public key than the key's")
	}
	if len(f.ChainCode) != 0 && !bytes.Equal(f.ChainCode, key.ChainCode) {
		return errors.New("it names another chain code than the key's")
	}
	if digest != nil && !bytes.Equal(digest, f.Digest) {
		return errors.New("it signs another digest than was asked for")
	}
	levels, err := derive.ParsePath(path)
	if err != nil {
		return err
	}
	derived, err := derive.Secp256k1Child(key.PublicKey, key.ChainCode, levels)
	if err != nil {
		return err
	}
	if !bytes.Equal(f.DerivedKey, derived.PublicKey[:]) {
		return errors.New("it names another derived key than the path gives")
	}
	id, err := derive.RecoveryID(derived.PublicKey[:], f.Digest, f.Result)
	if err != nil {
		return err
	}
	if f.RecoveryId != uint32(id) {
		return fmt.Errorf("its recovery id is %d where %d recovers the key", f.RecoveryId, id)
	}
	return nil
}

// difference names what two reports differ in; empty if they agree.
func difference(a, b *linkv1.Report) string {
	for _, f := range []struct {
		name string
		a, b []byte
	}{
		{"public key", a.PublicKey, b.PublicKey}, {"chain code", a.ChainCode, b.ChainCode}, {"digest", a.Digest, b.Digest},
		{"signature", a.Result, b.Result}, {"derived key", a.DerivedKey, b.DerivedKey},
	} {
		if !bytes.Equal(f.a, f.b) {
			return f.name
		}
	}
	if a.RecoveryId != b.RecoveryId {
		return "recovery id"
	}
	return ""
}

// result is the signature that parties of a session have reported, nil if it does not count (yet). Each report was verified
// and agrees with the others. The word of one party is enough where the request names the digest; else it could be an old
// signature of something else, and two parties must have said the same.
func (s *step) result(req *Request, sess *Session) (*Result, error) {
	if sess.Type == wire.TypeKeygen {
		return nil, nil
	}
	var report *linkv1.Report
	said := 0
	for i := range sess.Members {
		m := &sess.Members[i]
		if !m.completed() {
			continue
		}
		said++
		var err error
		if report, err = m.storedReport(); err != nil {
			return nil, err
		}
	}
	if said == 0 {
		return nil, nil
	}
	rec, err := must[termsRecord](s, TableTerms, req.SinoID)
	if err != nil {
		return nil, err
	}
	if said < 2 && digestOf(rec.Terms) == nil {
		return nil, nil
	}
	return &Result{PublicKey: report.PublicKey, Digest: report.Digest, Signature: report.Result, RecoveryID: byte(report.RecoveryId),
		DerivedKey: report.DerivedKey}, nil
}
