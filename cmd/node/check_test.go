package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/countersign-mpc/countersign/keystore/segment"
)

var checkTime = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// fit is a machine on which check finds nothing, with the node's folder at /srv/node.
func fit() (machine, config) {
	c := defaults()
	c.Storage.Path, c.Backup.Directory, c.Parties.PartyIDsPath = "/srv/node/asset.db", "/srv/node/backups", "/srv/node/parties.txt"
	c.Authorization.PublicKeyPaths = []string{"/srv/node/requester_public.pem"}
	c.Service.ClientKey = "/srv/node/node_client_key.pem"
	return machine{
		root: fstest.MapFS{
			"proc/meminfo":                  text("MemTotal:        4028440 kB\nMemFree: 1 kB\n"),
			"proc/cpuinfo":                  text("processor\t: 0\nflags\t\t: fpu sgx aes sgx_lc\n\nprocessor\t: 1\nflags\t\t: fpu\n"),
			"proc/swaps":                    text("Filename\tType\tSize\tUsed\tPriority\n"),
			"proc/sys/kernel/osrelease":     text("6.1.0-18-amd64\n"),
			"proc/self/mountinfo":           text("1 0 0:1 / / rw - overlay overlay rw\n2 1 8:1 /x /srv/node rw - ext4 /dev/sda1 rw\n"),
			"sys/fs/cgroup/memory.max":      text("max\n"),
			"sys/fs/cgroup/cpu.max":         text("max 100000\n"),
			"srv/node":                      {Mode: fs.ModeDir | 0o700},
			"srv/node/backups":              {Mode: fs.ModeDir | 0o700},
			"srv/node/config.toml":          {Mode: 0o644},
			"srv/node/parties.txt":          {Mode: 0o644},
			"srv/node/requester_public.pem": {Mode: 0o644},
			"srv/node/node_client_key.pem":  {Mode: 0o600},
			"srv/node/asset.db":             {Mode: 0o600, ModTime: checkTime.Add(-time.Hour)},
		},
		cores: 2, uid: 1000, now: checkTime,
		disk: func(string) (uint64, uint64, error) { return 64_000_000_000, 50_000_000_000, nil },
		time: func() (clockState, error) {
			return clockState{synchronised: true, maxError: 20 * time.Millisecond}, nil
		},
		listen: func(string) error { return nil },
		ours:   func(string) bool { return false },
	}, c
}

func text(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s), Mode: 0o444} }

// all is what check says, the parts that depend on the file of the configuration left out.
func all(m machine, c config) []finding {
	return append(append(m.hardware(), m.standing("/srv/node/config.toml", c)...), m.ports(c)...)
}

func TestCheckFindsNothingOnAFitMachine(t *testing.T) {
	m, c := fit()
	findings := all(m, c)
	for _, f := range findings {
		if f.Level != levelOK || f.Fix != "" || f.Found == "" {
			t.Errorf("%+v", f)
		}
	}
	if len(findings) != 9 {
		t.Errorf("%d findings: %+v", len(findings), findings)
	}
}

