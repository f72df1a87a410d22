// Package ledgerstore keeps a ledger in one bbolt file, for one callback server on one machine.
//
// Each bucket of the ledger is one of a [boltfile.File], which says how the file is guarded. What is added here is group
// commit: updates that wait while one is written to disk share the next transaction and its sync, each as if alone; what
// one of them wrote before it failed is undone.
//
// It holds no rule of the ledger. Nothing here is a defence against who can write the file: see package auditlog.
package ledgerstore
