// Package eddsa makes Ed25519 keys whose shares sign by FROST (signing/frost). The protocol itself is the eddsa/keygen of
// github.com/bnb-chain/tss-lib/v2 (Feldman's verifiable secret sharing with commitments and Schnorr proofs, as in GG18,
// eprint 2019/114, section 4.1); this package is the fence around it and adds the key's chain code.
//
// The fence: frames have our own encoding, of fixed length and of points of the subgroup of prime order; nothing is given
// to the library that was not verified before (de-commitments, proofs, shares), because a wrong value there ends the process
// in a goroutine that recover does not reach; the library's proofs are bound to the session; its result is computed a second
// time from what was opened. A culprit is named only where the sender's own messages prove it.
//
// The chain code is SHA-256 over binding, public key and a contribution of each party, committed to before any is shown.
// All of the result is in the share's PublicStatement, which the parties of a new key confirm to each other.
package eddsa
