package groupcommit_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/countersign-mpc/countersign/internal/groupcommit"
)

var errOdd = errors.New("odd")

// TestQueue: every call is committed once and gets its own result, in batches of at most the limit, one at a time.
func TestQueue(t *testing.T) {
	const calls, most = 200, 7
	var mu sync.Mutex
	running, seen, largest := false, map[int]int{}, 0
	q := groupcommit.New(most, func(batch []*groupcommit.Call[int]) {
		mu.Lock()
		if running {
			t.Error("two batches run at one time")
		}
		running = true
		largest = max(largest, len(batch))
		mu.Unlock()
		for _, c := range batch {
			mu.Lock()
			seen[c.Fn]++
			mu.Unlock()
			if c.Fn%2 == 1 {
				c.Finish(fmt.Errorf("call %d: %w", c.Fn, errOdd))
			} else {
				c.Finish(nil)
			}
		}
		mu.Lock()
		running = false
		mu.Unlock()
	})
	var wg sync.WaitGroup
	for i := range calls {
		wg.Go(func() {
			if err := q.Do(context.Background(), i); (err != nil) != (i%2 == 1) || err != nil && err.Error() != fmt.Sprintf("call %d: odd", i) {
				t.Errorf("call %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if len(seen) != calls || largest > most {
		t.Errorf("%d of %d calls were committed, in batches of up to %d", len(seen), calls, largest)
	}
	for i, n := range seen {
		if n != 1 {
			t.Errorf("call %d was committed %d times", i, n)
		}
	}
}

// TestShare: calls that wait while a batch runs share the next one.
func TestShare(t *testing.T) {
	first, release := make(chan struct{}), make(chan struct{})
	var sizes []int
	q := groupcommit.New(64, func(batch []*groupcommit.Call[int]) {
		if sizes = append(sizes, len(batch)); len(sizes) == 1 {
			close(first)
			<-release
		}
		for _, c := range batch {
			c.Finish(nil)
		}
	})
	var wg sync.WaitGroup
	do := func() { wg.Go(func() { _ = q.Do(context.Background(), 0) }) }
	do()
	<-first
	for range 5 {
		do()
	}
	for q.Waiting() < 5 {
		runtime.Gosched()
	}
	close(release)
	wg.Wait()
	if len(sizes) != 2 || sizes[1] != 5 {
		t.Errorf("the batches had %v calls, want 1 and 5", sizes)
	}
}
