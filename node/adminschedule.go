package node

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// BackupOn writes a backup at each tick and then removes the oldest beyond keep; 0 keeps all. It returns when ctx ends. A
// backup that fails, as on a sealed node, is logged, and removes nothing.
func (n *Node) BackupOn(ctx context.Context, ticks <-chan time.Time, keep int) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks:
		}
		if _, _, err := n.Backup(); err != nil {
			n.cfg.Log.Warn("no scheduled backup was made", "error", err)
			continue
		}
		if err := pruneBackups(n.cfg.BackupDir, keep); err != nil {
			n.cfg.Log.Warn("old backups could not be removed", "error", err)
		}
	}
}

// pruneBackups removes the oldest backups of a folder, whose names sort by time, beyond keep. Only complete ones, with a
// manifest, count and are removed: whatever else lies there is nobody's business here.
func pruneBackups(dir string, keep int) error {
	if keep <= 0 {
		return nil
	}
	manifests, err := filepath.Glob(filepath.Join(dir, "asset-*.db.json"))
	if err != nil {
		return err
	}
	slices.Sort(manifests)
	for len(manifests) > keep {
		manifest := manifests[0]
		manifests = manifests[1:]
		if err := os.Remove(manifest); err != nil {
			return fmt.Errorf("remove old backup: %w", err)
		}
		if err := os.Remove(manifest[:len(manifest)-len(".json")]); err != nil {
			return fmt.Errorf("remove old backup: %w", err)
		}
	}
	return nil
}
