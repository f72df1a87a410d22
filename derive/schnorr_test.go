package derive_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/txscript"
	"github.com/countersign-mpc/countersign/derive"
	"pgregory.net/rapid"
)

func TestBIP340Vectors(t *testing.T) {
	raw, err := os.ReadFile("../testdata/bip340/test-vectors.csv")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(raw)).ReadAll()
	if err != nil || len(rows) != 20 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for _, row := range rows[1:] {
		key, message, signature := must(hex.DecodeString(row[2])), must(hex.DecodeString(row[4])), must(hex.DecodeString(row[5]))
		want := row[6] == "TRUE"
		if got := derive.VerifyBIP340(key, message, signature); got != want {
			t.Errorf("vector %s (%s): %v, want %v", row[0], row[7], got, want)
		}
		if got := derive.SchemeTaproot.Verify(key, message, signature); got != want {
			t.Errorf("vector %s, taproot: %v, want %v", row[0], got, want)
		}
	}
}

// TestBIP340Agrees signs with btcec: a good signature is taken, and none with a bit changed, as btcec's verifier says.
func TestBIP340Agrees(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "seed")
		digest := rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "digest")
		private, public := btcec.PrivKeyFromBytes(seed)
		signature := must(schnorr.Sign(private, digest)).Serialize()
		x := schnorr.SerializePubKey(public)
		if !derive.VerifyBIP340(x, digest, signature) {
			t.Fatal("a good signature is refused")
		}
		bit := rapid.IntRange(0, 511).Draw(t, "bit")
		signature[bit/8] ^= 1 << (bit % 8)
		if derive.VerifyBIP340(x, digest, signature) {
			t.Fatalf("a signature with bit %d changed is taken", bit)
		}
		signature[bit/8] ^= 1 << (bit % 8)
		if derive.VerifyBIP340(x, append(digest, 0), signature) || derive.VerifyBIP340(x, digest, append(signature, 0)) ||
			derive.VerifyBIP340(append(x, 0), digest, signature) || derive.VerifyBIP340(x, digest, signature[:63]) {
			t.Fatal("another length is taken")
		}
	})
}

func TestBIP341Vectors(t *testing.T) {
	var v struct {
		ScriptPubKey []struct {
			Given        struct{ InternalPubkey string }
			Intermediary struct{ MerkleRoot, Tweak, TweakedPubkey string }
			Expected     struct {
				ScriptPubKey            string
				Bip350Address           string
				ScriptPathControlBlocks []string
			}
		}
	}
	readVectors(t, "../testdata/bip341/wallet-test-vectors.json", &v)
	if len(v.ScriptPubKey) != 7 {
		t.Fatalf("%d vectors", len(v.ScriptPubKey))
	}
	for i, c := range v.ScriptPubKey {
		internal, root := must(hex.DecodeString(c.Given.InternalPubkey)), must(hex.DecodeString(c.Intermediary.MerkleRoot))
		for _, key := range [][]byte{internal, append([]byte{2}, internal...), append([]byte{3}, internal...)} {
			got, err := derive.TaprootOutputKey(key, root)
			if err != nil || hex.EncodeToString(got.OutputKey[:]) != c.Intermediary.TweakedPubkey || hex.EncodeToString(got.Tweak[:]) != c.Intermediary.Tweak {
				t.Errorf("vector %d, key of %d bytes: %x, tweak %x, %v", i, len(key), got.OutputKey, got.Tweak, err)
			}
			for _, block := range c.Expected.ScriptPathControlBlocks {
				if odd := must(hex.DecodeString(block))[0]&1 == 1; odd != got.Odd {
					t.Errorf("vector %d: odd %v, its control block says %v", i, got.Odd, odd)
				}
			}
			if address, err := derive.P2TRAddress(derive.Mainnet, key, root); err != nil || address != c.Expected.Bip350Address {
				t.Errorf("vector %d: %s, %v; want %s", i, address, err, c.Expected.Bip350Address)
			}
		}
		if script, err := derive.BitcoinScript(derive.Mainnet, c.Expected.Bip350Address); err != nil || hex.EncodeToString(script) != c.Expected.ScriptPubKey {
			t.Errorf("vector %d: script %x, %v", i, script, err)
		}
	}
}

// TestTaprootTweak checks that the tweak is what a key holder adds to its key with an even y, against txscript.
func TestTaprootTweak(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		private, public := btcec.PrivKeyFromBytes(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "seed"))
		root := rapid.SampledFrom([][]byte{nil, bytes.Repeat([]byte{7}, 32), bytes.Repeat([]byte{0xff}, 32)}).Draw(t, "root")
		key := must(derive.TaprootOutputKey(public.SerializeCompressed(), root))
		want := txscript.ComputeTaprootOutputKey(public, root)
		if !bytes.Equal(key.OutputKey[:], schnorr.SerializePubKey(want)) || key.Odd != (want.SerializeCompressed()[0] == 3) {
			t.Fatalf("output key %x odd %v, txscript has %x", key.OutputKey, key.Odd, want.SerializeCompressed())
		}
		scalar := private.Key
		if public.SerializeCompressed()[0] == 3 {
			scalar.Negate()
		}
		var tweak btcec.ModNScalar
		if tweak.SetBytes(&key.Tweak) != 0 {
			t.Fatal("tweak is not reduced")
		}
		signer := btcec.PrivKeyFromScalar(scalar.Add(&tweak))
		digest := bytes.Repeat([]byte{9}, 32)
		signature := must(schnorr.Sign(signer, digest)).Serialize()
		verifying := must(derive.SchemeTaproot.VerifyingKey(public.SerializeCompressed(), root))
		if !derive.SchemeTaproot.Verify(verifying, digest, signature) {
			t.Fatal("the tweaked key's signature is refused")
		}
	})
}

func TestTaprootRefuses(t *testing.T) {
	_, public := btcec.PrivKeyFromBytes([]byte{7})
	good := public.SerializeCompressed()
	for name, c := range map[string]struct{ key, root []byte }{
		"no key":        {nil, nil},
		"uncompressed":  {public.SerializeUncompressed(), nil},
		"off the curve": {must(hex.DecodeString("eefdea4cdb677750a420fee807eacf21eb9898ae79b9768766e4faa04a2d4a34")), nil},
		"wrong prefix":  {append([]byte{4}, good[1:]...), nil},
		"short root":    {good, make([]byte, 31)},
		"long root":     {good, make([]byte, 33)},
	} {
		if _, err := derive.TaprootOutputKey(c.key, c.root); err == nil || !strings.Contains(err.Error(), "taproot output key") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// bip340Signature signs with the key that sign makes of "a".
func bip340Signature(t *testing.T, digest []byte) []byte {
	t.Helper()
	seed := sha256.Sum256([]byte("a"))
	private, _ := btcec.PrivKeyFromBytes(seed[:])
	return must(schnorr.Sign(private, digest)).Serialize()
}
