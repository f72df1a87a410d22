package groupcommit

// Waiting is how many calls wait for a batch that has not begun.
func (q *Queue[F]) Waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.queue)
}
