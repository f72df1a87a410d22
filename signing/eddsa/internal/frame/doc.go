// Package frame is the codec of Ed25519 keygen's messages (docs/FORMATS.md, signing). Every field has a fixed length and one
// encoding: what decodes is a point of the subgroup of prime order, a scalar in range, exactly as many coefficients as the
// polynomial has. The library's own messages, whose de-commitment is a list of numbers of any length, never travel.
//
// It does not know whether proofs hold, and not whose turn it is.
package frame
