package derive_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"testing"

	"github.com/countersign-mpc/countersign/derive"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"pgregory.net/rapid"
)

// signed is a key, a digest and a signature in both of its forms.
type signed struct {
	pub, digest, rs []byte
	id              byte
}

func sign(seed, message []byte) signed {
	d := sha256.Sum256(seed)
	private := secp256k1.PrivKeyFromBytes(d[:])
	digest := sha256.Sum256(message)
	compact := ecdsa.SignCompact(private, digest[:], true)
	return signed{private.PubKey().SerializeCompressed(), digest[:], compact[1:], compact[0] - 31}
}

func TestVerifyAndRecover(t *testing.T) {
	ids := map[byte]int{}
	rapid.Check(t, func(t *rapid.T) {
		s := sign(rapid.SliceOf(rapid.Byte()).Draw(t, "seed"), rapid.SliceOf(rapid.Byte()).Draw(t, "message"))
		if !derive.VerifyECDSA(s.pub, s.digest, s.rs) {
			t.Fatal("a good signature is refused")
		}
		id, err := derive.RecoveryID(s.pub, s.digest, s.rs)
		if err != nil || id != s.id {
			t.Fatalf("recovery id %d, %v; the signer's is %d", id, err, s.id)
		}
		ids[id]++
		bit := rapid.IntRange(0, 64*8-1).Draw(t, "bit")
		s.rs[bit/8] ^= 1 << (bit % 8)
		if derive.VerifyECDSA(s.pub, s.digest, s.rs) {
			t.Fatalf("a signature with bit %d flipped is accepted", bit)
		}
	})
	if ids[0] == 0 || ids[1] == 0 {
		t.Errorf("recovery ids seen: %v, want both parities", ids)
	}
}

func TestVerifyRefuses(t *testing.T) {
	s, other := sign([]byte("a"), []byte("m")), sign([]byte("b"), []byte("m"))
	var high secp256k1.ModNScalar
	high.SetByteSlice(s.rs[32:])
	highS := high.Negate().Bytes()
	order := secp256k1.Params().N.Bytes()
	zero := make([]byte, 32)
	for name, c := range map[string]signed{
		"high s":           {pub: s.pub, digest: s.digest, rs: bytes.Join([][]byte{s.rs[:32], highS[:]}, nil)},
		"another key":      {pub: other.pub, digest: s.digest, rs: s.rs},
		"another digest":   {pub: s.pub, digest: s.rs[:32], rs: s.rs},
		"short digest":     {pub: s.pub, digest: s.digest[:31], rs: s.rs},
		"long digest":      {pub: s.pub, digest: append(s.digest[:32:32], 0), rs: s.rs},
		"short signature":  {pub: s.pub, digest: s.digest, rs: s.rs[:63]},
		"with recovery id": {pub: s.pub, digest: s.digest, rs: append(s.rs[:64:64], 0)},
		"r zero":           {pub: s.pub, digest: s.digest, rs: bytes.Join([][]byte{zero, s.rs[32:]}, nil)},
		"s zero":           {pub: s.pub, digest: s.digest, rs: bytes.Join([][]byte{s.rs[:32], zero}, nil)},
		"r = n":            {pub: s.pub, digest: s.digest, rs: bytes.Join([][]byte{order, s.rs[32:]}, nil)},
		"no key":           {digest: s.digest, rs: s.rs},
		"nothing":          {},
	} {
		if derive.VerifyECDSA(c.pub, c.digest, c.rs) {
			t.Errorf("%s: accepted", name)
		}
		if _, err := derive.RecoveryID(c.pub, c.digest, c.rs); !errors.Is(err, derive.ErrSignature) {
			t.Errorf("%s: recovery id gives %v, want ErrSignature", name, err)
		}
	}
}
