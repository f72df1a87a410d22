package keystore

import (
	"bytes"
	"errors"
	"fmt"
)

// checkName says whether a record may have this name.
func checkName(bucket, key string) error {
	if key == "" {
		return fmt.Errorf("bucket %q: a record needs a key", bucket)
	}
	return checkPrefix(bucket, key)
}

// checkPrefix is checkName for the beginning of a key.
func checkPrefix(bucket, prefix string) error {
	if err := checkBucket(bucket); err != nil {
		return err
	}
	if len(prefix) > MaxKey {
		return fmt.Errorf("bucket %q: a key of %d bytes, at most %d are allowed", bucket, len(prefix), MaxKey)
	}
	return nil
}

func checkBucket(bucket string) error {
	if bucket == "" || len(bucket) > MaxBucketName {
		return fmt.Errorf("bucket name of %d bytes: want 1 to %d", len(bucket), MaxBucketName)
	}
	for _, c := range []byte(bucket) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return fmt.Errorf("bucket name %q: want a-z, 0-9, '-', '_' and '.' only", bucket)
		}
	}
	return nil
}

// recordName is the key of a record in the file: bucket NUL key. A bucket's records stand together, in order of key.
func recordName(bucket, key string) []byte {
	name := make([]byte, 0, len(bucket)+1+len(key))
	name = append(name, bucket...)
	name = append(name, 0)
	return append(name, key...)
}

func hasPrefix(name []byte, bucket, prefix string) bool {
	return bytes.HasPrefix(name, recordName(bucket, prefix))
}

// splitRecordName is the inverse of recordName, for names that come from the file.
func splitRecordName(name []byte) (bucket, key string, err error) {
	b, k, ok := bytes.Cut(name, []byte{0})
	if ok {
		err = checkName(string(b), string(k))
	} else {
		err = errors.New("it has no bucket")
	}
	if err != nil {
		return "", "", corrupt(fmt.Sprintf("record name %.80q", name), "%v", err)
	}
	return string(b), string(k), nil
}
