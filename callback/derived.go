package callback

import (
	"sync"

	"github.com/countersign-mpc/countersign/derive"
)

// maxDerived bounds how many derived keys are remembered; beyond it all are forgotten.
const maxDerived = 4096

// derivedKeys remembers the public keys of paths, with their EVM addresses: requests name the same paths again and again, and
// a key costs an operation on the curve for every level. It holds nothing secret. Safe for concurrent use; the zero value is
// ready.
type derivedKeys struct {
	mu    sync.Mutex // guards known
	known map[derivedFrom]signer
}

// derivedFrom is all that a derived key depends on, since a root public key has one chain code for as long as this
// server runs.
type derivedFrom struct{ root, path string }

// at is the key of a path below a root public key. The key must not be changed.
func (d *derivedKeys) at(root, chainCode []byte, path string) (signer, error) {
	from := derivedFrom{string(root), path}
	d.mu.Lock()
	s, known := d.known[from]
	d.mu.Unlock()
	if known {
		return s, nil
	}
	levels, err := derive.ParsePath(path)
	if err != nil {
		return signer{}, err
	}
	child, err := derive.Child(cryptographyOfKey(root), root, chainCode, levels)
	if err != nil {
		return signer{}, err
	}
	s = signer{key: child.PublicKey, source: KeyFromChainCode}
	s.evm = s.evmAddress()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known == nil || len(d.known) >= maxDerived {
		d.known = make(map[derivedFrom]signer)
	}
	d.known[from] = s
	return s, nil
}
