package node_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/node"
)

// TestCutOffBackupsAreTidiedAway: what a crash or a full disk left of a backup does not stay for ever.
func TestCutOffBackupsAreTidiedAway(t *testing.T) {
	t.Parallel()
	dir, clock := t.TempDir(), new(clock)
	o := newOffice(t, func(c *node.Config) { c.BackupDir, c.Clock = dir, clock.Now })
	o.call("POST", "/sys/init", bkey(password))
	o.mustAnswer("POST", "/sys/in-bkey", bkey(password), `{"data":"in-bkey success","status":"ok"}`)
	name := func(ago time.Duration) string {
		return "asset-" + clock.Now().Add(-ago).UTC().Format("20060102T150405.000Z") + ".db"
	}
	gone := []string{name(2 * time.Hour), "." + name(3*time.Hour) + ".123.new", "." + name(3*time.Hour) + ".json.45.new"}
	stay := []string{name(time.Minute), "." + name(time.Minute) + ".1.new", "asset-by-hand.db", ".asset-by-hand.db.1.new", name(4*time.Hour) + ".old"}
	for _, file := range append(gone, stay...) {
		must(t, os.WriteFile(filepath.Join(dir, file), []byte("x"), 0o600))
	}
	ctx, cancel := context.WithCancel(t.Context())
	ticks, ended := make(chan time.Time), make(chan struct{})
	go func() { defer close(ended); o.node.BackupOn(ctx, ticks, 24*time.Hour) }()
	ticks <- time.Time{}
	ticks <- time.Time{} // it is taken once the work of the one before is done
	cancel()
	<-ended
	for _, file := range gone {
		if _, err := os.Stat(filepath.Join(dir, file)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there: %v", file, err)
		}
	}
	for _, file := range stay {
		if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
			t.Errorf("%s was removed: %v", file, err)
		}
	}
}

// TestBackupWithoutItsManifestGoes: a manifest that cannot be written leaves no copy behind.
func TestBackupWithoutItsManifestGoes(t *testing.T) {
	t.Parallel()
	dir, now := t.TempDir(), time.Now()
	o := newOffice(t, func(c *node.Config) { c.BackupDir, c.Clock = dir, func() time.Time { return now } })
	o.call("POST", "/sys/init", bkey(password))
	o.mustAnswer("POST", "/sys/in-bkey", bkey(password), `{"data":"in-bkey success","status":"ok"}`)
	copied := filepath.Join(dir, "asset-"+now.UTC().Format("20060102T150405.000Z")+".db")
	must(t, os.Mkdir(copied+".json", 0o700)) // in the place of the manifest
	if _, _, err := o.node.Backup(); err == nil || !strings.Contains(err.Error(), "write manifest of backup") {
		t.Fatalf("got %v", err)
	}
	if _, err := os.Stat(copied); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the copy without a manifest is still there: %v", err)
	}
}

