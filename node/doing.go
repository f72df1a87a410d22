package node

import (
	"time"

	"github.com/countersign-mpc/countersign/keystore"
)

// Doing is what takes a node a while: a password is hashed, a token is waited for, sessions are ended.
type Doing struct {
	What  string    `json:"what"` // a call of the admin interface, as Entry names it, "auto-unseal", "auto-unseal enable" or "seal"
	Since time.Time `json:"since"`
}

// do notes what the node does until the function that it returns is called. What was begun first is shown.
func (n *Node) do(what string) (done func()) {
	mine := &Doing{What: what, Since: n.cfg.Clock().UTC()}
	n.doing.CompareAndSwap(nil, mine)
	return func() { n.doing.CompareAndSwap(mine, nil) }
}

// Doing is what the node does at this moment that takes a while; nil: nothing. It never blocks.
func (n *Node) Doing() *Doing { return n.doing.Load() }

// State is the seal state as the guide names it. A node is unsealed once it works, not while it is still being opened. It never
// blocks for long, see keystore.Store.State.
func (n *Node) State() string {
	state := n.cfg.Store.State()
	if state == keystore.Unsealed && n.working.Load() == nil {
		state = keystore.Sealed
	}
	return state.String()
}

// entered is what Progress tells, and until when.
type entered struct {
	Progress
	until time.Time
}

// noteEntry keeps for Progress what has been entered. The caller holds entryMu.
func (n *Node) noteEntry() {
	e := &n.entry
	if e.segments == nil {
		n.entered.Store(nil)
		return
	}
	n.entered.Store(&entered{Progress{Call: e.call, Entered: e.segments.Numbers(), Needed: e.segments.Manifest().T}, e.until})
}

// Progress says which segments have been entered; nil if none are waited for. It never blocks.
func (n *Node) Progress() *Progress {
	e := n.entered.Load()
	if e == nil || !n.cfg.Clock().Before(e.until) {
		return nil
	}
	p := e.Progress
	return &p
}
