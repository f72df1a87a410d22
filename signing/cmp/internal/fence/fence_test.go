package fence_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/cmp/internal/fence"
	"github.com/countersign-mpc/countersign/signing/cmp/internal/frame"
	"github.com/taurusgroup/multi-party-sig/pkg/protocol"
)

type setup struct {
	lib    *library
	config fence.Config
	result any
}

func newSetup(t *testing.T) *setup {
	s := &setup{lib: &library{t: t, self: 1, parties: []signing.PartyID{1, 2, 3}, out: make(chan *protocol.Message, 16)}}
	s.config = fence.Config{
		Protocol: frame.Sign, Threshold: t3, Self: 1, Parties: s.lib.parties, ReleaseRound: 5,
		Start:  func() (fence.Library, error) { s.lib.enter(2); return s.lib, nil },
		Finish: func(result any) error { s.result = result; return nil },
	}
	return s
}

func (s *setup) start(t *testing.T) *fence.Run {
	t.Helper()
	run, err := fence.New(s.config)
	if err != nil {
		t.Fatal(err)
	}
	return run
}

// from makes the message that an honest party would send us.
func from(t testing.TB, sender signing.PartyID, round uint16, broadcast bool, change ...func(*frame.Frame)) signing.Message {
	t.Helper()
	f := frame.Frame{Protocol: frame.Sign, Round: round, Broadcast: broadcast, Payload: realPayload(t, round, broadcast)}
	copy(f.SSID[:], session)
	if round > 2 {
		f.Echo = echoOf(round)
	}
	for _, c := range change {
		c(&f)
	}
	data, err := frame.Encode(f, t3)
	if err != nil {
		t.Fatal(err)
	}
	m := signing.Message{From: sender, Round: round, Broadcast: broadcast, Data: data}
	if !broadcast {
		m.To = 1
	}
	return m
}

// honest returns all messages that parties 2 and 3 would send us, in order.
func honest(t testing.TB) []signing.Message {
	var out []signing.Message
	for _, slot := range librarySlots() {
		for _, sender := range []signing.PartyID{2, 3} {
			out = append(out, from(t, sender, slot.Round, slot.Broadcast))
		}
	}
	return out
}

func mustAccept(t *testing.T, run *fence.Run, messages ...signing.Message) {
	t.Helper()
	for _, m := range messages {
		if err := run.Accept(m); err != nil {
			t.Fatalf("%s round %d: %v", m.From, m.Round, err)
		}
	}
}

// mustAbort demands an abort, that it stays, and that nothing more is sent.
func mustAbort(t *testing.T, run *fence.Run, err error, culprit signing.PartyID, reason string) {
	t.Helper()
	var abort *signing.Abort
	if !errors.As(err, &abort) {
		t.Fatalf("no abort but %v", err)
	}
	if abort.Culprit != culprit || !strings.Contains(abort.Error(), reason) {
		t.Fatalf("abort %v: want culprit %d and %q", abort, culprit, reason)
	}
	if again := run.Accept(from(t, 2, 2, true)); again != error(abort) {
		t.Fatalf("after the abort Accept says %v", again)
	}
	if len(run.Outgoing()) != 0 || run.Done() || run.Unfinished() != error(abort) {
		t.Fatal("after the abort there is still something to send, or a result")
	}
}

func TestRunInAnyOrder(t *testing.T) {
	messages := honest(t)
	orders := map[string]func([]signing.Message){
		"in order": func([]signing.Message) {},
		"reversed": slices.Reverse[[]signing.Message],
		"by party": func(m []signing.Message) {
			slices.SortStableFunc(m, func(a, b signing.Message) int { return int(a.From) - int(b.From) })
		},
	}
	for name, order := range orders {
		t.Run(name, func(t *testing.T) {
			s := newSetup(t)
			run := s.start(t)
			in := slices.Clone(messages)
			order(in)
			var sent []signing.Message
			for _, m := range in {
				if run.Done() || !errors.Is(run.Unfinished(), signing.ErrUnfinished) {
					t.Fatal("done before all messages are there")
				}
				mustAccept(t, run, m, m) // every message twice
				sent = append(sent, run.Outgoing()...)
			}
			if !run.Done() || run.Unfinished() != nil || s.result != "the result" {
				t.Fatalf("not done: %v", run.Unfinished())
			}
			if len(s.lib.accepted) != len(messages) {
				t.Fatalf("the library got %d messages of %d", len(s.lib.accepted), len(messages))
			}
			last := uint16(0)
			for _, m := range s.lib.accepted {
				if uint16(m.RoundNumber) < last {
					t.Fatal("the library got a message before its round")
				}
				last = uint16(m.RoundNumber)
				if (m.BroadcastVerification == nil) != (last == 2) || m.Protocol != "script" || string(m.SSID) != session {
					t.Fatalf("the library got %v with another head", m)
				}
			}
			for _, m := range sent {
				if m.From != 1 || m.ReleasesShare != (m.Round == 5) || m.Broadcast != (m.To == 0) || m.Round < 2 {
					t.Fatalf("sent %+v", m)
				}
			}
			if len(sent) != 4+3*2 {
				t.Fatalf("sent %d messages", len(sent))
			}
		})
	}
}

