package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/countersign-mpc/countersign/e2e/cluster"
)

// lose destroys a node, and tells the script where its new configuration is.
func (w *world) lose(ts *testscript.TestScript, neg bool, a []string) {
	if neg || len(a) != 1 {
		ts.Fatalf("lose NODE")
	}
	if err := w.c.Lose(a[0]); err != nil {
		ts.Fatalf("%v", err)
	}
	ts.Setenv("NODE_"+strings.ToUpper(a[0]), w.c.NodeConfig(a[0]))
}

// shareState waits until a node's share of a key is in a state.
func (w *world) shareState(ctx context.Context, a []string) error {
	keyID, want := w.keys[a[1]].KeyID, a[2]
	return cluster.Eventually(ctx, fmt.Sprintf("the share of %s to be %s", a[1], want), func() (bool, error) {
		out, err := w.c.Command(ctx, "", "mpc-node", "keys", "--json", "--config", w.c.NodeConfig(a[0]))
		if err != nil {
			return false, err
		}
		var keys []struct {
			KeyID string `json:"key_id"`
			State string `json:"state"`
			Note  string `json:"note"`
		}
		if err := json.Unmarshal([]byte(out), &keys); err != nil {
			return false, err
		}
		for _, k := range keys {
			if k.KeyID == keyID && k.State == want {
				return true, nil
			}
			if k.KeyID == keyID {
				return false, fmt.Errorf("it is %s: %s", k.State, k.Note)
			}
		}
		return false, fmt.Errorf("there is no share of key %s", keyID)
	})
}
