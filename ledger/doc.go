// Package ledger owns what a callback server has decided: which request got which reply, who approved what, and the log
// of all of it.
//
// [Ledger.Decide] is the one way to a decision. It is given the evaluation as a function and runs it between reading and
// writing of one transaction: a request that was seen before gets its recorded reply; a new one is evaluated against the
// state that the transaction sees, and request, input, verdict, reply and the approval that it opens are written and
// durable before the reply is returned. If they cannot be written there is no reply. So there is no reply outside the
// log, no second decision about one request, and no approval that counts for anything else than what was signed.
//
// An approval, here, is always that of people or machines outside (approvers), with their signatures; the server's own
// answer is called a decision.
//
// What an approved request moves is counted in velocity windows in the same transaction (Execution, Window): the evaluation
// sees what every window would show after it, and no two decisions can use the same room.
//
// The ledger keeps its records through a [Store]; package bolt/ledgerstore is one, and package ledger/ledgertest holds
// the tests that every store must pass. It does not decide (package policy does), does not read requests or sign replies
// (package callback does), and does not know what an input means.
package ledger
