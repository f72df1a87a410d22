// Package derive handles the public side of keys: derivation paths, BIP32 public derivation and the tweak that a
// threshold signer adds to its share, EVM addresses, and verification of finished ECDSA signatures.
//
// It holds no secret and never sees a private key or a share. It does not decide which chain a key belongs to, and it
// does not compute digests: package evidence does that. All functions are pure and safe for concurrent use.
package derive
