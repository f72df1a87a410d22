package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/countersign-mpc/countersign/keystore"
)

// What the node guide asks for at least, and what the node cannot do without. Sellers' gigabytes are a little less than they
// say, hence the room below the guide's figures.
const (
	wantCores  = 2
	wantMemory = 3_600_000_000 // bytes, of "4 GB"
	needMemory = 700 << 20     // bytes: Argon2id over 256 MiB beside a CMP keygen
	wantDisk   = 60_000_000_000
	wantFree   = 5_000_000_000
	needFree   = 256 << 20
)

// machine is what check looks at. Tests make one of their own.
type machine struct {
	root  fs.FS // the root of the file system; paths in it have no leading slash
	cores int
	uid   int
	now   time.Time
	// disk tells the size of a folder's file system and what is free there for this process, in bytes.
	disk func(folder string) (total, free uint64, err error)
	// time tells what the kernel knows about the clock.
	time func() (clockState, error)
	core uint64 // RLIMIT_CORE
	// image is what the image of a container says in containerVariable.
	image string
	lock  bool // whether the process may lock its memory
	// listen tries whether an address can be listened at.
	listen    func(address string) error
	look      func(path string) error   // keystore.Look; nil: the store is not looked at
	mayWrite  func(folder string) error // whether files can be made there; nil: they can
	forgotten func() []string           // folders that verify has left; nil: none
	// ours tells whether a node of this configuration answers at its admin address.
	ours func(address string) bool
}

// clockState is what adjtimex(2) tells.
type clockState struct {
	synchronised bool
	maxError     time.Duration // the kernel's bound of the clock's error
}

// hardware is what the guide asks of a machine. Nothing of it keeps a node from starting.
func (m machine) hardware() []finding {
	out := []finding{m.cpu()}
	memory, limited, err := m.memory()
	const name = "memory"
	gb := float64(memory) / 1e9
	where := "the machine has"
	if limited {
		where = "the control group (container) allows"
	}
	switch {
	case err != nil:
		out = append(out, finding{name, levelWarn, err.Error(), "see to it that the node has 4 GB"})
	case memory < needMemory:
		out = append(out, finding{name, levelFail, fmt.Sprintf("%s %.1f GB", where, gb), "give the node 4 GB: opening the store and making keys needs more than this"})
	case memory < wantMemory:
		out = append(out, finding{name, levelWarn, fmt.Sprintf("%s %.1f GB", where, gb), "give the node 4 GB"})
	default:
		out = append(out, good(name, "%s %.1f GB", where, gb))
	}
	return out
}

func (m machine) cpu() finding {
	cores, where := float64(m.cores), "the machine has"
	if quota, ok := m.quota(); ok && quota < cores {
		cores, where = quota, "the control group (container) allows"
	}
	found := fmt.Sprintf("%s %.3g cores", where, cores)
	if cores < wantCores {
		return finding{"cores", levelWarn, found, "give the node 2 cores: a signature takes twice as long, and others wait for it"}
	}
	return good("cores", "%s", found)
}

// quota reads the limit of control groups (version 2) on processor time, in cores.
func (m machine) quota() (float64, bool) {
	fields := strings.Fields(m.text("sys/fs/cgroup/cpu.max"))
	if len(fields) != 2 {
		return 0, false
	}
	quota, err := strconv.ParseFloat(fields[0], 64) // "max": none
	period, err2 := strconv.ParseFloat(fields[1], 64)
	return quota / period, err == nil && err2 == nil && period > 0
}

