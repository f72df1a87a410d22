package callback_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"sync"
	"testing"

	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/derive"
)

// TestDerivedKeys: a key that is remembered is the one that its own root and path give, whoever asks at the same time and
// however many are asked for; what has no key is no key the second time either.
func TestDerivedKeys(t *testing.T) {
	const ed25519Key = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a" // RFC 8032, test 1
	other := bytes.Repeat([]byte{7}, 32)
	roots := map[string][]byte{rootKey: chainCode, publicAt("m/0"): other, ed25519Key: other}
	var list []callback.Key
	for root, code := range roots {
		list = append(list, callback.Key{PublicKey: fromHex(root), ChainCode: code})
	}
	keys := must[*callback.Keys](t)(callback.NewKeys(list)).WithABIs(nil)
	check := func(root, path string) {
		cryptography := derive.CryptographySecp256k1
		if root == ed25519Key {
			cryptography = derive.CryptographyEd25519
		}
		levels := must[derive.Path](t)(derive.ParsePath(path))
		want := must[derive.Derived](t)(derive.Child(cryptography, fromHex(root), roots[root], levels)).PublicKey
		address, _ := derive.EVMAddress(want) // an Ed25519 key has none
		for range 2 {
			key, evm, remembered, err := callback.Derived(keys, root, path)
			if err != nil || !bytes.Equal(key, want) || evm != address {
				t.Errorf("%s below %s is %x %s, %v; want %x %s", path, root, key, evm, err, want, address)
			}
			if remembered == 0 || remembered > callback.MaxDerived {
				t.Errorf("%d keys are remembered", remembered)
			}
		}
	}
	var wg sync.WaitGroup
	for root := range roots {
		wg.Go(func() {
			for i := range 40 {
				check(root, fmt.Sprintf("m/44/60/%d", i))
			}
		})
	}
	wg.Wait()
	for i := range callback.MaxDerived + 10 {
		if _, _, remembered, err := callback.Derived(keys, rootKey, fmt.Sprintf("m/%d", i)); err != nil || remembered > callback.MaxDerived {
			t.Fatalf("path %d: %d keys are remembered, %v", i, remembered, err)
		}
	}
	check(rootKey, "m/44/60/0")
	for range 2 {
		if key, _, _, err := callback.Derived(keys, rootKey, "m/44'"); err == nil {
			t.Errorf("a hardened path has key %s", hex.EncodeToString(key))
		}
	}
}
