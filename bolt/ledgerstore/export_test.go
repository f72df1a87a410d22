package ledgerstore

// smallTrack is room for a few groups.
const smallTrack = 16 * trackPage

// OpenTurning is Open of a store that moves what it has gathered to its buckets as soon as that is so many keys, with small tracks.
func OpenTurning(cfg Config, keys int) (*Store, error) { return open(cfg, keys, smallTrack) }

// Journaled is journaled.
func Journaled() []string { return journaled() }
