package ledgerstore

// OpenTurning is Open of a store that moves what it has gathered to its buckets as soon as that is so many keys.
func OpenTurning(cfg Config, keys int) (*Store, error) { return open(cfg, keys) }

// Journaled is journaled.
func Journaled() []string { return journaled() }
