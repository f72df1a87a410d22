package processors_test

import (
	"runtime"
	"testing"

	"github.com/countersign-mpc/countersign/internal/processors"
)

func TestTune(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	processors.Tune("4")
	if got := runtime.GOMAXPROCS(0); got != before {
		t.Errorf("the operator's choice became %d", got)
	}
	processors.Tune("")
	if got := runtime.GOMAXPROCS(0); got != before+1 {
		t.Errorf("it is %d, want %d", got, before+1)
	}
}