// memory is what the machine has or, where that is less, what the control group allows, in bytes.
func (m machine) memory() (size uint64, limited bool, err error) {
	for lines := bufio.NewScanner(strings.NewReader(m.text("proc/meminfo"))); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) == 3 && fields[0] == "MemTotal:" && fields[2] == "kB" {
			kib, err := strconv.ParseUint(fields[1], 10, 54)
			if err != nil {
				return 0, false, fmt.Errorf("/proc/meminfo: %w", err)
			}
			size = kib << 10
		}
	}
	if size == 0 {
		return 0, false, errors.New("/proc/meminfo does not tell how much memory there is")
	}
	for _, path := range []string{"sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		if limit, err := strconv.ParseUint(strings.TrimSpace(m.text(path)), 10, 64); err == nil && limit < size {
			size, limited = limit, true
		}
	}
	return size, limited, nil
}

// storage looks at the disk that the store is on.
func (m machine) storage(c config) []finding {
	const name = "disk"
	dir := "/" + inRoot(filepath.Dir(c.Storage.Path))
	total, free, err := m.disk(dir)
	if errors.Is(err, errors.ErrUnsupported) {
		return []finding{{name, levelWarn, "how much room there is for " + dir + " is known on Linux only", "see to it that 5 GB are free"}}
	}
	if err != nil {
		return []finding{{name, levelFail, err.Error(), "make the folder of storage.db-file-path"}}
	}
	found := fmt.Sprintf("%.1f GB, %.1f GB of them free, for %s", float64(total)/1e9, float64(free)/1e9, dir)
	switch {
	case free < needFree:
		return []finding{{name, levelFail, found, "make room: a node that cannot write its store takes part in nothing"}}
	case free < wantFree:
		return []finding{{name, levelWarn, found, "make room: below 5 GB backups and logs may soon not fit"}}
	case total < wantDisk:
		return []finding{{name, levelWarn, found, "give the node a disk of 64 GB"}}
	}
	return []finding{good(name, "%s", found)}
}

// earliest is before every clock that is right: this code is younger.
var earliest = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// clock tells whether the time is sane and kept. Requests, approvals and certificates expire by it.
func (m machine) clock(c config) []finding {
	const name, fix = "clock", "set the clock and keep it by NTP: systemctl enable --now systemd-timesyncd, or chrony"
	now := m.now.UTC().Format(time.RFC3339)
	if m.now.Before(earliest) {
		return []finding{{name, levelFail, "it says " + now + ", which is past", fix}}
	}
	if info, err := fs.Stat(m.root, inRoot(c.Storage.Path)); err == nil && info.ModTime().Sub(m.now) > time.Minute {
		return []finding{{name, levelFail, fmt.Sprintf("it says %s, and the store was written at %s", now, info.ModTime().UTC().Format(time.RFC3339)), fix}}
	}
	state, err := m.time()
	switch {
	case err != nil:
		return []finding{{name, levelWarn, fmt.Sprintf("it says %s; whether it is kept by NTP is unknown: %v", now, err), "see to it that the host keeps it by NTP"}}
	case !state.synchronised:
		return []finding{{name, levelWarn, "it says " + now + "; the kernel says that nothing keeps it", fix}}
	case state.maxError > 5*time.Second:
		return []finding{{name, levelWarn, fmt.Sprintf("it says %s and may be wrong by %v", now, state.maxError.Round(time.Millisecond)), fix}}
	}
	return []finding{good(name, "%s, kept by NTP, wrong by at most %v", now, state.maxError.Round(time.Millisecond))}
}

// ports tells whether the node can listen where it should. start finds out by itself.
func (m machine) ports(c config) []finding {
	running := m.ours(c.Storage.UnsealServerAddress)
	var out []finding
	for _, side := range []struct{ key, address string }{
		{"storage.unseal-server-address", c.Storage.UnsealServerAddress}, {"monitoring.address", c.Monitoring.Address},
	} {
		name := "port"
		switch err := m.listen(side.address); {
		case err == nil:
			out = append(out, good(name, "%s %s is free", side.key, side.address))
		case running:
			out = append(out, good(name, "%s %s is taken, and a node answers", side.key, side.address))
		default:
			out = append(out, finding{name, levelFail, fmt.Sprintf("%s %s cannot be listened at: %v", side.key, side.address, err),
				"stop the other process, or give this node another address: " + side.key})
		}
	}
	return out
}

