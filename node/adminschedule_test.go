package node_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/node"
)

func TestScheduledBackups(t *testing.T) {
	t.Parallel()
	dir, clock := t.TempDir(), new(clock)
	o := newOffice(t, func(c *node.Config) { c.BackupDir, c.Clock = dir, clock.Now })
	ctx, cancel := context.WithCancel(t.Context())
	ticks, ended := make(chan time.Time), make(chan struct{})
	go func() { defer close(ended); o.node.BackupOn(ctx, ticks, 3) }()
	tick := func() { clock.step(time.Hour); ticks <- time.Time{} }

	other := filepath.Join(dir, "asset-by-hand.db")
	must(t, os.WriteFile(other, []byte("an operator's file"), 0o600))
	tick() // uninitialised: nothing is made, and it goes on
	if code, got := o.call("POST", "/sys/init", bkey(password)); code != 200 {
		t.Fatalf("HTTP %d %s", code, got)
	}
	tick() // sealed
	o.mustAnswer("POST", "/sys/in-bkey", bkey(password), `{"data":"in-bkey success","status":"ok"}`)
	for range 5 {
		tick()
	}
	o.mustAnswer("POST", "/sys/seal", "", `{"data":"seal success","status":"ok"}`)
	tick() // a tick is taken once the work of the one before is done
	cancel()
	<-ended
	manifests, err := filepath.Glob(filepath.Join(dir, "asset-2*.db.json"))
	must(t, err)
	copies, err := filepath.Glob(filepath.Join(dir, "asset-2*.db"))
	must(t, err)
	if len(manifests) != 3 || len(copies) != 3 {
		t.Fatalf("kept are %v and %v", copies, manifests)
	}
	for _, path := range copies {
		if strings.Compare(path, copies[0]) < 0 {
			t.Error("an older backup outlived a newer one")
		}
		mustUnsealCopy(t, path)
	}
	if _, err := os.Stat(other); err != nil {
		t.Error("a file that no backup made was removed")
	}
}
