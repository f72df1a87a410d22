package frame_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/countersign-mpc/countersign/signing/frost/internal/frame"
)

// frames are one of every kind.
func frames() []frame.Frame {
	session, echo, share := [32]byte{1, 2, 3}, [32]byte{4, 5, 6}, [32]byte{7, 8, 9}
	return []frame.Frame{
		{Protocol: frame.BIP445, Round: frame.Commitments, Session: session, Commitment: bytes.Repeat([]byte{2}, 66)},
		{Protocol: frame.RFC9591, Round: frame.Commitments, Session: session, Commitment: bytes.Repeat([]byte{3}, 64)},
		{Protocol: frame.BIP445, Round: frame.Shares, Session: session, Echo: echo, Share: share},
		{Protocol: frame.RFC9591, Round: frame.Shares, Session: session, Echo: echo, Share: share},
	}
}

func mustEncode(t testing.TB, f frame.Frame) []byte {
	t.Helper()
	data, err := frame.Encode(f)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestRoundTrip(t *testing.T) {
	for _, f := range frames() {
		data := mustEncode(t, f)
		got, err := frame.Decode(data)
		if err != nil || !bytes.Equal(mustEncode(t, got), data) || got.Session != f.Session || got.Echo != f.Echo ||
			got.Share != f.Share || !bytes.Equal(got.Commitment, f.Commitment) || got.Round != f.Round || got.Protocol != f.Protocol {
			t.Errorf("%+v: %v", got, err)
		}
		clear(data)
		if !bytes.Equal(got.Commitment, f.Commitment) {
			t.Error("a frame shares memory with what it was read from")
		}
	}
}

func TestRefusals(t *testing.T) {
	for _, f := range frames() {
		data := mustEncode(t, f)
		for n := range data {
			if _, err := frame.Decode(data[:n]); !errors.Is(err, frame.ErrMalformed) {
				t.Errorf("%d bytes: %v", n, err)
			}
		}
		if _, err := frame.Decode(append(bytes.Clone(data), 0)); !errors.Is(err, frame.ErrMalformed) {
			t.Errorf("a byte more: %v", err)
		}
		for at := range 4 { // version, protocol, round
			for bit := range 8 {
				other := bytes.Clone(data)
				other[at] ^= 1 << bit
				got, err := frame.Decode(other)
				if at == 1 && bit == 0 && f.Round == frame.Shares {
					if err != nil || got.Protocol == f.Protocol {
						t.Errorf("shares of the other protocol, which are as long: %v", err)
					}
				} else if !errors.Is(err, frame.ErrMalformed) {
					t.Errorf("byte %d, bit %d: %v", at, bit, err)
				}
			}
		}
	}
}

func TestEncodeRefusals(t *testing.T) {
	for what, f := range map[string]frame.Frame{
		"nothing":               {},
		"no round":              {Protocol: frame.BIP445},
		"a round too many":      {Protocol: frame.BIP445, Round: 3},
		"another protocol":      {Protocol: 1, Round: frame.Shares},
		"no commitment":         {Protocol: frame.BIP445, Round: frame.Commitments},
		"the other's":           {Protocol: frame.BIP445, Round: frame.Commitments, Commitment: make([]byte, 64)},
		"the other's, as short": {Protocol: frame.RFC9591, Round: frame.Commitments, Commitment: make([]byte, 66)},
	} {
		if _, err := frame.Encode(f); !errors.Is(err, frame.ErrMalformed) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, fr := range frames() {
		f.Add(mustEncode(f, fr))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := frame.Decode(data)
		if err != nil {
			if !errors.Is(err, frame.ErrMalformed) {
				t.Fatalf("another error: %v", err)
			}
			return
		}
		if !bytes.Equal(mustEncode(t, got), data) {
			t.Fatal("a frame has two encodings")
		}
	})
}
