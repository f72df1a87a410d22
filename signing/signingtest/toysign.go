package signingtest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/cmp"
	"github.com/countersign-mpc/countersign/signing/internal/custody"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
)

// ToyProtocolID marks the material of shares that the toy keygen made; no real protocol signs with them.
const ToyProtocolID = 0x7f

// toyKeygen implements signing.KeygenSession.
type toyKeygen struct {
	*toy
	share *signing.Share
}

// NewKeygen starts a toy keygen with the arguments, and the checks of them, of cmp.NewKeygen. The same binding gives
// the same key.
func NewKeygen(c cmp.KeygenConfig) (signing.KeygenSession, error) {
	if c.Binding == [32]byte{} {
		return nil, errors.New("start toy keygen: no binding is given")
	}
	if err := signing.CheckParties(c.Parties, c.Self, c.Threshold); err != nil {
		return nil, fmt.Errorf("start toy keygen: %w", err)
	}
	parties := slices.Sorted(slices.Values(c.Parties))
	session := hash("keygen", c.Binding[:], partyBytes(parties), []byte{byte(c.Threshold)})
	k := &toyKeygen{}
	contribution := hash("contribution", session[:], []byte{byte(c.Self)})
	k.toy = &toy{
		session: session, self: c.Self, parties: parties,
		own: map[uint16][]byte{toyFirst: contribution[:], toyLast: {1}},
		finish: func(contributions, _ map[signing.PartyID][]byte) (err error) {
			k.share, err = deal(c, parties, contributions)
			return err
		},
	}
	k.start()
	return k, nil
}

// Share implements signing.KeygenSession.
func (k *toyKeygen) Share() (*signing.Share, error) {
	if err := k.unfinished(); err != nil {
		return nil, err
	}
	return k.share, nil
}

// deal computes, at every party alike, the polynomial that the contributions fix, and keeps the own share.
func deal(c cmp.KeygenConfig, parties []signing.PartyID, contributions map[signing.PartyID][]byte) (*signing.Share, error) {
	var all [][]byte
	for _, id := range parties {
		all = append(all, contributions[id])
	}
	seed := hash("seed", all...)
	coefficients := make([]secp256k1.ModNScalar, c.Threshold)
	for i := range coefficients {
		h := hash("coefficient", seed[:], []byte{byte(i)})
		coefficients[i].SetBytes(&h)
	}
	contents := signing.Contents{
		Algorithm: signing.AlgorithmECDSA, Threshold: c.Threshold, Index: c.Self,
		PublicKey:    publicPoint(&coefficients[0]),
		ChainCode:    hash("chain code", seed[:]),
		PublicShares: map[signing.PartyID][]byte{},
		Material:     signing.Material{Protocol: ToyProtocolID},
	}
	for _, id := range parties {
		x := evaluate(coefficients, id)
		contents.PublicShares[id] = publicPoint(&x)
		if id == c.Self {
			secret := x.Bytes()
			contents.Secret = secret[:]
		}
	}
	return signing.NewShare(contents)
}

// toySign implements signing.SignSession.
type toySign struct {
	*toy
	signature signing.Signature
}

// NewSign starts a toy signature with the arguments of cmp.NewSign and most of its checks. It takes the shares of any
// protocol, and whoever learns the signature learns
// the private key.
func NewSign(c cmp.SignConfig) (signing.SignSession, error) {
	if c.Share == nil || c.Binding == [32]byte{} {
		return nil, errors.New("start toy signing: no share or no binding is given")
	}
	if err := c.Share.CheckSigners(c.Signers); err != nil {
		return nil, fmt.Errorf("start toy signing: %w", err)
	}
	if c.Recipient != 0 && !slices.Contains(c.Signers, c.Recipient) {
		return nil, fmt.Errorf("start toy signing: the recipient, %s, is not among the signers", c.Recipient)
	}
	contents, err := c.Share.Open(custody.Open())
	if err != nil {
		return nil, fmt.Errorf("start toy signing: %w", err)
	}
	parties := slices.Sorted(slices.Values(c.Signers))
	if !tweaks(contents.PublicKey, c) {
		return nil, errors.New("start toy signing: tweak and share do not give the public key that is asked for")
	}
	s := &toySign{}
	s.toy = &toy{
		session: hash("sign", c.Binding[:], partyBytes(parties), c.Tweak[:], c.PublicKey[:], c.Digest[:], []byte{byte(c.Recipient)}),
		self:    contents.Index, parties: parties, release: toyLast, recipient: c.Recipient,
		own: map[uint16][]byte{toyFirst: {1}, toyLast: contents.Secret},
		finish: func(_, secrets map[signing.PartyID][]byte) (err error) {
			s.signature, err = reveal(c, secrets)
			return err
		},
	}
	s.start()
	return s, nil
}

