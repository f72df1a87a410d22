// Package ledgertest holds what tests of a ledger need: the suite that every ledger.Store must pass, servers that
// are killed, a clock that is stepped, and approvers with keys. It is for tests only; nothing of it is durable or secret.
package ledgertest
