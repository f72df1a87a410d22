// Package cmp is threshold ECDSA over secp256k1 by CMP (eprint 2021/060, the variant with four rounds and echo
// broadcast): keygen and interactive signing. The protocol itself is github.com/taurusgroup/multi-party-sig, which is
// unaudited; this package is the fence around it and the only one that imports it.
//
// The fence: every incoming frame must be, byte for byte, what the template of its protocol and round would encode,
// before the library sees it; messages reach the library only in their round, after the sender was found to agree on
// all earlier broadcasts; every call is under recover; a culprit is named only where the sender's own message proves
// it; every signature is verified against the derived key before it leaves.
//
// It does not derive keys (package derive gives the tweak), does not ask whether something may be signed, and does not
// keep shares.
package cmp
