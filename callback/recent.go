package callback

import "sync"

// maxRecent is how many requests a policy is warmed up with: as many kinds of requests as are usual at one time, for a few
// milliseconds of evaluation.
const maxRecent = 64

// recentInputs keeps the last inputs that were judged, as they were recorded, so that a policy that is to follow learns from them
// what it will be asked. They stay in memory only. Safe for concurrent use; the zero value is empty.
type recentInputs struct {
	mu   sync.Mutex // guards what follows
	last [maxRecent][]byte
	next int
}

func (r *recentInputs) add(input []byte) {
	if len(input) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last[r.next] = input
	r.next = (r.next + 1) % maxRecent
}

func (r *recentInputs) all() [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([][]byte, 0, maxRecent)
	for _, b := range r.last {
		if b != nil {
			out = append(out, b)
		}
	}
	return out
}
