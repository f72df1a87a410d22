package evidence

import (
	"fmt"
	"math/big"
	"strings"
	"unicode/utf8"
)

// QuantityDecimals is the number of decimals in which BRC-20 quantities are compared: the most that a ticker may have.
const QuantityDecimals = 18

// maxQuantityDigits bounds the digits of a quantity; the largest supply, 2^64-1 coins, has 20 before the point.
const maxQuantityDigits = 20 + QuantityDecimals

// ParseQuantity reads a BRC-20 quantity: decimal digits with at most one point, 18 of them behind it at most, no sign,
// blank or exponent. The result is in 10^-18 coins.
func ParseQuantity(s string) (*big.Int, error) {
	whole, fraction, point := strings.Cut(s, ".")
	if whole == "" || (point && fraction == "") || len(fraction) > QuantityDecimals || len(whole)+len(fraction) > maxQuantityDigits ||
		strings.Trim(whole+fraction, "0123456789") != "" {
		return nil, fmt.Errorf("quantity %q is not a decimal number with at most %d digits behind the point", excerpt(s), QuantityDecimals)
	}
	v, ok := new(big.Int).SetString(whole+fraction+strings.Repeat("0", QuantityDecimals-len(fraction)), 10)
	if !ok {
		return nil, fmt.Errorf("quantity %q is not a decimal number", excerpt(s))
	}
	return v, nil
}

// CheckTicker checks the form of a BRC-20 ticker: valid UTF-8 of four to six bytes without blanks or control characters
// (five for self-issuance, six since block 912,690).
func CheckTicker(s string) error {
	if len(s) < 4 || len(s) > 6 || !utf8.ValidString(s) {
		return fmt.Errorf("ticker %q does not have 4 to 6 bytes of UTF-8", excerpt(s))
	}
	for _, r := range s {
		if r <= ' ' || r == 0x7f {
			return fmt.Errorf("ticker %q holds a blank or a control character", excerpt(s))
		}
	}
	return nil
}
