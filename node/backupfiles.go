package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

const (
	backupStamp     = "20060102T150405.000Z"
	scheduledSuffix = "-scheduled"
)

// BackupFile is a copy in the folder of backups, by its name.
type BackupFile struct {
	Path      string
	Began     time.Time // UTC, milliseconds
	Scheduled bool      // made by the clock; else somebody asked for it
	Complete  bool      // its manifest (Path + ".json") is there
}

func backupName(began time.Time, scheduled bool) string {
	suffix := ""
	if scheduled {
		suffix = scheduledSuffix
	}
	return "asset-" + began.Format(backupStamp) + suffix + ".db"
}

// backupFile matches what Backup makes: a copy, its manifest, and under a temporary name each of them while it is written.
var backupFile = regexp.MustCompile(`^(\.?)asset-(\d{8}T\d{6}\.\d{3}Z)(` + scheduledSuffix + `)?\.db(\.json)?(?:\.\d+\.new)?$`)

// Backups lists the copies in a folder of backups, the oldest first. Files with other names are left out. A folder that is not
// there has none.
func Backups(dir string) ([]BackupFile, error) {
	files, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list backups: %w", err)
	}
	there := make(map[string]bool, len(files))
	for _, file := range files {
		there[file.Name()] = true
	}
	var out []BackupFile
	for name := range there {
		match := backupFile.FindStringSubmatch(name)
		if match == nil || match[1] != "" || match[4] != "" || !strings.HasSuffix(name, ".db") {
			continue
		}
		if began, err := time.Parse(backupStamp, match[2]); err == nil {
			out = append(out, BackupFile{Path: filepath.Join(dir, name), Began: began, Scheduled: match[3] != "", Complete: there[name+".json"]})
		}
	}
	slices.SortFunc(out, func(a, b BackupFile) int {
		if c := a.Began.Compare(b.Began); c != 0 {
			return c
		}
		return strings.Compare(a.Path, b.Path)
	})
	return out, nil
}

// newest is when the newest complete one of backups was begun; zero if there is none.
func newest(backups []BackupFile) (last time.Time) {
	for _, b := range backups {
		if b.Complete && b.Began.After(last) {
			last = b.Began
		}
	}
	return last
}

// lastBackupSeconds is when the newest complete backup in the folder was begun, for Prometheus; 0 if there is none.
func (n *Node) lastBackupSeconds() float64 {
	if n.cfg.BackupDir == "" {
		return 0
	}
	backups, _ := Backups(n.cfg.BackupDir) // what cannot be listed counts as none: the alert says so
	last := newest(backups)
	if last.IsZero() {
		return 0
	}
	return float64(last.UnixMilli()) / 1000
}

// lastScheduled is when the newest backup was begun that was made by the clock.
func (n *Node) lastScheduled() time.Time {
	backups, _ := Backups(n.cfg.BackupDir)
	return newest(slices.DeleteFunc(backups, func(b BackupFile) bool { return !b.Scheduled }))
}

// pruneBackups removes the oldest backups of the kind of the one that was just made, beyond keep; 0 keeps all. Scheduled ones and
// those that were asked for are counted apart: who may ask for backups, and that takes no login on loopback, cannot push out the
// others. Only complete ones count and are removed: tidyBackups sees to what was cut off. That one stays, whatever the clock says.
func pruneBackups(made string, scheduled bool, keep int) error {
	if keep <= 0 {
		return nil
	}
	backups, err := Backups(filepath.Dir(made))
	if err != nil {
		return err
	}
	backups = slices.DeleteFunc(backups, func(b BackupFile) bool { return !b.Complete || b.Scheduled != scheduled || b.Path == made })
	for len(backups) > keep-1 {
		oldest := backups[0].Path
		backups = backups[1:]
		for _, path := range []string{oldest + ".json", oldest} { // a copy without a manifest is tidied away, if this is cut off
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("remove old backup: %w", err)
			}
		}
	}
	return nil
}

// cutOff is how old what a backup began must be to count as left behind.
const cutOff = time.Hour

// tidyBackups removes what backups that were cut off, as by a crash, have left: copies without a manifest, which nothing restores,
// and temporary files. Files with other names are nobody's business here.
func tidyBackups(dir string, now time.Time) error {
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var problems []error
	for _, file := range files {
		name := file.Name()
		match := backupFile.FindStringSubmatch(name)
		if match == nil {
			continue
		}
		temporary := match[1] != "" && strings.HasSuffix(name, ".new")
		copied := match[1] == "" && strings.HasSuffix(name, ".db")
		began, err := time.Parse(backupStamp, match[2])
		if err != nil || now.Sub(began) < cutOff || !temporary && !copied {
			continue
		}
		path := filepath.Join(dir, name)
		if copied {
			if _, err := os.Lstat(path + ".json"); !errors.Is(err, fs.ErrNotExist) {
				continue
			}
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			problems = append(problems, fmt.Errorf("remove what a backup left that was cut off: %w", err))
		}
	}
	return errors.Join(problems...)
}
