package bitcoin

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil/hdkeychain"
)

// Child derives the child of a root public key (33 bytes) and its chain code along a path such as m/84/0/0/0/0, by btcutil's
// BIP32.
func Child(root, chainCode []byte, path string) (*btcec.PublicKey, error) {
	if len(root) != btcec.PubKeyBytesLenCompressed || len(chainCode) != 32 {
		return nil, errors.New("a root key has 33 bytes and a chain code 32")
	}
	key := hdkeychain.NewExtendedKey(Network.HDPublicKeyID[:], root, chainCode, make([]byte, 4), 0, 0, false)
	for level := range strings.SplitSeq(strings.TrimPrefix(strings.TrimPrefix(path, "m"), "/"), "/") {
		if level == "" {
			continue
		}
		index, err := strconv.ParseUint(level, 10, 31)
		if err != nil {
			return nil, fmt.Errorf("path %s: %w", path, err)
		}
		if key, err = key.Derive(uint32(index)); err != nil {
			return nil, fmt.Errorf("path %s: %w", path, err)
		}
	}
	return key.ECPubKey()
}
