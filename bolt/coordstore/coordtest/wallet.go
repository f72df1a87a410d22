package coordtest

import (
	"crypto/sha256"
	"math/big"
	"testing"

	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/wire"
)

// Wallet is a whole key, as a threshold key stands for one. It signs by the textbook (SEC 1, sections 2.2.1 and 4.1.3, BIP340,
// RFC 8032), slowly and with nothing kept from who measures it.
type Wallet struct {
	Cryptography string
	PublicKey    []byte // 33 bytes, compressed, or 32 bytes
	ChainCode    []byte // 32 bytes

	root *big.Int
}

// NewWallet makes the secp256k1 key of a seed.
func NewWallet(seed string) *Wallet {
	root := scalar(seed)
	return &Wallet{Cryptography: wire.ECDSASecp256k1, root: root, PublicKey: compress(generator.times(root)), ChainCode: Digest(seed + " chain code")}
}

// Made is the report of the keygen that made the key.
func (w *Wallet) Made() manifest.Report {
	return manifest.Report{Completed: true, PublicKey: w.PublicKey, ChainCode: w.ChainCode}
}

// Signed is the report of a signature of a digest under the key at a path.
func (w *Wallet) Signed(t testing.TB, path string, digest []byte) manifest.Report {
	t.Helper()
	child := w.child(t, path)
	key := new(big.Int).Add(w.root, new(big.Int).SetBytes(child.Tweak[:]))
	nonce := scalar(string(key.Bytes()) + string(digest))
	point := generator.times(nonce)
	r := new(big.Int).Mod(point.x, order)
	s := new(big.Int).Mul(r, key)
	s.Add(s, new(big.Int).SetBytes(digest)).Mul(s, new(big.Int).ModInverse(nonce, order)).Mod(s, order)
	id := byte(point.y.Bit(0))
	if new(big.Int).Lsh(s, 1).Cmp(order) > 0 { // the low half, as BIP 146 has it
		s.Sub(order, s)
		id ^= 1
	}
	result := make([]byte, 64)
	r.FillBytes(result[:32])
	s.FillBytes(result[32:])
	return manifest.Report{Completed: true, PublicKey: w.PublicKey, Digest: digest, Result: result, RecoveryID: id, DerivedKey: child.PublicKey}
}

func (w *Wallet) child(t testing.TB, path string) derive.Derived {
	t.Helper()
	levels, err := derive.ParsePath(path)
	if err != nil {
		t.Fatal(err)
	}
	child, err := derive.Child(w.Cryptography, w.PublicKey, w.ChainCode, levels)
	if err != nil {
		t.Fatal(err)
	}
	return child
}

// The curve (SEC 2, section 2.4.1): y² = x³ + 7 over the field of prime elements.
var (
	prime     = number("fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f")
	order     = number("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141")
	generator = point{
		number("79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"),
		number("483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8"),
	}
)

func number(hex string) *big.Int {
	n, ok := new(big.Int).SetString(hex, 16)
	if !ok {
		panic("coordtest: not hex: " + hex)
	}
	return n
}

func scalar(seed string) *big.Int {
	sum := sha256.Sum256([]byte(seed))
	return new(big.Int).Mod(new(big.Int).SetBytes(sum[:]), order)
}

// point is an affine point; x is nil for the point at infinity.
type point struct{ x, y *big.Int }

func (p point) plus(q point) point {
	switch {
	case p.x == nil:
		return q
	case q.x == nil:
		return p
	}
	slope := new(big.Int)
	if p.x.Cmp(q.x) != 0 {
		slope.Sub(q.y, p.y).Mul(slope, inverse(new(big.Int).Sub(q.x, p.x)))
	} else if p.y.Cmp(q.y) == 0 && p.y.Sign() != 0 {
		slope.Mul(p.x, p.x).Mul(slope, big.NewInt(3)).Mul(slope, inverse(new(big.Int).Lsh(p.y, 1)))
	} else {
		return point{}
	}
	x := new(big.Int).Mul(slope, slope)
	x.Sub(x, p.x).Sub(x, q.x).Mod(x, prime)
	y := new(big.Int).Sub(p.x, x)
	y.Mul(y, slope).Sub(y, p.y).Mod(y, prime)
	return point{x, y}
}

func (p point) times(k *big.Int) point {
	var sum point
	for i := k.BitLen() - 1; i >= 0; i-- {
		sum = sum.plus(sum)
		if k.Bit(i) == 1 {
			sum = sum.plus(p)
		}
	}
	return sum
}

func inverse(n *big.Int) *big.Int { return new(big.Int).ModInverse(new(big.Int).Mod(n, prime), prime) }

func compress(p point) []byte {
	out := make([]byte, 33)
	out[0] = 2 + byte(p.y.Bit(0))
	p.x.FillBytes(out[1:])
	return out
}