func TestAfterDoneNothingChanges(t *testing.T) {
	s := newSetup(t)
	run := s.start(t)
	mustAccept(t, run, honest(t)...)
	late := from(t, 2, 5, true)
	late.Data = []byte("garbage")
	mustAccept(t, run, late)
	if !run.Done() || len(run.Outgoing()) == 0 {
		t.Fatal("a late message took the result or the last messages away")
	}
}

func TestMisdeliveredMessagesChangeNothing(t *testing.T) {
	s := newSetup(t)
	run := s.start(t)
	good, direct := from(t, 2, 2, true), from(t, 2, 2, false)
	cases := map[string]signing.Message{
		"from us":             {From: 1, Round: 2, Broadcast: true, Data: good.Data},
		"from nobody":         {From: 0, Round: 2, Broadcast: true, Data: good.Data},
		"from a stranger":     {From: 4, Round: 2, Broadcast: true, Data: good.Data},
		"for another":         {From: 2, To: 3, Round: 2, Data: direct.Data},
		"broadcast to one":    {From: 2, To: 1, Round: 2, Broadcast: true, Data: good.Data},
		"direct to everybody": {From: 2, To: 0, Round: 2, Data: direct.Data},
	}
	for name, m := range cases {
		var abort *signing.Abort
		if err := run.Accept(m); !errors.Is(err, signing.ErrMisdelivered) || errors.As(err, &abort) {
			t.Errorf("%s: %v", name, err)
		}
	}
	mustAccept(t, run, honest(t)...)
	if !run.Done() {
		t.Fatal("not done")
	}
}

func TestSenderIsBlamedForItsOwnBytes(t *testing.T) {
	relabel := func(m signing.Message, round uint16, broadcast bool) signing.Message {
		m.Round, m.Broadcast = round, broadcast
		if m.To = 1; broadcast {
			m.To = 0
		}
		return m
	}
	garbage := from(t, 2, 2, true)
	garbage.Data = garbage.Data[:100]
	cases := map[string][]signing.Message{
		"malformed":                    {garbage},
		"frame of another round":       {relabel(from(t, 2, 3, true), 2, true)},
		"broadcast sent as direct":     {relabel(from(t, 2, 2, true), 2, false)},
		"direct sent as broadcast":     {relabel(from(t, 2, 2, false), 2, true)},
		"frame of a round that is not": {relabel(from(t, 2, 2, true), 9, true)},
		"two broadcasts": {from(t, 2, 2, true), from(t, 2, 2, true, func(f *frame.Frame) {
			f.Payload = bytes.Clone(f.Payload)
			f.Payload[len(f.Payload)-1] ^= 1
		})},
	}
	for name, messages := range cases {
		t.Run(name, func(t *testing.T) {
			s := newSetup(t)
			run := s.start(t)
			last := len(messages) - 1
			mustAccept(t, run, messages[:last]...)
			mustAbort(t, run, run.Accept(messages[last]), 2, "2 is to blame")
			if len(s.lib.accepted) != last {
				t.Fatal("the library saw the message")
			}
		})
	}
}

func TestNobodyIsBlamedForAnotherView(t *testing.T) {
	otherSession := from(t, 2, 2, true, func(f *frame.Frame) { f.SSID[0] ^= 1 })
	s := newSetup(t)
	run := s.start(t)
	mustAbort(t, run, run.Accept(otherSession), 0, "belongs to another session")

	s = newSetup(t)
	run = s.start(t)
	for _, m := range honest(t) {
		if m.Round == 2 {
			mustAccept(t, run, m)
		}
	}
	seen := len(s.lib.accepted)
	otherEcho := from(t, 3, 3, false, func(f *frame.Frame) { f.Echo = echoOf(9) })
	mustAbort(t, run, run.Accept(otherEcho), 0, "party 3 was told other broadcasts")
	if len(s.lib.accepted) != seen {
		t.Fatal("the library saw the message")
	}

	s = newSetup(t) // the same, come early and held
	run = s.start(t)
	mustAccept(t, run, otherEcho, from(t, 2, 2, true), from(t, 2, 2, false), from(t, 3, 2, true))
	mustAbort(t, run, run.Accept(from(t, 3, 2, false)), 0, "party 3 was told other broadcasts")
}

