package main

import (
	"context"
	"io"
	"path/filepath"
	"strings"
	"testing"
)

// notifying tells when it is read from.
type notifying struct {
	io.Reader
	read chan struct{}
}

func (n notifying) Read(p []byte) (int, error) {
	select {
	case n.read <- struct{}{}:
	default:
	}
	return n.Reader.Read(p)
}

// TestASignalWhileAPipeIsReadFrom: a command that waits for a password that never comes ends with the first signal.
func TestASignalWhileAPipeIsReadFrom(t *testing.T) {
	t.Parallel()
	config, err := filepath.Abs("../../config.toml")
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"unseal", "init", "reset", "cmreset"} {
		pipe, writer := io.Pipe()
		defer writer.Close()
		in := notifying{pipe, make(chan struct{}, 1)}
		ctx, signal := context.WithCancel(t.Context())
		var out strings.Builder
		ended := make(chan int, 1)
		go func() {
			ended <- run(ctx, []string{command, "-c", config}, streams{in: in, out: io.Discard, err: &out})
		}()
		<-in.read
		signal()
		if code := <-ended; code != exitFailed || !strings.Contains(out.String(), "interrupted: nothing was sent to the node") {
			t.Errorf("%s: exit code %d, %s", command, code, out.String())
		}
	}
}
