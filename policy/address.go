package policy

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

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
	var raw [20]byte
	digits, ok := strings.CutPrefix(address, "0x")
	if !ok || len(digits) != 2*len(raw) {
		return "", errEVMForm
	}
	if isLowerHex(digits) {
		return address, nil
	}
	if _, err := hex.Decode(raw[:], []byte(digits)); err != nil {
		return "", errEVMForm
	}
	lower := strings.ToLower(address)
	if !strings.ContainsAny(digits, "abcdef") {
		return lower, nil
	}
	if right := derive.FormatEVMAddress(raw); address != right {
		return "", fmt.Errorf("has a wrong EIP-55 checksum: with the right one it would be %s", right)
	}
	return lower, nil
}

var errEVMForm = errors.New("is not 0x and 40 hex digits")

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

// isLowerHex reports whether a text has no others than the digits 0 to 9 and a to f.
func isLowerHex(digits string) bool {
	for i := range len(digits) {
		if c := digits[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
