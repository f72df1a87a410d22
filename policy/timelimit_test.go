package policy

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestTimeLimit: it ends as a context with a time-out does, whether somebody waits for it or looks at it.
func TestTimeLimit(t *testing.T) {
	ended := func(l *timeLimit, want error) {
		t.Helper()
		if err := l.Err(); !errors.Is(err, want) {
			t.Errorf("%v in place of %v", err, want)
		}
		synctest.Wait()
		select {
		case <-waitedFor(l).Done():
			if want == nil {
				t.Error("it has ended")
			}
		default:
			if want != nil {
				t.Error("it has not ended")
			}
		}
	}
	for _, waited := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			parent, cancel := context.WithCancel(t.Context())
			a, b := limitTime(parent, time.Second), limitTime(parent, time.Second)
			defer a.release()
			defer b.release()
			if waited {
				<-limitTime(parent, 0).Done()
				ended(a, nil)
			}
			time.Sleep(time.Second - time.Nanosecond)
			ended(b, nil)
			time.Sleep(time.Nanosecond)
			ended(a, context.DeadlineExceeded)
			if end, ok := a.Deadline(); !ok || !end.Equal(time.Now()) {
				t.Errorf("it ends at %v", end)
			}
			c := limitTime(parent, time.Minute)
			defer c.release()
			ended(c, nil)
			cancel()
			ended(c, context.Canceled)
			sooner, stop := context.WithTimeout(t.Context(), time.Millisecond)
			defer stop()
			d := limitTime(sooner, time.Minute)
			if end, ok := d.Deadline(); !ok || time.Until(end) != time.Millisecond {
				t.Errorf("it ends at %v", end)
			}
		})
	}
}
