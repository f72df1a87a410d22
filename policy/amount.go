package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// maxAmountLength bounds an amount's text: 78 digits of 2^256-1, a point, and the decimals of any sane asset.
const maxAmountLength = 120

// maxDecimals is the most decimals an asset may have (ERC-20 holds them in a uint8; real tokens stay under 37).
const maxDecimals = 77

var (
	errAmountForm  = errors.New("is not a plain decimal number (digits, at most one point, no sign, no exponent)")
	errBaseForm    = errors.New("is not a plain integer: the chain's amounts are integers in base units only (digits, no sign, no exponent)")
	errAmountRange = errors.New("is more than 2^256-1 base units")
)

// maxBase is 2^256-1: what a uint256 of the EVM holds, and far more than any other chain counts.
var maxBase = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1))

// baseUnits reads an amount and returns it as an integer in base units without leading zeros. In UnitBase the text is
// that integer; in UnitCoin it may have up to decimals digits after the point.
func baseUnits(amount, unit string, decimals int) (json.Number, error) {
	if amount == "" {
		return "", errors.New("is missing")
	}
	if len(amount) > maxAmountLength {
		return "", fmt.Errorf("is longer than %d characters", maxAmountLength)
	}
	whole, fraction, hasPoint := strings.Cut(amount, ".")
	if !isDigits(whole) || (len(whole) > 1 && whole[0] == '0') || (hasPoint && !isDigits(fraction)) {
		if unit == UnitBase && !hasPoint {
			return "", errBaseForm
		}
		return "", errAmountForm
	}
	switch {
	case unit == UnitBase && hasPoint:
		return "", errors.New("has a point, but the chain's amounts are integers in base units")
	case unit == UnitCoin && len(fraction) > decimals:
		return "", fmt.Errorf("has %d digits after the point, but the asset has %d decimals", len(fraction), decimals)
	case unit == UnitCoin:
		whole += fraction + strings.Repeat("0", decimals-len(fraction))
	case unit != UnitBase:
		return "", fmt.Errorf("has the unknown unit %q", unit)
	}
	digits := strings.TrimLeft(whole, "0")
	switch {
	case digits == "":
		return "0", nil
	case len(digits) > surelyBase && parseBase(json.Number(digits)).Cmp(maxBase) > 0:
		return "", errAmountRange
	}
	return json.Number(digits), nil
}

// surelyBase is how many digits a number may have that is within range whatever they are.
const surelyBase = 77

// parseBase reads digits; nil for anything else.
func parseBase(n json.Number) *big.Int {
	if v, err := strconv.ParseUint(string(n), 10, 64); err == nil {
		return new(big.Int).SetUint64(v)
	}
	if v, ok := new(big.Int).SetString(string(n), 10); ok && isDigits(string(n)) {
		return v
	}
	return nil
}

// compareBase compares two integers that baseUnits returned.
func compareBase(a, b json.Number) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(string(a), string(b))
}

// isBase reports whether n is what baseUnits returns: digits without a leading zero, within range.
func isBase(n json.Number) bool {
	if len(n) <= surelyBase {
		return isDigits(string(n)) && (len(n) == 1 || n[0] != '0')
	}
	got, err := baseUnits(string(n), UnitBase, 0)
	return err == nil && got == n
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