// TestCheckFindings spoils one thing of a fit machine at a time, and wants that and nothing else to be found.
func TestCheckFindings(t *testing.T) {
	put := func(m *machine, path string, f *fstest.MapFile) { m.root.(fstest.MapFS)[path] = f }
	mode := func(path string, mode fs.FileMode) func(*machine, *config) {
		return func(m *machine, _ *config) { put(m, path, &fstest.MapFile{Mode: mode}) }
	}
	file := func(path, content string) func(*machine, *config) {
		return func(m *machine, _ *config) { put(m, path, text(content)) }
	}
	free := func(total, free uint64, err error) func(*machine, *config) {
		return func(m *machine, _ *config) {
			m.disk = func(string) (uint64, uint64, error) { return total, free, err }
		}
	}
	clock := func(s clockState, err error) func(*machine, *config) {
		return func(m *machine, _ *config) { m.time = func() (clockState, error) { return s, err } }
	}
	manifest := filepath.Join(t.TempDir(), "segments.json") // read as a file of the test's machine, too
	m, _, err := segment.Generate(2, 3)
	must(t, err)
	must(t, os.WriteFile(manifest, m.Encode(), 0o600))
	taken := func(m *machine, _ *config) {
		m.listen = func(string) error { return errors.New("address already in use") }
	}
	for name, tc := range map[string]struct {
		spoil              func(*machine, *config)
		check, level, says string
	}{
		"one core":                        {func(m *machine, _ *config) { m.cores = 1 }, "cores", levelWarn, "the machine has 1 cores"},
		"half a core allowed":             {file("sys/fs/cgroup/cpu.max", "50000 100000\n"), "cores", levelWarn, "container) allows 0.5 cores"},
		"2 GB":                            {file("proc/meminfo", "MemTotal: 2000000 kB\n"), "memory", levelWarn, "the machine has 2.0 GB"},
		"512 MB":                          {file("proc/meminfo", "MemTotal: 500000 kB\n"), "memory", levelFail, "0.5 GB"},
		"1 GB allowed":                    {file("sys/fs/cgroup/memory.max", "1073741824\n"), "memory", levelWarn, "container) allows 1.1 GB"},
		"no meminfo":                      {file("proc/meminfo", ""), "memory", levelWarn, "does not tell"},
		"small disk":                      {free(20e9, 15e9, nil), "disk", levelWarn, "20.0 GB, 15.0 GB of them free, for /srv/node"},
		"nearly full disk":                {free(64e9, 1e9, nil), "disk", levelWarn, "1.0 GB of them free"},
		"full disk":                       {free(64e9, 1e6, nil), "disk", levelFail, "0.0 GB of them free"},
		"no folder":                       {free(0, 0, errors.New("statfs /srv/node: no such file")), "disk", levelFail, "no such file"},
		"disk of which nothing is known":  {free(0, 0, errors.ErrUnsupported), "disk", levelWarn, "is known on Linux only"},
		"clock of the past":               {func(m *machine, _ *config) { m.now = time.Unix(1e9, 0) }, "clock", levelFail, "it says 2001-09-09T01:46:40Z, which is past"},
		"clock before the store":          {func(m *machine, _ *config) { m.now = checkTime.Add(-2 * time.Hour) }, "clock", levelFail, "and the store was written at 2026-11-21T11:00:00Z"},
		"clock that nobody keeps":         {clock(clockState{}, nil), "clock", levelWarn, "nothing keeps it"},
		"clock that is far off":           {clock(clockState{true, 16 * time.Second}, nil), "clock", levelWarn, "may be wrong by 16s"},
		"clock of which nothing is known": {clock(clockState{}, errors.New("adjtimex: not implemented")), "clock", levelWarn, "unknown: adjtimex"},
		"configuration of everybody":      {mode("srv/node/config.toml", 0o666), "files", levelFail, "the configuration can be written by everybody: /srv/node/config.toml"},
		"configuration of a group":        {mode("srv/node/config.toml", 0o664), "files", levelWarn, "by a group"},
		"parties of everybody":            {mode("srv/node/parties.txt", 0o646), "files", levelFail, "/srv/node/parties.txt"},
		"requester's key of everybody":    {mode("srv/node/requester_public.pem", 0o602), "files", levelFail, "requester_public.pem"},
		"segments of everybody": {func(m *machine, c *config) {
			c.Storage.T, c.Storage.N, c.Storage.SegmentsPath = 2, 3, manifest
			put(m, strings.TrimPrefix(manifest, "/"), &fstest.MapFile{Mode: 0o646})
		}, "files", levelFail, "a file that says whom the node trusts can be written by everybody: " + manifest},
		"token's library of everybody": {func(m *machine, c *config) {
			c.Storage.AutoUnseal.Module = "/opt/token.so"
			put(m, "opt/token.so", &fstest.MapFile{Mode: 0o757})
		}, "files", levelFail, "the token's library can be written by everybody: /opt/token.so"},
		"client key of a group":   {mode("srv/node/node_client_key.pem", 0o640), "files", levelFail, "a private key or PIN is open to group or others: /srv/node/node_client_key.pem"},
		"store of a group":        {mode("srv/node/asset.db", 0o640), "files", levelFail, "the sealed store is open to group or others"},
		"folder of everybody":     {mode("srv/node", fs.ModeDir|0o707), "files", levelFail, "everybody can replace files in /srv/node"},
		"folder of a group":       {mode("srv/node", fs.ModeDir|0o770), "files", levelWarn, "a group can replace files in /srv/node"},
		"backups of a group":      {mode("srv/node/backups", fs.ModeDir|0o750), "files", levelWarn, "group or others can enter the folder of backups"},
		"a rekey that was killed": {mode("srv/node/asset.db.rekey", 0o600), "files", levelWarn, "a rekey was cut off and has left a copy of all shares: /srv/node/asset.db.rekey"},
		"backups in a file":       {mode("srv/node/backups", 0o600), "files", levelWarn, "no folder"},
		"no segments": {func(_ *machine, c *config) {
			c.Storage.T, c.Storage.N, c.Storage.SegmentsPath = 2, 3, "/nowhere/at/all"
		}, "files", levelWarn, "init and cmreset are refused"},
		"core dumps":                     {func(m *machine, _ *config) { m.core = 1 << 20 }, "core dumps", levelWarn, "RLIMIT_CORE"},
		"swap":                           {file("proc/swaps", "Filename Type\n/swap file 1 0 -2\n"), "memory lock", levelWarn, "has swap"},
		"swap of which nothing is known": {func(m *machine, _ *config) { delete(m.root.(fstest.MapFS), "proc/swaps") }, "memory lock", levelWarn, "whether the machine has swap is unknown"},
		"root":                           {func(m *machine, _ *config) { m.uid = 0 }, "user", levelWarn, "this is root"},
		"port of another":                {taken, "port", levelFail, "storage.unseal-server-address 127.0.0.1:10080 cannot be listened at: address already in use"},
	} {
		t.Run(name, func(t *testing.T) {
			m, c := fit()
			tc.spoil(&m, &c)
			var found []finding
			for _, f := range all(m, c) {
				if f.Level != levelOK {
					found = append(found, f)
				}
			}
			if name == "port of another" && len(found) == 2 {
				found = found[:1] // it is both ports
			}
			if len(found) != 1 || found[0].Name != tc.check || found[0].Level != tc.level || !strings.Contains(found[0].Found, tc.says) || found[0].Fix == "" {
				t.Errorf("found %+v, want one %s of %q that says %q", found, tc.level, tc.check, tc.says)
			}
		})
	}
}

