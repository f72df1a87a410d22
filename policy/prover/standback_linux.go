package prover

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// low is the nice value of what may wait for everything else, and yet gets a tenth of a core beside a server that is busy all the
// time: a policy that is to protect it has to come through.
const low = 10

// slice is for how long, in nanoseconds, it runs when others wake up meanwhile: by itself Linux gives 1.4 ms or more, which each step of
// a request may wait for. Linux before 6.12 does not look at it.
const slice = 100_000

// self is this program as it runs, whatever has become of its file.
func self() (string, error) { return "/proc/self/exe", nil }

// standBack gives this process a low priority, or lets it run only where nobody else needs a core, and makes it the first to go where
// memory runs out. Where that is not allowed, the policy is tested all the same.
func standBack(idle bool) {
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0)
	attributes := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL, Nice: low, Runtime: slice}
	if idle {
		attributes = unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE}
	}
	done := map[string]bool{}
	for more := true; more; { // the priority is each thread's own; new threads have that of the one that starts them
		more = false
		threads, _ := os.ReadDir("/proc/self/task")
		for _, t := range threads {
			if id, err := strconv.Atoi(t.Name()); err == nil && !done[t.Name()] {
				if unix.SchedSetAttr(id, &attributes, 0) != nil {
					_ = unix.Setpriority(unix.PRIO_PROCESS, id, low)
				}
				done[t.Name()], more = true, true
			}
		}
	}
}
