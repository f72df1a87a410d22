// Command bench measures the callback server: requests a second, latency, CPU and bytes for each decision, and what a long
// log and a reload of the policy cost. docs/BENCHMARKS.md explains the table that it prints.
//
// The server under test is this same program, started again as a process of its own, so that its CPU is told apart from
// that of the load. All requests are signed before the first is sent.
package main
