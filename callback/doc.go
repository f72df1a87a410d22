// Package callback is the risk-control server: it receives the questions of MPC nodes, and answers each with a signed
// Approve, Reject or Wait that is recorded before it leaves.
//
//	body -> size and rate -> signature -> strict parse -> evidence -> ledger.Decide{ policy } -> signed reply
//
// [Server.Handler] serves the nodes (WIRE.md): a request that cannot be authenticated or read gets an HTTP error, every
// other one a signed decision. [Server.Admin] serves operators and approvers on another listener: approvals, decisions,
// the policy, the log, health and metrics.
//
// The package joins what others own. It does not decide (package policy), keeps nothing (package ledger), decodes no
// transaction (package evidence), and holds no share of any key: it must not import signing or keystore. It opens no
// socket and reads no file; cmd/callback does.
package callback
