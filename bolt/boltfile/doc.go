// Package boltfile is one bbolt file of buckets, keys and values, held by one process and trusted no further than it can be
// checked. The stores of this module stand on it.
//
// What it adds to bbolt:
//
//   - A version record. A file of another version or of something else is refused, and so is one that was written and holds
//     nothing: it must not pass for new.
//   - Values carry a checksum over bucket, key and value, since bbolt checks none of its pages. That a key is not there
//     is believed only if both its neighbours are whole and in order: bit rot must not make what was stored look new.
//   - The last commit or none: a damaged meta page is refused, where bbolt would go on with the commit before.
//   - Readers see only what is on disk, unless they ask for more (Peek). bbolt shows a commit to readers before it is synced.
//   - A panic of bbolt or a fault over a damaged file becomes an error and ends the use of the file. So does a failed sync,
//     after which nobody knows what is on disk. A full disk does not: the same call may succeed later.
//
// It knows nothing of what is stored, nor which errors a store's consumer tells apart. It does not encrypt, and its checksum
// finds what disk and memory do; nothing here is a defence against who can write the file.
package boltfile
