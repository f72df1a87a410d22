// Package policy decides: it compiles the security team's Rego modules and their data into an immutable [Engine] and
// evaluates one [Input] to one [Decision].
//
// The decision is reached by proof. The modules name what has to be proven for a request, what was proven, and what
// speaks against it; Approve needs every proof and not one objection. Everything else is Reject: an error, a time-out,
// an undefined or conflicting result, a result of another shape, a missing proof. Reject beats Wait beats Approve.
//
// What goes into a policy is made exact before Rego sees it: chains, assets, addresses and amounts are read against
// data.json in Go ([Engine.NewInput]), since Rego compares a string with a number without complaint and adds decimals
// inexactly. What comes out of a policy is a function of the input alone: built-ins that read the clock, the network
// or the host do not exist for it, so that a recorded input replays to the same decision.
//
// This package and policy/direct, which evaluates what is asked each time without OPA's evaluator, are the only importers of OPA.
// The package keeps no state between evaluations, counts nothing and stores nothing
// (package ledger does), decodes no transaction (package evidence does), and speaks no protocol (package callback
// does). docs/POLICY.md is the reference for those who write policies; docs/FORMATS.md holds the formats.
package policy
