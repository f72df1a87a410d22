//go:build linux || darwin

package keystore_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/countersign-mpc/countersign/keystore"
)

// The tests below run this test binary again as a child that writes to a store, so that it can be killed. The child is
// told so by its environment.
const (
	childMode = "KEYSTORE_TEST_CHILD"
	childPath = "KEYSTORE_TEST_PATH"
	slots     = 8 // pairs of records that the writer turns over
)

func TestMain(m *testing.M) {
	switch os.Getenv(childMode) {
	case "":
		os.Exit(m.Run())
	case "write":
		fail(childWrite(os.Getenv(childPath)))
	case "create":
		fail(childCreate(os.Getenv(childPath)))
	case "change":
		fail(childChange(os.Getenv(childPath)))
	case "rekey":
		fail(childRekey(os.Getenv(childPath)))
	case "fill":
		fail(childFill(os.Getenv(childPath)))
	case "fill-change":
		fail(childFillChange(os.Getenv(childPath)))
	default:
		fail(childOnce(os.Getenv(childMode), os.Getenv(childPath)))
	}
}

func fail(err error) {
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
}

// value is what the writer puts into both records of a pair in round n; its length changes, so that pages split,
// merge and overflow.
func value(n int) string { return fmt.Sprintf("%d %s", n, strings.Repeat("x", n*977%9000)) }

// childWrite unseals and updates for ever, saying each round that was acknowledged.
func childWrite(path string) error {
	s, err := keystore.Open(config(path))
	if err != nil {
		return err
	}
	if err := s.Unseal(context.Background(), pass(goodPassword)); err != nil {
		return err
	}
	first, err := s.Get("state", "round")
	if err != nil && !errors.Is(err, keystore.ErrNotFound) {
		return err
	}
	n, _ := strconv.Atoi(string(first))
	for n++; ; n++ {
		err := s.Update(func(tx *keystore.Tx) error {
			slot := fmt.Sprint(n % slots)
			return errors.Join(tx.Put("left", slot, []byte(value(n))), tx.Put("right", slot, []byte(value(n))),
				tx.Delete("left", fmt.Sprint((n+1)%slots)), tx.Delete("right", fmt.Sprint((n+1)%slots)),
				tx.Put("state", "round", []byte(fmt.Sprint(n))))
		})
		if err != nil {
			return err
		}
		fmt.Println(n)
	}
}

// childCreate makes store after store, until it is killed in the middle of one.
func childCreate(path string) error {
	for i := 0; ; i++ {
		s, err := keystore.Open(config(fmt.Sprintf("%s.%d", path, i)))
		if err != nil {
			return err
		}
		if err := s.Init(context.Background(), pass(goodPassword)); err != nil {
			return err
		}
		fmt.Println(i + 1)
	}
}

// childOnce does one thing to a store and ends: an update, a change of the password, a new master key, a backup, a new store.
func childOnce(what, path string) error {
	ctx := context.Background()
	s, err := keystore.Open(config(path))
	if err != nil {
		return err
	}
	if what == "once-init" {
		return errors.Join(s.InitWith(ctx, keystore.Password(numbered(0))), s.Close())
	}
	if err := s.Unseal(ctx, numbered(0)); err != nil {
		return err
	}
	switch what {
	case "once-update":
		err = s.Update(func(tx *keystore.Tx) error { return writeRound(tx, 1) })
	case "once-change":
		var change *keystore.Change
		if change, err = s.BeginChange(ctx, keystore.Password(numbered(0))); err == nil {
			err = change.Commit(ctx, keystore.Password(numbered(1)))
		}
	case "once-rekey":
		_, err = s.Rekey(ctx, keystore.Password(numbered(1)))
		return err
	}
	return errors.Join(err, s.Close())
}

// writeRound puts what belongs to a round, in records of many sizes.
func writeRound(tx *keystore.Tx, round int) error {
	for i := range 12 {
		if err := tx.Put("left", strconv.Itoa(i), []byte(value(i*7+round))); err != nil {
			return err
		}
	}
	return tx.Put("state", "round", []byte(strconv.Itoa(round)))
}

// killAfter runs a child until it has acknowledged some rounds, kills it, and returns the last round acknowledged.
func killAfter(t *testing.T, mode, path string, rounds int) (last int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childMode+"="+mode, childPath+"="+path)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); {
		if last, err = strconv.Atoi(lines.Text()); err != nil {
			t.Errorf("child: %s", lines.Text())
		}
		if n++; n == rounds {
			must(t, cmd.Process.Signal(syscall.SIGKILL)) // it goes on to write while the signal is on its way
		}
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != -1 {
		t.Fatalf("the child ended by itself: %v", err)
	}
	return last
}

