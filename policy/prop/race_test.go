//go:build race

package prop_test

// detecting says that the race detector runs, under which evaluations take many times as long.
const detecting = true
