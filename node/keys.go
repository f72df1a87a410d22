package node

import (
	"encoding/hex"
	"fmt"
	"time"

	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/signing"
)

// KeyInfo is what may be told of a share. It holds no secret.
type KeyInfo struct {
	KeyID     string   `json:"key_id"`
	Algorithm string   `json:"algorithm"`
	T         int      `json:"t"`
	N         int      `json:"n"`
	Index     byte     `json:"index"`
	Epoch     uint32   `json:"epoch"`
	State     KeyState `json:"state"`
	PublicKey string   `json:"public_key"`
	// The addresses of the root key, or of its child at a path; shown once the share is active.
	Addresses
	Guarded   bool      `json:"guarded"`                     // whether this node asks a callback before it uses the share, as it is configured now
	Recipient byte      `json:"results_for_party,omitempty"` // share index of the party that alone learns signatures of sign_type 2 and 3; 0: all do
	Parties   []string  `json:"parties"`
	Created   time.Time `json:"created"`
	LastUsed  time.Time `json:"last_used,omitzero"`
	Note      string    `json:"note,omitempty"` // of a restored share that does not sign: why, and what to do
}

// Addresses are those of one public key. EVM and Solana have one each; for Bitcoin they depend on the network and are there
// where one is named.
type Addresses struct {
	Path       string            `json:"path,omitempty"`
	DerivedKey string            `json:"derived_key,omitempty"`
	EVM        string            `json:"evm_address,omitempty"`
	Solana     string            `json:"solana_address,omitempty"`
	Bitcoin    map[string]string `json:"bitcoin_addresses,omitempty"` // p2pkh, p2sh-p2wpkh, p2wpkh, p2tr (without a script tree)
}

// Keys lists the shares that are held, with the addresses at a path and, for Bitcoin, on a network. An empty path is the
// root, and without a network there are no addresses of Bitcoin. The node must be unsealed.
func (n *Node) Keys(path string, network derive.Network) ([]KeyInfo, error) {
	p := n.working.Load()
	if p == nil {
		return nil, fmt.Errorf("the node is %s: its keys can be listed once it is unsealed", n.State())
	}
	at, err := derive.ParsePath(path)
	if err != nil {
		return nil, err
	}
	return p.keys(at, network)
}

// keys lists the shares that are held.
func (p *party) keys(at derive.Path, network derive.Network) ([]KeyInfo, error) {
	out := []KeyInfo{}
	guard, err := p.settings.Guard()
	said := p.epochs.said()            // before the transaction: who changes a record holds the lock of this one
	asks := guard != nil || err != nil // a key file that cannot be read refuses requests
	err = each(p.records, bucketKey, func(key *keyRecord) error {
		share, err := p.share(key)
		if err != nil {
			return err
		}
		defer share.Wipe()
		info := KeyInfo{Guarded: asks, KeyID: key.KeyID, Algorithm: share.Algorithm().String(), T: share.Threshold(), N: len(key.Parties),
			Index: key.Index, Epoch: key.Epoch, State: key.State, PublicKey: hex.EncodeToString(share.PublicKey()),
			Created: key.Created, LastUsed: key.LastUsed, Note: key.note(said[key.KeyID])}
		for _, party := range key.Parties {
			info.Parties = append(info.Parties, string(party.NodeID))
			if party.Recipient != "" && party.Recipient == key.Recipient {
				info.Recipient = party.Index
			}
		}
		if key.State == KeyActive {
			if info.Addresses, err = addresses(share, at, network); err != nil {
				return fmt.Errorf("key %s: %w", key.KeyID, err)
			}
		}
		out = append(out, info)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	return out, nil
}

// addresses are those of a share's key at a path.
func addresses(share *signing.Share, at derive.Path, network derive.Network) (Addresses, error) {
	chain := share.ChainCode()
	child, err := derive.Child(share.Algorithm().String(), share.PublicKey(), chain[:], at)
	if err != nil {
		return Addresses{}, err
	}
	out, key := Addresses{}, child.PublicKey
	if len(at) > 0 {
		out.Path, out.DerivedKey = at.String(), hex.EncodeToString(key)
	}
	if share.Algorithm() == signing.AlgorithmEd25519 {
		out.Solana, err = derive.SolanaAddress(key)
		return out, err
	}
	if out.EVM, err = derive.EVMAddress(key); err != nil || network == "" {
		return out, err
	}
	out.Bitcoin = make(map[string]string)
	for kind, address := range map[string]func() (string, error){
		"p2pkh":       func() (string, error) { return derive.P2PKHAddress(network, key) },
		"p2sh-p2wpkh": func() (string, error) { return derive.P2SHP2WPKHAddress(network, key) },
		"p2wpkh":      func() (string, error) { return derive.P2WPKHAddress(network, key) },
		"p2tr":        func() (string, error) { return derive.P2TRAddress(network, key, nil) },
	} {
		if out.Bitcoin[kind], err = address(); err != nil {
			return out, err
		}
	}
	return out, nil
}
