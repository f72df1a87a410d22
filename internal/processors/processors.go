// Package processors says how many of its threads Go runs at once. It is for servers that wait for the disk while they have other work.
package processors

import "runtime"

// Tune gives Go one processor more than it has, unless the operator has chosen: gomaxprocs is the variable GOMAXPROCS of the
// environment. A thread that comes back from a write to the disk needs one of them before its goroutine goes on, and if all are busy it
// waits for its turn behind others: on two processors a group of decisions that was on disk waited so long before its callers knew that the
// next group was smaller. From then on Go does not follow what a container may use when that changes.
func Tune(gomaxprocs string) {
	if gomaxprocs == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	}
}
