package ledgertest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/wire"
)

// Answer is a server that a test kills: it decides the asks that are named on in, a line each and several at a time, and writes a line
// to out for each reply that leaves.
func Answer(l *ledger.Ledger, ask func(name string) ledger.Ask, evaluate ledger.EvaluateFunc, in io.Reader, out io.Writer) error {
	names := make(chan string)
	var mu sync.Mutex // one line at a time
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for name := range names {
				res, err := l.Decide(context.Background(), ask(name), evaluate, Reply)
				mu.Lock()
				if err != nil {
					fmt.Fprintln(out, "error", err)
				} else {
					fmt.Fprintln(out, name, shown(res))
				}
				mu.Unlock()
			}
		})
	}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		names <- lines.Text()
	}
	close(names)
	wg.Wait()
	return lines.Err()
}

// shown is a reply in a line.
func shown(res ledger.Result) string {
	return fmt.Sprint(res.Action, " ", hex.EncodeToString(res.Reply))
}

// Replies are those that have left servers which were killed. The zero value is ready. Safe for concurrent use.
type Replies struct {
	mu   sync.Mutex // guards left
	left map[string]string
}

// Len is how many asks have got a reply.
func (r *Replies) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.left)
}

// Approved is how many asks were approved.
func (r *Replies) Approved() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, reply := range r.left {
		if strings.HasPrefix(reply, string(wire.Approve)+" ") {
			n++
		}
	}
	return n
}

func (r *Replies) take(line string) error {
	name, reply, _ := strings.Cut(line, " ")
	if name == "error" {
		return fmt.Errorf("a server failed: %s", reply)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if before, ok := r.left[name]; ok && before != reply {
		return fmt.Errorf("%s got %s, and before %s", name, reply, before)
	}
	if r.left == nil {
		r.left = map[string]string{}
	}
	r.left[name] = reply
	return nil
}

// Kill runs this test binary with one more variable in its environment, which makes it call Answer over its standard input and output,
// asks it from the ask of a number on, and kills it with SIGKILL after so many replies.
func (r *Replies) Kill(env string, from, after int) error {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), env)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { // ends when the child is dead
		for i := from; ; i++ {
			if _, err := fmt.Fprintf(stdin, "ask-%d\n", i); err != nil {
				return
			}
		}
	}()
	var failed error
	lines := bufio.NewReader(stdout)
	for n := 0; ; n++ {
		line, err := lines.ReadString('\n')
		if err != nil {
			break // the end, after what left before the kill took effect; a line that was cut off did not leave
		}
		if err := r.take(strings.TrimSuffix(line, "\n")); err != nil && failed == nil {
			failed = err
		}
		if n == after || failed != nil {
			_ = cmd.Process.Kill() // it may have ended by itself, which Wait tells
		}
	}
	if err := cmd.Wait(); failed == nil && (err == nil || stderr.Len() > 0) {
		failed = fmt.Errorf("the child ended with %v: %s", err, stderr.String())
	}
	return failed
}

// Check verifies the ledger that the servers have left, and sees that every ask which got a reply gets the same bytes again.
func (r *Replies) Check(t testing.TB, l *ledger.Ledger) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	report, err := l.Verify(context.Background())
	if err != nil || !report.OK() || report.Size < int64(len(r.left)) {
		t.Fatalf("log of %d, %d replies left: %v %v", report.Size, len(r.left), err, report.Problems)
	}
	for name, reply := range r.left {
		res, err := l.Decide(context.Background(), Ask(name, name), Give(Verdict(wire.Reject, nil)), Reply)
		if err != nil || !res.Replayed || shown(res) != reply {
			t.Fatalf("%s: %s, %v; the reply that left was %s", name, shown(res), err, reply)
		}
	}
}
