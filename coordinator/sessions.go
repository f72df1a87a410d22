package coordinator

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/countersign-mpc/countersign/wire"
)

// run is a session together with its request: what nearly every change is about.
type run struct {
	req  *Request
	sess *Session
}

// find reads a session and its request; nil if there is no such session.
func (s *step) find(sessionID string) (*run, error) {
	if sessionID == "" || len(sessionID) > maxSessionID {
		return nil, nil
	}
	sess, err := get[Session](s, TableSessions, sessionID)
	if err != nil || sess == nil {
		return nil, err
	}
	req, err := must[Request](s, TableRequests, sess.SinoID)
	if err != nil {
		return nil, err
	}
	return &run{req: req, sess: sess}, nil
}

const maxSessionID = 64 // bytes

// current reads a request with the session that is its latest; sess is nil if it has none.
func (s *step) current(sinoID string) (*run, error) {
	req, err := must[Request](s, TableRequests, sinoID)
	if err != nil {
		return nil, err
	}
	r := &run{req: req}
	if n := len(req.Sessions); n > 0 {
		r.sess, err = must[Session](s, TableSessions, req.Sessions[n-1])
	}
	return r, err
}

// save stores a session and its request, whose state follows that of a live session.
func (s *step) save(r *run) error {
	if err := put(s, TableSessions, r.sess.ID, r.sess); err != nil {
		return err
	}
	if !r.req.State.Final() && !r.sess.State.Final() {
		r.req.State = r.sess.State
	}
	return s.saveRequest(r.req)
}

func (s *step) saveRequest(req *Request) error {
	req.Revision++
	s.changed[req.SinoID] = true
	return put(s, TableRequests, req.SinoID, req)
}

func (sess *Session) member(node wire.NodeID) *Member {
	for i := range sess.Members {
		if sess.Members[i].NodeID == node {
			return &sess.Members[i]
		}
	}
	return nil
}

func (sess *Session) memberAt(index uint32) *Member {
	for i := range sess.Members {
		if uint32(sess.Members[i].Index) == index {
			return &sess.Members[i]
		}
	}
	return nil
}

// begun tells whether the session's time runs.
func (sess *Session) begun() bool {
	return sess.State == StateWaiting || sess.State == StateInProgress
}

// all tells whether every member satisfies a condition.
func (sess *Session) all(ok func(*Member) bool) bool {
	for i := range sess.Members {
		if !ok(&sess.Members[i]) {
			return false
		}
	}
	return true
}

// startSession makes the next session of a request and has it offered.
func (s *step) startSession(req *Request) error {
	seats := req.Seats
	if req.Type != wire.TypeKeygen && !req.Named {
		seats = s.chooseSigners(req)
	}
	sess := &Session{ID: newUUID(), SinoID: req.SinoID, Account: req.Account, Type: req.Type, KeyID: req.KeyID, T: req.T, N: req.N,
		State: StateCreated, Created: s.now}
	for _, seat := range seats {
		sess.Members = append(sess.Members, Member{Seat: seat, Token: newToken(), State: MemberInvited})
		if err := s.Put(TableTodo, todoKey(seat.NodeID, Subject{Session: sess.ID}), []byte{entryVersion}); err != nil {
			return fmt.Errorf("store offer: %w", err)
		}
	}
	req.Sessions = append(req.Sessions, sess.ID)
	req.RetryAt = time.Time{}
	s.tellAll(sess)
	s.info("session offered", "session_id", sess.ID, "sino_id", req.SinoID, "type", req.Type, "number", len(req.Sessions))
	return s.save(&run{req: req, sess: sess})
}

// chooseSigners takes the first t parties that are online, by index, and fills up with others where fewer are. The party
// that the result belongs to is always one of them.
func (s *step) chooseSigners(req *Request) []Seat {
	seats := slices.Clone(req.Seats)
	rank := func(seat Seat) int {
		switch {
		case req.Recipient != nil && req.Recipient.Index == seat.Index:
			return 0
		case s.c.peers[seat.NodeID] != nil:
			return 1
		default:
			return 2
		}
	}
	slices.SortStableFunc(seats, func(a, b Seat) int { return cmp.Compare(rank(a), rank(b)) })
	seats = seats[:req.T]
	slices.SortFunc(seats, func(a, b Seat) int { return cmp.Compare(a.Index, b.Index) })
	return seats
}

// begin starts the session's time once every party holds an Approve reply.
func (s *step) begin(r *run) error {
	if text := r.sess.recipientConflict(); text != "" {
		return s.fail(r, Failure{Cause: CauseRecipients, Message: text})
	}
	r.sess.State = StateWaiting
	r.sess.Began = s.now
	r.sess.Deadline = s.now.Add(s.c.limits.SessionTime)
	if r.sess.Deadline.After(r.req.Expires) {
		r.sess.Deadline = r.req.Expires
	}
	s.tellAll(r.sess)
	s.info("session begins", "session_id", r.sess.ID, "sino_id", r.req.SinoID)
	return s.save(r)
}

