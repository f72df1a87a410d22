package transport

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/wire"
)

// maxRound bounds round numbers; no protocol here has more than a dozen.
const maxRound = 1 << 10

// endpoint is one end of a pair: who it is and its ephemeral key of the session.
type endpoint struct {
	node      wire.NodeID
	ephemeral [32]byte
}

// pairKeys derives what two parties share: one key for each direction.
type pairKeys struct {
	binding   manifest.Binding
	secret    *ecdh.PrivateKey
	own, peer endpoint
}

func (k pairKeys) derive() (*peer, error) {
	id, err := k.peer.node.PublicKey()
	if err != nil {
		return nil, err
	}
	remote, err := ecdh.X25519().NewPublicKey(k.peer.ephemeral[:])
	if err != nil {
		return nil, fmt.Errorf("ephemeral key: %w", err)
	}
	shared, err := k.secret.ECDH(remote) // refuses points of low order (RFC 7748, section 6.1)
	if err != nil {
		return nil, fmt.Errorf("ephemeral key: %w", err)
	}
	defer clear(shared)
	p := &peer{id: id}
	if p.seal, err = k.direction(shared, k.own, k.peer); err != nil {
		return nil, err
	}
	if p.open, err = k.direction(shared, k.peer, k.own); err != nil {
		return nil, err
	}
	return p, nil
}

// direction makes the AEAD for messages of one end to the other: HKDF-SHA-256 (RFC 5869), salted with the binding, over a
// label, both identities and both ephemeral keys in the order sender, receiver.
func (k pairKeys) direction(shared []byte, from, to endpoint) (cipher.AEAD, error) {
	info := wire.SigningBytes("pair-key", k.binding[:], []byte(from.node), []byte(to.node), from.ephemeral[:], to.ephemeral[:])
	key, err := hkdf.Key(sha256.New, shared, k.binding[:], string(info), 32)
	if err != nil {
		return nil, fmt.Errorf("derive pair key: %w", err)
	}
	defer clear(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("pair key: %w", err)
	}
	return cipher.NewGCM(block)
}

// place is where a sealed message belongs; it is authenticated with it.
type place struct {
	binding  manifest.Binding
	from, to byte
	round    uint16
	seq      uint64
}

// nonce is the sequence number: a key serves one direction of one session, so none comes twice.
func (p place) nonce() []byte {
	return binary.BigEndian.AppendUint64(make([]byte, 4, 12), p.seq)
}

func (p place) associated() []byte {
	return wire.SigningBytes("envelope", p.binding[:], []byte{p.from}, []byte{p.to},
		binary.BigEndian.AppendUint16(nil, p.round), binary.BigEndian.AppendUint64(nil, p.seq))
}

// payload is the plaintext of an envelope (docs/FORMATS.md, transport):
//
//	version (1) ‖ flags (1) ‖ echo (32, if flagged) ‖ signature length (uint16) ‖ signature ‖ data
type payload struct {
	broadcast bool
	echo      []byte // 32 or none
	signature []byte // of a broadcast
	data      []byte
}

const (
	payloadVersion = 1
	flagBroadcast  = 1
	flagEcho       = 2
	maxSignature   = 80 // ASN.1 DER of P-256 has at most 72 bytes
	payloadFixed   = 4  // version, flags, signature length
)

func (p payload) encode() ([]byte, error) {
	if len(p.data) > MaxSealed-payloadFixed-32-maxSignature-16 {
		return nil, fmt.Errorf("message has %d bytes, more than an envelope carries", len(p.data))
	}
	flags := byte(0)
	if p.broadcast {
		flags |= flagBroadcast
	}
	if len(p.echo) > 0 {
		flags |= flagEcho
	}
	out := make([]byte, 0, payloadFixed+len(p.echo)+len(p.signature)+len(p.data))
	out = append(out, payloadVersion, flags)
	out = append(out, p.echo...)
	out = binary.BigEndian.AppendUint16(out, uint16(len(p.signature)))
	out = append(out, p.signature...)
	return append(out, p.data...), nil
}

func decodePayload(b []byte) (payload, error) {
	if len(b) < payloadFixed || b[0] != payloadVersion || b[1]&^(flagBroadcast|flagEcho) != 0 {
		return payload{}, errors.New("payload: unknown version or flags")
	}
	p := payload{broadcast: b[1]&flagBroadcast != 0}
	rest := b[2:]
	if b[1]&flagEcho != 0 {
		if len(rest) < 32 {
			return payload{}, errors.New("payload: echo is short")
		}
		p.echo, rest = rest[:32], rest[32:]
	}
	if len(rest) < 2 {
		return payload{}, errors.New("payload: signature length is missing")
	}
	n := int(binary.BigEndian.Uint16(rest))
	rest = rest[2:]
	if n > maxSignature || n > len(rest) || p.broadcast != (n > 0) {
		return payload{}, errors.New("payload: signature length does not fit")
	}
	p.signature, p.data = rest[:n], rest[n:]
	return p, nil
}

// broadcastBytes is what the sender of a broadcast signs, so that two different ones of a round prove its guilt.
func broadcastBytes(b manifest.Binding, from byte, round uint16, data []byte) []byte {
	return wire.SigningBytes("broadcast", b[:], []byte{from}, binary.BigEndian.AppendUint16(nil, round), data)
}

func (b *broadcasts) has(index byte) bool {
	_, ok := b.hashes[index]
	return ok
}

func (b *broadcasts) complete(parties []byte) bool { return len(b.hashes) == len(parties) }

var errSecondBroadcast = errors.New("a second, different broadcast")

func (b *broadcasts) add(index byte, data []byte) error {
	sum := sha256.Sum256(data)
	if old, ok := b.hashes[index]; ok && old != sum {
		return errSecondBroadcast
	}
	b.hashes[index] = sum
	return nil
}

// echo is the hash that every party sends after a round of broadcasts.
func (b *broadcasts) echo(binding manifest.Binding, round uint16, parties []byte) [32]byte {
	fields := [][]byte{binding[:], binary.BigEndian.AppendUint16(nil, round)}
	for _, i := range parties {
		sum := b.hashes[i]
		fields = append(fields, []byte{i}, sum[:])
	}
	return sha256.Sum256(wire.SigningBytes("echo", fields...))
}

func sliceOf(a [32]byte) []byte { return a[:] }
