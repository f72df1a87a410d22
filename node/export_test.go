package node

import (
	"crypto/ecdsa"
	"strings"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/internal/secret"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/signing"
)

// Frame gives a frame to an unsealed node as its link does.
func (n *Node) Frame(f *linkv1.Frame) { n.party.Frame(f) }

// ReadPassword reads the body of a password call.
func ReadPassword(body string) (secret.Bytes, error) {
	password, next, err := readPassword(strings.NewReader(body))
	next.Wipe()
	return password, err
}

// MaxExcerpt and Excerpt cut text from outside.
const MaxExcerpt = maxExcerpt

func Excerpt(s string) string { return excerpt(s) }

// DecodeRecord decodes a stored record of a bucket.
func DecodeRecord(bucket string, data []byte) error {
	var record any
	switch bucket {
	case bucketIdentity:
		record = new(identityRecord)
	case bucketKey:
		record = new(keyRecord)
	case bucketRequest:
		record = new(requestRecord)
	case bucketNonce:
		record = new(nonceRecord)
	default:
		record = new(reportRecord)
	}
	return decode(bucket, "x", data, record)
}

// SignTerms does with the terms of a signing what a node does before it asks its callback. It gives the digest that the
// manifest has, what the protocol would sign, and the key under which that must verify.
func SignTerms(share *signing.Share, t manifest.Terms) (digest, message, key []byte, err error) {
	to, err := targetOf(share, t)
	if err != nil {
		return nil, nil, nil, err
	}
	info, err := txInfoOf(t)
	if err != nil {
		return nil, nil, nil, err
	}
	if err := to.agrees(t, info); err != nil {
		return nil, nil, nil, err
	}
	rec := &requestRecord{Terms: t}
	if err := computeDigest(t, info, to.cryptography, rec); err != nil {
		return nil, nil, nil, err
	}
	message, err = rec.message(to.cryptography)
	return rec.Digest, message, to.verifying, err
}

// ParseRecipient reads the key that results are encrypted to.
func ParseRecipient(text string) (*ecdsa.PublicKey, error) { return parseRecipient(text) }

// SetBackupDir gives a node a folder for backups.
func SetBackupDir(n *Node, dir string) { n.cfg.BackupDir = dir }

// Turns are the turns of sessions, by themselves.
type Turns struct{ *turns }

// NewTurns lets so many compute at a time.
func NewTurns(parallel int) Turns { return Turns{newTurns(parallel)} }

// Ask gets in line. given is closed at the turn; leave takes the wish back.
func (t Turns) Ask(number uint64) (given <-chan struct{}, leave func()) {
	mine := t.ask(number)
	return mine.given, func() { t.leave(mine) }
}

// Done ends a turn.
func (t Turns) Done() { t.done() }

// Queue is how many wait.
func (t Turns) Queue() int { return t.queue() }

// WithBytes gives limits another bound of what is delivered to all sessions that run.
func WithBytes(l Limits, bytes int) Limits {
	l.bytes = bytes
	return l
}
