package processors_test

import (
	"runtime"
	"testing"

	"github.com/countersign-mpc/countersign/internal/processors"
)

func TestTune(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	all := runtime.NumCPU()
	tune := func(what string, has, want int, gomaxprocs string) {
		runtime.GOMAXPROCS(has)
		if processors.Tune(gomaxprocs); runtime.GOMAXPROCS(0) != want {
			t.Errorf("%s: Go has %d processors of %d, want %d", what, runtime.GOMAXPROCS(0), all, want)
		}
	}
	tune("all of them", all, all+1, "")
	tune("the operator's choice", all, all, "4")
	if all > 1 {
		tune("a limit", all-1, all-1, "")
	}
}
