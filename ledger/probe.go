package ledger

import (
	"context"
	"crypto/rand"
	"fmt"
)

// probeSize is how many bytes Probe writes. A decision takes a few KiB, and at most about as much as the body of its request; a
// disk that is nearly full still takes what is small.
const probeSize = 1 << 20

// metaProbe is there only while Probe runs: version, bytes.
var metaProbe = []byte("probe")

// Probe finds out whether the store can be written: it writes as much as a large decision takes, and removes it again. It is nil
// once both are durable, and else the store's error, as of Decide. It belongs to nothing that is recorded, so that a server which
// could not record something can learn, without being asked, that it can again.
func (l *Ledger) Probe(ctx context.Context) error {
	sample := make([]byte, probeSize) // random, so that no file system makes it small
	_, _ = rand.Read(sample)          // which never fails
	err := l.update(ctx, func(tx Tx) error { return putMeta(tx, metaProbe, sample) })
	if err == nil {
		err = l.update(ctx, func(tx Tx) error { return tx.Delete(bucketMeta, metaProbe) })
	}
	if err != nil {
		return fmt.Errorf("write the ledger as a probe: %w", err)
	}
	return nil
}
