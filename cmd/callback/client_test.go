package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// late is a context that has ended, with an error, when the channel is closed.
type late struct {
	context.Context
	passed chan struct{}
	err    error
}

func (l late) Done() <-chan struct{} { return l.passed }

func (l late) Err() error {
	select {
	case <-l.passed:
		return l.err
	default:
		return nil
	}
}

// TestUnansweredCall: who asked for a change and got no answer is told that it may have been made, and only who was not heard that
// no server is there.
func TestUnansweredCall(t *testing.T) {
	token := filepath.Join(t.TempDir(), "admin.token")
	if err := os.WriteFile(token, []byte(strings.Repeat("x", 40)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const unknown = ": whether it did what it was asked is not known"
	for name, tc := range map[string]struct {
		want  string
		err   error
		serve func(w http.ResponseWriter, pass func())
	}{
		"none in time":     {"did not answer in time", context.DeadlineExceeded, func(_ http.ResponseWriter, pass func()) { pass() }},
		"none waited for":  {"did not answer (context canceled)", context.Canceled, func(_ http.ResponseWriter, pass func()) { pass() }},
		"half of one":      {"did not answer in time", context.DeadlineExceeded, halfAnswer},
		"the line was cut": {"did not answer (EOF)", nil, func(http.ResponseWriter, func()) { panic(http.ErrAbortHandler) }},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := late{t.Context(), make(chan struct{}), tc.err}
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				tc.serve(w, func() { close(ctx.passed) })
				<-r.Context().Done() // it never answers
			}))
			defer server.Close()
			var said bytes.Buffer
			args := []string{"policy", "rollback", "--server", server.Listener.Addr().String(), "--token-file", token}
			code := run(ctx, args, streams{strings.NewReader(""), io.Discard, &said})
			if code != exitAway || !strings.Contains(said.String(), tc.want+unknown) {
				t.Errorf("code %d: %s", code, said.String())
			}
		})
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	code, out := runHere(t, "policy", "rollback", "--server", gone.Listener.Addr().String(), "--token-file", token)
	if code != exitAway || !strings.Contains(out, "is it started?") || strings.Contains(out, unknown) {
		t.Errorf("no server: code %d: %s", code, out)
	}
}

// halfAnswer sends the beginning of an answer.
func halfAnswer(w http.ResponseWriter, pass func()) {
	_, _ = w.Write([]byte("{"))
	_ = http.NewResponseController(w).Flush()
	pass()
}
