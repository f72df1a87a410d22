package frost

import (
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/frost/internal/frame"
	"github.com/countersign-mpc/countersign/wire/label"
)

// session is one run by one party. It implements signing.SignSession; one goroutine owns it.
type session struct {
	protocol  frame.Protocol
	id        [32]byte
	self      signing.PartyID
	signers   []signing.PartyID // ascending, self included
	recipient signing.PartyID
	signer    signer                         // nil once the session has ended
	verify    func(signature [64]byte) error // by code that is not FROST's

	seen        map[place][32]byte // SHA-256 of every frame that was taken, by place
	commitments map[signing.PartyID][]byte
	echo        [32]byte                     // hash of all commitments, from the own share on
	shared      bool                         // the own share is made
	early       []received                   // shares that came before the commitments of all
	shares      map[signing.PartyID]struct{} // whose shares are in, the own included
	out         []signing.Message
	done        bool
	abort       *signing.Abort
	signature   signing.Signature
}

// place is where a message belongs: every party has one message for us in it.
type place struct {
	from      signing.PartyID
	round     uint16
	broadcast bool
}

type received struct {
	from  signing.PartyID
	frame frame.Frame
}

var _ signing.SignSession = (*session)(nil)

func newSession(c SignConfig, id [32]byte) *session {
	return &session{
		id: id, self: c.Share.Index(), signers: c.Signers, recipient: c.Recipient,
		seen: map[place][32]byte{}, commitments: map[signing.PartyID][]byte{}, shares: map[signing.PartyID]struct{}{},
	}
}

// begin makes the first message.
func (s *session) begin() error {
	own := s.signer.commitment()
	s.commitments[s.self] = own
	return s.send(frame.Frame{Round: frame.Commitments, Commitment: own})
}

// send queues a message: a share goes to the recipient alone, if there is one.
func (s *session) send(f frame.Frame) error {
	f.Protocol, f.Session = s.protocol, s.id
	data, err := frame.Encode(f)
	if err != nil {
		return err
	}
	m := signing.Message{From: s.self, Round: f.Round, Data: data, ReleasesShare: f.Round == frame.Shares}
	if m.ReleasesShare {
		m.To = s.recipient
	}
	m.Broadcast = m.To == 0
	s.out = append(s.out, m)
	return nil
}

// Outgoing implements signing.Session.
func (s *session) Outgoing() []signing.Message {
	out := s.out
	s.out = nil
	return out
}

// Done implements signing.Session.
func (s *session) Done() bool { return s.done }

// Signature implements signing.SignSession.
func (s *session) Signature() (signing.Signature, error) {
	switch {
	case s.abort != nil:
		return signing.Signature{}, s.abort
	case !s.done:
		return signing.Signature{}, signing.ErrUnfinished
	case s.recipient != 0 && s.recipient != s.self:
		return signing.Signature{}, fmt.Errorf("%w: it is %s", signing.ErrForRecipient, s.recipient)
	}
	return s.signature, nil
}

// Accept implements signing.Session.
func (s *session) Accept(m signing.Message) error {
	if s.abort != nil {
		return s.abort
	}
	if err := s.checkDelivery(m); err != nil {
		return err
	}
	if s.done { // every message that the result needed was there; what comes now cannot change it
		return nil
	}
	if f, isNew := s.take(m); isNew {
		s.step(m.From, f)
	}
	if s.abort != nil {
		return s.abort
	}
	return nil
}

// checkDelivery finds messages that the transport should have kept away.
func (s *session) checkDelivery(m signing.Message) error {
	switch {
	case m.From == s.self || !slices.Contains(s.signers, m.From):
		return fmt.Errorf("%w: it is from %s", signing.ErrMisdelivered, m.From)
	case m.Broadcast && m.To != 0, !m.Broadcast && m.To != s.self:
		return fmt.Errorf("%w: it is for %s (broadcast %t)", signing.ErrMisdelivered, m.To, m.Broadcast)
	}
	return nil
}

