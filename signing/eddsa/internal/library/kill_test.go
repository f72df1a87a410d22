package library_test

import (
	"crypto/rand"
	"fmt"
	"math/big"
	"testing"

	"github.com/bnb-chain/tss-lib/v2/common"
	"github.com/bnb-chain/tss-lib/v2/crypto"
	"github.com/bnb-chain/tss-lib/v2/crypto/commitments"
	"github.com/bnb-chain/tss-lib/v2/crypto/schnorr"
	"github.com/bnb-chain/tss-lib/v2/crypto/vss"
	"github.com/bnb-chain/tss-lib/v2/eddsa/keygen"
	"github.com/bnb-chain/tss-lib/v2/tss"
)

const survived = "the update was recovered"

// killers are the coordinates that party 2 of 2 commits itself to and opens, where t is 2: all is as the protocol asks but
// their number.
var killers = map[string]func(g *crypto.ECPoint) []*big.Int{
	"no coefficient":  func(*crypto.ECPoint) []*big.Int { return nil },
	"one coefficient": func(g *crypto.ECPoint) []*big.Int { return []*big.Int{g.X(), g.Y()} },
}

// kill runs party 1 of 2 of the library alone and feeds it what party 2 made.
func kill(t *testing.T, name string) {
	ids := tss.SortPartyIDs(tss.UnSortedPartyIDs{tss.NewPartyID("1", "", big.NewInt(1)), tss.NewPartyID("2", "", big.NewInt(2))})
	out, end := make(chan tss.Message, 10), make(chan *keygen.LocalPartySaveData, 1)
	party := keygen.NewLocalParty(tss.NewParameters(tss.Edwards(), tss.NewPeerContext(ids), ids[0], 2, 1), out, end)
	if err := party.Start(); err != nil {
		t.Fatal(err)
	}
	g := crypto.ScalarBaseMult(tss.Edwards(), big.NewInt(1))
	numbers := killers[name](g)
	commitment := commitments.NewHashCommitmentWithRandomness(big.NewInt(1), numbers...)
	proof := proofOfOne(t, g)
	defer func() {
		if p := recover(); p != nil {
			fmt.Println(survived, p)
		}
	}()
	for _, m := range []tss.ParsedMessage{
		keygen.NewKGRound1Message(ids[1], commitment.C),
		keygen.NewKGRound2Message1(ids[0], ids[1], &vss.Share{Share: big.NewInt(1)}),
		keygen.NewKGRound2Message2(ids[1], commitment.D, proof),
	} {
		if _, err := party.Update(m); err != nil {
			fmt.Println("an error:", err)
		}
	}
}

// proofOfOne is the proof of party 2 that it knows the logarithm of the base point.
func proofOfOne(t *testing.T, g *crypto.ECPoint) *schnorr.ZKProof {
	t.Helper()
	curve := tss.Edwards().Params()
	one, two := big.NewInt(1), big.NewInt(2)
	session := common.SHA512_256i(curve.P, curve.N, curve.Gx, curve.Gy, one, two, one, new(big.Int)).Bytes()
	proof, err := schnorr.NewZKProof(append(session, 1), one, g, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return proof
}
