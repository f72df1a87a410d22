package boltfile

import (
	"errors"
	"slices"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// A value that lies apart is the only one of a bucket inside its bucket, whose name is the value's key.

// apartKey is the key of the value in the bucket inside.
var apartKey = []byte{0}

func (t *Tx) isApart(bucket string) bool { return slices.Contains(t.f.apart, bucket) }

// storedApart returns a value as it is stored; nil if it is not there.
func storedApart(b *bolt.Bucket, key []byte) []byte {
	inside := b.Bucket(key)
	if inside == nil {
		return nil
	}
	return inside.Get(apartKey)
}

func putApart(b *bolt.Bucket, key, sealed []byte) error {
	inside, err := b.CreateBucketIfNotExists(key)
	if err != nil {
		return err
	}
	return inside.Put(apartKey, sealed)
}

func deleteApart(b *bolt.Bucket, key []byte) error {
	if err := b.DeleteBucket(key); !errors.Is(err, bolterrors.ErrBucketNotFound) {
		return err
	}
	return nil
}
