package cluster

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/wire"
)

// The demo's limits, in whole USDT: what a transfer may be without asking anybody, with two approvers, and at most.
const (
	FreeLimit = "5000"
	HardLimit = "10000"
)

// Addresses of the demo.
const (
	USDT      = "0xdAC17F958D2ee523a2206206994597C13D831ec7"
	Recipient = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
	Denied    = "0x00000000000000000000000000000000DeaDBeef"
)

// NodeConfig is the configuration file of a node.
func (c *Cluster) NodeConfig(name string) string { return c.path("node-"+name, "config.toml") }

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
	if err := c.write("callback.toml", fmt.Sprintf(`listen = %q
admin-listen = %q
admin-token-path = "keys/admin.token"
db-path = "callback.db"

[policy]
data-path = "policy/data.json"

[[node]]
name = "a"
public-key-path = "keys/node_a_public.pem"
reply-key-path = "keys/callback_reply_a.pem"

[[node]]
name = "b"
public-key-path = "keys/node_b_public.pem"
reply-key-path = "keys/callback_reply_b.pem"

[[node]]
name = "probe"
public-key-path = "keys/probe_public.pem"
reply-key-path = "keys/callback_reply_probe.pem"
`, c.Ports.Callback, c.Ports.CallbackAdmin)); err != nil {
		return err
	}
	for _, name := range NodeNames {
		if err := c.write(filepath.Join("node-"+name, "config.toml"), c.nodeConfig(name)); err != nil {
			return err
		}
	}
	return nil
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
`, name, name, c.Ports.Admin[name], c.Ports.Coordinator, c.Ports.Monitoring[name], slices.Contains(Guarded, name))
	if slices.Contains(Guarded, name) {
		fmt.Fprintf(&b, "\n[[callback.server]]\naddress = \"http://%s\"\npublic-key-path = \"../keys/callback_reply_%s_public.pem\"\n", c.Ports.Callback, name)
	}
	return b.String()
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
		if err := c.write(filepath.Join("node-"+name, "parties.txt"), strings.Join(lines, "\n")+"\n"); err != nil {
			return err
		}
	}
	return c.WriteData(nil)
}

// WriteData writes the policy's data.json; change, if not nil, may alter it first.
func (c *Cluster) WriteData(change func(data map[string]any)) error {
	parties, approvers := make(map[string]any), make(map[string]any)
	for _, name := range NodeNames {
		parties[string(c.Nodes[name].NodeID)] = "node " + name
	}
	for _, name := range Approvers {
		der, err := x509.MarshalPKIXPublicKey(&c.approvers[name].PublicKey)
		if err != nil {
			return err
		}
		approvers[name] = map[string]any{"public_key": base64.StdEncoding.EncodeToString(der)}
	}
	requester, err := manifest.NewRequesterKey(c.Requester.Public())
	if err != nil {
		return err
	}
	limit := func(free, hard string) []any {
		return []any{map[string]any{"max": hard, "approvals": []any{map[string]any{"above": free, "group": "treasury", "threshold": 2,
			"expiry_seconds": 3600, "wait_seconds": 1, "not_requester": true}}}}
	}
	data := map[string]any{
		"format":        "countersign/policy-data/v1",
		"request_types": []string{wire.TypeKeygen, wire.TypeSign},
		"chains": map[string]any{"ETH": map[string]any{"family": "evm", "chain_id": 1, "amount_unit": "base", "assets": map[string]any{
			"ETH":      map[string]any{"kind": "native", "decimals": 18},
			"USDT_ETH": map[string]any{"kind": "erc20", "contract": USDT, "decimals": 6},
		}}},
		"keygen":    map[string]any{"parties": parties, "schemes": []any{map[string]any{"cryptography": wire.ECDSASecp256k1, "t": 3, "n": 3}}},
		"limits":    map[string]any{"ETH": map[string]any{"ETH": limit("1", "5"), "USDT_ETH": limit(FreeLimit, HardLimit)}},
		"addresses": map[string]any{"ETH": map[string]any{"allow": map[string]any{Recipient: "supplier"}, "deny": map[string]any{Denied: "known thief"}}},
		"approvers": approvers,
		"groups":    map[string]any{"treasury": map[string]any{"members": Approvers}},
		"messages":  map[string]any{},
		"raw":       map[string]any{},
		"custom":    map[string]any{"requester": requester.ID()},
	}
	if change != nil {
		change(data)
	}
	encoded, err := json.MarshalIndent(data, "", "  ")
	if err != nil {
		return err
	}
	return c.write(filepath.Join("policy", "data.json"), string(encoded)+"\n")
}

// write writes a file below the cluster's folder.
func (c *Cluster) write(name, text string) error {
	path := c.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o600)
}
