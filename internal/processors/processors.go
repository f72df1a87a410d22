// Package processors says how many of its threads Go runs at once. It is for servers that wait for the disk while they have other work.
package processors

import "runtime"

// Tune gives Go one processor more than the machine has, unless the operator has chosen, or the process may use fewer than all, as in a
// container with a limit: gomaxprocs is the variable GOMAXPROCS of the environment. A thread that comes back from a write to the disk
// needs one of them before its goroutine goes on, and if all are busy it waits for its turn behind others: on two processors a group of
// decisions that was on disk waited so long before its callers knew that the next group was smaller. From then on Go does not follow when
// a limit is set on the process. Call it before other goroutines run: it stops them all for a moment.
func Tune(gomaxprocs string) {
	if all := runtime.NumCPU(); gomaxprocs == "" && runtime.GOMAXPROCS(0) >= all {
		runtime.GOMAXPROCS(all + 1)
	}
}