func TestScheduledBackups(t *testing.T) {
	t.Parallel()
	dir, clock := t.TempDir(), new(clock)
	o := newOffice(t, func(c *node.Config) { c.BackupDir, c.BackupKeep, c.Clock = dir, 3, clock.Now })
	ctx, cancel := context.WithCancel(t.Context())
	ticks, ended := make(chan time.Time), make(chan struct{})
	go func() { defer close(ended); o.node.BackupOn(ctx, ticks, 24*time.Hour) }()
	tick := func(after time.Duration) { clock.step(after); ticks <- time.Time{} }
	made := func() []string {
		t.Helper()
		ticks <- time.Time{} // it is taken once the work of the one before is done
		manifests, err := filepath.Glob(filepath.Join(dir, "asset-2*.db.json"))
		must(t, err)
		return manifests
	}
	mustHave := func(n int, when string) {
		t.Helper()
		if got := made(); len(got) != n {
			t.Fatalf("%s there are %v", when, got)
		}
	}

	other := filepath.Join(dir, "asset-by-hand.db")
	must(t, os.WriteFile(other, []byte("an operator's file"), 0o600))
	tick(time.Hour) // uninitialised: nothing is made, and it goes on
	if code, got := o.call("POST", "/sys/init", bkey(password)); code != 200 {
		t.Fatalf("HTTP %d %s", code, got)
	}
	tick(time.Hour)
	mustHave(0, "sealed")
	o.mustAnswer("POST", "/sys/in-bkey", bkey(password), `{"data":"in-bkey success","status":"ok"}`)
	tick(time.Minute)
	mustHave(1, "when what was due is made up for")
	tick(23 * time.Hour)
	mustHave(1, "before the day is over")
	tick(time.Hour)
	mustHave(2, "after a day")
	for _, manifest := range made() { // what an operator has moved away is not made again
		must(t, errors.Join(os.Remove(manifest), os.Remove(strings.TrimSuffix(manifest, ".json"))))
	}
	tick(12 * time.Hour)
	mustHave(0, "half a day after")
	asked, _, err := o.node.Backup()
	must(t, err)
	tick(12 * time.Hour) // one that somebody asked for puts off none that is due
	mustHave(2, "a day after the one before")
	future := filepath.Join(dir, "asset-29990101T000000.000Z-scheduled.db")
	must(t, errors.Join(os.WriteFile(future, nil, 0o600), os.WriteFile(future+".json", []byte("{}"), 0o600)))
	tick(24 * time.Hour)
	mustHave(4, "with one of a wrong clock")
	must(t, errors.Join(os.Remove(future), os.Remove(future+".json"), os.Remove(asked), os.Remove(asked+".json")))
	for range 5 {
		tick(24 * time.Hour)
	}
	mustHave(3, "as many as are kept")
	o.mustAnswer("POST", "/sys/seal", "", `{"data":"seal success","status":"ok"}`)
	tick(48 * time.Hour)
	mustHave(3, "sealed again")
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

// TestBackupsOnRequestAreBounded: they neither fill the disk nor push out those that the clock made.
func TestBackupsOnRequestAreBounded(t *testing.T) {
	t.Parallel()
	dir, clock := t.TempDir(), new(clock)
	o := newOffice(t, func(c *node.Config) { c.BackupDir, c.BackupKeep, c.Clock = dir, 2, clock.Now })
	o.call("POST", "/sys/init", bkey(password))
	o.mustAnswer("POST", "/sys/in-bkey", bkey(password), `{"data":"in-bkey success","status":"ok"}`)
	ctx, cancel := context.WithCancel(t.Context())
	ticks, ended := make(chan time.Time), make(chan struct{})
	go func() { defer close(ended); o.node.BackupOn(ctx, ticks, time.Hour) }()
	for range 3 {
		clock.step(time.Hour)
		ticks <- time.Time{}
	}
	cancel()
	<-ended
	byHand := filepath.Join(dir, "asset-by-hand.db")
	must(t, os.WriteFile(byHand, []byte("an operator's file"), 0o600))
	list := func() (asked, scheduled []string) {
		files, err := node.Backups(dir)
		must(t, err)
		for _, f := range files {
			if !f.Complete {
				t.Errorf("%s has no manifest", f.Path)
			}
			if f.Scheduled {
				scheduled = append(scheduled, f.Path)
			} else {
				asked = append(asked, f.Path)
			}
		}
		return asked, scheduled
	}
	_, before := list()
	if len(before) != 2 {
		t.Fatalf("of scheduled ones there are %v", before)
	}
	var made []string
	for range 5 {
		clock.step(time.Second)
		path, _, err := o.node.Backup()
		must(t, err)
		made = append(made, path)
	}
	asked, after := list()
	if !slices.Equal(asked, made[3:]) || !slices.Equal(after, before) {
		t.Errorf("kept are %v and %v, made were %v beside %v", asked, after, made, before)
	}
	clock.step(-48 * time.Hour) // what was just made stays, although the others seem newer
	path, _, err := o.node.Backup()
	must(t, err)
	if asked, _ = list(); !slices.Equal(asked, []string{path, made[4]}) {
		t.Errorf("with a clock put back kept are %v, made was %s", asked, path)
	}
	for _, file := range []string{byHand, path} {
		if _, err := os.Stat(file); err != nil {
			t.Error(err)
		}
	}
}
