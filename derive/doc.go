// Package derive handles the public side of keys: derivation paths, public derivation for secp256k1 (BIP32) and Ed25519
// and the tweak that a threshold signer adds to its share, taproot output keys, addresses, and verification of finished
// signatures of every scheme.
//
// It holds no secret and never sees a private key or a share. It does not decide which chain a key belongs to, and it
// does not compute digests: package evidence does that. All functions are pure and safe for concurrent use.
package derive
