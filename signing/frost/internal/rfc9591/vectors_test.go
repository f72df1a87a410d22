package rfc9591_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/signing/frost/internal/group"
	"github.com/countersign-mpc/countersign/signing/frost/internal/rfc9591"
	"github.com/countersign-mpc/countersign/signing/frost/internal/schnorr"
)

var curve group.Edwards25519

// vectors of RFC 9591, appendix E.1.
type vectors struct {
	Participants []uint32 `json:"participants"`
	SecretKey    string   `json:"group_secret_key"`
	PublicKey    string   `json:"group_public_key"`
	Message      string   `json:"message"`
	Coefficients []string `json:"share_polynomial_coefficients"`
	Shares       map[string]string
	Signers      map[string]struct {
		HidingRandomness  string `json:"hiding_nonce_randomness"`
		BindingRandomness string `json:"binding_nonce_randomness"`
		HidingNonce       string `json:"hiding_nonce"`
		BindingNonce      string `json:"binding_nonce"`
		HidingCommitment  string `json:"hiding_nonce_commitment"`
		BindingCommitment string `json:"binding_nonce_commitment"`
		FactorInput       string `json:"binding_factor_input"`
		Factor            string `json:"binding_factor"`
		Share             string `json:"sig_share"`
	} `json:"signers"`
	ParticipantShares map[string]string `json:"participant_shares"`
	Signature         string            `json:"sig"`
}

func load(t *testing.T) vectors {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "testdata", "rfc9591", "frost-ed25519-sha512.json"))
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil || len(b) == 0 {
		t.Fatalf("%q: %v", s, err)
	}
	return b
}

