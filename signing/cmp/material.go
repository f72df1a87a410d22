package cmp

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/cmp/internal/fence"
	"github.com/countersign-mpc/countersign/signing/internal/custody"
	"github.com/cronokirby/saferith"
	"github.com/taurusgroup/multi-party-sig/pkg/math/arith"
	"github.com/taurusgroup/multi-party-sig/pkg/math/curve"
	"github.com/taurusgroup/multi-party-sig/pkg/paillier"
	"github.com/taurusgroup/multi-party-sig/pkg/party"
	"github.com/taurusgroup/multi-party-sig/pkg/pedersen"
	taurus "github.com/taurusgroup/multi-party-sig/protocols/cmp"
	tconfig "github.com/taurusgroup/multi-party-sig/protocols/cmp/config"
)

// ProtocolID marks CMP's material in a share.
const ProtocolID = 1

// The layout of the material (docs/FORMATS.md, signing): public RID ‖ for each party Y ‖ N ‖ S ‖ T, secret y ‖ P ‖ Q.
const (
	ridSize    = 32
	pointSize  = 33
	scalarSize = 32
	nSize      = 256
	primeSize  = 128

	perParty   = pointSize + 3*nSize
	secretSize = scalarSize + 2*primeSize

	primeRounds = 20 // Miller-Rabin rounds on primes that this party made itself
)

// shareFromConfig checks the result of keygen against what was asked and makes a share of it.
func shareFromConfig(result any, c KeygenConfig) (*signing.Share, error) {
	config, ok := result.(*taurus.Config)
	if !ok || config == nil {
		return nil, fmt.Errorf("the library's result is a %T, not a key share", result)
	}
	ids := config.PartyIDs()
	want := fence.IDs(c.Parties)
	if config.ID != fence.ID(c.Self) || fromDegree(config.Threshold) != c.Threshold || len(ids) != len(want) || !ids.Contains(want...) {
		return nil, errors.New("the new share is of another party, threshold or set of parties")
	}
	contents, err := contentsOf(config, c)
	if err != nil {
		return nil, fmt.Errorf("encode the new share: %w", err)
	}
	defer contents.Wipe()
	share, err := signing.NewShare(contents)
	if err != nil {
		return nil, err
	}
	return share, CheckShare(share)
}

// contentsOf encodes a library configuration. c.Parties is sorted.
func contentsOf(config *taurus.Config, c KeygenConfig) (signing.Contents, error) {
	out := signing.Contents{
		Algorithm: signing.AlgorithmECDSA, Threshold: c.Threshold, Index: c.Self,
		PublicShares: make(map[signing.PartyID][]byte, len(c.Parties)),
		Material:     signing.Material{Protocol: ProtocolID},
	}
	if len(config.ChainKey) != len(out.ChainCode) || len(config.RID) != ridSize {
		return out, errors.New("chain code or session randomness is not 32 bytes")
	}
	copy(out.ChainCode[:], config.ChainKey)
	var err error
	if out.PublicKey, err = config.PublicPoint().MarshalBinary(); err != nil {
		return out, err
	}
	out.Material.Public = append(out.Material.Public, config.RID...)
	for _, id := range c.Parties {
		public := config.Public[fence.ID(id)]
		if out.PublicShares[id], err = public.ECDSA.MarshalBinary(); err != nil {
			return out, err
		}
		elgamal, err := public.ElGamal.MarshalBinary()
		if err != nil {
			return out, err
		}
		out.Material.Public = append(out.Material.Public, elgamal...)
		for _, n := range []*saferith.Nat{public.Pedersen.N().Nat(), public.Pedersen.S(), public.Pedersen.T()} {
			out.Material.Public = append(out.Material.Public, n.FillBytes(make([]byte, nSize))...)
		}
	}
	if out.Secret, err = config.ECDSA.MarshalBinary(); err != nil {
		return out, err
	}
	y, err := config.ElGamal.MarshalBinary()
	if err != nil {
		return out, err
	}
	secret := make([]byte, secretSize)
	copy(secret, y)
	config.Paillier.P().FillBytes(secret[scalarSize : scalarSize+primeSize])
	config.Paillier.Q().FillBytes(secret[scalarSize+primeSize:])
	clear(y)
	out.Material.Secret = secret
	return out, nil
}

// CheckShare checks that a share can sign by CMP: the protocol's material too, which signing.ParseShare cannot see
// into. It computes for some tens of milliseconds.
func CheckShare(s *signing.Share) error {
	if _, err := openConfig(s); err != nil {
		return fmt.Errorf("check CMP share: %w", err)
	}
	return nil
}

