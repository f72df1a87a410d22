// Package library runs one party of the Ed25519 keygen of github.com/bnb-chain/tss-lib/v2 (eddsa/keygen) as three calls:
// Start, Commitments, Openings. Each is synchronous: when it returns, no goroutine of the library runs. It is the only
// package that imports the library, and it uses nothing else of it but the hash functions.
//
// What the library is given must have been verified before, by Proof: in its last round it computes in goroutines, where
// a panic (a de-commitment of another length) ends the process, and a number of many bytes takes it minutes. What panics in
// a call is an error.
//
// The library's session id is a hash of the curve and of the parties' numbers, the same in every run. Here a party's number
// is its index plus a multiple of the group order L that holds the session: modulo L, where the library computes, it is the
// index, and in the hash, and so in the proofs, it is of this session alone.
//
// The library's threshold is the degree of the polynomial; t, here, is the number of signers needed.
package library
