package derive_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"testing"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/btcutil/base58"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/txscript"
	"github.com/countersign-mpc/countersign/derive"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"pgregory.net/rapid"
)

type addressVectors struct {
	Segwit []struct {
		Network derive.Network
		Address string
		Script  string
	}
	Invalid []struct{ Address, Why string }
	Keys    []struct {
		Source, Kind string
		Network      derive.Network
		PublicKey    string `json:"public_key"`
		Address      string
	}
	Accounts []struct {
		Source, Kind, Extended string
		Addresses              map[string]string
	}
}

func readVectors(t *testing.T, path string, v any) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, v); err != nil {
		t.Fatal(err)
	}
}

func addressVector(t *testing.T) (v addressVectors) {
	readVectors(t, "../testdata/bitcoin/addresses.json", &v)
	if len(v.Segwit) == 0 || len(v.Invalid) == 0 || len(v.Keys) == 0 || len(v.Accounts) == 0 {
		t.Fatal("vectors are missing")
	}
	return v
}

func keyAddress(kind string, n derive.Network, key []byte) (string, error) {
	switch kind {
	case "p2pkh":
		return derive.P2PKHAddress(n, key)
	case "p2sh-p2wpkh":
		return derive.P2SHP2WPKHAddress(n, key)
	case "p2wpkh":
		return derive.P2WPKHAddress(n, key)
	}
	return derive.P2TRAddress(n, key, nil)
}

func TestSegwitAddresses(t *testing.T) {
	v := addressVector(t)
	for _, c := range v.Segwit {
		script, err := derive.BitcoinScript(c.Network, c.Address)
		if err != nil || hex.EncodeToString(script) != c.Script {
			t.Errorf("%s: script %x, %v; want %s", c.Address, script, err, c.Script)
		}
		back, err := derive.BitcoinAddress(c.Network, script)
		if err != nil || !bytes.EqualFold([]byte(back), []byte(c.Address)) {
			t.Errorf("%s: its script gives %s, %v", c.Address, back, err)
		}
		for _, other := range []derive.Network{derive.Mainnet, derive.Regtest} {
			if other != c.Network {
				if _, err := derive.BitcoinScript(other, c.Address); err == nil {
					t.Errorf("%s of %s is taken as one of %s", c.Address, c.Network, other)
				}
			}
		}
	}
	for _, c := range v.Invalid {
		for _, n := range []derive.Network{derive.Mainnet, derive.Testnet, derive.Signet, derive.Regtest} {
			if script, err := derive.BitcoinScript(n, c.Address); err == nil {
				t.Errorf("%s (%s) is taken as %x on %s", c.Address, c.Why, script, n)
			}
		}
	}
}

func TestKeyAddresses(t *testing.T) {
	v := addressVector(t)
	for _, c := range v.Keys {
		key := must(hex.DecodeString(c.PublicKey))
		if got, err := keyAddress(c.Kind, c.Network, key); err != nil || got != c.Address {
			t.Errorf("%s, %s of %s: %s, %v; want %s", c.Source, c.Kind, c.Network, got, err, c.Address)
		}
	}
	for _, a := range v.Accounts {
		raw, _, err := base58.CheckDecode(a.Extended)
		if err != nil || len(raw) != 77 {
			t.Fatal(a.Source, err)
		}
		for path, want := range a.Addresses {
			child := must(derive.Secp256k1Child(raw[44:77], raw[12:44], mustPath(t, path)))
			if got, err := keyAddress(a.Kind, derive.Mainnet, child.PublicKey); err != nil || got != want {
				t.Errorf("%s, %s: %s, %v; want %s", a.Source, path, got, err, want)
			}
		}
	}
}

func TestKeyAddressesRefuse(t *testing.T) {
	key := secp256k1.PrivKeyFromBytes([]byte{7}).PubKey()
	for _, kind := range []string{"p2pkh", "p2sh-p2wpkh", "p2wpkh", "p2tr"} {
		for name, raw := range map[string][]byte{
			"no key": nil, "uncompressed": key.SerializeUncompressed(), "off the curve": append([]byte{2}, bytes.Repeat([]byte{0xff}, 32)...),
		} {
			if got, err := keyAddress(kind, derive.Mainnet, raw); err == nil {
				t.Errorf("%s, %s: %s", kind, name, got)
			}
		}
		if got, err := keyAddress(kind, "simnet", key.SerializeCompressed()); err == nil {
			t.Errorf("%s of an unknown network: %s", kind, got)
		}
	}
	for _, script := range []string{"", "51", "6a0474657374", "0013" + hexOf(19), "00" + "21" + hexOf(33), "5101aa", "5129" + hexOf(41), "76a914" + hexOf(20) + "88ad"} {
		if got, err := derive.BitcoinAddress(derive.Mainnet, must(hex.DecodeString(script))); !errors.Is(err, derive.ErrNoAddress) {
			t.Errorf("script %s: %s, %v", script, got, err)
		}
	}
	if derive.Network("simnet").Known() || !derive.Signet.Known() {
		t.Error("Known is wrong")
	}
}

func hexOf(n int) string { return hex.EncodeToString(make([]byte, n)) }

// TestAddressesAgree holds addresses and scripts against btcutil and txscript.
func TestAddressesAgree(t *testing.T) {
	params := map[derive.Network]*chaincfg.Params{
		derive.Mainnet: &chaincfg.MainNetParams, derive.Testnet: &chaincfg.TestNet3Params, derive.Signet: &chaincfg.SigNetParams,
		derive.Regtest: &chaincfg.RegressionNetParams,
	}
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "seed")
		kind := rapid.SampledFrom([]string{"p2pkh", "p2sh-p2wpkh", "p2wpkh", "p2tr"}).Draw(t, "kind")
		n := rapid.SampledFrom([]derive.Network{derive.Mainnet, derive.Testnet, derive.Signet, derive.Regtest}).Draw(t, "network")
		address := must(keyAddress(kind, n, secp256k1.PrivKeyFromBytes(seed).PubKey().SerializeCompressed()))
		parsed, err := btcutil.DecodeAddress(address, params[n])
		if err != nil {
			t.Fatal(err)
		}
		want := must(txscript.PayToAddrScript(parsed))
		got := must(derive.BitcoinScript(n, address))
		if !bytes.Equal(got, want) || must(derive.BitcoinAddress(n, got)) != address {
			t.Fatalf("%s: script %x, btcd has %x", address, got, want)
		}
	})
}

func FuzzBitcoinScript(f *testing.F) {
	for _, s := range []string{
		"", "bc1", "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080", "1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAMH",
		"3JvL6Ymt8MVWiCNHC7oWU6nLeHNJKLZGLN", "BC1SW50QGDZ25J", "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, n := range []derive.Network{derive.Mainnet, derive.Testnet, derive.Regtest} {
			script, err := derive.BitcoinScript(n, s)
			if err != nil {
				continue
			}
			if back, err := derive.BitcoinAddress(n, script); err != nil || !bytes.EqualFold([]byte(back), []byte(s)) {
				t.Fatalf("%q is read as %x, which is written %q, %v", s, script, back, err)
			}
		}
	})
}
