package derive

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"golang.org/x/crypto/sha3"
)

// EVMAddress gives the EIP-55 checksummed address of a compressed secp256k1 public key (33 bytes): the last 20 bytes
// of Keccak-256 over the point's two coordinates.
func EVMAddress(pub33 []byte) (string, error) {
	pub, err := parsePublicKey(pub33)
	if err != nil {
		return "", fmt.Errorf("EVM address: %w", err)
	}
	var address [20]byte
	digest := keccak256(pub.SerializeUncompressed()[1:])
	copy(address[:], digest[12:])
	return FormatEVMAddress(address), nil
}

// spelling is an address with its checksum. It does not change.
type spelling struct {
	address [20]byte
	text    string
}

// spellings remembers how addresses are written, since contracts and recipients come again and again and a checksum takes a
// hash. Each address has one place, which the next one that falls there takes over: so its size is bounded, and whoever
// chooses addresses can make it useless but not wrong. It holds nothing secret.
var spellings [1024]atomic.Pointer[spelling]

// FormatEVMAddress writes an address with its EIP-55 checksum. Safe for concurrent use.
func FormatEVMAddress(address [20]byte) string {
	place := &spellings[binary.BigEndian.Uint32(address[16:])%uint32(len(spellings))]
	if known := place.Load(); known != nil && known.address == address {
		return known.text
	}
	text := checksummed(address)
	place.Store(&spelling{address, text})
	return text
}

func checksummed(address [20]byte) string {
	out := hex.AppendEncode([]byte("0x"), address[:])
	digits := out[2:]
	digest := keccak256(digits)
	for i, digit := range digits {
		nibble := digest[i/2] >> (4 * (1 - i%2)) & 0x0f
		if nibble >= 8 && digit >= 'a' {
			digits[i] -= 'a' - 'A'
		}
	}
	return string(out)
}

// ParseEVMAddress reads "0x" and 40 hex digits. Digits in mixed case must carry the right EIP-55 checksum; digits in
// one case only carry none and are taken as they are.
func ParseEVMAddress(s string) ([20]byte, error) {
	var address [20]byte
	digits, ok := strings.CutPrefix(s, "0x")
	if !ok || len(digits) != 2*len(address) {
		return address, fmt.Errorf("EVM address %s: it must be 0x and 40 hex digits", quote(s))
	}
	if _, err := hex.Decode(address[:], []byte(digits)); err != nil {
		return [20]byte{}, fmt.Errorf("EVM address %s: it must be 0x and 40 hex digits", quote(s))
	}
	if mixesCases(digits) && FormatEVMAddress(address) != s {
		return [20]byte{}, fmt.Errorf("EVM address %s: %w", quote(s), errChecksum)
	}
	return address, nil
}

// mixesCases says whether hex digits, and nothing else, are of both cases.
func mixesCases(digits string) bool {
	const upper, lower = 1 << ('A' >> 5), 1 << ('a' >> 5) // what they have above the five bits that tell letters apart
	seen := 0
	for i := range len(digits) { // without a branch, since which digit comes next cannot be foretold
		seen |= 1 << (digits[i] >> 5)
	}
	return seen&upper != 0 && seen&lower != 0
}

var errChecksum = errors.New("its EIP-55 checksum is wrong, so a character is likely mistyped: check it against its source")

// keccak256 is Ethereum's hash: Keccak as submitted, before the padding of FIPS 202.
func keccak256(data []byte) [32]byte {
	h := sha3.NewLegacyKeccak256()
	h.Write(data)
	var out [32]byte
	h.Sum(out[:0])
	return out
}
