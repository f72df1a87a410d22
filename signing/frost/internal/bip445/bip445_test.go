package bip445_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/signing/frost/internal/bip445"
)

func TestNonceGenRefusals(t *testing.T) {
	for what, in := range map[string]bip445.NonceInput{
		"secret share": {SecretShare: make([]byte, 31)},
		"public share": {PublicShare: make([]byte, 32)},
		"public key":   {PublicKey: make([]byte, 33)},
	} {
		random := [32]byte{1}
		if n, err := bip445.NonceGen(&random, in); err == nil || n != nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
		if random != [32]byte{} {
			t.Errorf("%s: the random bytes were left in memory", what)
		}
	}
}

func TestNonceAggRefusals(t *testing.T) {
	if _, err := bip445.NonceAgg(nil); err == nil {
		t.Error("aggregates nothing")
	}
	g := curve.Base(curve.Integer(1)).Bytes()
	for _, bad := range [][]byte{nil, g, bytes.Repeat(g, 3), append(bytes.Clone(g), make([]byte, 33)...)} {
		var fault *bip445.Fault
		if _, err := bip445.NonceAgg([][]byte{bytes.Repeat(g, 2), bad}); !errors.As(err, &fault) || fault.Signer != 1 {
			t.Errorf("%x: %v", bad, err)
		}
	}
}

// TestAggregateNonceLength gives sessions an aggregate nonce of another length: the aggregate is at fault.
func TestAggregateNonceLength(t *testing.T) {
	g := curve.Base(curve.Integer(1)).Bytes()
	for _, bad := range [][]byte{nil, g, bytes.Repeat(g, 3)} {
		s := bip445.Session{Signers: bip445.Signers{N: 1, T: 1, IDs: []uint32{0}, PublicShares: [][]byte{g}, PublicKey: g}, AggregateNonce: bad}
		var fault *bip445.Fault
		if _, err := s.Values(); !errors.As(err, &fault) || fault.Signer != -1 {
			t.Errorf("%d bytes: %v", len(bad), err)
		}
		s.AggregateNonce = bytes.Repeat(g, 2)
		if _, err := s.Values(); err != nil {
			t.Error(err)
		}
		s.PublicShares = nil
		if _, err := s.Values(); err == nil {
			t.Error("no public shares")
		}
	}
}

// TestSignersRefusals breaks signers whose shares do stand for their key.
func TestSignersRefusals(t *testing.T) {
	one, two := curve.Base(curve.Integer(5)).Bytes(), curve.Base(curve.Integer(7)).Bytes()
	key := curve.Base(curve.Integer(3)).Bytes() // 3 + 2x, at 0, of which 5 and 7 are the values at 1 and 2
	nonce := bytes.Repeat(one, 2)
	for what, c := range map[string]struct {
		spoil func(s *bip445.Signers)
		want  string
	}{
		"nothing":      {func(s *bip445.Signers) {}, ""},
		"t is 0":       {func(s *bip445.Signers) { s.T = 0 }, "threshold 0 of 2"},
		"t above n":    {func(s *bip445.Signers) { s.T = 3 }, "threshold 3 of 2"},
		"fewer than t": {func(s *bip445.Signers) { s.N, s.T = 3, 3 }, "2 signers: 3 to 3 can sign"},
		"more than n":  {func(s *bip445.Signers) { s.N, s.T = 1, 1 }, "2 signers: 1 to 1 can sign"},
		"an id beyond n": {func(s *bip445.Signers) {
			s.IDs, s.PublicShares[1] = []uint32{0, 2}, curve.Base(curve.Integer(9)).Bytes()
		}, "identifier 2: of 2"},
		"an id twice":           {func(s *bip445.Signers) { s.IDs[1] = 0 }, "must differ"},
		"shares of another":     {func(s *bip445.Signers) { s.PublicKey = one }, "do not stand for"},
		"shares in wrong order": {func(s *bip445.Signers) { s.PublicShares[0], s.PublicShares[1] = two, one }, "do not stand for"},
	} {
		s := bip445.Session{AggregateNonce: nonce, Signers: bip445.Signers{
			N: 2, T: 2, IDs: []uint32{0, 1}, PublicShares: [][]byte{one, two}, PublicKey: key,
		}}
		c.spoil(&s.Signers)
		if _, err := s.Values(); (err == nil) != (c.want == "") || (err != nil && !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
