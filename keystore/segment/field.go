package segment

// Arithmetic in GF(2^8) with the polynomial x^8 + x^4 + x^3 + x + 1. No step depends on the values: no table, no branch.

// mul multiplies two elements.
func mul(a, b byte) byte {
	var product byte
	for range 8 {
		product ^= a & -(b & 1)
		a = a<<1 ^ 0x1b&-(a>>7)
		b >>= 1
	}
	return product
}

// inverse returns a^254, which is 1/a; 0 for 0.
func inverse(a byte) byte {
	out := byte(1)
	for range 7 { // 254 = 2 + 4 + … + 128
		a = mul(a, a)
		out = mul(out, a)
	}
	return out
}

// at returns, byte by byte, the value at x of the polynomial of lowest degree through the points (xs[i], ys[i]). The xs are
// different; all ys have the same length.
func at(x byte, xs []byte, ys [][]byte) []byte {
	out := make([]byte, len(ys[0]))
	for i, xi := range xs {
		coefficient := byte(1)
		for j, xj := range xs {
			if i != j {
				coefficient = mul(coefficient, mul(x^xj, inverse(xi^xj)))
			}
		}
		for k := range out {
			out[k] ^= mul(coefficient, ys[i][k])
		}
	}
	return out
}