func TestCheckTakesOurNodesPortsAndLockedMemory(t *testing.T) {
	m, c := fit()
	m.listen = func(string) error { return errors.New("address already in use") }
	m.ours = func(address string) bool { return address == c.Storage.UnsealServerAddress }
	m.lock = true
	m.root.(fstest.MapFS)["proc/swaps"] = text("Filename Type\n/swap file 1 0 -2\n")
	for _, f := range all(m, c) {
		if f.Level != levelOK {
			t.Errorf("%+v", f)
		}
	}
}

func TestCheckInAContainer(t *testing.T) {
	m, c := fit()
	m.root.(fstest.MapFS)[".dockerenv"] = text("")
	if got := m.container(c); len(got) != 1 || got[0] != good("container", "the store is on the mount /srv/node") {
		t.Errorf("with a mount: %+v", got)
	}
	m.root.(fstest.MapFS)["proc/self/mountinfo"] = text("1 0 0:1 / / rw - overlay overlay rw\n2 1 8:1 /x /srv/no rw - ext4 /dev/sda1 rw\n")
	if got := m.container(c); len(got) != 1 || got[0].Level != levelWarn || !strings.Contains(got[0].Found, "/srv/node is inside the container") {
		t.Errorf("without: %+v", got)
	}
}

// The word of --behind-docker counts in a container alone.
func TestBehindDockerOutsideOfAContainer(t *testing.T) {
	for name, tc := range map[string]struct {
		open, container bool
		change          func(*machine)
	}{
		"on a host":               {true, false, func(*machine) {}},
		"on a host, closed":       {false, true, func(*machine) {}},
		"in Docker":               {true, true, func(m *machine) { m.root.(fstest.MapFS)[".dockerenv"] = text("") }},
		"in Podman":               {true, true, func(m *machine) { m.root.(fstest.MapFS)["run/.containerenv"] = text("") }},
		"where the image says so": {true, true, func(m *machine) { m.image = "1" }},
		"where it says otherwise": {true, false, func(m *machine) { m.image = "0" }},
	} {
		m, c := fit()
		if tc.open {
			c.Storage.UnsealServerAddress = "0.0.0.0:10080"
		}
		tc.change(&m)
		if err := m.believes(c.exposed()); (err == nil) != tc.container {
			t.Errorf("%s: start says %v", name, err)
		}
		for _, f := range m.container(c) {
			if (f.Level != levelFail) != tc.container {
				t.Errorf("%s: check says %+v", name, f)
			}
		}
	}
	m, c := fit()
	c.Monitoring.Address = "0.0.0.0:9102"
	if got := m.container(c); len(got) != 1 || got[0].Level != levelFail {
		t.Errorf("open metrics on a host: %+v", got)
	}
}