// openConfig makes a fresh library configuration of a share, with all its checks. The library keeps the secret in
// numbers that cannot be wiped; they live as long as the session.
func openConfig(s *signing.Share) (*taurus.Config, error) {
	c, err := s.Open(custody.Open())
	if err != nil {
		return nil, err
	}
	defer c.Wipe()
	if c.Algorithm != signing.AlgorithmECDSA || c.Material.Protocol != ProtocolID {
		return nil, fmt.Errorf("the share is for %s by protocol %d, not for ECDSA by CMP", c.Algorithm, c.Material.Protocol)
	}
	parties := s.Parties()
	if len(c.Material.Public) != ridSize+len(parties)*perParty || len(c.Material.Secret) != secretSize {
		return nil, errors.New("the share's CMP material has the wrong length")
	}
	config := taurus.EmptyConfig(curve.Secp256k1{})
	config.ID = fence.ID(c.Index)
	config.Threshold = toDegree(c.Threshold)
	config.RID, config.ChainKey = c.Material.Public[:ridSize:ridSize], c.ChainCode[:]
	if err := readSecrets(config, c); err != nil {
		return nil, err
	}
	config.Public = make(map[party.ID]*tconfig.Public, len(parties))
	for i, id := range parties {
		start := ridSize + i*perParty
		public, err := readPublic(c.PublicShares[id], c.Material.Public[start:start+perParty])
		if err != nil {
			return nil, fmt.Errorf("CMP material of %s: %w", id, err)
		}
		config.Public[fence.ID(id)] = public
	}
	return config, takeOwn(config)
}

// readSecrets reads the secret scalars and the Paillier key.
func readSecrets(config *taurus.Config, c signing.Contents) error {
	group := curve.Secp256k1{}
	config.ECDSA, config.ElGamal = group.NewScalar(), group.NewScalar()
	y, primes := c.Material.Secret[:scalarSize], c.Material.Secret[scalarSize:]
	if config.ECDSA.UnmarshalBinary(c.Secret) != nil || config.ElGamal.UnmarshalBinary(y) != nil || config.ElGamal.IsZero() {
		return errors.New("a secret scalar of the share is out of range")
	}
	p, q := new(saferith.Nat).SetBytes(primes[:primeSize]), new(saferith.Nat).SetBytes(primes[primeSize:])
	for _, prime := range []*saferith.Nat{p, q} {
		if err := paillier.ValidatePrime(prime); err != nil {
			return fmt.Errorf("a Paillier prime of the share: %w", err)
		}
		if !prime.Big().ProbablyPrime(primeRounds) {
			return errors.New("a Paillier prime of the share is not prime")
		}
	}
	if p.Eq(q) == 1 {
		return errors.New("the Paillier primes of the share are equal")
	}
	config.Paillier = paillier.NewSecretKeyFromPrimes(p, q)
	return nil
}

// readPublic reads what is public about one party.
func readPublic(share, data []byte) (*tconfig.Public, error) {
	group := curve.Secp256k1{}
	x, y := group.NewPoint(), group.NewPoint()
	if x.UnmarshalBinary(share) != nil || y.UnmarshalBinary(data[:pointSize]) != nil {
		return nil, errors.New("a point is not on the curve")
	}
	data = data[pointSize:]
	if data[0]&0x80 == 0 || data[nSize-1]&1 == 0 { // before the library, which divides by it
		return nil, errors.New("the modulus is even or shorter than 2048 bits")
	}
	n := saferith.ModulusFromBytes(data[:nSize])
	s, t := new(saferith.Nat).SetBytes(data[nSize:2*nSize]), new(saferith.Nat).SetBytes(data[2*nSize:])
	if err := paillier.ValidateN(n); err != nil {
		return nil, err
	}
	if err := pedersen.ValidateParameters(n, s, t); err != nil {
		return nil, err
	}
	return &tconfig.Public{
		ECDSA: x, ElGamal: y,
		Paillier: paillier.NewPublicKey(n), Pedersen: pedersen.New(arith.ModulusFromN(n), s, t),
	}, nil
}

// takeOwn checks the own public values against the secrets and puts the faster ones, which know the factors, in their
// place.
func takeOwn(config *taurus.Config) error {
	own := config.Public[config.ID]
	n := config.Paillier.N().Nat().FillBytes(make([]byte, nSize))
	switch {
	case !bytes.Equal(n, own.Pedersen.N().Nat().FillBytes(make([]byte, nSize))):
		return errors.New("the share's Paillier primes do not give its public modulus")
	case !own.ElGamal.Equal(config.ElGamal.ActOnBase()):
		return errors.New("the share's ElGamal key does not belong to its public key")
	}
	own.Paillier = config.Paillier.PublicKey
	own.Pedersen = pedersen.New(config.Paillier.Modulus(), own.Pedersen.S(), own.Pedersen.T())
	return nil
}
