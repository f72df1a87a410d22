package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// NodeConfig is the configuration file of a node.
func (c *Cluster) NodeConfig(name string) string { return c.path(c.nodeDir(name), "config.toml") }

// DataPath is the policy data of the callback.
func (c *Cluster) DataPath() string { return c.path("policy", "data.json") }

func (c *Cluster) writeConfigs() error {
	if err := c.write("coordinator.toml", fmt.Sprintf(`listen = %q
monitoring-listen = %q
db-path = "coordinator.db"

[[api-key]]
account = "demo"
key-path = "keys/api.key"
`, c.Ports.Coordinator, c.Ports.CoordinatorMonitoring)); err != nil {
		return err
	}
	if err := c.writeCallbackConfig(); err != nil {
		return err
	}
	for _, name := range NodeNames {
		if err := c.write(filepath.Join(c.nodeDir(name), "config.toml"), c.nodeConfig(name)); err != nil {
			return err
		}
	}
	return nil
}

// writeCallbackConfig writes callback.toml: who asks, each with a reply key of its own, and the keys whose chain codes are known.
func (c *Cluster) writeCallbackConfig() error {
	var b strings.Builder
	fmt.Fprintf(&b, `listen = %q
admin-listen = %q
admin-token-path = "keys/admin.token"
db-path = "callback.db"

[policy]
data-path = "policy/data.json"
`, c.Ports.Callback, c.Ports.CallbackAdmin)
	for _, name := range append([]string{"probe"}, Guarded...) {
		public := "keys/node_" + name + "_public.pem"
		if name == "probe" {
			public = "keys/probe_public.pem"
		}
		fmt.Fprintf(&b, "\n[[node]]\nname = %q\npublic-key-path = %q\nreply-key-path = \"keys/callback_reply_%s.pem\"\n", name, public, name)
		if name == Encryptor && c.Decrypts {
			b.WriteString("decrypt-key-path = \"keys/results.pem\"\n")
		}
	}
	for _, key := range c.Keys {
		fmt.Fprintf(&b, "\n[[key]]\npublic-key = %q\nchain-code = %q\n", key.PublicKey, key.ChainCode)
	}
	return c.write("callback.toml", b.String())
}

// nodeConfig: nodes a and b are guarded by the same callback server, so that no two parties of a 2-of-3 key sign unasked; all
// three take signed requests only.
func (c *Cluster) nodeConfig(name string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `[app]
name = "mpc-node-%s"
party-id = %q

[storage]
db-file-path = "asset.db"
unseal-server-address = %q
%s

[mpc-service]
protocol = "ws"
address = %q
path = "/proxy"

[parties]
party-ids-path = "parties.txt"

[authorization]
required = true
public-key-paths = ["../keys/requester_public.pem"]

[monitoring]
address = %q

[callback]
required = %t
retry-times = 600
sleep-seconds = 1
`, name, name, c.Ports.Admin[name], c.segments(name), c.Ports.Coordinator, c.Ports.Monitoring[name], slices.Contains(Guarded, name))
	if slices.Contains(Guarded, name) {
		fmt.Fprintf(&b, "\n[[callback.server]]\naddress = \"http://%s\"\npublic-key-path = \"../keys/callback_reply_%s_public.pem\"\noutcome = %t\n", c.Ports.Callback, name, c.Outcomes)
	}
	if name == Encryptor {
		fmt.Fprintf(&b, "\n[encrypt-signature]\nenable = %t\npublic-key-path = \"../keys/results_public.pem\"\n", c.Encrypts)
	}
	return b.String()
}

// segments is what the configuration of a node says of its segments.
func (c *Cluster) segments(name string) string {
	if !c.segmented[name] {
		return ""
	}
	return "t = 2\nn = 3\nsegments-path = \"segments.json\""
}

// writePartyFiles writes what needs the nodes' ids. Outsider d is on every node's allow-list and not in the policy;
// outsider e is on none.
func (c *Cluster) writePartyFiles() error {
	for _, name := range Guarded {
		if err := c.write(filepath.Join("keys", "node_"+name+"_public.pem"), c.Nodes[name].PublicKey); err != nil {
			return err
		}
	}
	lines := []string{string(c.Outsiders["d"].NodeID)}
	for _, name := range NodeNames {
		lines = append(lines, string(c.Nodes[name].NodeID))
	}
	for _, name := range NodeNames {
		if err := c.write(filepath.Join(c.nodeDir(name), "parties.txt"), strings.Join(lines, "\n")+"\n"); err != nil {
			return err
		}
	}
	return c.WriteData(nil)
}

// write writes a file below the cluster's folder.
func (c *Cluster) write(name, text string) error {
	path := c.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o600)
}
