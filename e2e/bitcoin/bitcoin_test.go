package bitcoin_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/txscript"

	"github.com/countersign-mpc/countersign/e2e/bitcoin"
)

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

var update = flag.Bool("update", false, "write testdata/psbt/payments.json")

const file = "../../testdata/psbt/payments.json"

type vector struct {
	Name          string   `json:"name"`
	PSBT          string   `json:"psbt"`
	TapScriptRoot string   `json:"tap_script_root"` // of taproot-sign
	Digests       []string `json:"digests"`         // of each input, by btcd
}

// The PSBTs that lie in testdata for everybody's tests are what this package builds.
func TestPSBTs(t *testing.T) {
	key := testKey()
	var out struct {
		Warning string   `json:"warning"`
		Secret  string   `json:"secret"`
		Vectors []vector `json:"vectors"`
	}
	out.Warning = "TEST ONLY: the private key is published here. The coins are made up."
	out.Secret = hex.EncodeToString(key.Serialize())
	for _, e := range bitcoin.Examples {
		p := must[*bitcoin.Payment](t)(e.Build(key.PubKey()))
		v := vector{Name: e.Name, PSBT: must[string](t)(p.PSBT())}
		for i, c := range p.Coins {
			v.Digests = append(v.Digests, hex.EncodeToString(must[[]byte](t)(p.Digest(i))))
			if c.Kind == bitcoin.KeyPath {
				v.TapScriptRoot = hex.EncodeToString(c.Root())
			}
		}
		out.Vectors = append(out.Vectors, v)
	}
	built := append(must[[]byte](t)(json.MarshalIndent(out, "", "  ")), '\n')
	if *update {
		must[struct{}](t)(struct{}{}, os.MkdirAll("../../testdata/psbt", 0o755))
		must[struct{}](t)(struct{}{}, os.WriteFile(file, built, 0o644))
	}
	if stored := must[[]byte](t)(os.ReadFile(file)); !bytes.Equal(stored, built) {
		t.Fatalf("%s is not what is built here: run go test ./e2e/bitcoin -update", file)
	}
}

// testKey is nobody's: its secret stands here.
func testKey() *btcec.PrivateKey {
	key, _ := btcec.PrivKeyFromBytes([]byte("a secret of 32 bytes, known here"))
	return key
}

// sign signs an input with the private key itself, tweaked where BIP 341 wants that.
func sign(t testing.TB, p *bitcoin.Payment, input int, key *btcec.PrivateKey) []byte {
	t.Helper()
	digest := must[[]byte](t)(p.Digest(input))
	c := p.Coins[input]
	switch c.Kind {
	case bitcoin.WitnessKeyHash:
		compact := ecdsa.SignCompact(key, digest, true)
		return compact[1:]
	case bitcoin.KeyPath:
		key = txscript.TweakTaprootPrivKey(*key, c.Root())
	}
	return must[*schnorr.Signature](t)(schnorr.Sign(key, digest)).Serialize()
}

func TestFinishedPaymentsAreValid(t *testing.T) {
	key := testKey()
	for _, e := range bitcoin.Examples {
		t.Run(e.Name, func(t *testing.T) {
			p := must[*bitcoin.Payment](t)(e.Build(key.PubKey()))
			if p.Accept() == nil {
				t.Fatal("the engine takes a payment that nobody has signed")
			}
			for i := range p.Coins {
				if err := p.Finish(i, sign(t, p, i, key)); err != nil {
					t.Fatal(err)
				}
			}
			if err := p.Accept(); err != nil {
				t.Fatal(err)
			}
			// The engine's word means something only if it refuses too.
			for i := range p.Coins {
				good := sign(t, p, i, key)
				bad := append([]byte(nil), good...)
				bad[63] ^= 1
				must[struct{}](t)(struct{}{}, p.Finish(i, bad))
				if p.Accept() == nil {
					t.Fatalf("the engine takes a wrong signature in input %d", i)
				}
				must[struct{}](t)(struct{}{}, p.Finish(i, good))
			}
		})
	}
}

func TestSignatureOfAnotherKeyIsRefused(t *testing.T) {
	other, _ := btcec.PrivKeyFromBytes([]byte("another secret of 32 bytes, also"))
	for _, e := range bitcoin.Examples {
		p := must[*bitcoin.Payment](t)(e.Build(testKey().PubKey()))
		for i := range p.Coins {
			must[struct{}](t)(struct{}{}, p.Finish(i, sign(t, p, i, other)))
		}
		if p.Accept() == nil {
			t.Errorf("%s: the engine takes another key's signatures", e.Name)
		}
	}
}

func TestMalformedInputIsRefused(t *testing.T) {
	key := testKey().PubKey()
	if _, err := bitcoin.ParseKey(key.SerializeUncompressed()); err == nil {
		t.Error("an uncompressed key was taken")
	}
	coin := bitcoin.Coin{Kind: bitcoin.WitnessKeyHash, Key: key, Value: 1000}
	if _, err := bitcoin.New([]bitcoin.Coin{coin}, []bitcoin.Output{{Address: bitcoin.Recipient, Value: 1000}}); err == nil {
		t.Error("a payment without a fee was built")
	}
	if _, err := bitcoin.New([]bitcoin.Coin{coin}, []bitcoin.Output{{Address: "bc1qnothing", Value: 1}}); err == nil {
		t.Error("a wrong address was taken")
	}
	p := must[*bitcoin.Payment](t)(bitcoin.New([]bitcoin.Coin{coin}, []bitcoin.Output{{Address: bitcoin.Recipient, Value: 900}}))
	if p.Finish(0, make([]byte, 63)) == nil {
		t.Error("a signature of 63 bytes was taken")
	}
	overflow := must[[]byte](t)(hex.DecodeString("ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff" +
		"0000000000000000000000000000000000000000000000000000000000000001"))
	if p.Finish(0, overflow) == nil {
		t.Error("r above the group's order was taken")
	}
}

// The public half of BIP 32's test vector 2, chain m/0, and the empty path.
func TestChild(t *testing.T) {
	root := must[[]byte](t)(hex.DecodeString("03cbcaa9c98c877a26977d00825c956a238e8dddfbd322cce4f74b0b5bd6ace4a7"))
	chain := must[[]byte](t)(hex.DecodeString("60499f801b896d83179a4374aeb7822aaeaceaa0db1f85ee3e904c4defbd9689"))
	child := must[*btcec.PublicKey](t)(bitcoin.Child(root, chain, "m/0"))
	if got := hex.EncodeToString(child.SerializeCompressed()); got != "02fc9e5af0ac8d9b3cecfe2a888e2117ba3d089d8585886c9c826b6b22a98d12ea" {
		t.Errorf("m/0 is %s", got)
	}
	if got := must[*btcec.PublicKey](t)(bitcoin.Child(root, chain, "m")); !bytes.Equal(got.SerializeCompressed(), root) {
		t.Error("m is not the root")
	}
	if _, err := bitcoin.Child(root, chain, "m/0'"); err == nil {
		t.Error("a hardened path was taken")
	}
}
