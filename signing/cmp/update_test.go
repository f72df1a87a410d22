//go:build !race

package cmp_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/cmp"
	"github.com/countersign-mpc/countersign/signing/signingtest"
)

var update = flag.Bool("update", false, "make new test shares (testdata/shares) and frames (internal/frame/testdata) by real runs")

// TestUpdate makes what other tests take from testdata: go test ./signing/cmp -run TestUpdate -update
func TestUpdate(t *testing.T) {
	if !*update {
		t.Skip("makes new testdata; only with -update")
	}
	shares, _ := keygen(t, 3, 2)
	signingtest.WriteShares(t, "2of3", shares)
	shares, network := keygen(t, 3, 3)
	signingtest.WriteShares(t, "3of3", shares)
	writeFrames(t, "keygen", network.Sent)
	for _, recipient := range []signing.PartyID{2, 0} { // both forms of the last message
		network = startSign(t, shares, "m/44/60/0/0/0", func(c *cmp.SignConfig) { c.Recipient = recipient })
		mustDone(t, network.Run())
		writeFrames(t, "sign", network.Sent)
	}
}

// writeFrames keeps one frame of party 1 for each place of the protocol.
func writeFrames(t *testing.T, protocol string, sent []signing.Message) {
	t.Helper()
	for _, m := range sent {
		if m.From != 1 || (m.To != 0 && m.To != 2) {
			continue
		}
		kind := "p2p"
		if m.Broadcast {
			kind = "broadcast"
		}
		name := filepath.Join("internal", "frame", "testdata", "frames", fmt.Sprintf("%s-%d-%s.bin", protocol, m.Round, kind))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, m.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
