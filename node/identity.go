package node

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/internal/secret"
	"github.com/countersign-mpc/countersign/keystore"
	"github.com/countersign-mpc/countersign/wire"
)

const identityKey = "p256"

// identityRecord is the identity key as stored.
type identityRecord struct {
	Version int    `json:"v"`
	PEM     []byte `json:"private_key"`
}

// newIdentity makes the identity key of a store that has none.
func newIdentity(store *keystore.Store) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make identity key: %w", err)
	}
	data, err := wire.MarshalPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode identity key: %w", err)
	}
	defer secret.Wipe(data)
	err = store.Update(func(tx *keystore.Tx) error {
		return put(tx, bucketIdentity, identityKey, identityRecord{Version: recordVersion, PEM: data})
	})
	if err != nil {
		return nil, fmt.Errorf("store identity key: %w", err)
	}
	return key, nil
}

// loadIdentity reads the identity key. A store with nothing in it at all is one whose init was interrupted: it gets its key
// now.
func loadIdentity(store *keystore.Store) (*ecdsa.PrivateKey, error) {
	stat, err := store.Stat()
	if err != nil {
		return nil, err
	}
	if len(stat.Records) == 0 {
		return newIdentity(store)
	}
	rec := new(identityRecord)
	err = store.View(func(tx *keystore.Tx) error {
		found, err := get(tx, bucketIdentity, identityKey, rec)
		if err == nil && !found {
			return keystore.ErrNotFound
		}
		return err
	})
	defer secret.Wipe(rec.PEM)
	if err != nil {
		return nil, fmt.Errorf("read identity key: %w", err)
	}
	key, err := wire.ParsePrivateKey(rec.PEM)
	if err != nil {
		return nil, fmt.Errorf("read identity key: %w", err)
	}
	return key, nil
}

func identityOf(key *ecdsa.PrivateKey) (Identity, error) {
	pem, err := wire.MarshalPublicKey(&key.PublicKey)
	if err != nil {
		return Identity{}, fmt.Errorf("encode identity key: %w", err)
	}
	return Identity{NodeID: wire.NodeIDOf(&key.PublicKey), PublicKey: string(pem)}, nil
}

// KeyInfo is what may be told of a share.
type KeyInfo struct {
	KeyID      string    `json:"key_id"`
	Algorithm  string    `json:"algorithm"`
	T          int       `json:"t"`
	N          int       `json:"n"`
	Index      byte      `json:"index"`
	Epoch      uint32    `json:"epoch"`
	State      KeyState  `json:"state"`
	PublicKey  string    `json:"public_key"`
	EVMAddress string    `json:"evm_address,omitempty"` // of the root key; shown once the share is active
	Guarded    bool      `json:"guarded"`               // whether this node asks a callback before it uses the share, as it is configured now
	Parties    []string  `json:"parties"`
	Created    time.Time `json:"created"`
	LastUsed   time.Time `json:"last_used,omitzero"`
}

// keys lists the shares that are held.
func (p *party) keys() ([]KeyInfo, error) {
	var out []KeyInfo
	guard, err := p.settings.Guard()
	asks := guard != nil || err != nil // a key file that cannot be read refuses requests
	err = each(p.records, bucketKey, func(key *keyRecord) error {
		share, err := p.share(key)
		if err != nil {
			return err
		}
		defer share.Wipe()
		info := KeyInfo{Guarded: asks, KeyID: key.KeyID, Algorithm: share.Algorithm().String(), T: share.Threshold(), N: len(key.Parties),
			Index: key.Index, Epoch: key.Epoch, State: key.State, PublicKey: fmt.Sprintf("%x", share.PublicKey()),
			Created: key.Created, LastUsed: key.LastUsed}
		for _, party := range key.Parties {
			info.Parties = append(info.Parties, string(party.NodeID))
		}
		if key.State == KeyActive {
			if info.EVMAddress, err = derive.EVMAddress(share.PublicKey()); err != nil {
				return err
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

// readLines reads a file of one entry a line; empty lines and those that start with # are skipped.
func readLines(path string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var out []string
	scanner := bufio.NewScanner(f)
	for scanner.Scan() {
		if line := strings.TrimSpace(scanner.Text()); line != "" && !strings.HasPrefix(line, "#") {
			out = append(out, line)
		}
	}
	return out, scanner.Err()
}
