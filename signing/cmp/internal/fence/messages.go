package fence

import (
	"errors"
	"fmt"

	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/cmp/internal/frame"
	"github.com/taurusgroup/multi-party-sig/pkg/party"
	"github.com/taurusgroup/multi-party-sig/pkg/protocol"
)

// drain takes all that the library wants to send and reports whether it has closed its channel.
func (r *Run) drain() (closed bool, err error) {
	for {
		select {
		case m, ok := <-r.library.Listen():
			if !ok {
				return true, nil
			}
			if m.RoundNumber == 0 {
				continue // the library's abort message; we have our own
			}
			if err := r.queue(m); err != nil {
				return false, err
			}
		default:
			return false, nil
		}
	}
}

// queue makes an outgoing message of one of the library's. The first tells the session's SSID; the first of a round
// tells that the library has entered it, and its own view of the broadcasts before.
func (r *Run) queue(m *protocol.Message) error {
	if r.ssid == nil {
		r.ssid, r.name = m.SSID, m.Protocol
	}
	to, err := partyOf(m.To)
	if err != nil || string(m.SSID) != string(r.ssid) || m.From != ID(r.cfg.Self) || m.Broadcast != (to == 0) {
		return errors.New("the library made a message that is not of this session")
	}
	f := frame.Frame{
		Protocol: r.cfg.Protocol, Round: uint16(m.RoundNumber), Broadcast: m.Broadcast,
		Echo: m.BroadcastVerification, Payload: m.Data,
	}
	if r.cfg.Recipient != 0 && f.Round == r.cfg.ReleaseRound {
		if !m.Broadcast {
			return errors.New("the library made a message to one party where it should make its last broadcast")
		}
		f.Broadcast, to = false, r.cfg.Recipient
	}
	if copy(f.SSID[:], m.SSID) != len(m.SSID) {
		return errors.New("the library made a message with a longer session id than it should")
	}
	data, err := frame.Encode(f, r.cfg.Threshold)
	if err != nil {
		return fmt.Errorf("the library made a message that is not by its template: %w", err)
	}
	if f.Round > r.round {
		r.round, r.echo = f.Round, f.Echo
	}
	if to == r.cfg.Self {
		return nil // the recipient's own part of the result stays with it
	}
	r.out = append(r.out, signing.Message{
		From: r.cfg.Self, To: to, Round: f.Round, Broadcast: f.Broadcast,
		ReleasesShare: r.cfg.ReleaseRound != 0 && f.Round >= r.cfg.ReleaseRound,
		Data:          data,
	})
	return nil
}

// toLibrary rebuilds the library's message; what came for the recipient alone was the sender's library's broadcast. Its echo stays nil where it was nil: the library hashes nil and empty
// differently.
func (r *Run) toLibrary(in received) *protocol.Message {
	m := &protocol.Message{
		SSID:                  r.ssid,
		From:                  ID(in.from),
		Protocol:              r.name,
		Data:                  in.frame.Payload,
		Broadcast:             in.broadcast || (r.cfg.Recipient != 0 && in.round == r.cfg.ReleaseRound),
		BroadcastVerification: in.frame.Echo,
	}
	if !m.Broadcast {
		m.To = ID(r.cfg.Self)
	}
	setNumber(&m.RoundNumber, in.round)
	return m
}

// setNumber sets a number whose type is internal to the library.
func setNumber[T ~uint16](dst *T, n uint16) { *dst = T(n) }

// partyOf is the inverse of ID; "" is everybody.
func partyOf(id party.ID) (signing.PartyID, error) {
	switch {
	case id == "":
		return 0, nil
	case len(id) == 1 && id[0] >= 1 && id[0] <= signing.MaxParties:
		return signing.PartyID(id[0]), nil
	}
	return 0, errors.New("not a party's index")
}
