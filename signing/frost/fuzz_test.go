package frost_test

import (
	"errors"
	"testing"

	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/frost"
)

// FuzzAccept gives a session one message of anything. It blames the sender or nobody, and releases nothing.
func FuzzAccept(f *testing.F) {
	runs := three(f)
	for _, r := range runs {
		for _, m := range r.start(f).Sessions[2].Outgoing() {
			f.Add(byte(2), m.Round, true, true, m.Data)
			f.Add(byte(3), uint16(2), false, true, m.Data)
		}
	}
	f.Fuzz(func(t *testing.T, from byte, round uint16, broadcast, sameSession bool, data []byte) {
		for name, r := range runs {
			s, err := frost.NewSign(r.config(t, r.shares[0]))
			if err != nil {
				t.Fatal(err)
			}
			own := outgoing(t, s)
			if sameSession && len(data) >= atBody {
				data = append([]byte(nil), data...)
				copy(data[atSession:atBody], own.Data[atSession:])
			}
			m := signing.Message{From: signing.PartyID(from), Round: round, Broadcast: broadcast, Data: data}
			if !broadcast {
				m.To = 1
			}
			var abort *signing.Abort
			switch err := s.Accept(m); {
			case errors.As(err, &abort):
				if abort.Culprit != 0 && abort.Culprit != m.From {
					t.Errorf("%s: blames %s for a message of %s", name, abort.Culprit, m.From)
				}
			case err != nil && !errors.Is(err, signing.ErrMisdelivered):
				t.Errorf("%s: %v", name, err)
			}
			if len(s.Outgoing()) != 0 || s.Done() {
				t.Errorf("%s: one message makes a share", name)
			}
		}
	})
}
