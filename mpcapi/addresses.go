package mpcapi

import (
	"encoding/hex"
	"net/url"

	"github.com/countersign-mpc/countersign/coordinator"
	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/wire"
)

// addressesView is where a derived key receives. Which chain it is used on is for the account to know.
type addressesView struct {
	EVMAddress    string       `json:"evm_address,omitempty"`
	SolanaAddress string       `json:"solana_address,omitempty"`
	Bitcoin       *bitcoinView `json:"bitcoin,omitempty"`
}

type bitcoinView struct {
	Network       string `json:"network"`
	P2PKH         string `json:"p2pkh"`
	P2SHP2WPKH    string `json:"p2sh_p2wpkh"`
	P2WPKH        string `json:"p2wpkh"`
	P2TR          string `json:"p2tr"` // with tapScriptRoot
	TapScriptRoot string `json:"tapScriptRoot,omitempty"`
	OutputKey     string `json:"taproot_output_key"` // x-only: what taproot-sign signs under
	XOnlyKey      string `json:"x_only_key"`         // what bip340-schnorr-sign signs under
}

// derived adds the key and the addresses at a path; the root's where the path is empty.
func (v *keyView) derived(k coordinator.Key, query url.Values) error {
	levels, err := derive.ParsePath(query.Get("path"))
	if err != nil {
		return invalid("path", err.Error())
	}
	child, err := derive.Child(k.Cryptography, k.PublicKey, k.ChainCode, levels)
	if err != nil {
		return invalid("path", err.Error())
	}
	v.Path, v.DerivedKey = levels.String(), hex.EncodeToString(child.PublicKey)
	if k.Cryptography == wire.EdDSAEd25519 {
		v.SolanaAddress, err = derive.SolanaAddress(child.PublicKey)
		return err
	}
	if v.EVMAddress, err = derive.EVMAddress(child.PublicKey); err != nil {
		return err
	}
	v.Bitcoin, err = viewBitcoin(child.PublicKey, query.Get("network"), query.Get("tapScriptRoot"))
	return err
}

func viewBitcoin(key []byte, network, tapScriptRoot string) (*bitcoinView, error) {
	n := derive.Network(network)
	if n == "" {
		n = derive.Mainnet
	}
	if !n.Known() {
		return nil, invalid("network", "it is mainnet, testnet, signet or regtest")
	}
	root, err := hex.DecodeString(tapScriptRoot)
	if err != nil || (len(root) != 0 && len(root) != 32) {
		return nil, invalid("tapScriptRoot", "it is the hash of a script tree, 32 bytes in hex, or empty")
	}
	out := &bitcoinView{Network: string(n), TapScriptRoot: hex.EncodeToString(root)}
	for _, a := range []struct {
		address *string
		of      func(derive.Network, []byte) (string, error)
	}{
		{&out.P2PKH, derive.P2PKHAddress}, {&out.P2SHP2WPKH, derive.P2SHP2WPKHAddress}, {&out.P2WPKH, derive.P2WPKHAddress},
		{&out.P2TR, func(n derive.Network, key []byte) (string, error) { return derive.P2TRAddress(n, key, root) }},
	} {
		if *a.address, err = a.of(n, key); err != nil {
			return nil, err
		}
	}
	for _, k := range []struct {
		key    *string
		scheme derive.Scheme
		root   []byte
	}{{&out.OutputKey, derive.SchemeTaproot, root}, {&out.XOnlyKey, derive.SchemeBIP340, nil}} {
		verifying, err := k.scheme.VerifyingKey(key, k.root)
		if err != nil {
			return nil, err
		}
		*k.key = hex.EncodeToString(verifying)
	}
	return out, nil
}
