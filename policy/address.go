package policy

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/sha3"
)

// canonicalAddress returns the one form of an address under which lists hold it: "0x" and lower-case hex for EVM; for
// UTXO chains lower-case bech32, or base58 as it stands, since there case has meaning.
func (c Chain) canonicalAddress(address string) (string, error) {
	switch {
	case address == "":
		return "", errors.New("is missing")
	case c.Family == FamilyEVM:
		return canonicalEVM(address)
	case c.Family == FamilyUTXO:
		return canonicalUTXO(address, c.Network)
	}
	return "", fmt.Errorf("cannot be read on a chain of family %q", c.Family)
}

// canonicalEVM checks the EIP-55 checksum where the address has one, that is where it mixes cases.
func canonicalEVM(address string) (string, error) {
	digits, ok := strings.CutPrefix(address, "0x")
	if _, err := hex.DecodeString(digits); !ok || err != nil || len(digits) != 40 {
		return "", errors.New("is not 0x and 40 hex digits")
	}
	lower := strings.ToLower(digits)
	if digits != lower && digits != strings.ToUpper(digits) && digits != checksummed(lower) {
		return "", fmt.Errorf("has a wrong EIP-55 checksum: with the right one it would be 0x%s", checksummed(lower))
	}
	return "0x" + lower, nil
}

// checksummed writes 40 lower-case hex digits in the mixed case of EIP-55.
func checksummed(lower string) string {
	h := sha3.NewLegacyKeccak256()
	h.Write([]byte(lower)) // a hash never fails to write
	sum := hex.EncodeToString(h.Sum(nil))
	out := []byte(lower)
	for i := range out {
		if out[i] >= 'a' && sum[i] >= '8' {
			out[i] -= 'a' - 'A'
		}
	}
	return string(out)
}

const (
	bech32Charset = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
	base58Charset = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
)

// canonicalUTXO checks the form of an address and that a bech32 one belongs to the network. It does not check the
// checksum: an address that no list holds is never taken for one that a list does.
func canonicalUTXO(address, network string) (string, error) {
	lower := strings.ToLower(address)
	prefix := bech32Prefix(network) + "1"
	if rest, ok := strings.CutPrefix(lower, prefix); ok {
		if address != lower && address != strings.ToUpper(address) {
			return "", errors.New("mixes upper and lower case, which bech32 forbids (BIP 173)")
		}
		if len(address) > 90 || len(rest) < 14 || strings.Trim(rest, bech32Charset) != "" {
			return "", errors.New("is not a bech32 address (BIP 173)")
		}
		return lower, nil
	}
	if len(address) < 25 || len(address) > 35 || strings.Trim(address, base58Charset) != "" {
		return "", fmt.Errorf("is neither a base58 address nor one that starts with %s, as those of %s do", prefix, network)
	}
	return address, nil
}

func bech32Prefix(network string) string {
	switch network {
	case "mainnet":
		return "bc"
	case "regtest":
		return "bcrt"
	}
	return "tb" // testnet and signet
}
