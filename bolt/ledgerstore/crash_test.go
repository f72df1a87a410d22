package ledgerstore_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
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
	case os.Getenv(activateEnv) != "":
		err = activateUntilKilled(os.Getenv(activateEnv))
	case os.Getenv(damageEnv) != "":
		err = useDamagedFiles()
	case strings.HasPrefix(filepath.Base(os.Getenv(fullEnv)), mixedName):
		err = mixLarge(os.Getenv(fullEnv))
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

// decideUntilKilled is the server that TestKill kills.
func decideUntilKilled(path string) error {
	store, err := openNamed(path)
	if err != nil {
		return err
	}
	l, err := ledger.New(context.Background(), ledger.Config{Store: store, Origin: ledgertest.Origin})
	if err != nil {
		return err
	}
	ask := func(name string) ledger.Ask { return ledgertest.Ask(name, name) }
	err = ledgertest.Answer(l, ask, ledgertest.Give(ledgertest.Verdict(wire.Approve, nil)), os.Stdin, os.Stdout)
	return errors.Join(err, store.Close())
}

// turningName begins the name of a file whose store moves keys all the time, and so writes into tracks.
const turningName = "turning-"

// openNamed opens a store as its file's name has it.
func openNamed(path string) (*ledgerstore.Store, error) {
	if strings.HasPrefix(filepath.Base(path), turningName) {
		return ledgerstore.OpenTurning(ledgerstore.Config{Path: path}, 50)
	}
	return ledgerstore.Open(ledgerstore.Config{Path: path})
}

// TestKill kills a server with SIGKILL after a random number of replies, over and over on the same file. Whatever
// reply left must be recorded, the log whole, and the same ask must get the same bytes.
func TestKill(t *testing.T) {
	for _, name := range []string{"ledger.db", turningName + "ledger.db"} {
		t.Run(name, func(t *testing.T) { killOften(t, filepath.Join(t.TempDir(), name)) })
	}
}

func killOften(t *testing.T, path string) {
	rng := rand.New(rand.NewPCG(1, 2))
	var replies ledgertest.Replies
	for round := range 12 {
		must(t, replies.Kill(killEnv+"="+path, max(0, round-1)*20, 1+rng.IntN(40))) // asks of earlier rounds are among them
		store, err := openNamed(path)
		must(t, err)
		replies.Check(t, ledgertest.MustOpen(t, store, nil))
		must(t, errors.Join(store.Check(context.Background()), store.Close()))
	}
	if n := replies.Len(); n < 50 {
		t.Errorf("only %d replies left: the test shows little", n)
	}
}
