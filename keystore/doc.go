// Package keystore is the sealed store of a node: one bbolt file, asset.db, that holds the node's key shares and
// everything else that it must not lose or leak.
//
// A store is [Uninitialised], [Sealed] or [Unsealed]. Init makes a random master key and wraps it under a password
// (Argon2id, RFC 9106); Unseal unwraps it and authenticates the whole content; Seal forgets it. Every value is sealed
// with AES-256-GCM under a key that belongs to its bucket and key, so that an altered, truncated or moved record is
// refused; a sealed root record covers the set of all records and is replaced in the same transaction as they are, so
// that a record which was deleted or put back to an older version is noticed at the next Unseal. A commit is on the
// disk (fsync) before Update returns.
//
// What it does not do. It cannot notice that the whole file was replaced by an older copy of itself: compare
// [Stat].Sequence with a number kept elsewhere for that. It does not hide the names of buckets and records, nor how many
// and how large they are: names are identifiers, never secrets. It does not defend against somebody who can write to
// the memory, or to the open file, of a running node. It knows nothing of shares, requests or sessions.
package keystore
