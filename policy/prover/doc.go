// Package prover lints, compiles and tests policies in a process of its own, which has a low priority: a server that answers
// requests meanwhile keeps its cores, its heap and its collector to itself. The process is this same program, started again; it is
// given the policy and nothing else, and opens no file and no connection.
//
// It decides nothing: what does not come back as a whole, in time and about the policy that was asked about is no proof.
package prover
