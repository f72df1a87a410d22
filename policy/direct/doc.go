// Package direct evaluates sets that Rego describes, over rules that OPA's compiler has compiled, without OPA's evaluator. What
// is evaluated again and again is compiled once more, into Go functions over OPA's own values: variables become numbered places,
// a reference becomes a walk, backtracking a nested call.
//
// It knows a part of the language: references into the input, into the base documents and to rules; functions, default and else;
// comprehensions, every, not and some; equality and patterns; OPA's own built-ins. [Program.Add] refuses whatever else there is,
// and [Program.Evaluate] gives up, with an error, wherever OPA's answer could be another: a built-in that fails, two values of one
// rule, a base document that is read by an odd key, too many steps. OPA then has to be asked. What is evaluated here is all that
// OPA evaluates or more, in the same order within a body, so that no error of a policy is passed over.
//
// The package does not parse or compile Rego, reads no store and decides nothing: package policy does.
package direct
