package auditlog

import "fmt"

// Tail is what one who appends to a log again and again need not read each time: that nothing is stored behind its end, and the
// hashes of the subtrees before it. The zero value knows nothing. It holds for one state of one log, which its owner has to tell
// apart from all others; a Tail that belongs to another one is to be set to zero. It is for one goroutine.
type Tail struct {
	size  int64 // of the log
	sized bool  // that is its size in the present transaction
	clear bool  // nothing is stored behind that
	known uint64
	left  [maxLevels]Hash // by level, where the bit in known is set: the newest subtree of that level that is whole
}

// maxLevels is how many levels a tree of maxSize entries has.
const maxLevels = 49

// At says how many entries the log has: what Log.Size has returned in the transaction in which the next entry is appended by the tail.
// Who says nothing leaves it to AppendTo to ask for it.
func (t *Tail) At(size int64) {
	if t.size != size {
		*t = Tail{size: size}
	}
	t.sized = true
}

// end makes sure that nothing is stored behind the end of the log: what was recorded is never written over.
func (t *Tail) end(r Reader) error {
	if t.clear {
		return nil
	}
	found := false
	err := r.Scan(BucketLeaf, indexKey(t.size), nil, false, func(_, _ []byte) (bool, error) {
		found = true
		return false, nil
	})
	if err != nil {
		return err
	}
	if found {
		return fmt.Errorf("%w: hashes are stored behind its end: its size was set back to %d", ErrDamaged, t.size)
	}
	t.clear = true
	return nil
}

// before returns the hash of the subtree of a level that ends where the log does.
func (t *Tail) before(r Reader, level int) (Hash, error) {
	if t.known>>level&1 == 1 {
		return t.left[level], nil
	}
	return hashAt(r, level, t.size>>level-1)
}

// grew says that the log has one entry more, which completed subtrees up to a level: the last of them has this hash.
func (t *Tail) grew(level int, hash Hash) {
	t.size, t.sized = t.size+1, false
	t.known = t.known>>level<<level | 1<<level
	t.left[level] = hash
}
