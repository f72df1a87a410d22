// Package custody holds the key to the secret half of a signing.Share. Being internal, it lets the protocols below
// signing, and nobody else, compute with secrets: there is no accessor that a node could call by habit.
package custody

// Key opens the secret half of a share. Only Open makes one that works.
type Key struct{ open bool }

// Open returns the key.
func Open() Key { return Key{open: true} }

// Valid reports whether k was made by Open.
func (k Key) Valid() bool { return k.open }
