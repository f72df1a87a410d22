//go:build !race

// Race builds leave these tests out: they make hundreds of signatures, and the others cover the same code.

package frost_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/signingtest"
	"pgregory.net/rapid"
)

// TestSignProperties signs with random keys, signer sets, paths, script roots, messages, recipients and orders.
func TestSignProperties(t *testing.T) {
	schemes := []derive.Scheme{derive.SchemeBIP340, derive.SchemeTaproot, derive.SchemeEd25519}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 5).Draw(t, "n")
		threshold := rapid.IntRange(2, n).Draw(t, "t")
		ids := rapid.Permutation([]signing.PartyID{1, 2, 3, 4, 5, 6, 7, 8, 9}).Draw(t, "ids")
		r := run{scheme: rapid.SampledFrom(schemes).Draw(t, "scheme"), path: "m"}
		algorithm := signing.AlgorithmECDSA
		if r.scheme == derive.SchemeEd25519 {
			algorithm = signing.AlgorithmEd25519
			r.message = rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "message")
		} else {
			r.message = rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "digest")
		}
		if r.scheme == derive.SchemeTaproot && rapid.Bool().Draw(t, "script path") {
			r.root = rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "root")
		}
		for _, level := range rapid.SliceOfN(rapid.Uint32Range(0, derive.HardenedStart-1), 0, 3).Draw(t, "path") {
			r.path += fmt.Sprintf("/%d", level)
		}
		all := signingtest.Deal(t, rapid.Uint64().Draw(t, "key"), algorithm, threshold, ids[:n])
		r.shares = rapid.Permutation(all).Draw(t, "signers")[:threshold]
		if rapid.Bool().Draw(t, "for one") {
			r.recipient = r.shares[rapid.IntRange(0, threshold-1).Draw(t, "recipient")].Index()
		}
		network := r.start(t)
		network.Shuffle = rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "order"), 0))
		r.mustSign(t, network)
	})
}

// TestNeverTwo gives sessions valid, repeated, foreign, broken and contradicting messages in every kind of order: none
// makes two shares, none a share after an abort, and none a message when it should not.
func TestNeverTwo(t *testing.T) {
	for name, r := range three(t) {
		random := rand.New(rand.NewPCG(1, 2))
		finished, aborted := 0, 0
		for range 40 {
			world := r.start(t)
			other := r.start(t).Sessions // party 3 once more, with another nonce
			session := world.Sessions[2]
			own := outgoing(t, session)
			c1, c3, d3 := outgoing(t, world.Sessions[1]), outgoing(t, world.Sessions[3]), outgoing(t, other[3])
			mustAccept(t, world.Sessions[1], own, c3)
			mustAccept(t, world.Sessions[3], own, c1)
			mustAccept(t, other[3], own, c1)
			pool := []signing.Message{c1, c3, outgoing(t, world.Sessions[1]), outgoing(t, world.Sessions[3])}
			if random.IntN(2) == 0 {
				pool = append(pool, d3, outgoing(t, other[3]))
			}
			if random.IntN(2) == 0 {
				broken := pool[random.IntN(len(pool))]
				broken.Data = bytes.Clone(broken.Data)
				broken.Data[random.IntN(len(broken.Data))] ^= 1 << random.IntN(8)
				pool = append(pool, broken)
			}
			pool = append(pool, pool...)
			random.Shuffle(len(pool), func(i, j int) { pool[i], pool[j] = pool[j], pool[i] })
			shares := 0
			for _, m := range pool {
				err := session.Accept(m)
				for _, out := range session.Outgoing() {
					if err != nil || out.Round != 2 || !out.ReleasesShare {
						t.Fatalf("%s: message of round %d after %v", name, out.Round, err)
					}
					shares++
				}
			}
			if shares > 1 {
				t.Fatalf("%s: %d shares of one session", name, shares)
			}
			if session.Done() {
				finished++
				signature, err := session.(signing.SignSession).Signature()
				if err != nil || shares != 1 {
					t.Fatalf("%s: done with %d shares: %v", name, shares, err)
				}
				r.mustVerify(t, signature.Bytes[:])
			} else {
				aborted++
			}
		}
		if finished < 5 || aborted < 5 {
			t.Errorf("%s: %d finished, %d did not: the test no longer tries both", name, finished, aborted)
		}
	}
}
