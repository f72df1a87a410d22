package policy_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/policy"
)

// TestDeadline: a deadline ends as that of package context does, whether it is asked or waited for.
func TestDeadline(t *testing.T) {
	type key struct{}
	outer, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
	long, release := policy.WithTimeout(outer, time.Hour)
	if at, limited := long.Deadline(); !limited || time.Until(at) > time.Hour || time.Until(at) < time.Minute {
		t.Errorf("it ends at %v", at)
	}
	if err := long.Err(); err != nil || long.Value(key{}) != "value" {
		t.Errorf("it has ended (%v), or knows no value", err)
	}
	told := make(chan struct{})
	context.AfterFunc(long, func() { close(told) })
	cancel()
	<-told
	<-long.Done()
	if err := long.Err(); !errors.Is(err, context.Canceled) {
		t.Errorf("it was broken off, and says %v", err)
	}
	release()
	release()

	short, release := policy.WithTimeout(t.Context(), time.Nanosecond)
	defer release()
	<-short.Done()
	if err := short.Err(); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("its time is over, and it says %v", err)
	}
	passed, release := policy.WithTimeout(t.Context(), 0)
	if err := passed.Err(); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it had no time, and says %v", err)
	}
	release()
}
