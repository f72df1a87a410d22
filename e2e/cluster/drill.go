package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Segment changes a running, unsealed node from its password to 2-of-3 segments, as an operator does: the files are in the
// folder segments/NAME. From then on Unseal takes two of them.
func (c *Cluster) Segment(ctx context.Context, name string) error {
	dir := c.path("segments", name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	manifest := filepath.Join(c.nodeDir(name), "segments.json")
	_, err := c.Command(ctx, "", "mpc-node", "password", "generate", "-t", "2", "-n", "3", "--output-dir", dir, "--manifest", c.path(manifest))
	if err != nil {
		return err
	}
	c.segmented[name] = true
	if err := c.write(filepath.Join(c.nodeDir(name), "config.toml"), c.nodeConfig(name)); err != nil {
		return err
	}
	c.segmented[name] = false // until it is changed
	c.Stop(name)              // storage.t is read at the start
	if err := errors.Join(c.Start(ctx, name), c.Unseal(ctx, name)); err != nil {
		return err
	}
	if _, err := c.Command(ctx, password+"\n", "mpc-node", "reset", "--config", c.NodeConfig(name)); err != nil {
		return err
	}
	c.segmented[name] = true
	return c.enter(ctx, name, "cmreset", 1, 2)
}

// SegmentPath is the file of one segment of a node.
func (c *Cluster) SegmentPath(name string, number int) string {
	return c.path("segments", name, fmt.Sprintf("segment-%d.txt", number))
}

// enter gives segments to a command of a node, one call each.
func (c *Cluster) enter(ctx context.Context, name, command string, numbers ...int) error {
	for _, number := range numbers {
		segment, err := os.ReadFile(c.SegmentPath(name, number))
		if err != nil {
			return err
		}
		if _, err := c.Command(ctx, string(segment), "mpc-node", command, "--config", c.NodeConfig(name)); err != nil {
			return err
		}
	}
	return nil
}

// Backup has a running node write a backup and takes it off the machine, to usb/NAME.db with its manifest beside it.
func (c *Cluster) Backup(ctx context.Context, name string) (path string, err error) {
	out, err := c.Command(ctx, "", "mpc-node", "backup", "--config", c.NodeConfig(name))
	if err != nil {
		return "", err
	}
	var reply struct {
		Data struct {
			File string `json:"file"`
		} `json:"data"`
	}
	if err := json.Unmarshal([]byte(out), &reply); err != nil {
		return "", fmt.Errorf("backup %s printed %q: %w", name, out, err)
	}
	path = c.path("usb", name+".db")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	for _, end := range []string{"", ".json"} {
		data, err := os.ReadFile(reply.Data.File + end)
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(path+end, data, 0o600); err != nil {
			return "", err
		}
	}
	return path, nil
}

// Lose kills a node and destroys its folder, and gives it a new machine: another folder, with its configuration and the
// allow-list, and nothing else.
func (c *Cluster) Lose(name string) error {
	c.Kill(name)
	parties, err := os.ReadFile(c.path(c.nodeDir(name), "parties.txt"))
	if err != nil {
		return err
	}
	if err := os.RemoveAll(c.path(c.nodeDir(name))); err != nil {
		return err
	}
	c.moved[name]++
	return errors.Join(c.write(filepath.Join(c.nodeDir(name), "config.toml"), c.nodeConfig(name)),
		c.write(filepath.Join(c.nodeDir(name), "parties.txt"), string(parties)))
}

// nodeDir is the folder of a node in the cluster's.
func (c *Cluster) nodeDir(name string) string {
	if c.moved[name] == 0 {
		return "node-" + name
	}
	return fmt.Sprintf("node-%s-%d", name, c.moved[name]+1)
}