func TestCheckOfEnclaves(t *testing.T) {
	for name, tc := range map[string]struct {
		files map[string]string // "" removes one
		fails []string          // beginnings of what fails
	}{
		"in an enclave": {map[string]string{"dev/attestation/attestation_type": "dcap\n", "dev/attestation/keys/_sgx_mrsigner": "0123456789abcdef"}, nil},
		"in an enclave without a key": {map[string]string{"dev/attestation/attestation_type": "none"},
			[]string{"this is an enclave, and it has no sealing key"}},
		"on a host that has all":      {map[string]string{"dev/sgx_enclave": "x"}, []string{"this process is not in an enclave"}},
		"on a host with the old name": {map[string]string{"dev/sgx/enclave": "x"}, []string{"this process is not in an enclave"}},
		"without a driver":            {nil, []string{"this process is not", "there is no /dev/sgx_enclave"}},
		"without SGX":                 {map[string]string{"dev/sgx_enclave": "x", "proc/cpuinfo": "flags: fpu\n"}, []string{"this process is not", "the processor, or the firmware's settings, offer no SGX"}},
		"without launch control":      {map[string]string{"dev/sgx_enclave": "x", "proc/cpuinfo": "flags: sgx\n"}, []string{"this process is not", "the processor has SGX without flexible launch control"}},
		"on an old kernel":            {map[string]string{"dev/sgx_enclave": "x", "proc/sys/kernel/osrelease": "5.4.0-150-generic\n"}, []string{"this process is not", "the kernel is 5.4.0-150-generic"}},
	} {
		t.Run(name, func(t *testing.T) {
			m, c := fit()
			c.Storage.Engine = engineSGX
			for path, content := range tc.files {
				m.root.(fstest.MapFS)[path] = text(content)
			}
			var fails []string
			for _, f := range m.standing("/srv/node/config.toml", c) {
				if f.Level == levelFail {
					fails = append(fails, f.Found)
				}
			}
			wrong := len(tc.fails) // with the machine: check is run outside of the enclave
			if wrong > 0 && strings.HasPrefix(tc.fails[0], "this process is not") {
				wrong--
			}
			if got := count(ofHost(m.standing("/srv/node/config.toml", c)), levelFail); got != wrong {
				t.Errorf("check fails %d things, want %d", got, wrong)
			}
			if len(fails) != len(tc.fails) {
				t.Fatalf("fails %q, want %q", fails, tc.fails)
			}
			for i := range fails {
				if !strings.HasPrefix(fails[i], tc.fails[i]) {
					t.Errorf("fails %q, want %q", fails[i], tc.fails[i])
				}
			}
		})
	}
}

func TestKernelVersions(t *testing.T) {
	for release, want := range map[string]bool{"5.11.0": true, "5.11-rc1": true, "6.1.0-18-amd64": true, "5.10.200": false, "4.19": false, "10.0": true} {
		if got, err := atLeast(release, 5, 11); err != nil || got != want {
			t.Errorf("%s: %t, %v", release, got, err)
		}
	}
	for _, release := range []string{"", "linux", "5", "5.x"} {
		if _, err := atLeast(release, 5, 11); err == nil {
			t.Errorf("%q is taken for a version", release)
		}
	}
}

// TestStartRefusesWhatFails makes sure that what check fails keeps a node from starting, and what it warns of is logged.
func TestStartRefusesWhatFails(t *testing.T) {
	m, c := fit()
	m.cores, m.uid = 1, 0 // of no concern to start, and a warning
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	if err := mayStart(m.standing("/srv/node/config.toml", c), logger); err != nil {
		t.Errorf("a fit node is refused: %v", err)
	}
	if got := log.String(); !strings.Contains(got, `level=WARN msg="check: user" found="this is root"`) || strings.Contains(got, "cores") {
		t.Errorf("the log says %s", got)
	}
	m.root.(fstest.MapFS)["srv/node/parties.txt"] = &fstest.MapFile{Mode: 0o666}
	m.root.(fstest.MapFS)["srv/node/node_client_key.pem"] = &fstest.MapFile{Mode: 0o644}
	err := mayStart(m.standing("/srv/node/config.toml", c), logger)
	if err == nil || !strings.Contains(err.Error(), "chmod go-w /srv/node/parties.txt") || !strings.Contains(err.Error(), "chmod 600 /srv/node/node_client_key.pem") {
		t.Errorf("got %v", err)
	}
}

// TestThisMachine runs check where the test runs: it must get through, whatever it finds.
func TestThisMachine(t *testing.T) {
	var out bytes.Buffer
	o := &options{streams: streams{out: &out, err: io.Discard}, config: filepath.Join("..", "..", "config.toml")}
	if err := o.printFindings(o.examine(o.thisMachine()), true); err != nil {
		t.Fatal(err)
	}
	var findings []finding
	if err := json.Unmarshal(out.Bytes(), &findings); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, f := range findings {
		seen[f.Name] = true
		if f.Found == "" || (f.Level != levelOK) != (f.Fix != "") {
			t.Errorf("%+v", f)
		}
	}
	for _, name := range []string{"configuration", "cores", "memory", "disk", "clock", "core dumps", "memory lock", "port"} {
		if !seen[name] {
			t.Errorf("nothing is said of %s: %s", name, out.String())
		}
	}
}