// process looks at the limits of the process, which the node's would inherit.
func (m machine) process() []finding {
	out := []finding{good("core dumps", "off")}
	if m.core != 0 {
		out[0] = finding{"core dumps", levelWarn, "RLIMIT_CORE cannot be set to 0: a crash may write keys to the disk", "ulimit -c 0; systemd: LimitCORE=0"}
	}
	swaps := strings.TrimSpace(m.text("proc/swaps")) // the first line is the heading
	switch {
	case m.lock:
		out = append(out, good("memory lock", "the process may lock its memory"))
	case swaps == "":
		out = append(out, finding{"memory lock", levelWarn, "the process may not lock its memory, and whether the machine has swap is unknown: there is no /proc/swaps", lockFix})
	case !strings.Contains(swaps, "\n"):
		out = append(out, good("memory lock", "the process may not lock its memory, and the machine has no swap"))
	default:
		out = append(out, finding{"memory lock", levelWarn, "the process may not lock its memory, and the machine has swap: keys may get to the disk", lockFix})
	}
	if m.uid == 0 {
		out = append(out, finding{"user", levelWarn, "this is root", "run the node as a user of its own, to whom its folder belongs"})
	}
	return out
}

const lockFix = "turn swap off or encrypt it, or allow it: systemd LimitMEMLOCK=infinity, Docker --ulimit memlock=-1"

// inContainer tells whether this is a container, by what Docker and Podman leave in it, or by what the image says.
func (m machine) inContainer() bool {
	_, docker := fs.Stat(m.root, ".dockerenv")
	_, podman := fs.Stat(m.root, "run/.containerenv") // empty in a container without privileges
	return docker == nil || podman == nil || m.image == "1"
}

// believes refuses the word of --behind-docker where something would listen in the open outside of any container.
func (m machine) believes(exposed []string) error {
	if len(exposed) == 0 || m.inContainer() {
		return nil
	}
	return fmt.Errorf("--behind-docker counts inside a container only, and this is none (no /.dockerenv, no /run/.containerenv): "+
		"let the node listen at 127.0.0.1, or give it [admin-tls]; an image that leaves neither file sets %s=1", containerVariable)
}

// containerVariable is set to 1 by images whose containers have no file that tells what they are, as under containerd.
const containerVariable = "COUNTERSIGN_IN_CONTAINER"

// container looks, in a container, whether the store would be lost with it.
func (m machine) container(c config) []finding {
	if err := m.believes(c.exposed()); err != nil {
		return []finding{{"container", levelFail, err.Error(), "run it in its container, or without --behind-docker"}}
	}
	if !m.inContainer() {
		return nil
	}
	dir := "/" + inRoot(filepath.Dir(c.Storage.Path))
	for lines := bufio.NewScanner(strings.NewReader(m.text("proc/self/mountinfo"))); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 5 || fields[4] == "/" {
			continue
		}
		if dir == fields[4] || strings.HasPrefix(dir, fields[4]+"/") {
			return []finding{good("container", "the store is on the mount %s", fields[4])}
		}
	}
	return []finding{{"container", levelWarn, dir + " is inside the container: the shares are lost with it",
		"mount a folder or volume of the host there: docker run --mount type=bind,src=...,dst=" + dir}}
}

// text reads a small file; empty if it cannot be read.
func (m machine) text(path string) string {
	data, err := fs.ReadFile(m.root, path)
	if err != nil {
		return ""
	}
	return string(data)
}

// inRoot is a path of this machine as machine.root takes it.
func inRoot(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	if path = strings.TrimPrefix(filepath.ToSlash(path), "/"); path == "" {
		return "."
	}
	return path
}

// answers tells whether a node answers at an admin address.
func answers(state string) bool {
	return state == keystore.Uninitialised.String() || state == keystore.Sealed.String() || state == keystore.Unsealed.String()
}
