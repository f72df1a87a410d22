package signingtest

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/countersign-mpc/countersign/signing"
)

const (
	toyMagic      = "TOY1"
	toyHead       = len(toyMagic) + 3 + 32
	toyFirst      = 2 // rounds count as CMP's: the first messages are of round 2
	toyLast       = 3
	toyPayloadMax = 64
)

// toy is a session of the toy protocol: in rounds 2 and 3 each party sends one broadcast and one message to each other
// party. Broadcasts carry what the finish function needs; point-to-point messages carry the hash of all broadcasts of
// the round before, so that telling two parties different things ends as it does in a real protocol. With a recipient the
// last round is one message of each other party to it, hash and then payload.
type toy struct {
	session [32]byte // hash of binding and configuration
	self    signing.PartyID
	parties []signing.PartyID
	own     map[uint16][]byte // own broadcast of each round
	release uint16            // round whose messages release the share; 0: none
	// recipient is the one party that gets messages of round toyLast, and so a result; 0: every party
	recipient signing.PartyID
	finish    func(round2, round3 map[signing.PartyID][]byte) error

	round uint16
	got   map[toyPlace][]byte // frames
	out   []signing.Message
	done  bool
	abort *signing.Abort
}

type toyPlace struct {
	from      signing.PartyID
	round     uint16
	broadcast bool
}

// start sends the first messages.
func (y *toy) start() {
	y.got = map[toyPlace][]byte{}
	y.enter(toyFirst)
}

// enter begins a round by sending its messages.
func (y *toy) enter(round uint16) {
	y.round = round
	y.got[toyPlace{y.self, round, true}] = y.frame(round, true, y.own[round])
	if y.toRecipient(round) {
		if y.self != y.recipient {
			payload := append(y.echo(round-1), y.own[round]...)
			y.out = append(y.out, signing.Message{
				From: y.self, To: y.recipient, Round: round, ReleasesShare: round == y.release, Data: y.frame(round, false, payload),
			})
		}
		return
	}
	for _, id := range append([]signing.PartyID{0}, y.parties...) {
		if id == y.self {
			continue
		}
		m := signing.Message{From: y.self, To: id, Round: round, Broadcast: id == 0, ReleasesShare: round == y.release}
		if m.Broadcast {
			m.Data = y.frame(round, true, y.own[round])
		} else {
			m.Data = y.frame(round, false, y.echo(round-1))
		}
		y.out = append(y.out, m)
	}
}

// toRecipient reports whether the messages of a round go to the recipient only.
func (y *toy) toRecipient(round uint16) bool { return y.recipient != 0 && round == toyLast }

// frame is magic, round, broadcast flag, session, payload.
func (y *toy) frame(round uint16, broadcast bool, payload []byte) []byte {
	out := binary.BigEndian.AppendUint16([]byte(toyMagic), round)
	flag := byte(0)
	if broadcast {
		flag = 1
	}
	return append(append(append(out, flag), y.session[:]...), payload...)
}

// echo hashes all broadcasts of a round.
func (y *toy) echo(round uint16) []byte {
	h := sha256.New()
	for _, id := range y.parties {
		h.Write(y.got[toyPlace{id, round, true}])
	}
	return h.Sum(nil)
}

// Outgoing implements signing.Session.
func (y *toy) Outgoing() []signing.Message {
	out := y.out
	y.out = nil
	return out
}

// Done implements signing.Session.
func (y *toy) Done() bool { return y.done }

func (y *toy) unfinished() error {
	switch {
	case y.abort != nil:
		return y.abort
	case !y.done:
		return signing.ErrUnfinished
	}
	return nil
}

// Accept implements signing.Session.
func (y *toy) Accept(m signing.Message) error {
	switch {
	case y.abort != nil:
		return y.abort
	case m.From == y.self || !slices.Contains(y.parties, m.From) || m.Broadcast != (m.To == 0) || (m.To != 0 && m.To != y.self):
		return fmt.Errorf("%w: it is from %s for %s", signing.ErrMisdelivered, m.From, m.To)
	case y.done:
		return nil
	}
	if err := y.store(m); err != nil {
		return err
	}
	return y.advance()
}

// store checks a message and keeps it.
func (y *toy) store(m signing.Message) error {
	where := toyPlace{m.From, m.Round, m.Broadcast}
	if earlier, ok := y.got[where]; ok {
		if !bytes.Equal(earlier, m.Data) {
			return y.fail(m.From, m.Round, "the party sent two different messages for one place", nil)
		}
		return nil
	}
	if len(m.Data) < toyHead || len(m.Data) > toyHead+toyPayloadMax || m.Round < toyFirst || m.Round > toyLast {
		return y.fail(m.From, m.Round, "a message is malformed", errors.New("its length or round is wrong"))
	}
	if y.toRecipient(m.Round) && (m.Broadcast || y.self != y.recipient) {
		return y.fail(m.From, m.Round, "a message is malformed", fmt.Errorf("the last message is for %s alone", y.recipient))
	}
	want := y.frame(m.Round, m.Broadcast, nil)
	if !bytes.Equal(m.Data[:toyHead-32], want[:toyHead-32]) {
		return y.fail(m.From, m.Round, "a message is malformed", errors.New("its head is not that of the message"))
	}
	if !bytes.Equal(m.Data[:toyHead], want) {
		return y.fail(0, m.Round, fmt.Sprintf("a message of %s belongs to another session", m.From), nil)
	}
	y.got[where] = bytes.Clone(m.Data)
	return nil
}

// advance goes to the next round, or to the result, while all messages of the round are there.
func (y *toy) advance() error {
	for y.complete() {
		for _, id := range y.parties {
			if id != y.self && !bytes.Equal(y.echoOf(id), y.echo(y.round-1)) {
				return y.fail(0, y.round, fmt.Sprintf("%s was told other broadcasts in the round before than we were", id), nil)
			}
		}
		if y.round < toyLast {
			y.enter(y.round + 1)
			if y.toRecipient(y.round) && y.self != y.recipient {
				y.done = true
				return nil
			}
			continue
		}
		if err := y.finish(y.broadcasts(toyFirst), y.broadcasts(toyLast)); err != nil {
			return y.fail(0, y.round, "the result is not what was asked for", err)
		}
		y.done = true
		return nil
	}
	return nil
}

// echoOf is the echo in a party's message of this round.
func (y *toy) echoOf(id signing.PartyID) []byte {
	payload := y.got[toyPlace{id, y.round, false}][toyHead:]
	if y.toRecipient(y.round) {
		return payload[:min(sha256.Size, len(payload))]
	}
	return payload
}

func (y *toy) complete() bool {
	for _, id := range y.parties {
		if id == y.self {
			continue
		}
		for _, broadcast := range []bool{true, false} {
			if _, ok := y.got[toyPlace{id, y.round, broadcast}]; !ok && !(broadcast && y.toRecipient(y.round)) {
				return false
			}
		}
	}
	return !y.done
}

func (y *toy) broadcasts(round uint16) map[signing.PartyID][]byte {
	out := map[signing.PartyID][]byte{}
	for where, data := range maps.All(y.got) {
		switch {
		case where.round != round:
		case where.broadcast:
			out[where.from] = data[toyHead:]
		case y.toRecipient(round):
			out[where.from] = data[toyHead+sha256.Size:] // there, since the echo was right
		}
	}
	return out
}

func (y *toy) fail(culprit signing.PartyID, round uint16, reason string, cause error) error {
	y.abort = &signing.Abort{Culprit: culprit, Round: round, Reason: reason, Err: cause}
	y.out = nil
	return y.abort
}
