package signingtest

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"

	"filippo.io/edwards25519"
	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/internal/custody"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
)

// The protocols whose shares Deal makes, as docs/FORMATS.md numbers them.
const (
	protocolCMP     = 1
	protocolEd25519 = 2
)

// MaxDealt is the largest number of parties that Deal makes ECDSA shares for: as many as the test shares have
// different Paillier keys.
const MaxDealt = 6

// Deal makes the shares of a random key for tests, as a dealer that knows the key: Shamir's scheme with the party ids
// as x coordinates. The same seed and parties give the same key. The shares are in the order of parties, and the real
// protocols sign with them: ECDSA shares have the CMP material of the test shares, which is public, so that there are
// at most MaxDealt parties.
func Deal(t TB, seed uint64, a signing.Algorithm, threshold int, parties []signing.PartyID) []*signing.Share {
	t.Helper()
	contents := signing.Contents{
		Algorithm: a, Threshold: threshold, PublicShares: map[signing.PartyID][]byte{},
		ChainCode: draw(seed, "chain code", 0),
	}
	var secret func(x signing.PartyID) []byte
	var public func(secret []byte) []byte
	switch a {
	case signing.AlgorithmECDSA:
		secret, public = dealSecp256k1(seed, threshold)
	case signing.AlgorithmEd25519:
		secret, public = dealEd25519(seed, threshold)
	default:
		t.Fatalf("deal shares: %s is not known", a)
	}
	contents.PublicKey = public(secret(0))
	for _, id := range parties {
		contents.PublicShares[id] = public(secret(id))
	}
	material := materials(t, seed, a, parties)
	var out []*signing.Share
	for _, id := range parties {
		contents.Index, contents.Secret, contents.Material = id, secret(id), material[id]
		share, err := signing.NewShare(contents)
		if err != nil {
			t.Fatalf("deal shares: %v", err)
		}
		out = append(out, share)
	}
	return out
}

// Parties returns the parties 1 to n.
func Parties(n int) []signing.PartyID {
	var out []signing.PartyID
	for i := range n {
		out = append(out, signing.PartyID(i+1))
	}
	return out
}

func draw(seed uint64, label string, i int) [32]byte {
	text := binary.BigEndian.AppendUint64([]byte("countersign test deal "+label+" "), seed)
	return sha256.Sum256(append(text, byte(i)))
}

func dealSecp256k1(seed uint64, threshold int) (secret func(signing.PartyID) []byte, public func([]byte) []byte) {
	coefficients := make([]secp256k1.ModNScalar, threshold)
	for i := range coefficients {
		h := draw(seed, "coefficient", i)
		coefficients[i].SetBytes(&h)
	}
	secret = func(x signing.PartyID) []byte {
		value := evaluate(coefficients, x)
		out := value.Bytes()
		return out[:]
	}
	return secret, func(s []byte) []byte { return secp256k1.PrivKeyFromBytes(s).PubKey().SerializeCompressed() }
}

func dealEd25519(seed uint64, threshold int) (secret func(signing.PartyID) []byte, public func([]byte) []byte) {
	scalar := func(low [32]byte) *edwards25519.Scalar {
		wide := make([]byte, 64)
		copy(wide, low[:])
		s, err := edwards25519.NewScalar().SetUniformBytes(wide)
		if err != nil {
			panic(err) // cannot be: 64 bytes
		}
		return s
	}
	coefficients := make([]*edwards25519.Scalar, threshold)
	for i := range coefficients {
		coefficients[i] = scalar(draw(seed, "coefficient", i))
	}
	secret = func(x signing.PartyID) []byte {
		at, sum := scalar([32]byte{byte(x)}), edwards25519.NewScalar()
		for i := threshold - 1; i >= 0; i-- {
			sum.MultiplyAdd(sum, at, coefficients[i])
		}
		return sum.Bytes()
	}
	return secret, func(s []byte) []byte {
		x, err := edwards25519.NewScalar().SetCanonicalBytes(s)
		if err != nil {
			panic(err) // cannot be: encoded above
		}
		return new(edwards25519.Point).ScalarBaseMult(x).Bytes()
	}
}

// materials are the protocol's part of each share. CMP's are put together from those of the test shares.
func materials(t TB, seed uint64, a signing.Algorithm, parties []signing.PartyID) map[signing.PartyID]signing.Material {
	t.Helper()
	out := map[signing.PartyID]signing.Material{}
	if a == signing.AlgorithmEd25519 {
		for _, id := range parties {
			out[id] = signing.Material{Protocol: protocolEd25519}
		}
		return out
	}
	if len(parties) > MaxDealt {
		t.Fatalf("deal shares: %d parties, there are CMP keys for %d", len(parties), MaxDealt)
	}
	const rid, perParty = 32, 33 + 3*256 // docs/FORMATS.md, signing: RID, and what each party has
	var secrets, publics [][]byte
	for _, share := range append(Shares(t, "3of3"), Shares(t, "2of3")...) {
		c, err := share.Open(custody.Open())
		if err != nil {
			t.Fatalf("deal shares: %v", err)
		}
		at := rid + (int(share.Index())-1)*perParty
		secrets = append(secrets, c.Material.Secret)
		publics = append(publics, c.Material.Public[at:at+perParty])
	}
	session := draw(seed, "rid", 0)
	public := bytes.Clone(session[:])
	place := order(parties)
	for i := range parties {
		public = append(public, publics[i]...)
	}
	for _, id := range parties {
		out[id] = signing.Material{Protocol: protocolCMP, Public: public, Secret: secrets[place[id]]}
	}
	return out
}

// order says at which place each party stands when they are sorted.
func order(parties []signing.PartyID) map[signing.PartyID]int {
	out := map[signing.PartyID]int{}
	for _, a := range parties {
		for _, b := range parties {
			if b < a {
				out[a]++
			}
		}
	}
	return out
}
