package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// process is one running binary.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// command is the command line of a long-running process.
func (c *Cluster) command(name string) ([]string, error) {
	switch {
	case name == "coordinator":
		return []string{"coordinator", "serve", "--config", c.path("coordinator.toml")}, nil
	case name == "callback":
		return []string{"callback", "serve", "--config", c.path("callback.toml")}, nil
	case slices.Contains(NodeNames, name):
		return []string{"mpc-node", "start", "--config", c.NodeConfig(name)}, nil
	}
	return nil, fmt.Errorf("there is no process %q", name)
}

// ready is the address that answers once a process serves.
func (c *Cluster) ready(name string) string {
	switch name {
	case "coordinator":
		return "http://" + c.Ports.CoordinatorMonitoring + "/livez"
	case "callback":
		return "http://" + c.Ports.CallbackAdmin + "/livez"
	default:
		return "http://" + c.Ports.Monitoring[name] + "/livez"
	}
}

// Start starts a process and waits until it serves. Its output goes to logs/NAME.log.
func (c *Cluster) Start(ctx context.Context, name string) error {
	if c.processes[name] != nil {
		return fmt.Errorf("%s runs already", name)
	}
	args, err := c.command(name)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.path("logs"), 0o700); err != nil {
		return err
	}
	log, err := os.OpenFile(c.LogPath(name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(filepath.Join(c.Bin, args[0]), args[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = c.Dir, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt at the terminal is for the one who started us
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	go func() { _ = cmd.Wait(); close(p.done) }()
	c.processes[name] = p
	if err := c.writePIDs(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return Eventually(ctx, name+" to serve", func() (bool, error) {
		select {
		case <-p.done:
			delete(c.processes, name)
			return true, fmt.Errorf("%s ended at once; the end of its log:\n%s", name, c.Tail(name))
		default:
		}
		return ok(ctx, c.ready(name))
	})
}

func (c *Cluster) waitOK(ctx context.Context, what, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return Eventually(ctx, what, func() (bool, error) { return ok(ctx, url) })
}

func ok(ctx context.Context, url string) (bool, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return true, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return false, fmt.Errorf("%s answers HTTP %d", url, response.StatusCode)
	}
	return true, nil
}

// Kill ends a process by SIGKILL, as a crash would.
func (c *Cluster) Kill(name string) { c.signal(name, syscall.SIGKILL) }

// Stop ends a process by SIGTERM; after 15 seconds by SIGKILL.
func (c *Cluster) Stop(name string) { c.signal(name, syscall.SIGTERM) }

func (c *Cluster) signal(name string, sig syscall.Signal) {
	p := c.processes[name]
	if p == nil {
		return
	}
	_ = p.cmd.Process.Signal(sig)
	select {
	case <-p.done:
	case <-time.After(15 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
	delete(c.processes, name)
	_ = c.writePIDs()
}

// Down stops everything that runs.
func (c *Cluster) Down() {
	for _, name := range append([]string{"callback", "coordinator"}, NodeNames...) {
		c.Stop(name)
	}
}

// LogPath is where a process writes what it prints.
func (c *Cluster) LogPath(name string) string { return c.path("logs", name+".log") }

// Log is all that a process has printed.
func (c *Cluster) Log(name string) (string, error) {
	data, err := os.ReadFile(c.LogPath(name))
	return string(data), err
}

// Tail is the end of a process's log.
func (c *Cluster) Tail(name string) string {
	data, err := os.ReadFile(c.LogPath(name))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}

// Command runs one command to its end and returns what it printed.
func (c *Cluster) Command(ctx context.Context, stdin, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(c.Bin, name), args...)
	cmd.Dir, cmd.Stdin = c.Dir, strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w: %s", name, args[0], err, strings.TrimSpace(errs.String()))
	}
	return out.String(), nil
}

func (c *Cluster) pidPath() string { return c.path("pids.json") }

// writePIDs notes what runs, so that StopAll of another process can end it.
func (c *Cluster) writePIDs() error {
	pids := make(map[string]int, len(c.processes))
	for name, p := range c.processes {
		pids[name] = p.cmd.Process.Pid
	}
	data, err := json.Marshal(pids)
	if err != nil {
		return err
	}
	return os.WriteFile(c.pidPath(), data, 0o600)
}

// StopAll ends what a cluster in dir left running. A process is ended only if it is one of the binaries in bin.
func StopAll(dir, bin string) (stopped []string, err error) {
	data, err := os.ReadFile(filepath.Join(dir, "pids.json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var pids map[string]int
	if err := json.Unmarshal(data, &pids); err != nil {
		return nil, fmt.Errorf("%s/pids.json: %w", dir, err)
	}
	for name, pid := range pids {
		exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
		if err != nil || filepath.Dir(strings.TrimSuffix(exe, " (deleted)")) != bin {
			continue // ended, or a number that belongs to another process by now
		}
		if syscall.Kill(pid, syscall.SIGTERM) == nil {
			stopped = append(stopped, name)
		}
	}
	slices.Sort(stopped)
	return stopped, os.Remove(filepath.Join(dir, "pids.json"))
}
