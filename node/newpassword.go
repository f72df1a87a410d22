package node

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"

	"github.com/countersign-mpc/countersign/internal/secret"
)

// promise knows the new password that was given together with the present one, without holding it: whoever ends the change has to
// give the same. It lasts as long as the change, in memory only.
type promise struct {
	key []byte // random
	sum []byte // HMAC-SHA-256
}

func newPromise(next secret.Bytes) *promise {
	p := &promise{key: make([]byte, sha256.Size)}
	rand.Read(p.key)
	p.sum = p.of(next)
	return p
}

func (p *promise) of(text secret.Bytes) []byte {
	mac := hmac.New(sha256.New, p.key)
	mac.Write(text.Expose())
	return mac.Sum(nil)
}

var errOtherPassword = errors.New("this is not the new password that was given with reset: nothing was changed; if it was mistyped there, run reset again")

// kept tells whether a password is the one of the promise; a change without one takes any.
func (p *promise) kept(text secret.Bytes) error {
	if p != nil && !hmac.Equal(p.sum, p.of(text)) {
		return errOtherPassword
	}
	return nil
}