func scalar(t *testing.T, s string) *rfc9591.Scalar {
	t.Helper()
	x, err := curve.Scalar(unhex(t, s))
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func mustEqual(t *testing.T, what string, got []byte, want string) {
	t.Helper()
	if hex.EncodeToString(got) != want {
		t.Errorf("%s is %x, want %s", what, got, want)
	}
}

// TestVectorsAreOfOneKey checks the shares of the RFC against its polynomial.
func TestVectorsAreOfOneKey(t *testing.T) {
	v := load(t)
	secret, slope := scalar(t, v.SecretKey), scalar(t, v.Coefficients[0])
	mustEqual(t, "public key", curve.Base(secret).Bytes(), v.PublicKey)
	for x, share := range v.ParticipantShares {
		n, err := strconv.Atoi(x)
		if err != nil {
			t.Fatal(err)
		}
		mustEqual(t, "share "+x, secret.Add(slope.Mul(curve.Integer(uint32(n)))).Bytes(), share)
	}
	if len(v.ParticipantShares) != 3 {
		t.Errorf("%d shares", len(v.ParticipantShares))
	}
}

func TestVectors(t *testing.T) {
	v := load(t)
	session := rfc9591.Session{PublicKey: unhex(t, v.PublicKey), Tweak: make([]byte, 32), Message: unhex(t, v.Message)}
	nonces := map[uint32]*rfc9591.Nonce{}
	for _, id := range v.Participants {
		x := strconv.Itoa(int(id))
		want, secret := v.Signers[x], scalar(t, v.ParticipantShares[x])
		hiding := rfc9591.NonceGenerate([32]byte(unhex(t, want.HidingRandomness)), secret)
		binding := rfc9591.NonceGenerate([32]byte(unhex(t, want.BindingRandomness)), secret)
		mustEqual(t, "hiding nonce "+x, hiding.Bytes(), want.HidingNonce)
		mustEqual(t, "binding nonce "+x, binding.Bytes(), want.BindingNonce)
		nonce, err := schnorr.NewNonce(hiding, binding)
		if err != nil {
			t.Fatal(err)
		}
		commitment, err := schnorr.Commit(curve, nonce)
		if err != nil {
			t.Fatal(err)
		}
		mustEqual(t, "commitment "+x, commitment.Bytes(), want.HidingCommitment+want.BindingCommitment)
		nonces[id] = nonce
		session.Signers = append(session.Signers, rfc9591.Signer{ID: id, PublicShare: curve.Base(secret).Bytes(), Commitment: commitment})
	}
	inputs := rfc9591.BindingFactorInputs(session.PublicKey, session.Signers, session.Message)
	slices.Reverse(session.Signers) // the order in which signers are given means nothing
	values, err := session.Values()
	if err != nil {
		t.Fatal(err)
	}
	var shares []*rfc9591.Scalar
	for i, s := range values.Signers {
		x := strconv.Itoa(int(s.X))
		want, secret := v.Signers[x], scalar(t, v.ParticipantShares[x])
		mustEqual(t, "input of binding factor "+x, inputs[i], want.FactorInput)
		mustEqual(t, "binding factor "+x, s.Factor.Bytes(), want.Factor)
		share, err := values.Share(s.X, nonces[s.X], secret)
		if err != nil {
			t.Fatal(err)
		}
		mustEqual(t, "signature share "+x, share.Bytes(), want.Share)
		if _, err := values.Share(s.X, nonces[s.X], secret); !errors.Is(err, schnorr.ErrNonceUsed) {
			t.Errorf("the nonce of %s signs twice: %v", x, err)
		}
		shares = append(shares, share)
	}
	signature, err := values.Sum(shares)
	if err != nil {
		t.Fatal(err)
	}
	mustEqual(t, "signature", signature[:], v.Signature)
	if !ed25519.Verify(session.PublicKey, session.Message, signature[:]) {
		t.Error("crypto/ed25519 does not verify the signature")
	}
}

// TestSessionRefusals breaks every part of a session.
func TestSessionRefusals(t *testing.T) {
	v := load(t)
	small, err := hex.DecodeString("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05") // of order 8
	if err != nil {
		t.Fatal(err)
	}
	order := unhex(t, "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")
	cases := map[string]struct {
		spoil func(s *rfc9591.Session)
		want  string
	}{
		"another key":         {func(s *rfc9591.Session) { s.PublicKey = s.Signers[0].PublicShare }, "do not stand for"},
		"a share twice":       {func(s *rfc9591.Session) { s.Signers[1] = s.Signers[0] }, "must differ"},
		"identifier 0":        {func(s *rfc9591.Session) { s.Signers[0].ID = 0 }, "must differ"},
		"another identifier":  {func(s *rfc9591.Session) { s.Signers[0].ID = 2 }, "do not stand for"},
		"too few":             {func(s *rfc9591.Session) { s.Signers = s.Signers[:1] }, "do not stand for"},
		"nobody":              {func(s *rfc9591.Session) { s.Signers = nil }, "do not stand for"},
		"share of low order":  {func(s *rfc9591.Session) { s.Signers[0].PublicShare = small }, "prime-order subgroup"},
		"tweak out of range":  {func(s *rfc9591.Session) { s.Tweak = order }, "tweak"},
		"tweak of 31 bytes":   {func(s *rfc9591.Session) { s.Tweak = s.Tweak[1:] }, "tweak"},
		"tweak to identity":   {func(s *rfc9591.Session) { s.Tweak = scalar(t, v.SecretKey).Negate().Bytes() }, "the identity"},
		"commitments cancel":  {cancel, "add up to nothing"},
		"key with no element": {func(s *rfc9591.Session) { s.PublicKey = bytes.Repeat([]byte{0xff}, 32) }, "do not stand for"},
	}
	for name, c := range cases {
		s := rfc9591.Session{PublicKey: unhex(t, v.PublicKey), Tweak: make([]byte, 32), Message: unhex(t, v.Message)}
		for _, id := range v.Participants {
			x := strconv.Itoa(int(id))
			commitment, err := rfc9591.ParseCommitment(unhex(t, v.Signers[x].HidingCommitment+v.Signers[x].BindingCommitment))
			if err != nil {
				t.Fatal(err)
			}
			s.Signers = append(s.Signers, rfc9591.Signer{ID: id, PublicShare: curve.Base(scalar(t, v.ParticipantShares[x])).Bytes(), Commitment: commitment})
		}
		if _, err := s.Values(); err != nil {
			t.Fatal(err)
		}
		c.spoil(&s)
		if _, err := s.Values(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// cancel gives the signers commitments whose bound sum is the identity. A signer could not choose them: the binding
// factors depend on them.
func cancel(s *rfc9591.Session) {
	for i := range s.Signers {
		s.Signers[i].Commitment.Binding = curve.Identity()
	}
	s.Signers[1].Commitment.Hiding = s.Signers[0].Commitment.Hiding.Negate()
}
