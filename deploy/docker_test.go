package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// dockerfile is what the Dockerfile says: instructions in order, and the names of its stages.
func dockerfile(t *testing.T) (lines [][]string, stages []string) {
	t.Helper()
	for line := range strings.Lines(strings.ReplaceAll(read(t, "docker/Dockerfile"), "\\\n", " ")) {
		if fields := strings.Fields(line); len(fields) > 0 && !strings.HasPrefix(fields[0], "#") {
			lines = append(lines, fields)
			if fields[0] == "FROM" && len(fields) == 4 && fields[2] == "AS" {
				stages = append(stages, fields[3])
			}
		}
	}
	if len(lines) < 15 {
		t.Fatalf("the Dockerfile has %d instructions", len(lines))
	}
	return lines, stages
}

// TestDockerfileNamesWhatThereIs: no Docker engine is needed to see that a stage, a file or a version is not there.
func TestDockerfileNamesWhatThereIs(t *testing.T) {
	lines, stages := dockerfile(t)
	bases := append([]string{"scratch"}, stages...)
	for _, line := range lines {
		switch line[0] {
		case "FROM":
			version, ok := strings.CutPrefix(line[1], "golang:")
			version, _, _ = strings.Cut(version, "-")
			if ok && !regexp.MustCompile(`(?m)^go `+regexp.QuoteMeta(version)+`(\.\d+)?$`).MatchString(read(t, "../go.mod")) {
				t.Errorf("it builds with Go %s, and go.mod wants another", version)
			}
			if !ok && !slices.Contains(bases, line[1]) {
				t.Errorf("there is no stage %s", line[1])
			}
		case "COPY":
			if from, ok := strings.CutPrefix(line[1], "--from="); ok {
				if !slices.Contains(stages, from) {
					t.Errorf("there is no stage %s", from)
				}
				continue
			}
			for _, source := range line[1 : len(line)-1] {
				if _, err := os.Stat(filepath.Join("..", source)); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

// TestComposeNamesWhatThereIs reads the compose file as YAML.
func TestComposeNamesWhatThereIs(t *testing.T) {
	_, stages := dockerfile(t)
	var compose struct {
		Services map[string]struct {
			Image       string
			Build       struct{ Context, Dockerfile, Target string }
			ReadOnly    bool     `yaml:"read_only"`
			CapDrop     []string `yaml:"cap_drop"`
			NetworkMode string   `yaml:"network_mode"`
			User        string
			Volumes     []string
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, "docker/compose.yaml")), &compose); err != nil {
		t.Fatal(err)
	}
	if len(compose.Services) != 2 {
		t.Fatalf("%+v", compose)
	}
	for name, s := range compose.Services {
		if !slices.Contains(stages, s.Build.Target) || s.Image != "countersign-"+name || !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) ||
			s.NetworkMode != "host" || !strings.Contains(s.User, "OWNER") || len(s.Volumes) != 1 {
			t.Errorf("%s: %+v", name, s)
		}
		if _, err := os.Stat(filepath.Join("docker", s.Build.Context, s.Build.Dockerfile)); err != nil {
			t.Error(err)
		}
	}
}

// TestImagesBuild runs the build of the Dockerfile in a copy of what is, or would be, in the repository, and finds what the images take from it.
func TestImagesBuild(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds both programs anew")
	}
	clean := t.TempDir()
	list, err := exec.Command("git", "-C", "..", "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		t.Skipf("this is no checkout: %v", err)
	}
	for name := range strings.SplitSeq(strings.TrimRight(string(list), "\x00"), "\x00") {
		data, err := os.ReadFile(filepath.Join("..", name))
		if os.IsNotExist(err) {
			continue // removed, and not committed yet
		}
		to := filepath.Join(clean, name)
		for _, err := range []error{err, os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, data, 0o644)} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	out := filepath.Join(t.TempDir(), "out")
	lines, _ := dockerfile(t)
	built := false
	for _, line := range lines {
		if line[0] == "RUN" && slices.Contains(line, "build") {
			built = true
			cmd := exec.Command("sh", "-c", strings.ReplaceAll(strings.Join(line[1:], " "), "/out/", out+"/"))
			cmd.Dir, cmd.Env = clean, append(os.Environ(), "VERSION=test")
			if text, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v: %v\n%s", line, err, text)
			}
		}
		if source := line[min(2, len(line)-1)]; line[0] == "COPY" && strings.HasPrefix(source, "/out/") {
			program := filepath.Join(out, strings.TrimPrefix(source, "/out/"))
			if text, err := exec.Command(program, "--help").CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", source, err, text)
			}
		}
	}
	if !built {
		t.Error("the Dockerfile builds nothing")
	}
}
