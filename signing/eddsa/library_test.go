package eddsa_test

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"filippo.io/edwards25519"
	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/eddsa"
	"github.com/countersign-mpc/countersign/signing/eddsa/internal/frame"
	"github.com/countersign-mpc/countersign/signing/eddsa/internal/library"
	"github.com/countersign-mpc/countersign/signing/internal/edwards"
)

// faulty is the library with something going wrong on its way out.
type faulty struct {
	eddsa.Party
	opens  func(*frame.Open, map[signing.PartyID]*edwards25519.Scalar) error
	result func(*library.Result) error
}

func (f faulty) Commitments(of map[signing.PartyID][32]byte) (*frame.Open, map[signing.PartyID]*edwards25519.Scalar, error) {
	open, shares, err := f.Party.Commitments(of)
	if err == nil && f.opens != nil {
		err = f.opens(open, shares)
	}
	return open, shares, err
}

func (f faulty) Openings(of map[signing.PartyID]*frame.Open, shares map[signing.PartyID]*edwards25519.Scalar) (*library.Result, error) {
	result, err := f.Party.Openings(of, shares)
	if err == nil && f.result != nil {
		err = f.result(result)
	}
	return result, err
}

// TestLibraryGoesWrong: what the library computes is checked before it is sent or kept, and its end is an abort that blames
// nobody.
func TestLibraryGoesWrong(t *testing.T) {
	p := newPeers(t, t.Name())
	two := func() *edwards25519.Scalar { return edwards.Scalar(2) } // each time another one: a keygen that aborts wipes its secret
	double := func(q *edwards25519.Point) { q.Add(q, q) }
	cases := map[string]struct {
		faulty faulty
		reason string
	}{
		"opening fails":  {faulty{opens: func(*frame.Open, map[signing.PartyID]*edwards25519.Scalar) error { return errReached }}, "the library failed"},
		"opening panics": {faulty{opens: func(*frame.Open, map[signing.PartyID]*edwards25519.Scalar) error { panic("secret 12345") }}, "panicked (string)"},
		"other opening": {faulty{opens: func(o *frame.Open, _ map[signing.PartyID]*edwards25519.Scalar) error {
			double(o.Coefficients[1])
			return nil
		}}, "own opening"},
		"other proof": {faulty{opens: func(o *frame.Open, _ map[signing.PartyID]*edwards25519.Scalar) error {
			o.ProofScalar = two()
			return nil
		}}, "own opening"},
		"share missing": {faulty{opens: func(_ *frame.Open, s map[signing.PartyID]*edwards25519.Scalar) error { delete(s, 3); return nil }}, "own share for party 3"},
		"shares swapped": {faulty{opens: func(_ *frame.Open, s map[signing.PartyID]*edwards25519.Scalar) error {
			s[2], s[3] = s[3], s[2]
			return nil
		}}, "own share for"},
		"result fails":    {faulty{result: func(*library.Result) error { return errReached }}, "the library failed"},
		"result panics":   {faulty{result: func(*library.Result) error { panic("secret 12345") }}, "panicked (string)"},
		"other secret":    {faulty{result: func(r *library.Result) error { r.Secret.Add(r.Secret, two()); return nil }}, "does not belong to the own public share"},
		"zero secret":     {faulty{result: func(r *library.Result) error { r.Secret = edwards25519.NewScalar(); return nil }}, "scalar"},
		"other key":       {faulty{result: func(r *library.Result) error { double(r.PublicKey); return nil }}, "not the sum"},
		"other own share": {faulty{result: func(r *library.Result) error { double(r.PublicShares[1]); return nil }}, "public share of party 1"},
		"other share":     {faulty{result: func(r *library.Result) error { double(r.PublicShares[3]); return nil }}, "public share of party 3"},
		"no share":        {faulty{result: func(r *library.Result) error { delete(r.PublicShares, 2); return nil }}, "public share of party 2"},
		"no result":       {faulty{result: func(r *library.Result) error { *r = library.Result{}; return nil }}, "panicked"},
		"a share of another key": {faulty{result: func(r *library.Result) error {
			r.Secret, r.PublicShares = two(), maps.Clone(r.PublicShares)
			r.PublicShares[1] = new(edwards25519.Point).ScalarBaseMult(two())
			return nil
		}}, "public share of party 1"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			k, err := eddsa.NewKeygenWith(
				eddsa.KeygenConfig{Binding: p.binding, Self: 1, Parties: three, Threshold: 2},
				func(l library.Config) (eddsa.Party, [32]byte, error) {
					party, commitment, err := library.Start(l)
					c.faulty.Party = party
					return c.faulty, commitment, err
				})
			if err != nil {
				t.Fatal(err)
			}
			v := &victim{Keygen: k, peers: p, frames: map[signing.PartyID][]byte{1: k.Outgoing()[0].Data}}
			err = v.run(nil)
			mustAbort(t, k, err, 0, c.reason)
			if strings.Contains(err.Error(), "12345") {
				t.Fatal("the abort shows what the panic held")
			}
		})
	}
}

func TestLibraryDoesNotStart(t *testing.T) {
	c := eddsa.KeygenConfig{Binding: binding(t.Name()), Self: 1, Parties: three, Threshold: 2}
	_, err := eddsa.NewKeygenWith(c, func(library.Config) (eddsa.Party, [32]byte, error) { return nil, [32]byte{}, errReached })
	var abort *signing.Abort
	if !errors.As(err, &abort) || abort.Culprit != 0 || !errors.Is(err, errReached) {
		t.Fatal(err)
	}
}
