package ledgerstore

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/countersign-mpc/countersign/internal/groupcommit"
	"github.com/countersign-mpc/countersign/ledger"
)

const (
	// maxBatch bounds how many updates run one after the other before others may look at what they have written.
	maxBatch = 64
	// share is how many updates a group has at least before it is committed while others that have come still run, or are on their way.
	share = 16
	// patience is for how long a group waits at most for updates that are on their way.
	patience = time.Millisecond
	// keepSpace bounds for how many changes space is kept from one group to the next.
	keepSpace = 1024
)

type call = groupcommit.Call[func(ledger.Tx) error]

// group is updates that are committed together: one value in the journal. While one group is written to disk, updates that come
// run already, over what it has changed, and make the next one.
type group struct {
	number  uint64 // of the commit, in the journal
	calls   []ran
	changed []change // in the order in which the group changed the keys first
	waits   bool     // for others that are on their way
	waited  bool     // long enough
}

// ran is a call that has run and waits for its group.
type ran struct {
	call *call
	err  error
}

// finish tells what came of the calls: of those that have succeeded, what came of the group.
func (g *group) finish(err error) {
	for _, r := range g.calls {
		if r.err == nil {
			r.err = err
		}
		r.call.Finish(r.err)
	}
}

// runBatch runs calls, and hands the group over to be committed once nothing is committed any more and it waits for nobody.
func (s *Store) runBatch(batch []*call) {
	for len(batch) > 0 {
		batch = s.runSome(batch)
	}
}

// runSome runs calls up to where their group is handed over, and returns the rest. A transaction that grows the file's mapping waits
// for all others to end, and who begins to read waits for it under seenMu: nobody may ask for seenMu while he reads the file, and so
// this reader ends before its group is taken.
func (s *Store) runSome(batch []*call) (rest []*call) {
	s.undoMu.Lock()
	defer s.undoMu.Unlock()
	into := s.begin()    // before it reads: from now on no other takes the group and turns the layers
	oldest := s.oldest() // before it reads, see above; it only rises
	r, err := s.read(context.Background(), true)
	if err != nil {
		return s.runEach(batch, func(*call) error { return classify(err) })
	}
	w := &writer{reader: *r, into: into, oldest: oldest, undo: s.undo}
	defer func() { s.undo = emptied(w.undo) }()
	return s.runEach(batch, func(c *call) error { return runCall(w, c) }, r)
}

// runEach runs calls by a function until their group is to be committed. Then it ends the readers, and hands the group over.
func (s *Store) runEach(batch []*call, run func(*call) error, readers ...*reader) (rest []*call) {
	end := func() {
		for _, r := range readers {
			_ = r.end() // if it fails, the file is not used any more, and the commit says so
		}
	}
	defer end()
	for i, c := range batch {
		done, commits := s.ran(c, run(c), i == len(batch)-1)
		if commits {
			end()
			s.groupMu.Lock()
			s.handOver()
			s.groupMu.Unlock()
		}
		if done {
			return batch[i+1:]
		}
	}
	return nil
}

// space is that of a group's lists, for another one.
type space struct {
	calls   []ran
	changed []change
}

// emptied returns the space of a list that is done with, for the next one.
func emptied[T any](list []T) []T {
	if cap(list) > keepSpace {
		return nil
	}
	clear(list[:cap(list)]) // so that it keeps nothing in memory
	return list[:0]
}

// runCall runs one call, and undoes it if it fails. A panic in it must not reach the others of its group: it comes back as its
// error.
func runCall(w *writer, c *call) (err error) {
	if err := c.Ctx.Err(); err != nil {
		return err
	}
	changed := len(w.into.changed)
	w.undo = w.undo[:0]
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in an update of the ledger: %v\n%s", p, debug.Stack())
		}
		if err != nil {
			for i := len(w.undo) - 1; i >= 0; i-- {
				w.undo[i].revert()
			}
			w.into.changed = w.into.changed[:changed]
		}
	}()
	return outcome(w.tx, c.Fn(w))
}

// begin says that calls run, and returns the group that they make.
func (s *Store) begin() *group {
	s.groupMu.Lock()
	defer s.groupMu.Unlock()
	s.running = true
	return s.open
}

// ran notes a call that has run, and the last one of its batch. done says that no further one may run before the next begins; commits,
// that the caller has to hand the group over: nobody commits, and either there is nothing more to run or to wait for, or it is large
// enough.
func (s *Store) ran(c *call, err error, last bool) (done, commits bool) {
	s.groupMu.Lock()
	defer s.groupMu.Unlock()
	s.open.calls = append(s.open.calls, ran{c, err})
	s.running = !last
	if s.committing || !last && len(s.open.calls) < share || last && s.hold() {
		return last, false
	}
	s.running, s.committing = false, true
	return true, true
}

