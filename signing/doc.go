// Package signing is the one interface over all threshold protocols: a Session is created with a binding, the own
// party, the parties and a share; it is fed authenticated messages, its outgoing messages are drained, and it ends with
// a result or with an *Abort. The protocols are its subpackages; signing/cmp is ECDSA by CMP (Canetti, Gennaro,
// Goldfeder, Makriyannis, Peled: "UC Non-Interactive, Proactive, Threshold ECDSA", eprint 2021/060), signing/frost is
// Schnorr signatures on both curves, signing/eddsa makes the keys of Ed25519.
//
// It knows no network, no store, no clock and no log: who authenticates and delivers messages, keeps shares, bounds the
// time of a session and tells people about it is the caller. It never asks whether something may be signed.
//
// t is everywhere the number of signers needed. A PartyID is at the same time the x coordinate of the party's share.
package signing
