// Package ledgerstore keeps a ledger in one bbolt file, for one callback server on one machine.
//
// What it adds to bbolt:
//
//   - Group commit. Updates that wait while one is written to disk share the next transaction and its sync, each as if
//     alone: what one of them wrote before it failed is undone.
//   - Values carry a checksum over bucket, key and value, since bbolt checks none of its pages. That a key is not there
//     is believed only if both its neighbours are whole and in order: bit rot must not make a decided request look new.
//   - Readers see only what is on disk. bbolt shows a commit to readers before it is synced.
//   - A fault or panic over a damaged file becomes an error and ends the use of the file; nothing is decided on it. So
//     does a failed sync, after which nobody knows what is on disk. A full disk does not: the same call may succeed later.
//
// It holds no rule of the ledger. Nothing here is a defence against who can write the file: see package auditlog.
package ledgerstore
