package policy

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/sha3"

	"github.com/countersign-mpc/countersign/derive"
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

// canonicalUTXO reads an address of a Bitcoin network, checksum included, and writes it in its one form: bech32 in lower
// case, base58 as it is.
func canonicalUTXO(address, network string) (string, error) {
	script, err := derive.BitcoinScript(derive.Network(network), address)
	if err != nil {
		return "", fmt.Errorf("cannot be read: %v", err)
	}
	canonical, err := derive.BitcoinAddress(derive.Network(network), script)
	if err != nil {
		return "", fmt.Errorf("cannot be read: %v", err)
	}
	return canonical, nil
}
