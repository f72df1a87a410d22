//go:build unix

package boltfile_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/bolt/boltfile"
	"github.com/countersign-mpc/countersign/internal/fulldisk"
)

// fullEnv makes the test binary a process whose file cannot grow. Its value is the file's path.
const fullEnv = "BOLTFILE_TEST_FULL"

func TestMain(m *testing.M) {
	path := os.Getenv(fullEnv)
	if path == "" {
		os.Exit(m.Run())
	}
	if err := errors.Join(fillUp(path), fillSpace(path+"-space")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// TestDiskFull lets a child's file reach a size over which the system refuses to write, as on a full disk.
func TestDiskFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	fulldisk.Child(t, fullEnv+"="+path)
	f := open(t, path)
	if err := f.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if v, err := get(f, "0"); len(v) != len(filler) || err != nil {
		t.Errorf("the first value has %d bytes, %v", len(v), err)
	}
}

var filler = bytes.Repeat([]byte("x"), 1<<20)

// fillUp writes until the file cannot grow, sees that what is there can be read, makes room, and sees that it goes on.
func fillUp(path string) error {
	f, err := boltfile.Open(config(path))
	if err != nil {
		return err
	}
	lift, err := fulldisk.Limit(20 << 20) // beyond what bbolt takes at first
	if err != nil {
		return err
	}
	n := 0
	for ; err == nil && n < 100; n++ {
		err = update(f, put(fmt.Sprint(n), string(filler)))
	}
	if err == nil || !strings.Contains(err.Error(), "make room") {
		return fmt.Errorf("value %d on a full disk: %w", n, err)
	}
	n--
	if v, err := get(f, "0"); n == 0 || err != nil || len(v) != len(filler) {
		return fmt.Errorf("after %d values what is stored is not readable on a full disk: %w", n, err)
	}
	if err := update(f, put(fmt.Sprint(n), string(filler))); err == nil || errors.Is(err, boltfile.ErrEnded) {
		return fmt.Errorf("written again on a full disk: %w", err)
	}
	if err := lift(); err != nil {
		return err
	}
	for i := n; i < n+5; i++ {
		if v, err := get(f, fmt.Sprint(i)); v != nil || err != nil {
			return fmt.Errorf("value %d was not stored, and is there: %w", i, err)
		}
		if err := update(f, put(fmt.Sprint(i), string(filler))); err != nil {
			return fmt.Errorf("value %d with room again: %w", i, err)
		}
	}
	return f.Close()
}

// fillSpace writes in place while the system refuses it, and sees that nothing is there, that it is said, and that it goes on.
func fillSpace(path string) error {
	f, err := boltfile.Open(spaceConfig(path))
	if err != nil {
		return err
	}
	if err := update(f, func(tx *boltfile.Tx) error { return tx.Reserve([]byte("s"), spaceSize, []byte("begin")) }); err != nil {
		return err
	}
	s, err := f.Space(context.Background(), []byte("s"))
	if err != nil {
		return err
	}
	lift, err := fulldisk.Limit(16 << 10) // less than the file has
	if err != nil {
		return err
	}
	for _, write := range []func([]byte, int64) error{s.Write, s.WriteThrough, s.WriteThrough} {
		if err := write([]byte("anew!"), 0); err == nil || errors.Is(err, boltfile.ErrEnded) || !strings.Contains(err.Error(), "make room") {
			return fmt.Errorf("written in place on a full disk: %w", err)
		}
	}
	if err := lift(); err != nil {
		return err
	}
	there := make([]byte, 5)
	if _, err := s.ReadAt(there, 0); err != nil || string(there) != "begin" {
		return fmt.Errorf("what could not be written left %q: %w", there, err)
	}
	if err := s.WriteThrough([]byte("anew!"), 0); err != nil {
		return fmt.Errorf("written in place with room again: %w", err)
	}
	return f.Close()
}
