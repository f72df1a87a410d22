//go:build !race

// Race builds leave the tables out: the other tests run the same code with honest and dishonest parties.

package frost_test

import (
	"errors"
	"testing"

	"github.com/countersign-mpc/countersign/signing"
)

const (
	secpOrder    = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"
	edwardsOrder = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010"
	maximum      = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
	nothing      = "0000000000000000000000000000000000000000000000000000000000000000"
	mixedOrder   = "da99e28ba529cdde35a25fba9059e78ecaee239f99755b9b1aa4f65df00803e2"
)

// attacks that are the same over both groups.
var attacks = []attack{
	{"nothing", 1, func(m *signing.Message) { m.Data = nil }, 3, "malformed"},
	{"half", 1, func(m *signing.Message) { m.Data = m.Data[:len(m.Data)/2] }, 3, "malformed"},
	{"a byte less", 1, func(m *signing.Message) { m.Data = m.Data[:len(m.Data)-1] }, 3, "malformed"},
	{"a byte more", 1, func(m *signing.Message) { m.Data = append(m.Data, 0) }, 3, "malformed"},
	{"as much as there may be", 1, func(m *signing.Message) { m.Data = append(m.Data, make([]byte, signing.MaxFrame)...) }, 3, "malformed"},
	{"another version", 1, flip(0), 3, "malformed"},
	{"another protocol", 1, flip(atProtocol), 3, "malformed"},
	{"no protocol", 1, write(atProtocol, "01"), 3, "malformed"},
	{"the other round's number", 1, write(atRound, "02"), 3, "malformed"},
	{"a round that is not", 1, func(m *signing.Message) { m.Round, m.Data[atRound] = 3, 3 }, 3, "malformed"},
	{"round 0", 1, func(m *signing.Message) { m.Round, m.Data[atRound] = 0, 0 }, 3, "malformed"},
	{"another round on the way", 1, func(m *signing.Message) { m.Round = 2 }, 3, "malformed"},
	{"another session", 1, flip(atSession), 0, "belongs to another session"},
	{"commitments to one only", 1, direct, 3, "sent to others than it is for"},
	{"a byte less", 2, func(m *signing.Message) { m.Data = m.Data[:len(m.Data)-1] }, 3, "malformed"},
	{"a byte more", 2, func(m *signing.Message) { m.Data = append(m.Data, 0) }, 3, "malformed"},
	{"another protocol", 2, flip(atProtocol), 3, "malformed"},
	{"another session", 2, flip(atSession), 0, "belongs to another session"},
	{"another echo", 2, flip(atBody), 0, "party 3 was told other commitments"},
	{"another share", 2, flip(atShare), 3, "signature share is wrong"},
	{"another share", 2, flip(atShare + 31), 3, "signature share is wrong"},
	{"the share 0", 2, write(atShare, nothing), 3, "signature share is wrong"},
	{"a share beyond the order", 2, write(atShare, maximum), 3, "signature share is wrong"},
	{"the share to one only", 2, direct, 3, "sent to others than it is for"},
}

// attacksOn are those that are different over each group: commitments that are no element, and the order as a share.
var attacksOn = map[string][]attack{
	"secp256k1": {
		{"a hiding commitment that is no point", 1, write(atBody, "02"+nothing[:62]+"05"), 3, "commitment is invalid"},
		{"a hiding commitment at infinity", 1, write(atBody, "00"+nothing), 3, "commitment is invalid"},
		{"a hiding commitment beyond the field", 1, write(atBody, "02"+maximum), 3, "commitment is invalid"},
		{"an uncompressed hiding commitment", 1, write(atBody, "04"), 3, "commitment is invalid"},
		{"a binding commitment that is no point", 1, write(atBody+33, "03"+nothing[:62]+"05"), 3, "commitment is invalid"},
		{"a binding commitment at infinity", 1, write(atBody+33, "00"+nothing), 3, "commitment is invalid"},
		{"the order as a share", 2, write(atShare, secpOrder), 3, "signature share is wrong"},
	},
	"ed25519": {
		{"a hiding commitment that is no point", 1, write(atBody, "02"+nothing[2:]), 3, "commitment is invalid"},
		{"the identity as hiding commitment", 1, write(atBody, "01"+nothing[2:]), 3, "commitment is invalid"},
		{"the identity in another form", 1, write(atBody, "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"), 3, "commitment is invalid"},
		{"the identity with a sign", 1, write(atBody, "01"+nothing[4:]+"80"), 3, "commitment is invalid"},
		{"a point of order 2", 1, write(atBody, "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"), 3, "commitment is invalid"},
		{"a point of order 4", 1, write(atBody+32, nothing), 3, "commitment is invalid"},
		{"a point of order 8", 1, write(atBody+32, "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), 3, "commitment is invalid"},
		{"a point of order 8 times the prime", 1, write(atBody+32, mixedOrder), 3, "commitment is invalid"},
		{"a binding commitment beyond the field", 1, write(atBody+32, maximum), 3, "commitment is invalid"},
		{"the order as a share", 2, write(atShare, edwardsOrder), 3, "signature share is wrong"},
	},
}

// TestAttacks spoils one message of party 3 on its way to party 2. Whoever was told the truth finishes, or waits.
func TestAttacks(t *testing.T) {
	for name, r := range three(t) {
		for _, a := range append(attacksOn[name], attacks...) {
			t.Run(name+" "+a.what, func(t *testing.T) {
				network := r.start(t)
				network.Adversary = from3(a.round, a.spoil)
				ended := network.Run()
				mustAbort(t, ended, map[signing.PartyID]signing.PartyID{2: a.culprit}, a.reason)
				for _, id := range []signing.PartyID{1, 3} {
					if want := a.round == 2; (ended[id] == nil) != want || errors.As(ended[id], new(*signing.Abort)) {
						t.Errorf("%s, which was told the truth, ended with %v", id, ended[id])
					}
				}
				spoilt := network.Sessions[2].(signing.SignSession)
				if _, err := spoilt.Signature(); err != ended[2] || spoilt.Done() || len(spoilt.Outgoing()) != 0 {
					t.Errorf("a signature or a message after the abort: %v", err)
				}
				for _, m := range network.Sent {
					if a.round == 1 && m.From == 2 && m.ReleasesShare {
						t.Error("a share was released after the abort")
					}
					if err := spoilt.Accept(m); err != ended[2] && !errors.Is(err, signing.ErrMisdelivered) {
						t.Errorf("a message after the abort: %v", err)
					}
				}
			})
		}
	}
}
