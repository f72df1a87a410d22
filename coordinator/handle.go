package coordinator

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
)

const (
	maxReason    = 1 << 10   // bytes of a reason that is kept
	maxRecipient = 512       // hex digits of an SPKI
	maxSealed    = 257 << 10 // bytes of a sealed message: docs/FORMATS.md, transport
	maxPerRoute  = 128       // messages of one party to one other in a session; the longest protocol has a dozen
)

// Handle takes frames of the node, in their order, and receipts for deliveries that it has acknowledged, in one
// transaction. It returns how many frames are durably dealt with: all of them, or those up to and with the one that breaks
// the protocol, for which it returns an *Error; the connection must then end. CodeReplaced says that the connection was
// replaced. Any other error is a failure of the store: nothing of the call was kept.
func (p *Peer) Handle(ctx context.Context, frames []*linkv1.Frame, receipts []Receipt) (handled int, err error) {
	var broken *Error
	err = p.c.update(ctx, func(s *step) error {
		handled, broken = 0, nil
		if p.c.peers[p.node] != p {
			return refuse(CodeReplaced, "a newer connection of this node took over")
		}
		for _, r := range receipts {
			if err := p.taken(s, r); err != nil {
				return err
			}
		}
		for _, f := range frames {
			handled++
			err := p.frame(s, f)
			if errors.As(err, &broken) {
				s.warn("a node broke the link's protocol", "node", p.node.Short(), "name", p.name, "code", broken.Code, "problem", broken.Message)
				return nil
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	if broken != nil {
		return handled, broken
	}
	return handled, nil
}

// taken notes what the node has acknowledged.
func (p *Peer) taken(s *step, r Receipt) error {
	switch {
	case r.Position != 0:
		return s.takenLetter(p.node, r.Position)
	case r.Session != "":
		if err := s.Delete(TableTodo, todoKey(p.node, Subject{Session: r.Session})); err != nil {
			return fmt.Errorf("forget session: %w", err)
		}
	case r.Key != "":
		return p.knowsKey(s, r)
	}
	return nil
}

// frame deals with one frame. A handler that returns an *Error has changed nothing.
func (p *Peer) frame(s *step, f *linkv1.Frame) error {
	switch body := f.GetBody().(type) {
	case *linkv1.Frame_Answer:
		return p.answer(s, body.Answer)
	case *linkv1.Frame_Join:
		return p.join(s, body.Join)
	case *linkv1.Frame_Contribution:
		return p.contribution(s, body.Contribution)
	case *linkv1.Frame_Envelope:
		return p.envelope(s, body.Envelope)
	case *linkv1.Frame_Report:
		return p.report(s, body.Report)
	case *linkv1.Frame_Confirmation:
		return p.confirmation(s, body.Confirmation)
	case *linkv1.Frame_EpochQuestion:
		return p.epochQuestion(s, body.EpochQuestion)
	case *linkv1.Frame_EpochStatement:
		return p.epochStatement(s, body.EpochStatement)
	default:
		return refuse(CodeViolation, "a frame of type %T is not for a node to send once the link is open", body)
	}
}

// seat finds the session that a frame is about and the node's place in it. A session that is over or unknown is nil: the
// node is told of its end.
func (p *Peer) seat(s *step, sessionID string) (*run, *Member, error) {
	r, err := s.find(sessionID)
	if err != nil {
		return nil, nil, err
	}
	if r == nil {
		p.tellEnd(s, sessionID)
		return nil, nil, nil
	}
	m := r.sess.member(p.node)
	if m == nil {
		return nil, nil, refuse(CodeViolation, "this node is no party of session %s", r.sess.ID)
	}
	return r, m, nil
}

// tellEnd answers a frame about a session that is over.
func (p *Peer) tellEnd(s *step, sessionID string) {
	if sessionID == "" || len(sessionID) > maxSessionID {
		return
	}
	s.tell = append(s.tell, telling{p.node, Subject{Session: sessionID, Again: true}})
}

// answer takes what a party says of an offer.
func (p *Peer) answer(s *step, a *linkv1.Answer) error {
	r, m, err := p.seat(s, a.SessionId)
	if err != nil || r == nil {
		return err
	}
	approval := approvalOf(a.State)
	switch {
	case approval == "":
		return refuse(CodeViolation, "an answer of unknown state %d", a.State)
	case len(a.Recipient) > maxRecipient || len(a.CallbackId) > maxRecipient:
		return refuse(CodeViolation, "recipient and callback id of an answer have %d bytes at most", maxRecipient)
	case a.Recipient != "" && !isRecipientKey(a.Recipient):
		return refuse(CodeViolation, "the recipient in an answer is not the hex of the SPKI of a P-256 key")
	case r.sess.State.Final():
		p.tellEnd(s, r.sess.ID)
		return nil
	case m.State != MemberInvited:
		return nil // it has joined since: an answer that was sent again
	}
	before := m.Approval
	m.Approval, m.Reason, m.ApprovalAt, m.CallbackID = approval, clip(a.Reason, maxReason), s.now, a.CallbackId
	switch approval {
	case ApprovalRejected:
		return s.fail(r, Failure{Cause: CauseRejected, Message: "party " + m.Name + " rejected: " + m.Reason, Party: m.Name})
	case ApprovalRefused:
		return s.fail(r, Failure{Cause: CauseRefused, Message: "party " + m.Name + " refused: " + m.Reason, Party: m.Name})
	case ApprovalApproved:
		if r.sess.State == StateCreated {
			m.Guarded, m.Recipient = a.Guarded, a.Recipient // Begin tells them to all: they stand from then on
			if r.sess.all(func(m *Member) bool { return m.Approval == ApprovalApproved }) {
				return s.begin(r)
			}
		} else if before != ApprovalApproved {
			s.tell = append(s.tell, telling{p.node, Subject{Session: r.sess.ID, Again: true}})
		}
	}
	return s.save(r)
}

// approvalOf gives the approval that an answer stands for; empty if there is none.
func approvalOf(state linkv1.Answer_State) Approval {
	switch state {
	case linkv1.Answer_ASKING:
		return ApprovalAsking
	case linkv1.Answer_WAITING:
		return ApprovalWaiting
	case linkv1.Answer_APPROVED:
		return ApprovalApproved
	case linkv1.Answer_REJECTED:
		return ApprovalRejected
	case linkv1.Answer_REFUSED:
		return ApprovalRefused
	case linkv1.Answer_DONE:
		return ApprovalDone
	default:
		return ""
	}
}

// join takes a party into a session that has begun.
func (p *Peer) join(s *step, j *linkv1.Join) error {
	r, m, err := p.seat(s, j.SessionId)
	if err != nil || r == nil {
		return err
	}
	switch {
	case subtle.ConstantTimeCompare([]byte(j.JoinToken), []byte(m.Token)) != 1:
		return refuse(CodeTokenInvalid, "the join token is not that of party %d of session %s", m.Index, r.sess.ID)
	case r.sess.State.Final():
		p.tellEnd(s, r.sess.ID)
		return nil
	case m.State != MemberInvited:
		return nil // sent again
	case r.sess.State == StateCreated:
		return refuse(CodeNotApproved, "session %s has not begun: not all its parties hold an Approve reply", r.sess.ID)
	case m.Approval != ApprovalApproved:
		return refuse(CodeNotApproved, "party %d of session %s has said that it holds no Approve reply", m.Index, r.sess.ID)
	}
	m.State = MemberJoined
	return s.save(r)
}
