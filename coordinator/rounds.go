package coordinator

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
)

// contribution takes a party's part of the binding. Once all are there, and name one manifest, they go to all parties and
// the protocol runs.
func (p *Peer) contribution(s *step, c *linkv1.Contribution) error {
	r, m, err := p.seat(s, c.SessionId)
	if err != nil || r == nil {
		return err
	}
	parsed, err := contributionOf(c)
	if err != nil {
		return err
	}
	if parsed.Index != m.Index {
		return refuse(CodeViolation, "a contribution of party %d was sent by party %d", parsed.Index, m.Index)
	}
	if err := parsed.Verify(p.node); err != nil {
		return refuse(CodeViolation, "%v", err)
	}
	if r.sess.State.Final() {
		p.tellEnd(s, r.sess.ID)
		return nil
	}
	if m.State == MemberInvited {
		return refuse(CodeViolation, "party %d contributed to session %s before it joined", m.Index, r.sess.ID)
	}
	if m.Contribution != nil {
		return s.secondContribution(r, m, c)
	}
	if m.Contribution, err = stored(c); err != nil {
		return err
	}
	m.State = MemberReady
	if !r.sess.all(func(m *Member) bool { return m.Contribution != nil }) {
		return s.save(r)
	}
	return s.run(r)
}

// secondContribution tells one that was sent again from one that is another: a party that shows two faces ends the session.
func (s *step) secondContribution(r *run, m *Member, c *linkv1.Contribution) error {
	first, err := m.storedContribution()
	if err != nil {
		return err
	}
	same := bytes.Equal(first.ManifestHash, c.ManifestHash) && bytes.Equal(first.Random, c.Random) && bytes.Equal(first.Ephemeral, c.Ephemeral)
	if same {
		return nil
	}
	return s.fail(r, Failure{Cause: CauseEquivocation, Message: "party " + m.Name + " sent two different contributions", Party: m.Name})
}

// run checks that all parties were asked for the same thing, hands each the others' contributions, and lets the protocol run.
func (s *step) run(r *run) error {
	contributions := make([]*linkv1.Contribution, len(r.sess.Members))
	for i := range r.sess.Members {
		c, err := r.sess.Members[i].storedContribution()
		if err != nil {
			return err
		}
		contributions[i] = c
	}
	if text := differing(r.sess, contributions); text != "" {
		return s.fail(r, Failure{Cause: CauseManifests, Message: text})
	}
	r.sess.State = StateInProgress
	for i := range r.sess.Members {
		to := &r.sess.Members[i]
		to.State = MemberComputing
		for j, c := range contributions {
			if i == j {
				continue
			}
			frame := &linkv1.Frame{Body: &linkv1.Frame_Contribution{Contribution: c}}
			if err := s.mail(to.NodeID, r.sess.ID, frame); errors.Is(err, errMailboxFull) {
				return s.fail(r, s.mailboxFull(to))
			} else if err != nil {
				return err
			}
		}
	}
	s.info("session runs", "session_id", r.sess.ID, "sino_id", r.req.SinoID)
	return s.save(r)
}

// differing says which parties have which manifest; empty if all have one.
func differing(sess *Session, contributions []*linkv1.Contribution) string {
	var order []string
	groups := make(map[string][]string)
	for i, c := range contributions {
		hash := string(c.ManifestHash)
		if groups[hash] == nil {
			order = append(order, hash)
		}
		groups[hash] = append(groups[hash], sess.Members[i].Name)
	}
	if len(order) == 1 {
		return ""
	}
	parts := make([]string, 0, len(order))
	for _, hash := range order {
		parts = append(parts, fmt.Sprintf("%s: %x…", strings.Join(groups[hash], ", "), hash[:4]))
	}
	return "the parties' manifests differ, they were not asked for the same thing (" + strings.Join(parts, "; ") + ")"
}

func (s *step) mailboxFull(m *Member) Failure {
	return Failure{Cause: CauseMailbox, retry: true, Message: fmt.Sprintf(
		"party %s does not take its messages: the most that is kept for it is there (%d messages or %d bytes)",
		m.Name, s.c.limits.MailboxFrames, s.c.limits.MailboxBytes)}
}

// envelope routes one sealed message. The authenticated sender is the claimed sender.
func (p *Peer) envelope(s *step, e *linkv1.Envelope) error {
	r, m, err := p.seat(s, e.SessionId)
	if err != nil || r == nil {
		return err
	}
	to := r.sess.memberAt(e.To)
	switch {
	case e.From != uint32(m.Index):
		return refuse(CodeViolation, "an envelope of party %d was sent by party %d", e.From, m.Index)
	case to == nil || to.Index == m.Index:
		return refuse(CodeViolation, "an envelope for party %d, which is not another party of session %s", e.To, r.sess.ID)
	case len(e.Sealed) == 0 || len(e.Sealed) > maxSealed:
		return refuse(CodeViolation, "an envelope with %d sealed bytes: 1 to %d are taken", len(e.Sealed), maxSealed)
	case r.sess.State.Final():
		p.tellEnd(s, r.sess.ID)
		return nil
	case r.sess.State != StateInProgress:
		return refuse(CodeViolation, "an envelope came before the contributions of all parties of session %s", r.sess.ID)
	}
	if e.Seq >= maxPerRoute { // or a party could fill another's mailbox, and other sessions would fail for it
		return s.fail(r, Failure{Cause: CauseAbort, Party: m.Name,
			Message: fmt.Sprintf("party %s sends more messages to party %s than any protocol has", m.Name, to.Name)})
	}
	next, err := s.route(r.sess.ID, m.Index, to.Index)
	if err != nil {
		return err
	}
	if e.Seq < next {
		return nil // sent again
	}
	if e.Seq > next {
		text := fmt.Sprintf("party %s skipped messages %d to %d for party %s", m.Name, next, e.Seq-1, to.Name)
		return s.fail(r, Failure{Cause: CauseMessageLost, Message: text, Party: m.Name})
	}
	frame := &linkv1.Frame{Body: &linkv1.Frame_Envelope{Envelope: e}}
	if err := s.mail(to.NodeID, r.sess.ID, frame); errors.Is(err, errMailboxFull) {
		return s.fail(r, s.mailboxFull(to))
	} else if err != nil {
		return err
	}
	s.after = append(s.after, func() { s.c.metrics.routed(len(e.Sealed)) })
	return s.setRoute(r.sess.ID, m.Index, to.Index, next+1)
}

// sameReport tells a report that was sent again from another one.
func sameReport(a, b *linkv1.Report) bool {
	a, b = proto.CloneOf(a), proto.CloneOf(b)
	a.ReportSignature, b.ReportSignature = nil, nil
	return proto.Equal(a, b)
}
