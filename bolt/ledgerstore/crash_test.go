package ledgerstore_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/countersign-mpc/countersign/bolt/ledgerstore"
	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/ledger/ledgertest"
	"github.com/countersign-mpc/countersign/wire"
)

// The variables make the test binary a server: one that decides until it is killed, one that goes over damaged
// files, or one whose file cannot grow. The value of the first and the last is the path of the file.
const (
	killEnv   = "LEDGERSTORE_TEST_KILL"
	damageEnv = "LEDGERSTORE_TEST_DAMAGE"
	fullEnv   = "LEDGERSTORE_TEST_FULL"
)

func TestMain(m *testing.M) {
	var err error
	switch {
	case os.Getenv(killEnv) != "":
		err = decideUntilKilled(os.Getenv(killEnv))
	case os.Getenv(damageEnv) != "":
		err = useDamagedFiles()
	case os.Getenv(fullEnv) != "":
		err = fillUp(os.Getenv(fullEnv))
	default:
		os.Exit(m.Run())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// decideUntilKilled answers the asks that are named on standard input, several at a time. A line on standard output is
// a reply that has left.
func decideUntilKilled(path string) error {
	store, err := ledgerstore.Open(ledgerstore.Config{Path: path})
	if err != nil {
		return err
	}
	l, err := ledger.New(context.Background(), ledger.Config{Store: store, Origin: ledgertest.Origin})
	if err != nil {
		return err
	}
	names := make(chan string)
	var out sync.Mutex // one line at a time
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for name := range names {
				res, err := l.Decide(context.Background(), ledgertest.Ask(name, name), ledgertest.Give(ledgertest.Verdict(wire.Approve, nil)), ledgertest.Reply)
				out.Lock()
				if err != nil {
					fmt.Println("error", err)
				} else {
					fmt.Println(name, hex.EncodeToString(res.Reply))
				}
				out.Unlock()
			}
		})
	}
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		names <- in.Text()
	}
	close(names)
	wg.Wait()
	return store.Close()
}

// TestKill kills a server with SIGKILL after a random number of replies, over and over on the same file. Whatever
// reply left must be recorded, the log whole, and the same ask must get the same bytes.
func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	rng := rand.New(rand.NewPCG(1, 2))
	left := map[string]string{} // ask -> reply that left
	for round := range 12 {
		killOnce(t, path, round, 1+rng.IntN(40), left)
		checkAfterKill(t, path, left)
	}
	if len(left) < 50 {
		t.Errorf("only %d replies left: the test shows little", len(left))
	}
}

func killOnce(t *testing.T, path string, round, replies int, left map[string]string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), killEnv+"="+path)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { // ends when the child is dead; asks of earlier rounds are among them
		for i := 0; ; i++ {
			if _, err := fmt.Fprintf(stdin, "ask-%d\n", max(0, round-1)*20+i); err != nil {
				return
			}
		}
	}()
	lines := bufio.NewReader(stdout)
	for n := 0; ; n++ {
		line, err := lines.ReadString('\n')
		if err != nil {
			break // the end, after what left before the kill took effect; a line that was cut off did not leave
		}
		take(t, strings.TrimSuffix(line, "\n"), left)
		if n == replies {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || stderr.Len() > 0 {
		t.Fatalf("the child ended with %v: %s", err, stderr.String())
	}
}

func take(t *testing.T, line string, left map[string]string) {
	t.Helper()
	name, reply, _ := strings.Cut(line, " ")
	if name == "error" {
		t.Fatalf("the child failed: %s", reply)
	}
	if before, ok := left[name]; ok && before != reply {
		t.Fatalf("%s got %s, and before %s", name, reply, before)
	}
	left[name] = reply
}

func checkAfterKill(t *testing.T, path string, left map[string]string) {
	t.Helper()
	store, err := ledgerstore.Open(ledgerstore.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	l := ledgertest.MustOpen(t, store, nil)
	report, err := l.Verify(context.Background())
	if err != nil || !report.OK() || report.Size < int64(len(left)) {
		t.Fatalf("log of %d, %d replies left: %v %v", report.Size, len(left), err, report.Problems)
	}
	if err := store.Check(context.Background()); err != nil {
		t.Fatal(err)
	}
	for name, reply := range left {
		res, err := l.Decide(context.Background(), ledgertest.Ask(name, name), ledgertest.Give(ledgertest.Verdict(wire.Reject, nil)), ledgertest.Reply)
		if err != nil || !res.Replayed || hex.EncodeToString(res.Reply) != reply {
			t.Fatalf("%s: %x, %v; the reply that left was %s", name, res.Reply, err, reply)
		}
	}
}
