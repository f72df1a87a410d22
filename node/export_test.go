package node

import (
	"strings"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/internal/secret"
)

// Frame gives a frame to an unsealed node as its link does.
func (n *Node) Frame(f *linkv1.Frame) { n.party.Frame(f) }

// ReadPassword reads the body of a password call.
func ReadPassword(body string) (secret.Bytes, error) { return readPassword(strings.NewReader(body)) }

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
