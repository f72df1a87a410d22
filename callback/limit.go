package callback

import (
	"sync"
	"time"
)

// maxClients bounds how many addresses are counted each by itself; beyond it new ones share one allowance.
const maxClients = 4096

// limiter allows each client address a number of requests a second, with bursts of twice that (a token bucket each).
type limiter struct {
	rate, burst float64 // requests a second, and at once; a rate that is not positive is no limit

	mu      sync.Mutex // guards the fields below
	clients map[string]*bucket
	others  bucket
}

type bucket struct {
	tokens float64
	at     time.Duration
}

func newLimiter(rate float64) *limiter {
	burst := max(1, 2*rate)
	return &limiter{rate: rate, burst: burst, clients: map[string]*bucket{}, others: bucket{tokens: burst}}
}

// allow takes one request of a client into account, at a time of a clock that nobody sets, and says whether it may pass.
func (l *limiter) allow(client string, now time.Duration) bool {
	if l.rate <= 0 {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b, known := l.clients[client]
	if !known {
		if len(l.clients) >= maxClients {
			l.forget(now)
		}
		if len(l.clients) >= maxClients {
			b = &l.others
		} else {
			b = &bucket{tokens: l.burst, at: now}
			l.clients[client] = b
		}
	}
	l.fill(b, now)
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

func (l *limiter) fill(b *bucket, now time.Duration) {
	b.tokens = min(l.burst, b.tokens+l.rate*max(0, now-b.at).Seconds())
	b.at = now
}

// forget drops the clients whose allowance is whole again: dropping them changes nothing.
func (l *limiter) forget(now time.Duration) {
	for client, b := range l.clients {
		if l.fill(b, now); b.tokens >= l.burst {
			delete(l.clients, client)
		}
	}
}
