package callback

// What a byte is not.
const (
	notDecimal  = 1 << iota // 0 to 9
	notLowerHex             // nor a to f
	notHex                  // nor A to F
)

var digits = func() (all [256]byte) {
	for c := range all {
		decimal, lower, upper := c >= '0' && c <= '9', c >= 'a' && c <= 'f', c >= 'A' && c <= 'F'
		if !decimal {
			all[c] |= notDecimal
		}
		if !decimal && !lower {
			all[c] |= notLowerHex
		}
		if !decimal && !lower && !upper {
			all[c] |= notHex
		}
	}
	return all
}()

// hasAny says whether a byte of text is not what not says. It branches once: which digit comes next cannot be foretold.
func hasAny(text string, not byte) bool {
	var all byte
	for i := range len(text) {
		all |= digits[text[i]]
	}
	return all&not != 0
}

func isDecimal(text string) bool  { return !hasAny(text, notDecimal) }
func isLowerHex(text string) bool { return !hasAny(text, notLowerHex) }
func isHex(text string) bool      { return !hasAny(text, notHex) }