func TestEndsOfTheLibrary(t *testing.T) {
	broken := errors.New("a proof is wrong")
	cases := []struct {
		name    string
		end     func(l *library)
		culprit signing.PartyID
		reason  string
	}{
		{"panic", func(*library) { panic("secret 12345") }, 0, "the library panicked (string)"},
		{"index out of range", func(l *library) { _ = l.accepted[len(l.accepted)] }, 0, "the library panicked"},
		{"blames the sender", func(l *library) { l.abort(broken, fence.ID(2)) }, 2, "a proof is wrong"},
		{"blames another", func(l *library) { l.abort(broken, fence.ID(3)) }, 0, "a proof is wrong"},
		{"blames itself", func(l *library) { l.abort(broken, fence.ID(1)) }, 0, "a proof is wrong"},
		{"blames nobody", func(l *library) { l.abort(broken) }, 0, "a proof is wrong"},
		{"blames two", func(l *library) { l.abort(broken, fence.ID(2), fence.ID(3)) }, 0, "a proof is wrong"},
		{"closes without a reason", func(l *library) { l.abort(nil) }, 0, "ended without a result"},
		{"closes twice", func(l *library) { l.abort(nil); l.abort(nil) }, 0, "the library panicked"},
		{"panics in Result", func(l *library) { l.onResult = func() (any, error) { panic("no") } }, 0, "the library panicked"},
		{"sends off its template", func(l *library) {
			m := &protocol.Message{SSID: []byte(session), From: fence.ID(1), Protocol: "script", Data: []byte{0xf6}, Broadcast: true, BroadcastVerification: echoOf(3)}
			setRound(&m.RoundNumber, 3)
			l.out <- m
		}, 0, "not by its template"},
		{"sends as another", func(l *library) {
			l.out <- &protocol.Message{SSID: []byte(session), From: fence.ID(2), Protocol: "script", RoundNumber: 3, Broadcast: true}
		}, 0, "not of this session"},
		{"sends in another session", func(l *library) {
			l.out <- &protocol.Message{SSID: []byte(session + "x"), From: fence.ID(1), Protocol: "script", RoundNumber: 3, Broadcast: true}
		}, 0, "not of this session"},
		{"sends to a stranger", func(l *library) {
			l.out <- &protocol.Message{SSID: []byte(session), From: fence.ID(1), To: "stranger", Protocol: "script", RoundNumber: 3}
		}, 0, "not of this session"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := newSetup(t)
			run := s.start(t)
			run.Outgoing()
			s.lib.onAccept = func(*protocol.Message) { c.end(s.lib) }
			err := run.Accept(from(t, 2, 2, true))
			mustAbort(t, run, err, c.culprit, c.reason)
			if strings.Contains(err.Error(), "12345") {
				t.Fatal("the abort shows what the panic held")
			}
			if len(s.lib.accepted) != 1 {
				t.Fatal("the library was called after its end")
			}
		})
	}
}

func TestResultThatIsNotWanted(t *testing.T) {
	for name, finish := range map[string]func(any) error{
		"refused": func(any) error { return errors.New("not what was asked for") },
		"panic":   func(any) error { panic("not what was asked for") },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSetup(t)
			s.config.Finish = finish
			run := s.start(t)
			all := honest(t)
			mustAccept(t, run, all[:len(all)-1]...)
			mustAbort(t, run, run.Accept(all[len(all)-1]), 0, "the result is not what was asked for")
		})
	}
}

func TestStartFails(t *testing.T) {
	failed := errors.New("no start")
	cases := map[string]func(s *setup) (fence.Library, error){
		"error":  func(*setup) (fence.Library, error) { return nil, failed },
		"panic":  func(*setup) (fence.Library, error) { panic("no start") },
		"silent": func(s *setup) (fence.Library, error) { s.lib.abort(nil); return s.lib, nil },
		"mute":   func(s *setup) (fence.Library, error) { return s.lib, nil },
		"abort":  func(s *setup) (fence.Library, error) { s.lib.abort(failed, fence.ID(1)); return s.lib, nil },
	}
	for name, start := range cases {
		s := newSetup(t)
		s.config.Start = func() (fence.Library, error) { return start(s) }
		if run, err := fence.New(s.config); err == nil || run != nil {
			t.Errorf("%s: started", name)
		}
	}
}
