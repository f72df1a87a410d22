package coordinator

import "context"

// Table is one of the tables of a Store.
type Table string

// The tables, with the form of their keys (docs/FORMATS.md, coordinator). A store makes all of them when it is opened.
const (
	TableNodes       Table = "nodes"        // node id
	TableNames       Table = "names"        // account | name
	TableRequests    Table = "requests"     // sino id
	TableTerms       Table = "terms"        // sino id
	TableRequestIDs  Table = "request_ids"  // account | request id
	TableOpen        Table = "open"         // account | sino id, of requests that are not over
	TableSessions    Table = "sessions"     // session id
	TableKeys        Table = "keys"         // key id
	TableAccountKeys Table = "account_keys" // account | key id
	TableTodo        Table = "todo"         // node id | s or k | session or key id: what a node is told when it connects
	TableMail        Table = "mail"         // node id | position
	TableMailIndex   Table = "mail_index"   // session id | node id | position
	TableMailboxes   Table = "mailboxes"    // node id
	TableRoutes      Table = "routes"       // session id | from | to
)

// Tables lists every table.
func Tables() []Table {
	return []Table{TableNodes, TableNames, TableRequests, TableTerms, TableRequestIDs, TableOpen, TableSessions, TableKeys,
		TableAccountKeys, TableTodo, TableMail, TableMailIndex, TableMailboxes, TableRoutes}
}

// Limits of what is put into a store.
const (
	MaxStoreKey   = 1 << 10 // bytes
	MaxStoreValue = 4 << 20 // bytes
)

// Store keeps the coordinator's state. It is safe for concurrent use.
type Store interface {
	// Update runs f in one serialisable read-write transaction. It returns once everything that f put is durable; if f
	// fails, nothing is kept and f's error is returned. f may be run more than once and must not call the store.
	Update(ctx context.Context, f func(Tx) error) error
	// View runs f in one consistent read-only transaction: Put and Delete fail in it.
	View(ctx context.Context, f func(Tx) error) error
}

// Tx is one transaction. It is for the goroutine that runs it, and only while it runs.
type Tx interface {
	// Get returns a copy of a value, nil if there is none.
	Get(t Table, key string) ([]byte, error)
	// Put stores a value under a key of 1 to MaxStoreKey bytes.
	Put(t Table, key string, value []byte) error
	// Delete removes a key; one that is not there is no error.
	Delete(t Table, key string) error
	// Scan calls f with every key that has the prefix and is not less than from, in the order of their bytes, until f
	// says stop. The value is valid during the call only. f must not change the table.
	Scan(t Table, prefix, from string, f func(key string, value []byte) (stop bool, err error)) error
}
