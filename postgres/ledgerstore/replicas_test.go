package ledgerstore_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
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

// decideUntilKilled is a server that TestReplicas kills.
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
	ask := func(name string) ledger.Ask { return ledgertest.Spending(name, name, 1) }
	return errors.Join(ledgertest.Answer(l, ask, ledgertest.Within(room), os.Stdin, os.Stdout), store.Close())
}

// room is how many asks a window has room for.
const room = 25

// TestReplicas lets three servers answer the same asks on one database and kills each of them with SIGKILL after a random
// number of replies, over and over. All give the same reply to the same ask, whatever left is recorded, and no more are
// approved than a window has room for.
func TestReplicas(t *testing.T) {
	cfg := migrated(t)
	config, err := json.Marshal(cfg)
	must(t, err)
	var replies ledgertest.Replies
	for round := range 4 {
		var wg sync.WaitGroup
		for replica := range 3 {
			kill := 1 + rand.New(rand.NewPCG(uint64(round), uint64(replica))).IntN(40)
			wg.Go(func() {
				if err := replies.Kill(replicaEnv+"="+string(config), max(0, round-1)*20, kill); err != nil { // asks of earlier rounds are among them
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if t.Failed() {
			return
		}
	}
	if n := replies.Len(); n <= room {
		t.Errorf("only %d replies left: the test shows little", n)
	}
	l := ledgertest.MustOpen(t, mustOpen(t, cfg), nil)
	replies.Check(t, l)
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
	if total != room || replies.Approved() > room {
		t.Errorf("%d are approved, and %d such replies left, with room for %d", total, replies.Approved(), room)
	}
}
