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

// TestLater: a batch may end before its calls are finished; the next one runs meanwhile, and what runs alone waits for none of them.
func TestLater(t *testing.T) {
	ran := make(chan *groupcommit.Call[int], 2)
	q := groupcommit.New(64, func(batch []*groupcommit.Call[int]) {
		for _, c := range batch {
			ran <- c
		}
	})
	var wg sync.WaitGroup
	results := make([]error, 2)
	for i := range results {
		wg.Go(func() { results[i] = q.Do(context.Background(), i) })
	}
	first, second := <-ran, <-ran // though neither is finished
	if err := q.Alone(func() error { return errOdd }); !errors.Is(err, errOdd) {
		t.Errorf("alone: %v", err)
	}
	for _, c := range []*groupcommit.Call[int]{second, first} {
		c.Finish(fmt.Errorf("call %d", c.Fn))
	}
	wg.Wait()
	for i, err := range results {
		if err == nil || err.Error() != fmt.Sprint("call ", i) {
			t.Errorf("call %d: %v", i, err)
		}
	}
}

// TestAlone: nothing runs beside what runs alone, and what has come meanwhile runs after it.
func TestAlone(t *testing.T) {
	alone := false
	q := groupcommit.New(1, func(batch []*groupcommit.Call[int]) {
		if alone {
			t.Error("a batch runs beside what runs alone")
		}
		for _, c := range batch {
			c.Finish(nil)
		}
	})
	var wg sync.WaitGroup
	err := q.Alone(func() error {
		alone = true
		for range 5 {
			wg.Go(func() { _ = q.Do(context.Background(), 0) })
		}
		for q.Waiting() < 5 {
			runtime.Gosched()
		}
		alone = false
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	wg.Wait()
}
