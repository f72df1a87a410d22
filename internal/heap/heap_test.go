package heap_test

import (
	"runtime/debug"
	"testing"

	"github.com/countersign-mpc/countersign/internal/heap"
)

func TestTune(t *testing.T) {
	before := debug.SetGCPercent(150)
	defer debug.SetGCPercent(before)
	heap.Tune("150")
	if got := debug.SetGCPercent(150); got != 150 {
		t.Errorf("the operator's choice became %d", got)
	}
	heap.Tune("")
	if got := debug.SetGCPercent(150); got != heap.Growth {
		t.Errorf("it is %d, want %d", got, heap.Growth)
	}
}