func TestKilledWhileWriting(t *testing.T) {
	path := newPath(t)
	must(t, mustInit(t, path).Close())
	acked := 0
	for i := range 12 {
		acked = killAfter(t, "write", path, 5+7*i)
		records, err := check(path)
		if err != nil {
			t.Fatalf("after kill %d: %v", i, err)
		}
		round, err := strconv.Atoi(records["state/round"])
		must(t, err)
		if round != acked && round != acked+1 {
			t.Fatalf("after kill %d: the file is at round %d, %d was acknowledged", i, round, acked)
		}
		mustHoldRound(t, records, round)
	}
}

// mustHoldRound compares everything in the store with what it must be after a round.
func mustHoldRound(t *testing.T, records map[string]string, round int) {
	t.Helper()
	want := map[string]string{"state/round": fmt.Sprint(round)}
	for n := max(1, round-slots+2); n <= round; n++ { // the oldest slot was deleted
		for _, side := range []string{"left/", "right/"} {
			want[side+fmt.Sprint(n%slots)] = value(n)
		}
	}
	for name := range records {
		if _, ok := want[name]; !ok {
			t.Errorf("round %d: %s should not be there", round, name)
		}
	}
	for name, value := range want {
		if records[name] != value {
			t.Errorf("round %d: %s is not what was written", round, name)
		}
	}
}

// A store appears complete or not at all, and is never half initialised.
func TestKilledWhileCreating(t *testing.T) {
	for i := range 4 {
		path := newPath(t)
		last := killAfter(t, "create", path, 3+i)
		for n := range last {
			if _, err := check(fmt.Sprintf("%s.%d", path, n)); err != nil {
				t.Errorf("store %d: %v", n, err)
			}
		}
		s := mustOpen(t, config(fmt.Sprintf("%s.%d", path, last)))
		if s.State() == keystore.Uninitialised {
			must(t, s.Init(context.Background(), pass(goodPassword)))
		} else {
			must(t, s.Unseal(context.Background(), pass(goodPassword)))
		}
	}
}

// childFill writes until the file may not grow any more (as on a full disk), and goes on when there is room again.
func childFill(path string) error {
	signal.Ignore(syscall.SIGXFSZ)
	s, err := keystore.Open(config(path))
	if err != nil {
		return err
	}
	if err := s.Unseal(context.Background(), pass(goodPassword)); err != nil {
		return err
	}
	setLimit := func(n uint64) error {
		return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: n, Max: ^uint64(0)})
	}
	if err := setLimit(1 << 20); err != nil {
		return err
	}
	n := 0
	for ; ; n++ {
		if err = s.Put("fill", fmt.Sprint(n), make([]byte, 20<<10)); err != nil {
			break
		}
	}
	if errors.Is(err, keystore.ErrFailed) || !strings.Contains(err.Error(), "nothing was changed") || n < 10 {
		return fmt.Errorf("on a full disk after %d records: %w", n, err)
	}
	if _, err := s.Get("fill", fmt.Sprint(n)); !errors.Is(err, keystore.ErrNotFound) {
		return fmt.Errorf("the record that found no room: %w", err)
	}
	if _, err := s.Get("fill", fmt.Sprint(n-1)); err != nil {
		return fmt.Errorf("the last record that found room: %w", err)
	}
	// A commit writes new pages before it frees old ones, so a delete too may find no room. Then nothing is changed either.
	deleted := s.Delete("fill", "0")
	if deleted != nil && (errors.Is(deleted, keystore.ErrFailed) || !strings.Contains(deleted.Error(), "nothing was changed")) {
		return fmt.Errorf("delete on a full disk: %w", deleted)
	}
	if _, err := s.Get("fill", "0"); errors.Is(err, keystore.ErrNotFound) != (deleted == nil) {
		return fmt.Errorf("after a delete that said %v: %w", deleted, err)
	}
	if err := setLimit(^uint64(0)); err != nil {
		return err
	}
	if err := s.Delete("fill", "0"); err != nil {
		return fmt.Errorf("delete with room again: %w", err)
	}
	if err := s.Put("fill", "last", []byte(fmt.Sprint(n))); err != nil {
		return fmt.Errorf("with room again: %w", err)
	}
	return s.Close()
}

