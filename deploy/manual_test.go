package deploy_test

import (
	"regexp"
	"strings"
	"testing"
)

var shellBlock = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")

// TestManualsCommandsHoldUp looks at what a run on a fresh machine does not show: commands that break with the second backup, that
// carry private keys off the machine beside a backup, or that keep a pipe open for ever.
func TestManualsCommandsHoldUp(t *testing.T) {
	lines := 0
	for _, block := range shellBlock.FindAllStringSubmatch(read(t, "../docs/OPERATIONS.md"), -1) {
		for line := range strings.Lines(block[1]) {
			line = strings.TrimSpace(line)
			lines++
			if strings.Contains(line, "asset-*") && !regexp.MustCompile(`^newest=\$\(ls \S+ \| tail -n 1\)$`).MatchString(line) {
				t.Errorf("a name for all backups, where there may be many: %s", line)
			}
			if strings.Contains(line, "/*.pem") {
				t.Errorf("private keys are among these: %s", line)
			}
			if strings.HasSuffix(line, "&") && !regexp.MustCompile(` >\S+ 2>&1 </dev/null &$`).MatchString(line) {
				t.Errorf("it keeps what the shell has open: %s", line)
			}
		}
	}
	if lines < 50 {
		t.Errorf("%d lines of commands were found", lines)
	}
}

// TestFormatsListsEveryCall finds each call that is served in docs/FORMATS.md.
func TestFormatsListsEveryCall(t *testing.T) {
	page := read(t, "../docs/FORMATS.md")
	for dir, least := range map[string]int{"node": 10, "callback": 20, "mpcapi": 10} {
		calls := regexp.MustCompile(`\br\.(?:Get|Post|Put|Delete)\("(/[^"]+[^/"])"`).FindAllStringSubmatch(sources(t, dir), -1)
		if len(calls) < least {
			t.Errorf("%s: %d calls were found", dir, len(calls))
		}
		for _, call := range calls {
			if path := regexp.QuoteMeta(call[1]); !regexp.MustCompile(path + "[`? ,]").MatchString(page) {
				t.Errorf("%s serves %s, which is not described", dir, call[1])
			}
		}
	}
}
