package node

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"os"
	"strings"

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
