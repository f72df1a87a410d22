package bip445

import (
	"bytes"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/countersign-mpc/countersign/signing/frost/internal/group"
	"github.com/countersign-mpc/countersign/signing/frost/internal/schnorr"
)

// NonceLength is the length of a public nonce and of an aggregate nonce, in bytes.
const NonceLength = 66

// NonceInput are the optional arguments of NonceGen. All that is known should be given: should the random bytes ever
// repeat, a difference in any of them still gives another nonce.
type NonceInput struct {
	SecretShare []byte // 32 bytes, or empty
	PublicShare []byte // 33 bytes, or empty
	PublicKey   []byte // x-only, 32 bytes, of the key that signs, or empty
	Message     []byte // nil: not known yet
	Extra       []byte // anything that may differ from run to run
}

func (in NonceInput) validate() error {
	for _, field := range []struct {
		name  string
		value []byte
		want  int
	}{{"secret share", in.SecretShare, 32}, {"public share", in.PublicShare, 33}, {"public key", in.PublicKey, 32}} {
		if n := len(field.value); n != 0 && n != field.want {
			return fmt.Errorf("the %s has %d bytes, not %d", field.name, n, field.want)
		}
	}
	return nil
}

// NonceGen makes a nonce from 32 bytes that must be random, fresh and secret. It overwrites them.
func NonceGen(random *[32]byte, in NonceInput) (*Nonce, error) {
	defer clear(random[:])
	if err := in.validate(); err != nil {
		return nil, fmt.Errorf("make nonce: %w", err)
	}
	if len(in.SecretShare) != 0 {
		mask := taggedHash("BIP0445/aux", random[:])
		subtle.XORBytes(random[:], in.SecretShare, mask[:])
		clear(mask[:])
	}
	hash := func(i byte) *group.SecpScalar {
		size := len(random) + 1 + len(in.PublicShare) + 1 + len(in.PublicKey) + 9 + len(in.Message) + 4 + len(in.Extra) + 1
		data := bytes.NewBuffer(make([]byte, 0, size)) // of its full size, so that growth leaves no copy behind
		data.Write(random[:])
		data.WriteByte(byte(len(in.PublicShare)))
		data.Write(in.PublicShare)
		data.WriteByte(byte(len(in.PublicKey)))
		data.Write(in.PublicKey)
		if in.Message == nil {
			data.WriteByte(0)
		} else {
			data.WriteByte(1)
			data.Write(binary.BigEndian.AppendUint64(nil, uint64(len(in.Message))))
			data.Write(in.Message)
		}
		data.Write(binary.BigEndian.AppendUint32(nil, uint32(len(in.Extra))))
		data.Write(in.Extra)
		data.WriteByte(i)
		sum := taggedHash("BIP0445/nonce", data.Bytes())
		clear(data.Bytes())
		defer clear(sum[:])
		return curve.Reduce(sum)
	}
	return schnorr.NewNonce(hash(0), hash(1))
}

// NonceAgg adds up the public nonces of all signers. An error is a *Fault that names, by its place in the list, the
// signer whose nonce is invalid.
func NonceAgg(publicNonces [][]byte) ([]byte, error) {
	hiding, binding := curve.Identity(), curve.Identity()
	for i, encoded := range publicNonces {
		c, err := ParsePublicNonce(encoded)
		if err != nil {
			return nil, &Fault{Signer: i, Contribution: "public nonce", Err: err}
		}
		hiding, binding = hiding.Add(c.Hiding), binding.Add(c.Binding)
	}
	if len(publicNonces) == 0 {
		return nil, errors.New("aggregate nonces: there are none")
	}
	return append(hiding.Bytes(), binding.Bytes()...), nil
}