// take decodes a message and says whether it is new. What is wrong with it aborts the session: with a culprit where
// the sender's bytes alone prove it.
func (s *session) take(m signing.Message) (frame.Frame, bool) {
	sum, at := sha256.Sum256(m.Data), place{m.From, m.Round, m.Broadcast}
	if earlier, ok := s.seen[at]; ok {
		if earlier != sum {
			s.fail(m.From, m.Round, "the party sent two different messages for one place", nil)
		}
		return frame.Frame{}, false
	}
	f, err := frame.Decode(m.Data)
	if err == nil && (f.Protocol != s.protocol || f.Round != m.Round) {
		err = fmt.Errorf("the frame is of %s round %d, the message of %s round %d", f.Protocol, f.Round, s.protocol, m.Round)
	}
	if err != nil {
		s.fail(m.From, m.Round, "a message is malformed", err)
		return f, false
	}
	if f.Session != s.id {
		// Another binding, key, tweak, signer set, recipient or message, here or there: it cannot be told whose is right.
		s.fail(0, m.Round, fmt.Sprintf("a message of %s belongs to another session, key, signer set, recipient or message", m.From), nil)
		return f, false
	}
	if !s.expected(m) {
		s.fail(m.From, m.Round, fmt.Sprintf("a message was sent to others than it is for (broadcast %t)", m.Broadcast), nil)
		return f, false
	}
	s.seen[at] = sum
	return f, true
}

// expected reports whether a message of that round comes to this party in that form: commitments are broadcast, shares
// too unless there is a recipient, who then gets them point to point.
func (s *session) expected(m signing.Message) bool {
	if m.Round == frame.Shares && s.recipient != 0 {
		return !m.Broadcast && s.recipient == s.self
	}
	return m.Broadcast
}

// step goes on with a new message.
func (s *session) step(from signing.PartyID, f frame.Frame) {
	switch {
	case f.Round == frame.Commitments:
		if err := s.signer.accept(from, f.Commitment); err != nil {
			s.fail(from, f.Round, "a commitment is invalid", err)
			return
		}
		s.commitments[from] = f.Commitment
		if len(s.commitments) == len(s.signers) {
			s.release()
		}
	case !s.shared:
		s.early = append(s.early, received{from, f})
	default:
		s.add(from, f)
	}
}

// release makes the own share, now that all commitments are there, and looks at those that came early.
func (s *session) release() {
	s.echo = s.echoOf()
	share, err := s.signer.share()
	if err != nil {
		s.fail(0, frame.Shares, "the own signature share could not be made", err)
		return
	}
	s.shared = true
	s.shares[s.self] = struct{}{}
	if s.recipient != s.self {
		if err := s.send(frame.Frame{Round: frame.Shares, Echo: s.echo, Share: share}); err != nil {
			s.fail(0, frame.Shares, "the own signature share could not be sent", err)
			return
		}
		if s.recipient != 0 {
			s.finish()
			return
		}
	}
	early := s.early
	s.early = nil
	for _, r := range early {
		if s.abort == nil {
			s.add(r.from, r.frame)
		}
	}
}

// add takes another signer's share. It is judged only if its sender says that it has the same commitments: else an
// honest signer would be blamed for what another told it.
func (s *session) add(from signing.PartyID, f frame.Frame) {
	if f.Echo != s.echo {
		s.fail(0, f.Round, fmt.Sprintf("%s was told other commitments than we were", from), nil)
		return
	}
	if err := s.signer.add(from, f.Share); err != nil {
		s.fail(from, f.Round, "a signature share is wrong", err)
		return
	}
	s.shares[from] = struct{}{}
	if len(s.shares) < len(s.signers) {
		return
	}
	signature, err := s.signer.sum()
	if err == nil {
		err = s.verify(signature)
	}
	if err != nil {
		s.fail(0, f.Round, "the result is not what was asked for", err)
		return
	}
	s.signature.Bytes = signature
	s.finish()
}

// echoOf is a hash of the commitments of all signers.
func (s *session) echoOf() [32]byte {
	fields := [][]byte{s.id[:]}
	for _, id := range s.signers {
		fields = append(fields, []byte{byte(id)}, s.commitments[id])
	}
	return sha256.Sum256(label.Bytes("frost-commitments", fields...))
}

// finish ends the session well. Its last message may still be in out.
func (s *session) finish() {
	s.done = true
	s.drop()
}

// fail ends the session.
func (s *session) fail(culprit signing.PartyID, round uint16, reason string, cause error) {
	s.abort = &signing.Abort{Culprit: culprit, Round: round, Reason: reason, Err: cause}
	s.out = nil
	s.drop()
}

// drop wipes the secrets and lets go of what an ended session does not need.
func (s *session) drop() {
	s.signer.wipe()
	s.signer, s.early, s.commitments = nil, nil, nil
}
