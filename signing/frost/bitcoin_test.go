package frost_test

import (
	"bytes"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	btcec "github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/frost/internal/bip445"
	"github.com/countersign-mpc/countersign/signing/frost/internal/group"
	"github.com/countersign-mpc/countersign/signing/signingtest"
)

func testdata(t *testing.T, names ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(append([]string{"..", "..", "testdata"}, names...)...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// split makes shares, 2 of 3, of a private key. Every slope gives other shares.
func split(t *testing.T, private []byte, by uint32) []*signing.Share {
	t.Helper()
	curve := group.Secp256k1{}
	secret, err := curve.Scalar(private)
	if err != nil {
		t.Fatal(err)
	}
	slope := curve.Integer(by)
	c := signing.Contents{
		Algorithm: signing.AlgorithmECDSA, Threshold: 2, PublicKey: curve.Base(secret).Bytes(),
		PublicShares: map[signing.PartyID][]byte{}, Material: signing.Material{Protocol: signingtest.ToyProtocolID},
	}
	secrets := map[signing.PartyID][]byte{}
	for id := signing.PartyID(1); id <= 3; id++ {
		x := secret.Add(slope.Mul(curve.Integer(uint32(id))))
		secrets[id], c.PublicShares[id] = x.Bytes(), curve.Base(x).Bytes()
	}
	var out []*signing.Share
	for id := signing.PartyID(1); id <= 3; id++ {
		c.Index, c.Secret = id, secrets[id]
		share, err := signing.NewShare(c)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, share)
	}
	return out
}

// signature signs and returns what all signers have.
func (r run) signature(t *testing.T) []byte {
	t.Helper()
	network := r.start(t)
	r.mustSign(t, network)
	s, err := network.Sessions[r.shares[0].Index()].(signing.SignSession).Signature()
	if err != nil {
		t.Fatal(err)
	}
	return s.Bytes[:]
}

// TestBIP340Vectors signs with the vectors' private keys, split, what the vectors sign. Nonces are random, so that the
// signatures are others; they must verify under the vectors' public keys. What guards every result before it is given
// out must judge all vectors as they say.
func TestBIP340Vectors(t *testing.T) {
	rows, err := csv.NewReader(bytes.NewReader(testdata(t, "bip340", "test-vectors.csv"))).ReadAll()
	if err != nil || len(rows) != 20 {
		t.Fatalf("%d rows: %v", len(rows), err)
	}
	signed := 0
	for _, row := range rows[1:] {
		private, public, message, want := unhex(t, row[1]), unhex(t, row[2]), unhex(t, row[4]), unhex(t, row[5])
		if got := derive.SchemeBIP340.Verify(public, message, want); got != (row[6] == "TRUE") {
			t.Errorf("vector %s (%s) verifies: %t", row[0], row[7], got)
		}
		if len(private) == 0 || len(message) != 32 {
			continue
		}
		signed++
		shares := split(t, private, 7)
		got := run{shares: shares[1:], scheme: derive.SchemeBIP340, path: "m", message: message}.signature(t)
		if !verifies(t, public, message, got) {
			t.Errorf("vector %s: btcec does not verify the signature under the vector's key", row[0])
		}
	}
	if signed != 4 {
		t.Errorf("signed %d vectors", signed)
	}
}

// verifies verifies by btcec.
func verifies(t *testing.T, public, message, signature []byte) bool {
	t.Helper()
	key, err := schnorr.ParsePubKey(public)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := schnorr.ParseSignature(signature)
	return err == nil && parsed.Verify(message, key)
}

// wallet are the vectors of BIP341.
type wallet struct {
	ScriptPubKey []struct {
		Given struct {
			Internal string `json:"internalPubkey"`
		} `json:"given"`
		Intermediary struct {
			Root    string `json:"merkleRoot"`
			Tweak   string `json:"tweak"`
			Tweaked string `json:"tweakedPubkey"`
		} `json:"intermediary"`
	} `json:"scriptPubKey"`
	KeyPath []struct {
		Inputs []struct {
			Given struct {
				Private string `json:"internalPrivkey"`
				Root    string `json:"merkleRoot"`
			} `json:"given"`
			Intermediary struct {
				Internal string `json:"internalPubkey"`
				Tweaked  string `json:"tweakedPrivkey"`
				SigHash  string `json:"sigHash"`
			} `json:"intermediary"`
			Expected struct {
				Witness []string `json:"witness"`
			} `json:"expected"`
		} `json:"inputSpending"`
	} `json:"keyPathSpending"`
}

// TestBIP341Vectors makes the output keys of the vectors from their internal keys, and signs their inputs with the
// internal private keys, split.
func TestBIP341Vectors(t *testing.T) {
	var v wallet
	if err := json.Unmarshal(testdata(t, "bip341", "wallet-test-vectors.json"), &v); err != nil {
		t.Fatal(err)
	}
	for i, c := range v.ScriptPubKey {
		internal := append([]byte{2}, unhex(t, c.Given.Internal)...)
		output, err := derive.TaprootOutputKey(internal, unhex(t, c.Intermediary.Root))
		if err != nil || hex.EncodeToString(output.Tweak[:]) != c.Intermediary.Tweak {
			t.Fatalf("%d: tweak %x: %v", i, output.Tweak, err)
		}
		key, err := bip445.Tweak(internal, [][]byte{output.Tweak[:]}, []bool{true})
		if err != nil || hex.EncodeToString(key.Q.XBytes()) != c.Intermediary.Tweaked {
			t.Errorf("%d: output key %x: %v", i, key.Q.XBytes(), err)
		}
	}
	if len(v.ScriptPubKey) != 7 || len(v.KeyPath) != 1 || len(v.KeyPath[0].Inputs) != 7 {
		t.Fatal("the file has changed or is not read whole")
	}
	for i, in := range v.KeyPath[0].Inputs {
		_, tweaked := btcec.PrivKeyFromBytes(unhex(t, in.Intermediary.Tweaked))
		output, message := schnorr.SerializePubKey(tweaked), unhex(t, in.Intermediary.SigHash)
		r := run{
			shares: split(t, unhex(t, in.Given.Private), 7)[:2], scheme: derive.SchemeTaproot, path: "m",
			root: unhex(t, in.Given.Root), message: message,
		}
		if got := r.shares[0].PublicKey()[1:]; hex.EncodeToString(got) != in.Intermediary.Internal {
			t.Fatalf("input %d: internal key %x", i, got)
		}
		if !verifies(t, output, message, unhex(t, in.Expected.Witness[0])[:64]) {
			t.Fatalf("input %d: the vector's own signature does not verify: the test reads it wrong", i)
		}
		if !verifies(t, output, message, r.signature(t)) {
			t.Errorf("input %d: btcec does not verify the signature under the vector's output key", i)
		}
	}
}
