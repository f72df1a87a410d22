package fence_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/cmp/internal/fence"
	"github.com/countersign-mpc/countersign/signing/cmp/internal/frame"
	"github.com/taurusgroup/multi-party-sig/pkg/party"
	"github.com/taurusgroup/multi-party-sig/pkg/protocol"
)

// library is a script in place of the CMP library: it sends the messages of a round when it has those of the round
// before, as the library does, and what a test puts into it goes wrong.
type library struct {
	t        *testing.T
	self     signing.PartyID
	parties  []signing.PartyID
	round    uint16
	out      chan *protocol.Message
	accepted []*protocol.Message
	onAccept func(m *protocol.Message) // called instead of the script, if set
	onResult func() (any, error)       // likewise
	result   any
	err      error
}

const (
	session = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" // 64 bytes, an SSID
	t3      = 3
)

func echoOf(round uint16) []byte { return bytes.Repeat([]byte{byte(round)}, 64) }

// realPayload returns the payload of a real message of sign.
func realPayload(t testing.TB, round uint16, broadcast bool) []byte {
	t.Helper()
	kind := map[bool]string{true: "broadcast", false: "p2p"}[broadcast || round == 5]
	name := filepath.Join("..", "frame", "testdata", "frames", "sign-"+string(rune('0'+round))+"-"+kind+".bin")
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	f, err := frame.Decode(data, t3)
	if err != nil {
		t.Fatal(err)
	}
	return f.Payload
}

// librarySlots are the places of the library's own messages: its last message is always a broadcast.
func librarySlots() []frame.Slot {
	return slices.DeleteFunc(frame.Slots(frame.Sign), func(s frame.Slot) bool { return s == frame.Slot{Round: 5} })
}

func setRound[T ~uint16](dst *T, n uint16) { *dst = T(n) }

// enter sends the messages of a round.
func (l *library) enter(round uint16) {
	l.round = round
	for _, slot := range librarySlots() {
		if slot.Round != round {
			continue
		}
		to := []party.ID{""}
		if !slot.Broadcast {
			to = nil
			for _, p := range l.parties {
				if p != l.self {
					to = append(to, fence.ID(p))
				}
			}
		}
		for _, id := range to {
			m := &protocol.Message{
				SSID: []byte(session), From: fence.ID(l.self), To: id, Protocol: "script",
				Data: realPayload(l.t, round, slot.Broadcast), Broadcast: slot.Broadcast,
			}
			if round > 2 {
				m.BroadcastVerification = echoOf(round)
			}
			setRound(&m.RoundNumber, round)
			l.out <- m
		}
	}
}

func (l *library) Accept(m *protocol.Message) {
	l.accepted = append(l.accepted, m)
	if l.onAccept != nil {
		l.onAccept(m)
		return
	}
	have := 0
	for _, a := range l.accepted {
		if uint16(a.RoundNumber) == l.round {
			have++
		}
	}
	want := 0
	for _, slot := range librarySlots() {
		if slot.Round == l.round {
			want += len(l.parties) - 1
		}
	}
	switch {
	case have == want && l.round == 5:
		l.result = "the result"
		close(l.out)
	case have == want:
		l.enter(l.round + 1)
	}
}

func (l *library) Listen() <-chan *protocol.Message { return l.out }

func (l *library) Result() (any, error) {
	if l.onResult != nil {
		return l.onResult()
	}
	if l.result != nil {
		return l.result, nil
	}
	if l.err != nil {
		return nil, l.err
	}
	return nil, errors.New("protocol: not finished")
}

// abort ends the script as the library ends: an abort message of round 0, an error, a closed channel.
func (l *library) abort(err error, culprits ...party.ID) {
	if err != nil {
		l.err = protocol.Error{Culprits: culprits, Err: err}
		l.out <- &protocol.Message{SSID: []byte(session), From: fence.ID(l.self), Protocol: "script", Data: []byte("abort")}
	}
	close(l.out)
}
