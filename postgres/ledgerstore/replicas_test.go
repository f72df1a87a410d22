package ledgerstore_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/ledger/ledgertest"
	"github.com/countersign-mpc/countersign/postgres/ledgerstore"
	"github.com/countersign-mpc/countersign/wire"
)

// replicaEnv makes the test binary a server that decides until it is killed; its value is the configuration.
const replicaEnv = "LEDGERSTORE_TEST_REPLICA"

func TestMain(m *testing.M) {
	if os.Getenv(replicaEnv) == "" {
		os.Exit(m.Run())
	}
	if err := decideUntilKilled(os.Getenv(replicaEnv)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// decideUntilKilled answers the asks that are named on standard input, several at a time. A line on standard output is a
// reply that has left.
func decideUntilKilled(config string) error {
	var cfg ledgerstore.Config
	if err := json.Unmarshal([]byte(config), &cfg); err != nil {
		return err
	}
	store, err := ledgerstore.Open(context.Background(), cfg)
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
				res, err := l.Decide(context.Background(), ledgertest.Spending(name, name, 1), ledgertest.Within(room), ledgertest.Reply)
				out.Lock()
				if err != nil {
					fmt.Println("error", err)
				} else {
					fmt.Println(name, res.Action, hex.EncodeToString(res.Reply))
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

// room is how many asks a window has room for.
const room = 25

// replies are those that have left, of all replicas together.
type replies struct {
	mu   sync.Mutex // guards left
	left map[string]string
}

// approved counts the asks that were approved.
func (r *replies) approved() (n int) {
	for _, reply := range r.left {
		if strings.HasPrefix(reply, string(wire.Approve)+" ") {
			n++
		}
	}
	return n
}

func (r *replies) take(t *testing.T, line string) {
	name, reply, _ := strings.Cut(line, " ")
	if name == "error" {
		t.Errorf("a replica failed: %s", reply)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if before, ok := r.left[name]; ok && before != reply {
		t.Errorf("%s got %s from one replica and %s from another", name, reply, before)
	}
	r.left[name] = reply
}

// TestReplicas lets three servers answer the same asks on one database and kills each of them with SIGKILL after a random
// number of replies, over and over. All give the same reply to the same ask, whatever left is recorded, and no more are
// approved than a window has room for.
func TestReplicas(t *testing.T) {
	cfg := migrated(t)
	config, err := json.Marshal(cfg)
	must(t, err)
	r := &replies{left: map[string]string{}}
	for round := range 4 {
		var wg sync.WaitGroup
		for replica := range 3 {
			kill := 1 + rand.New(rand.NewPCG(uint64(round), uint64(replica))).IntN(40)
			wg.Go(func() { killOnce(t, string(config), round, kill, r) })
		}
		wg.Wait()
		if t.Failed() {
			return
		}
	}
	if len(r.left) <= room {
		t.Errorf("only %d replies left: the test shows little", len(r.left))
	}
	l := ledgertest.MustOpen(t, mustOpen(t, cfg), nil)
	report, err := l.Verify(context.Background())
	if err != nil || !report.OK() || report.Size < int64(len(r.left)) {
		t.Fatalf("log of %d, %d replies left: %v %v", report.Size, len(r.left), err, report.Problems)
	}
	for name, reply := range r.left {
		res, err := l.Decide(context.Background(), ledgertest.Ask(name, name), ledgertest.Give(ledgertest.Verdict(wire.Reject, nil)), ledgertest.Reply)
		if got := fmt.Sprint(res.Action, " ", hex.EncodeToString(res.Reply)); err != nil || !res.Replayed || got != reply {
			t.Fatalf("%s: %s, %v; the reply that left was %s", name, got, err, reply)
		}
	}
	// An Approve may be recorded whose reply did not leave, so it takes one more of each to know that all of the room is used.
	for i := 0; ; i++ {
		name := fmt.Sprint("last-", i)
		res, err := l.Decide(context.Background(), ledgertest.Spending(name, name, 1), ledgertest.Within(room), ledgertest.Reply)
		must(t, err)
		if res.Action == wire.Reject {
			break
		}
	}
	total := 0
	for cursor := ""; ; {
		page, err := l.Decisions(context.Background(), ledger.Filter{}, 0, cursor)
		must(t, err)
		for _, d := range page.Decisions {
			if d.Action == wire.Approve {
				total++
			}
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if total != room || r.approved() > room {
		t.Errorf("%d are approved, and %d such replies left, with room for %d", total, r.approved(), room)
	}
}

func killOnce(t *testing.T, config string, round, after int, r *replies) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), replicaEnv+"="+config)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Error(err)
		return
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Error(err)
		return
	}
	if err := cmd.Start(); err != nil {
		t.Error(err)
		return
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
			break // what left before the kill took effect; a line that was cut off did not leave
		}
		r.take(t, strings.TrimSuffix(line, "\n"))
		if n == after {
			if err := cmd.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || stderr.Len() > 0 {
		t.Errorf("the child ended with %v: %s", err, stderr.String())
	}
}