// childFillChange changes passwords and records while a file may grow to three pages more each time, from none: the disk is full
// at another write of the commit. What fails has changed nothing. It says the number of the last password.
func childFillChange(path string) error {
	signal.Ignore(syscall.SIGXFSZ)
	ctx := context.Background()
	s, err := keystore.Open(config(path))
	if err == nil {
		err = s.Unseal(ctx, numbered(0))
	}
	if err != nil {
		return err
	}
	limit := func(n uint64, do func() error) error {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: n, Max: ^uint64(0)}); err != nil {
			return err
		}
		did := do()
		return errors.Join(did, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: ^uint64(0), Max: ^uint64(0)}))
	}
	present, round, failed, unscrubbed := 0, 0, 0, 0
	for step := range uint64(40) {
		pages := 3 * step
		changed := limit(pages<<12, func() error {
			change, err := s.BeginChange(ctx, keystore.Password(numbered(present)))
			if err != nil {
				return err
			}
			return change.Commit(ctx, keystore.Password(numbered(present+1)))
		})
		wrote := limit(pages<<12, func() error { return s.Update(func(tx *keystore.Tx) error { return writeRound(tx, round+1) }) })
		if stays := s.Unwritten(); (stays == nil) != (wrote == nil) || !errors.Is(wrote, stays) && wrote != nil {
			return fmt.Errorf("with room for %d pages the update said %w, and the store %w", pages, wrote, stays)
		}
		for _, err := range []error{changed, wrote} {
			if err != nil && !errors.Is(err, keystore.ErrUnscrubbed) && (errors.Is(err, keystore.ErrFailed) || !strings.Contains(err.Error(), "nothing was changed")) {
				return fmt.Errorf("with room for %d pages: %w", pages, err)
			}
		}
		if changed == nil || errors.Is(changed, keystore.ErrUnscrubbed) {
			present++
		}
		if stat, err := s.Stat(); err != nil || stat.Unscrubbed != errors.Is(changed, keystore.ErrUnscrubbed) {
			return fmt.Errorf("with room for %d pages the change said %v, and the store %t: %w", pages, changed, stat.Unscrubbed, err)
		}
		if errors.Is(changed, keystore.ErrUnscrubbed) { // with room again, it is made up for
			unscrubbed++
			s.Seal()
			if err := s.Unseal(ctx, numbered(present)); err != nil {
				return err
			}
			if stat, err := s.Stat(); err != nil || stat.Unscrubbed {
				return fmt.Errorf("with room again what was replaced stays: %w", err)
			}
		}
		if wrote == nil {
			round++
		} else {
			failed++
		}
		change, err := s.BeginChange(ctx, keystore.Password(numbered(present)))
		if err != nil {
			return fmt.Errorf("with room for %d pages the change said %v, and then: %w", pages, changed, err)
		}
		change.Cancel()
		if got, err := s.Get("state", "round"); string(got) != fmt.Sprint(round) && round > 0 {
			return fmt.Errorf("with room for %d pages the update said %v, and then it is round %s: %w", pages, wrote, got, err)
		}
		rekeyed := limit(min(pages<<12, 64<<10), func() error { _, err := s.Rekey(ctx, keystore.Password(numbered(99))); return err })
		if _, err := os.Stat(path + ".rekey"); rekeyed == nil || err == nil {
			return fmt.Errorf("a new master key with room for %d pages: %w, and what is left: %w", min(pages, 16), rekeyed, err)
		}
	}
	if unscrubbed == 0 {
		return errors.New("every change found room to overwrite what it replaced")
	}
	if failed < 5 || failed > 35 {
		return fmt.Errorf("%d of 40 updates failed: the limits missed the writes", failed)
	}
	fmt.Println(present)
	return s.Close()
}

func TestFullDiskWhileChanging(t *testing.T) {
	path := newPath(t)
	s := mustOpen(t, config(path))
	must(t, s.Init(context.Background(), numbered(0)))
	must(t, s.Update(func(tx *keystore.Tx) error { return writeRound(tx, 0) }))
	must(t, s.Close())
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childMode+"=fill-change", childPath+"="+path)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	present, err := strconv.Atoi(strings.TrimSpace(string(out)))
	must(t, err)
	must(t, mustOpen(t, config(path)).Unseal(context.Background(), numbered(present)))
}

func TestFullDisk(t *testing.T) {
	path := newPath(t)
	must(t, mustInit(t, path).Close())
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childMode+"=fill", childPath+"="+path)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	records, err := check(path)
	must(t, err)
	if fmt.Sprint(len(records)) != records["fill/last"] { // one deleted, one added
		t.Errorf("%d records, and %s were written", len(records), records["fill/last"])
	}
}
