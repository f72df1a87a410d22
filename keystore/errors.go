package keystore

import (
	"errors"
	"fmt"
	"time"
)

// What a caller branches on. Compare with errors.Is; the text says more.
var (
	// ErrUninitialised: the store has no master key yet; call Init.
	ErrUninitialised = errors.New("the key store is not initialised: run init")
	// ErrInitialised: Init was called on a store that has a master key already. It is never overwritten.
	ErrInitialised = errors.New("the key store is already initialised: run unseal; to start afresh give another db-file-path")
	// ErrSealed: the operation needs an unsealed store.
	ErrSealed = errors.New("the key store is sealed: run unseal")
	// ErrUnsealed: Unseal was called on an unsealed store. The password was not looked at.
	ErrUnsealed = errors.New("the key store is already unsealed")
	// ErrWrongPassword: the password does not open this store.
	ErrWrongPassword = errors.New("wrong password for this key store")
	// ErrWeakPassword: the password breaks the rules of CheckPassword; the text names them.
	ErrWeakPassword = errors.New("password refused")
	// ErrBackoff: too many wrong passwords; errors.As with *BackoffError says how long to wait.
	ErrBackoff = errors.New("too many wrong passwords")
	// ErrNotFound: there is no record under this bucket and key.
	ErrNotFound = errors.New("no such record")
	// ErrCorrupt: what was read is not what was written; errors.As with *CorruptError says where.
	ErrCorrupt = errors.New("the key store is damaged or was tampered with")
	// ErrLocked: another process has the file open.
	ErrLocked = errors.New("another process has the key store open")
	// ErrFailed: a write failed in a way that leaves unknown what is on the disk; reopen the store.
	ErrFailed = errors.New("a write to the key store failed and its outcome is unknown: restart the node")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("the key store is closed")
)

// CorruptError says where a store is damaged. It matches ErrCorrupt.
type CorruptError struct {
	Place  string // for example "page 7", "seal record" or `record requests/"r-1"`
	Bucket string // of the record, if the damage is in one
	Key    string // of the record, if the damage is in one
	Reason string // what is wrong there; never content
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("%v: %s: %s; keep the file, and restore asset.db from a backup", ErrCorrupt, e.Place, e.Reason)
}

// Is makes errors.Is(err, ErrCorrupt) true.
func (e *CorruptError) Is(target error) bool { return target == ErrCorrupt }

// BackoffError refuses an attempt to unseal that comes too soon after wrong passwords. It matches ErrBackoff.
type BackoffError struct {
	Failures int           // wrong passwords in a row
	Wait     time.Duration // until the next attempt is looked at
}

func (e *BackoffError) Error() string {
	return fmt.Sprintf("%v: %d in a row; try again in %v", ErrBackoff, e.Failures, e.Wait.Round(time.Millisecond))
}

// Is makes errors.Is(err, ErrBackoff) true.
func (e *BackoffError) Is(target error) bool { return target == ErrBackoff }

func corrupt(place, format string, args ...any) error {
	return &CorruptError{Place: place, Reason: fmt.Sprintf(format, args...)}
}

func corruptRecord(bucket, key, reason string) error {
	return &CorruptError{Place: fmt.Sprintf("record %s/%q", bucket, key), Bucket: bucket, Key: key, Reason: reason}
}
