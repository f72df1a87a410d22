package fence_test

import (
	"testing"

	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/cmp/internal/frame"
)

// before returns the honest messages of all rounds before the last.
func before(t *testing.T) []signing.Message {
	var out []signing.Message
	for _, m := range honest(t) {
		if m.Round < 5 {
			out = append(out, m)
		}
	}
	return out
}

func TestRecipientGetsTheLastMessagesAlone(t *testing.T) {
	for _, early := range []bool{false, true} {
		s := newSetup(t)
		s.config.Recipient = 1
		run := s.start(t)
		last := []signing.Message{from(t, 2, 5, false), from(t, 3, 5, false)}
		if early {
			mustAccept(t, run, last...)
		}
		mustAccept(t, run, before(t)...)
		if !early {
			if run.Done() {
				t.Fatal("done without the last messages")
			}
			mustAccept(t, run, last...)
		}
		if !run.Done() || run.Released() || s.result != "the result" {
			t.Fatalf("early %t: not done: %v", early, run.Unfinished())
		}
		for _, m := range run.Outgoing() {
			if m.ReleasesShare || m.Round >= 5 {
				t.Errorf("the recipient sends %+v", m)
			}
		}
		for _, m := range s.lib.accepted {
			if m.RoundNumber == 5 && (!m.Broadcast || m.To != "") {
				t.Errorf("the library got a last message that is not its broadcast: %+v", m)
			}
		}
	}
}

func TestOthersEndWithTheirLastMessage(t *testing.T) {
	s := newSetup(t)
	s.config.Recipient = 3
	run := s.start(t)
	mustAccept(t, run, before(t)...)
	if !run.Done() || !run.Released() || run.Unfinished() != nil || s.result != nil {
		t.Fatalf("not done, or with a result: %v", run.Unfinished())
	}
	released := 0
	for _, m := range run.Outgoing() {
		if m.Round != 5 {
			continue
		}
		released++
		f, err := frame.Decode(m.Data, t3)
		if err != nil || f.Broadcast || f.Round != 5 || m.Broadcast || m.To != 3 || !m.ReleasesShare {
			t.Errorf("sent %+v: %v", m, err)
		}
	}
	if released != 1 {
		t.Fatalf("%d last messages", released)
	}
	mustAccept(t, run, from(t, 2, 5, true)) // nothing is there to be changed
	if !run.Released() {
		t.Fatal("a late message changed the end")
	}
}

// TestLastMessageInAnotherForm: a last message for all where it should be for one, the reverse, and one to a party that
// is not the recipient. Its sender is to blame, and the library does not see it, early or in time.
func TestLastMessageInAnotherForm(t *testing.T) {
	for name, c := range map[string]struct {
		recipient signing.PartyID
		broadcast bool
		reason    string
	}{
		"a broadcast to the recipient": {1, true, "is a broadcast, where the result is for party 1 alone"},
		"a broadcast beside it":        {3, true, "is a broadcast, where the result is for party 3 alone"},
		"to a party beside it":         {3, false, "is for us, where the result is for party 3 alone"},
		"to us alone without one":      {0, false, "is for us alone, where the result is for all"},
	} {
		for _, early := range []bool{true, false} {
			if !early && c.recipient == 3 {
				continue // this party is done by then
			}
			t.Run(name, func(t *testing.T) {
				s := newSetup(t)
				s.config.Recipient = c.recipient
				run := s.start(t)
				if !early {
					mustAccept(t, run, before(t)...)
				}
				seen := len(s.lib.accepted)
				mustAbort(t, run, run.Accept(from(t, 2, 5, c.broadcast)), 2, c.reason)
				if len(s.lib.accepted) != seen {
					t.Fatal("the library saw the message")
				}
			})
		}
	}
}
