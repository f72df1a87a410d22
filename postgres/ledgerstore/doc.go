// Package ledgerstore keeps a ledger in PostgreSQL, for several callback servers that decide about the same things.
//
// The ledger's buckets are one table of keys and values in a schema of their own (docs/FORMATS.md, postgres/ledgerstore),
// made and changed by Migrate alone. An advisory lock lets one update run at a time over all servers, which is what
// ledger.Store asks for; updates that wait in one server share a transaction and its sync. Every value carries a checksum
// over its place, so that a value that was changed or moved by hand is noticed and not given out.
//
// Where a connection breaks during COMMIT, the server is asked what became of the transaction before anything else is
// written. Lock and statement time-outs end as ledger.ErrUnavailable.
//
// It holds no rule of the ledger. Nothing here is a defence against who can write the database: see package auditlog.
package ledgerstore
