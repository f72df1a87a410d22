// Package frost is threshold Schnorr signing by FROST: BIP340 and Taproot signatures by BIP 445 (draft) with the
// secp256k1 shares that signing/cmp makes, and Ed25519 signatures by RFC 9591, FROST(Ed25519, SHA-512), with the shares
// that signing/eddsa makes. Both run RFC 9591's two rounds without a coordinator: every signer broadcasts commitments to
// a nonce, then its signature share, and adds up the shares of all. Where one party alone is to learn the signature, the
// others send their shares to it only.
//
// What it owes: nonces are drawn for one session, live in memory only and are taken out before the share is computed, so
// that no order and no repetition of messages makes a session sign twice. Every share is verified before it is added,
// and its signer named if it is wrong; no share is judged before its sender has shown that it was told the same
// commitments. The signature is verified by code that is not FROST's before it is given out.
//
// Scalar arithmetic runs in constant time. Of the multiplications of points by secrets, those of Ed25519 do; secp256k1's
// library has none that does, so that they are masked by random scalars. Secrets are wiped after use, as far as Go lets
// a program reach them.
//
// It does not derive keys (package derive gives the tweak), does not ask whether something may be signed, and does not
// keep shares. Deterministic signing and nonces made ahead of a message are not built.
package frost