// handOver lets the group that was made be committed. It is called under groupMu by who has set committing.
func (s *Store) handOver() { go s.commit(s.take()) }

// Expect implements ledger.Expecter.
func (s *Store) Expect(more int) { s.coming.Add(int64(more)) }

// hold reports whether the group that was made waits for updates that are on their way: each group costs the disk and the processor
// the same, however many share it. It is called under groupMu.
func (s *Store) hold() bool {
	g := s.open
	if g.waited || len(g.calls) >= share || s.coming.Load() <= 0 {
		return false
	}
	if !g.waits {
		g.waits = true
		time.AfterFunc(s.patience, func() { s.waited(g) })
	}
	return true
}

// waited hands a group over that has waited long enough, if nobody else does.
func (s *Store) waited(g *group) {
	s.groupMu.Lock()
	defer s.groupMu.Unlock()
	g.waited = true
	if s.open == g && !s.running && !s.committing {
		s.committing = true
		s.handOver()
	}
}

// quiet waits until nothing is committed and nothing is left to be. It is called under groupMu while no calls run.
func (s *Store) quiet() {
	for s.committing || len(s.open.calls) > 0 {
		if !s.committing {
			s.committing = true
			s.handOver()
		}
		s.still.Wait()
	}
}

// take takes the group that was made, and begins the next one. What it has gathered in the front layer may become the back one.
// It is called under groupMu by the one that commits, or by who lets it.
func (s *Store) take() *group {
	g := s.open
	next := g.number
	if len(g.changed) > 0 {
		next++
	}
	s.open = &group{number: next, calls: s.spare.calls, changed: s.spare.changed}
	s.spare = space{}
	if keys, bytes := s.front.size(); !s.pending() && (keys >= s.turn || bytes >= turnBytes || s.full()) {
		s.turnLayers(next - 1)
	}
	return g
}

// commit commits a group, and those that are made meanwhile.
func (s *Store) commit(g *group) {
	for g != nil {
		err := s.write(g)
		if err != nil {
			g.calls = append(g.calls, s.giveUp(g)...)
		}
		g.finish(classify(err))
		if err == nil {
			s.catchUp(g)
		}
		g = s.next(space{emptied(g.calls), emptied(g.changed)})
	}
}

// next returns the next group to be committed, nil if there is none, or none yet: then the one that makes it hands it over, or who ends
// its waiting. spare is the space of the group before.
func (s *Store) next(spare space) *group {
	s.groupMu.Lock()
	defer s.groupMu.Unlock()
	s.spare = spare
	if !s.running && len(s.open.calls) > 0 && !s.hold() {
		return s.take()
	}
	s.committing = false
	s.still.Broadcast()
	return nil
}

// giveUp undoes a group that could not be written, and what has run over it since. It returns the calls of the latter.
func (s *Store) giveUp(g *group) []ran {
	s.undoMu.Lock()
	defer s.undoMu.Unlock()
	s.groupMu.Lock()
	defer s.groupMu.Unlock()
	for _, of := range [][]change{g.changed, s.open.changed} {
		for i := range of {
			of[i].forget(s.committed)
		}
	}
	calls := s.open.calls
	s.open = &group{number: g.number}
	s.seenMu.Lock()
	s.folding.end = min(s.folding.end, g.number) // which changes nothing where keys are moved meanwhile: all of theirs are on disk
	s.seenMu.Unlock()
	if s.turned > 0 {
		s.turned = min(s.turned, g.number) // which the next group has, of the front layer
	}
	return calls
}

// looks counts who looks at what held at a group.
type looks struct {
	mu sync.Mutex // guards at
	at map[uint64]int
}

func (l *looks) add(group uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.at == nil {
		l.at = map[uint64]int{}
	}
	l.at[group]++
}

func (l *looks) remove(group uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.at[group]--; l.at[group] == 0 {
		delete(l.at, group)
	}
}

// oldest is the first group at which somebody looks or may look.
func (s *Store) oldest() uint64 {
	s.seenMu.RLock()
	defer s.seenMu.RUnlock()
	oldest := s.committed
	s.looking.mu.Lock()
	defer s.looking.mu.Unlock()
	for group := range s.looking.at {
		oldest = min(oldest, group)
	}
	return oldest
}
