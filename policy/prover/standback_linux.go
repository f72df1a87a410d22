package prover

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// low is the nice value of what may wait for everything else, and yet gets a tenth of a core beside a server that is busy all the
// time: a policy that is to protect it has to come through.
const low = 10

// self is this program as it runs, whatever has become of its file.
func self() (string, error) { return "/proc/self/exe", nil }

// standBack gives this process a low priority, and makes it the first to go where memory runs out. Where that is not
// allowed, the policy is tested all the same.
func standBack() {
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0)
	done := map[string]bool{}
	for more := true; more; { // the priority is each thread's own; new threads have that of the one that starts them
		more = false
		threads, _ := os.ReadDir("/proc/self/task")
		for _, t := range threads {
			if id, err := strconv.Atoi(t.Name()); err == nil && !done[t.Name()] {
				_ = unix.Setpriority(unix.PRIO_PROCESS, id, low)
				done[t.Name()], more = true, true
			}
		}
	}
}
