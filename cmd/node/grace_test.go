package main

import (
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// What deploy has gives a node the time that its longest grace period needs.
func TestTheGracePeriodFits(t *testing.T) {
	const settle = 3 * time.Second // of node.Drain
	need := maxGrace*time.Second + settle + closeTime
	for says, path := range map[string]string{
		`(?m)^TimeoutStopSec=(\d+)$`:                          "mpc-node.service",
		`(?s)\n  node[^\n]*:\n.*?stop_grace_period: (\d+)s\n`: "docker/compose.yaml",
		`docker stop --time (\d+) `:                           "node.sh",
		`container -d --name "\$NAME" --stop-timeout (\d+) `:  "node.sh", // for who stops it without node.sh, as the host's end does
	} {
		data, err := os.ReadFile("../../deploy/" + path)
		must(t, err)
		found := regexp.MustCompile(says).FindSubmatch(data)
		if found == nil {
			t.Errorf("%s does not say how long it waits", path)
			continue
		}
		seconds, err := strconv.Atoi(string(found[1]))
		must(t, err)
		if got := time.Duration(seconds) * time.Second; got < need {
			t.Errorf("%s kills after %v, and a node may take %v", path, got, need)
		}
	}
}
