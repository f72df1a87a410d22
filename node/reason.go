package node

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"strings"

	"github.com/countersign-mpc/countersign/signing"
)

// private is an error in two texts: the whole one is for this node's log, the other for the coordinator, which shows it to whoever
// asked. That one names no path of this machine and no address of a callback server.
type private struct {
	error
	told string
}

func (e *private) Unwrap() error { return e.error }

// Told is the text for the coordinator.
func (e *private) Told() string { return e.told }

// prefixed puts what an error is about before both of its texts.
func prefixed(what string, err error) error {
	return &private{fmt.Errorf("%s: %w", what, err), what + ": " + reasonOf(err)}
}

// reasonOf is what the coordinator is told of an error. An error that knows what others may hear says so by a method Told; of one
// of the system, which names files and addresses, only the kind is told.
func reasonOf(err error) string {
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		var reasons []string
		for _, one := range several.Unwrap() {
			reasons = append(reasons, reasonOf(one))
		}
		return strings.Join(reasons, "; ")
	}
	var knows interface{ Told() string }
	switch {
	case errors.As(err, &knows):
		return knows.Told()
	case is[*fs.PathError](err), is[*os.LinkError](err), is[*os.SyscallError](err):
		return "this node could not use one of its files: its log says which, and why"
	case is[*url.Error](err), is[*net.OpError](err), is[*net.DNSError](err), is[*net.AddrError](err):
		return "this node could not reach a server: its log says which, and why"
	}
	return err.Error()
}

func is[T error](err error) bool {
	var target T
	return errors.As(err, &target)
}

// reasonOfAbort is reasonOf the end of a session.
func reasonOfAbort(a *signing.Abort) string {
	if a.Err != nil {
		return a.Reason + ": " + reasonOf(a.Err)
	}
	return a.Reason
}
