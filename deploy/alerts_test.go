// Package deploy_test checks what operators get beside the programs.
package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// sources is the code of some packages, without tests.
func sources(t *testing.T, dirs ...string) string {
	t.Helper()
	var out strings.Builder
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join("..", dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no files, %v", dir, err)
		}
		for _, f := range files {
			if !strings.HasSuffix(f, "_test.go") {
				out.WriteString(read(t, f))
			}
		}
	}
	return out.String()
}

// TestAlertsNameMetricsThatExist finds each metric of alerts.yml in the code, under the name that the code gives it: in whole, or
// as what follows the prefix.
func TestAlertsNameMetricsThatExist(t *testing.T) {
	code := sources(t, "node", "callback")
	names := regexp.MustCompile(`countersign_(?:node|callback)_[a-z_]+`).FindAllString(read(t, "alerts.yml"), -1)
	if len(names) < 10 {
		t.Fatalf("alerts.yml names %d metrics", len(names))
	}
	for _, name := range names {
		name = strings.TrimSuffix(name, "_count")
		short := strings.TrimPrefix(strings.TrimPrefix(name, "countersign_node_"), "countersign_callback_")
		if bucket, ok := strings.CutPrefix(short, "unacknowledged_"); ok { // made of the name of a bucket
			short = strings.TrimSuffix(bucket, "s")
		}
		if !strings.Contains(code, `"`+name+`"`) && !strings.Contains(code, `"`+short+`"`) {
			t.Errorf("no metric is called %s", name)
		}
	}
}

// TestAlertsAreInTheManual wants each alert in the table of docs/OPERATIONS.md, with its own expression.
func TestAlertsAreInTheManual(t *testing.T) {
	page, rules := read(t, "../docs/OPERATIONS.md"), read(t, "alerts.yml")
	alerts := regexp.MustCompile(`(?m)- alert: (\w+)\n +expr: (.*)$`).FindAllStringSubmatch(rules, -1)
	if len(alerts) < 10 {
		t.Fatalf("%d alerts", len(alerts))
	}
	for _, a := range alerts {
		if want := "| " + a[1] + " | `" + a[2] + "` |"; !strings.Contains(page, want) && (a[2] != "|" || !strings.Contains(page, "| "+a[1]+" |")) {
			t.Errorf("the manual has no %s", want)
		}
	}
}

// program finds a program. "make test" needs only Go, make and git; where CI runs, everything is there.
func program(t *testing.T, name, debian string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	switch {
	case err != nil && os.Getenv("CI") != "":
		t.Fatalf("%s is not installed, and .ci/run should have: %v", name, err)
	case err != nil:
		t.Skipf("%s is not installed: apt-get install %s", name, debian)
	}
	return path
}

func TestPromtoolTakesTheAlerts(t *testing.T) {
	tool := program(t, "promtool", "prometheus")
	if out, err := exec.Command(tool, "check", "rules", "alerts.yml").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestShellcheckTakesTheScripts(t *testing.T) {
	tool := program(t, "shellcheck", "shellcheck")
	if out, err := exec.Command(tool, "node.sh", "fuzz.sh", "vulncheck.sh", "../.ci/run", "../.ci/postgres").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestManifestIsTOML fills the Gramine manifest in as gramine-manifest does, and reads it.
func TestManifestIsTOML(t *testing.T) {
	text := strings.NewReplacer("{{ gramine.libos }}", "/l", "{{ command }}", `"start"`, "{{ program }}", "/p", "{{ folder }}", "/f", "{{ name }}", "segments.json",
		`{{ edmm | default("false") }}`, "false").Replace(read(t, "sgx/mpc-node.manifest.template"))
	var m struct {
		FS struct {
			Mounts []struct{ Type, Path string }
		}
		SGX struct {
			TrustedFiles []string `toml:"trusted_files"`
			AllowedFiles []string `toml:"allowed_files"`
			Debug        bool
		}
	}
	if _, err := toml.Decode(text, &m); err != nil || strings.Contains(text, "{{") {
		t.Fatalf("%v\n%s", err, text)
	}
	tmpfs := map[string]bool{}
	for _, mount := range m.FS.Mounts {
		tmpfs[mount.Path] = mount.Type == "tmpfs"
	}
	if !tmpfs["/run/mpc-node"] || !tmpfs["/tmp"] { // the default of storage.work-dir, and where backups are verified
		t.Errorf("mounts %+v", m.FS.Mounts)
	}
	for _, file := range m.SGX.TrustedFiles {
		for _, open := range m.SGX.AllowedFiles {
			if strings.HasPrefix(file, open) {
				t.Errorf("%s is trusted and lies in %s, where the host may write", file, open)
			}
		}
	}
	if m.SGX.Debug || len(m.SGX.TrustedFiles) < 5 || len(m.SGX.AllowedFiles) != 3 {
		t.Errorf("%+v", m.SGX)
	}
}
