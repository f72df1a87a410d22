package memstore

import (
	"iter"
	"slices"
	"strings"
)

// maxChunk is how many keys a chunk has before it is split.
const maxChunk = 512

// keys are strings in order, in chunks, so that one more moves few of the others: a backtest writes millions.
type keys struct{ chunks [][]string } // none is empty

// chunk is the number of the chunk that has a key, or would have it.
func (k *keys) chunk(key string) int {
	i, found := slices.BinarySearchFunc(k.chunks, key, func(c []string, key string) int { return strings.Compare(c[0], key) })
	if !found && i > 0 {
		i--
	}
	return i
}

// insert adds a key that is not there.
func (k *keys) insert(key string) {
	if len(k.chunks) == 0 {
		k.chunks = [][]string{{key}}
		return
	}
	i := k.chunk(key)
	at, _ := slices.BinarySearch(k.chunks[i], key)
	k.chunks[i] = slices.Insert(k.chunks[i], at, key)
	if c := k.chunks[i]; len(c) > maxChunk {
		half := len(c) / 2
		k.chunks[i] = c[:half:half]
		k.chunks = slices.Insert(k.chunks, i+1, slices.Clone(c[half:]))
	}
}

// remove removes a key that is there.
func (k *keys) remove(key string) {
	i := k.chunk(key)
	at, _ := slices.BinarySearch(k.chunks[i], key)
	if k.chunks[i] = slices.Delete(k.chunks[i], at, at+1); len(k.chunks[i]) == 0 {
		k.chunks = slices.Delete(k.chunks, i, i+1)
	}
}

// between gives the keys from from to before to, which are nil for no bound, or the same in the other direction. Keys must not be
// added or removed meanwhile.
func (k *keys) between(from, to []byte, reverse bool) iter.Seq[string] {
	start, end := string(from), string(to)
	inside := func(key string) bool { return to == nil || key < end }
	if !reverse {
		return func(yield func(string) bool) {
			for i := min(k.chunk(start), max(len(k.chunks)-1, 0)); i < len(k.chunks); i++ {
				at, _ := slices.BinarySearch(k.chunks[i], start)
				for _, key := range k.chunks[i][at:] {
					if !inside(key) || !yield(key) {
						return
					}
				}
			}
		}
	}
	return func(yield func(string) bool) {
		last := len(k.chunks) - 1
		if to != nil && last >= 0 {
			last = min(k.chunk(end), last)
		}
		for i := last; i >= 0; i-- {
			for _, key := range slices.Backward(k.chunks[i]) {
				if key < start || inside(key) && !yield(key) {
					return
				}
			}
		}
	}
}
