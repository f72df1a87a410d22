package ledger

// Expecter is a Store that commits many updates at once, and may wait a moment for those that are on their way.
type Expecter interface {
	// Expect says that so many updates more are on their way; below zero: that so many have come, or will not.
	Expect(more int)
}

// Coming is a decision that is on its way to a ledger. The zero value is none.
type Coming struct{ to Expecter }

// Expect says that a decision is on its way, so that the store may gather it with others. Arrived has to be called of it.
func (l *Ledger) Expect() Coming {
	to, ok := l.store.(Expecter)
	if ok {
		to.Expect(1)
	}
	return Coming{to}
}

// Arrived says that the decision is asked for now, or will not be. After the first time it does nothing. It is for one goroutine.
func (c *Coming) Arrived() {
	if c.to != nil {
		c.to.Expect(-1)
		c.to = nil
	}
}
