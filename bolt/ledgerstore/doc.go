// Package ledgerstore keeps a ledger in one bbolt file, for one callback server on one machine.
//
// Each bucket of the ledger is one of a [boltfile.File], which says how the file is guarded. What is added here is group
// commit: updates run over what is in memory, one after the other, and while one group of them is written to disk the next one is
// made. A group is one value in a journal, with one transaction and its syncs, or in a busy ledger one synced write; what it
// changed comes to its place in the buckets later, together with much else. Each update is as if alone: what it wrote before it
// failed is undone, and it returns only when all that it saw is on disk, or fails with it.
//
// It holds no rule of the ledger. Nothing here is a defence against who can write the file: see package auditlog.
package ledgerstore
