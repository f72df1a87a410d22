package pace_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign-mpc/countersign/internal/pace"
)

// given is how much of the time others have while work of so many steps, each this long, is done.
func given(p *pace.Pacer, steps int, each time.Duration, pause func()) time.Duration {
	begin := time.Now()
	for range steps {
		time.Sleep(each) // the work, by the clock of the bubble
		pause()
	}
	return time.Since(begin) - time.Duration(steps)*each
}

// TestGivesWay: others have at least as much of the time as the work, however small its pieces are, and none of it is lost where
// there is little work.
func TestGivesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pace.New()
		if d := given(p, 10, time.Microsecond, p.Step); d != 0 {
			t.Errorf("work of 10 us was held up for %v", d)
		}
		for name, pause := range map[string]func(){"steps": p.Step, "pauses": p.Pause} {
			const work = 50 * time.Millisecond
			for _, each := range []time.Duration{time.Microsecond, 10 * time.Microsecond, time.Millisecond} {
				if each == time.Millisecond && name == "steps" {
					continue // too large for a step
				}
				d := given(p, int(work/each), each, pause)
				if d < work/2 || d > 3*work {
					t.Errorf("%s of %v: others had %v beside %v of work", name, each, d, work)
				}
			}
		}
	})
}

func TestNilNeverGivesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p *pace.Pacer
		if d := given(p, 1000, time.Millisecond, func() { p.Step(); p.Pause() }); d != 0 {
			t.Errorf("others had %v", d)
		}
	})
}
