package node

import (
	"fmt"
	"time"

	"github.com/countersign-mpc/countersign/keystore"
)

// How long the store keeps what is over, and how often it is looked for.
const (
	keepRequests = 30 * 24 * time.Hour // after a request's end: until then its id cannot stand for something else
	keepSessions = 2 * 24 * time.Hour  // after a session was joined: far longer than any session lives
	keepNonces   = time.Hour           // after a signature's expiry, for clocks that differ
	pruneEvery   = time.Hour
)

// prune forgets what is over for long: final requests, sessions, and nonces whose signatures have expired. Shares are never
// forgotten.
func (p *party) prune() error {
	now := p.clock()
	err := p.records.update(func(tx *keystore.Tx) error {
		old := func(rec *requestRecord) bool {
			return rec.Expires.Before(now.Add(-keepRequests)) && (rec.State.final() || rec.State == StateApproved && !rec.Ask.owes())
		}
		if err := dropIf(tx, bucketRequest, old); err != nil {
			return err
		}
		if err := dropIf(tx, bucketSession, func(rec *sessionRecord) bool { return rec.Joined.Before(now.Add(-keepSessions)) }); err != nil {
			return err
		}
		return dropIf(tx, bucketNonce, func(rec *nonceRecord) bool { return rec.Expires.Before(now.Add(-keepNonces)) })
	})
	if err != nil {
		return fmt.Errorf("forget what is over: %w", err)
	}
	p.pruned = now
	return nil
}

// dropIf deletes the records of a bucket that are old.
func dropIf[T any](tx *keystore.Tx, bucket string, old func(*T) bool) error {
	var keys []string
	err := tx.ForEach(bucket, "", func(key string, data []byte) error {
		rec := new(T)
		if err := decode(bucket, key, data, rec); err != nil {
			return err
		}
		if old(rec) {
			keys = append(keys, key)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, key := range keys {
		if err := tx.Delete(bucket, key); err != nil {
			return err
		}
	}
	return nil
}
