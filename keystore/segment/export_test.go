package segment

// What the tests reach of the field and of a set that is broken on purpose.

var (
	Mul     = mul
	Inverse = inverse
	At      = at
)

// TextOf writes a segment with a fitting check.
func TextOf(id [IDSize]byte, number int, share []byte) string {
	return string(textOf(id, number, share).Expose())
}

// HashOf is what a manifest holds of a segment.
func HashOf(m *Manifest, number int, share []byte) [32]byte { return hashOf(m, number, share) }