// Signature implements signing.SignSession.
func (s *toySign) Signature() (signing.Signature, error) {
	if err := s.unfinished(); err != nil {
		return signing.Signature{}, err
	}
	if s.recipient != 0 && s.recipient != s.self {
		return signing.Signature{}, fmt.Errorf("signature of this session: %w", signing.ErrForRecipient)
	}
	return s.signature, nil
}

// reveal puts the private key together and signs with it (RFC 6979).
func reveal(c cmp.SignConfig, secrets map[signing.PartyID][]byte) (signing.Signature, error) {
	var key, tweak secp256k1.ModNScalar
	ids := slices.Sorted(maps.Keys(secrets))
	for _, id := range ids {
		var x secp256k1.ModNScalar
		if len(secrets[id]) != 32 || x.SetByteSlice(secrets[id]) {
			return signing.Signature{}, errors.New("a revealed share is no scalar")
		}
		l := lagrangeAtZero(ids, id)
		key.Add(x.Mul(&l))
	}
	tweak.SetByteSlice(c.Tweak[:])
	key.Add(&tweak)
	compact := ecdsa.SignCompact(secp256k1.NewPrivateKey(&key), c.Digest[:], true)
	var out signing.Signature
	copy(out.Bytes[:], compact[1:])
	out.RecoveryID = compact[0] - 27 - 4
	if !derive.VerifyECDSA(c.PublicKey[:], c.Digest[:], out.Bytes[:]) {
		return signing.Signature{}, errors.New("the signature does not verify under the derived key")
	}
	return out, nil
}

func tweaks(root []byte, c cmp.SignConfig) bool {
	var tweak secp256k1.ModNScalar
	key, err := secp256k1.ParsePubKey(root)
	if err != nil || tweak.SetByteSlice(c.Tweak[:]) {
		return false
	}
	var p, q secp256k1.JacobianPoint
	key.AsJacobian(&p)
	secp256k1.ScalarBaseMultNonConst(&tweak, &q)
	secp256k1.AddNonConst(&p, &q, &p)
	p.ToAffine()
	return string(secp256k1.NewPublicKey(&p.X, &p.Y).SerializeCompressed()) == string(c.PublicKey[:])
}

func evaluate(coefficients []secp256k1.ModNScalar, at signing.PartyID) secp256k1.ModNScalar {
	var x, sum secp256k1.ModNScalar
	x.SetInt(uint32(at))
	for i := len(coefficients) - 1; i >= 0; i-- {
		sum.Mul(&x)
		sum.Add(&coefficients[i])
	}
	return sum
}

func lagrangeAtZero(ids []signing.PartyID, j signing.PartyID) secp256k1.ModNScalar {
	var numerator, denominator secp256k1.ModNScalar
	numerator.SetInt(1)
	denominator.SetInt(1)
	for _, k := range ids {
		if k == j {
			continue
		}
		var xk, xj secp256k1.ModNScalar
		xk.SetInt(uint32(k))
		xj.SetInt(uint32(j))
		xj.Negate()
		numerator.Mul(&xk)
		denominator.Mul(xj.Add(&xk))
	}
	return *numerator.Mul(denominator.InverseNonConst())
}

func publicPoint(x *secp256k1.ModNScalar) []byte {
	return secp256k1.NewPrivateKey(x).PubKey().SerializeCompressed()
}

// hash joins a label and fields, each with its length.
func hash(label string, fields ...[]byte) [32]byte {
	h := sha256.New()
	for _, f := range append([][]byte{[]byte("countersign toy protocol " + label)}, fields...) {
		fmt.Fprintf(h, "%d:", len(f))
		h.Write(f)
	}
	return [32]byte(h.Sum(nil))
}

func partyBytes(parties []signing.PartyID) []byte {
	var out []byte
	for _, id := range parties {
		out = append(out, byte(id))
	}
	return out
}
