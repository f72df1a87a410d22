// Package segment splits the secret that seals a key store into n segments of which t open it, for as many people: Shamir's
// scheme ("How to share a secret", CACM 1979) over GF(2^8), byte by byte, over a random secret of 32 bytes.
//
// A [Manifest], which is no secret, holds a hash of each segment of a set. By it every segment is checked by itself as soon as
// it is entered, and with t of them all n are computed again and checked, so that no set is taken of which some t would not
// open the store. Fewer than t segments say nothing about the secret. It knows no store and no passwords that people make up.
package segment
