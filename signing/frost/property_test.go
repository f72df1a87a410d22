//go:build !race

// Race builds leave the property tests out: they run a hundred signatures, and the others cover the same code.

package frost_test

import (
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
