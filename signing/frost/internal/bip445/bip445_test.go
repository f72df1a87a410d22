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
