package callback

import (
	"errors"
	"fmt"

	"github.com/countersign-mpc/countersign/wire"
)

// errOverloaded is under every request that was turned away because too many others are being answered.
var errOverloaded = errors.New("overloaded")

// throttle bounds how many requests are verified and decided at one time. What is beyond it is turned away before
// anything of it has begun, so that nothing is ever half decided; it does not queue, since a node asks again.
type throttle chan struct{}

// newThrottle admits limit requests; a limit that is not positive is none.
func newThrottle(limit int) throttle {
	if limit <= 0 {
		return nil
	}
	return make(throttle, limit)
}

// enter takes a place, which the caller gives back with leave.
func (t throttle) enter() error {
	if t == nil {
		return nil
	}
	select {
	case t <- struct{}{}:
		return nil
	default:
		return fmt.Errorf("%w (%w)", &wire.Error{
			Code: wire.CodeUnavailable, Detail: "more requests at once than this server answers, and nothing of this one was begun: ask again with the same body",
		}, errOverloaded)
	}
}

func (t throttle) leave() {
	if t != nil {
		<-t
	}
}

// busy is how many requests have a place.
func (t throttle) busy() int { return len(t) }
