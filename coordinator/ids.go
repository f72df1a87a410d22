package coordinator

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
)

// newUUID makes a random UUID (RFC 9562, version 4).
func newUUID() string {
	b := random(16)
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:16])
}

// newToken makes a join token: 256 random bits in base64url.
func newToken() string { return base64.RawURLEncoding.EncodeToString(random(32)) }

// newRequestID makes the request id of a requester that gave none.
func newRequestID() string { return hex.EncodeToString(random(16)) }

// random cannot fail: since Go 1.24 crypto/rand stops the process if the system has no randomness.
func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}