// fail ends a session without a result and decides what becomes of its request.
func (s *step) fail(r *run, f Failure) error {
	state := StateFailed
	if f.Cause == CauseDeadline || f.Cause == CauseExpired {
		state = StateExpired
	}
	if err := s.end(r.sess, state, &f); err != nil {
		return err
	}
	return s.conclude(r.req, r.sess, f)
}

// end makes a session final: its undelivered messages go, its parties are told.
func (s *step) end(sess *Session, state State, f *Failure) error {
	sess.State, sess.Failure, sess.Ended = state, f, s.now
	for i := range sess.Members {
		m := &sess.Members[i]
		if state != StateCompleted && m.State != MemberInvited && m.State != MemberCompleted {
			m.State = MemberFailed
		}
		// A party that reported knows. One that never answered is told only if it is connected: it may hold the offer.
		if m.Report != nil || m.Approval == "" {
			if err := s.Delete(TableTodo, todoKey(m.NodeID, Subject{Session: sess.ID})); err != nil {
				return fmt.Errorf("forget offer: %w", err)
			}
		}
	}
	if err := s.dropMail(sess.ID); err != nil {
		return err
	}
	if err := s.deletePrefix(TableRoutes, prefixOf(sess.ID)); err != nil {
		return err
	}
	s.tellAll(sess)
	cause := ""
	if f != nil {
		cause = string(f.Cause)
	}
	s.info("session ended", "session_id", sess.ID, "sino_id", sess.SinoID, "state", state, "cause", cause)
	s.after = append(s.after, func() { s.c.metrics.sessions.WithLabelValues(sess.Type, string(state), cause).Inc() })
	return put(s, TableSessions, sess.ID, sess)
}

// conclude decides what becomes of a request whose session ended without a result at some party.
func (s *step) conclude(req *Request, sess *Session, f Failure) error {
	if req.State.Final() {
		return s.saveRequest(req)
	}
	if f.Cause != CauseReportsDiffer {
		// A signature that was reported and verified exists, whatever became of the other parties.
		result, err := s.result(req, sess)
		if err != nil {
			return err
		}
		if result != nil {
			return s.complete(req, result)
		}
	}
	if names := sess.releasedBy(); names != "" && f.Cause != CauseExpired {
		f = released(names, f)
	}
	req.Failure = &f
	switch {
	case f.Cause == CauseExpired:
		return s.failRequest(req, f)
	case !s.now.Before(req.Expires):
		f = Failure{Cause: CauseExpired, Message: "the request expired; its last session: " + f.Message, Party: f.Party}
		return s.failRequest(req, f)
	case f.retry && len(req.Sessions) < s.c.limits.MaxSessions:
		req.State, req.RetryAt = StateCreated, s.now.Add(s.c.limits.RetryDelay)
		return s.saveRequest(req)
	default:
		return s.failRequest(req, f)
	}
}

// failRequest makes a request final without a result.
func (s *step) failRequest(req *Request, f Failure) error {
	req.State, req.Failure, req.RetryAt = StateFailed, &f, time.Time{}
	if f.Cause == CauseExpired {
		req.State = StateExpired
	}
	if req.Type == wire.TypeKeygen {
		key, err := must[Key](s, TableKeys, req.KeyID)
		if err != nil {
			return err
		}
		if key.State == KeyPending {
			key.State, key.Problem = KeyFailed, f.Message
			if err := put(s, TableKeys, key.ID, key); err != nil {
				return err
			}
		}
	}
	return s.close(req)
}

// complete makes a request final with its result, and ends a session that still runs for it.
func (s *step) complete(req *Request, result *Result) error {
	req.State, req.Result, req.Failure, req.RetryAt = StateCompleted, result, nil, time.Time{}
	last, err := must[Session](s, TableSessions, req.Sessions[len(req.Sessions)-1])
	if err != nil {
		return err
	}
	if !last.State.Final() {
		f := &Failure{Cause: CauseCompletedOther, Message: "an earlier session of the request had the result"}
		if err := s.end(last, StateFailed, f); err != nil {
			return err
		}
	}
	return s.close(req)
}

func (s *step) close(req *Request) error {
	if err := s.Delete(TableOpen, keyOf(req.Account, req.SinoID)); err != nil {
		return fmt.Errorf("close request: %w", err)
	}
	cause := ""
	if req.Failure != nil {
		cause = string(req.Failure.Cause)
	}
	s.info("request ended", "sino_id", req.SinoID, "type", req.Type, "state", req.State, "cause", cause)
	s.after = append(s.after, func() { s.c.metrics.ended(req, s.now) })
	return s.saveRequest(req)
}
