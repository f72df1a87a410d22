package frame

// Slot is the place of a message in a protocol: each party sends one broadcast, or one point-to-point message to each
// other party, in it.
type Slot struct {
	Round     uint16
	Broadcast bool
}

// Slots returns the places of a protocol's messages, by round. The last message of sign has two: it goes to everybody, or,
// where the signature is for one recipient, to that party alone. Only one of them is used in a session.
func Slots(p Protocol) []Slot {
	switch p {
	case Keygen:
		return []Slot{{2, true}, {3, true}, {4, true}, {4, false}, {5, true}}
	case Sign:
		return []Slot{{2, true}, {2, false}, {3, true}, {3, false}, {4, true}, {4, false}, {5, true}, {5, false}}
	}
	return nil
}

// Sizes of the library's fixed parameters (its internal/params): 2048-bit moduli, 256-bit security parameter. Its
// integers have lengths that do not depend on their values.
const (
	modN   = 256 // a number modulo a Paillier or Pedersen modulus N
	modN2  = 512 // a Paillier ciphertext, modulo N squared
	proofs = 80  // repetitions of the mod and prm proofs
	seed   = 32
	z1Size = 98  // sign byte and 776 bits: a masked scalar
	z2Size = 226 // sign byte and 1800 bits: a masked MtA share
	zNSize = 354 // sign byte and 2824 bits: a masked number modulo N
	sigma  = 545 // sign byte and 4352 bits, of the fac proof
	facV   = 610 // sign byte and 4872 bits, of the fac proof
	facZ   = 226 // sign byte and 1800 bits, of the fac proof
)

// templateOf returns the committed template of a message, as observed of the library at its pinned version. t is the
// number of signers needed, and so the number of coefficients of a keygen polynomial.
func templateOf(p Protocol, s Slot, t int) (template, bool) {
	switch p {
	case Keygen:
		return keygenTemplate(s, t)
	case Sign:
		return signTemplate(s)
	}
	return nil, false
}

func keygenTemplate(s Slot, t int) (template, bool) {
	switch s {
	case Slot{2, true}:
		return object{{"Commitment", octets(hashSize)}}, true
	case Slot{3, true}:
		return object{
			{"RID", octets(seed)},
			{"C", octets(seed)},
			{"VSSPolynomial", polynomial(t)},
			{"SchnorrCommitments", object{{"C", point{}}}},
			{"ElGamalPublic", point{}},
			{"N", modulus{}},
			{"S", octets(modN)},
			{"T", octets(modN)},
			{"Decommitment", octets(seed)},
		}, true
	case Slot{4, true}:
		return object{
			{"Mod", object{
				{"W", natural{}},
				{"Responses", list{proofs, object{{"A", boolean{}}, {"B", boolean{}}, {"X", natural{}}, {"Z", natural{}}}}},
			}},
			{"Prm", object{
				{"As", list{proofs, natural{}}},
				{"Zs", list{proofs, natural{}}},
			}},
		}, true
	case Slot{4, false}:
		return object{
			{"Share", octets(modN2)},
			{"Fac", object{
				{"Comm", object{
					{"P", octets(modN)}, {"Q", octets(modN)}, {"A", octets(modN)}, {"B", octets(modN)}, {"T", octets(modN)},
				}},
				{"Sigma", integer(sigma)},
				{"Z1", integer(facZ)},
				{"Z2", integer(facZ)},
				{"W1", integer(zNSize)},
				{"W2", integer(zNSize)},
				{"V", integer(facV)},
			}},
		}, true
	case Slot{5, true}:
		return object{{"SchnorrResponse", object{{"Z", octets(seed)}}}}, true
	}
	return nil, false
}

func signTemplate(s Slot) (template, bool) {
	switch s {
	case Slot{2, true}:
		return object{{"K", octets(modN2)}, {"G", octets(modN2)}}, true
	case Slot{2, false}:
		return object{{"ProofEnc", object{
			{"S", octets(modN)}, {"A", octets(modN2)}, {"C", octets(modN)},
			{"Z1", integer(z1Size)}, {"Z2", octets(modN)}, {"Z3", integer(zNSize)},
		}}}, true
	case Slot{3, true}:
		return object{{"BigGammaShare", point{}}}, true
	case Slot{3, false}:
		return object{
			{"DeltaD", octets(modN2)}, {"DeltaF", octets(modN2)}, {"DeltaProof", affineProof()},
			{"ChiD", octets(modN2)}, {"ChiF", octets(modN2)}, {"ChiProof", affineProof()},
			{"ProofLog", logProof()},
		}, true
	case Slot{4, true}:
		return object{{"DeltaShare", octets(seed)}, {"BigDeltaShare", point{}}}, true
	case Slot{4, false}:
		return object{{"ProofLog", logProof()}}, true
	case Slot{5, true}, Slot{5, false}:
		return object{{"SigmaShare", octets(seed)}}, true
	}
	return nil, false
}

// affineProof is the library's zk/affg (eprint 2021/060, figure 15).
func affineProof() template {
	return object{
		{"A", octets(modN2)}, {"Bx", point{}}, {"By", octets(modN2)},
		{"E", octets(modN)}, {"S", octets(modN)}, {"F", octets(modN)}, {"T", octets(modN)},
		{"Z1", integer(z1Size)}, {"Z2", integer(z2Size)}, {"Z3", integer(zNSize)}, {"Z4", integer(zNSize)},
		{"W", octets(modN)}, {"Wy", octets(modN)},
	}
}

// logProof is the library's zk/logstar (eprint 2021/060, figure 25).
func logProof() template {
	return object{
		{"S", octets(modN)}, {"A", octets(modN2)}, {"Y", point{}}, {"D", octets(modN)},
		{"Z1", integer(z1Size)}, {"Z2", octets(modN)}, {"Z3", integer(zNSize)},
	}
}
