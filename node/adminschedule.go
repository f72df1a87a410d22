package node

import (
	"context"
	"time"
)

// LookForBackup is how often it is looked whether a backup is due.
const LookForBackup = time.Minute

// BackupOn looks at each tick whether the newest scheduled backup is as old as every, and then writes one. So what was due while
// the node was stopped or sealed is made up for. It returns when ctx ends. A backup that fails, as on a sealed node, is logged, once
// an hour at most, and removes nothing.
func (n *Node) BackupOn(ctx context.Context, ticks <-chan time.Time, every time.Duration) {
	var made, warned time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks:
		}
		now := n.cfg.Clock()
		last := n.lastScheduled()
		if last.Before(made) || last.After(now) { // they were moved away, or the clock was wrong
			last = made
		}
		if now.Sub(last) < every {
			continue
		}
		if _, m, err := n.backup(true); err == nil {
			made, warned = m.Created, time.Time{}
		} else if now.Sub(warned) >= time.Hour {
			warned = now
			n.cfg.Log.Warn("a scheduled backup is due and was not made: it is tried again", "error", err)
		}
	}
}
