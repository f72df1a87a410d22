// Package cluster runs a whole Countersign on loopback from its real binaries: one coordinator, one callback server and
// three nodes, each with its own folder, configuration and log, as the demo and the end-to-end tests need it. It is no
// part of the product and holds no protocol logic.
package cluster

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/countersign-mpc/countersign/wire"
)

// NodeNames are the parties of the standard 3-of-3: a is the customer's, b and c are the platform's.
var NodeNames = []string{"a", "b", "c"}

// Guarded are the nodes that ask the callback server.
var Guarded = []string{"a", "b"}

// Encryptor is the node that has its results encrypted, once Encrypt has told it to.
const Encryptor = "a"

// Approvers are the members of the approver group "treasury".
var Approvers = []string{"alice", "bob", "carol"}

// password seals every node of a cluster; a cluster is for trying things out.
const password = "Demo-Passw0rd-only!"

// Cluster is one set-up in a folder. It is not safe for concurrent use.
type Cluster struct {
	Dir       string // holds everything
	Bin       string // holds the binaries
	Ports     Ports
	Requester crypto.Signer            // signs requests
	Nodes     map[string]*NodeIdentity // by name, once initialised
	Outsiders map[string]Outsider      // bound at the coordinator, no process of the cluster: "d" and "e"
	Keys      []Key                    // that the callback knows more about: see Learn
	Encrypts  bool                     // node Encryptor has encrypt-signature on
	Outcomes  bool                     // the guarded nodes tell the callback how requests end
	Decrypts  bool                     // the callback has the key for it
	processes map[string]*process      // running, by name
	segmented map[string]bool          // nodes that are sealed with segments
	moved     map[string]int           // how often a node has got a new machine
	approvers map[string]*ecdsa.PrivateKey
	apiKey    string
	token     string
}

// NodeIdentity is what init printed.
type NodeIdentity struct {
	NodeID    wire.NodeID `json:"node_id"`
	PublicKey string      `json:"public_key"`
}

// Outsider is the identity of a party that the cluster does not run.
type Outsider struct {
	NodeID wire.NodeID
	Key    *ecdsa.PrivateKey
}

// Ports are loopback addresses, host:port, chosen free at set-up and kept across restarts.
type Ports struct {
	Coordinator, CoordinatorMonitoring string
	Callback, CallbackAdmin            string
	Admin, Monitoring                  map[string]string // of nodes
}

// New makes keys and configurations in dir, which must not exist or be empty.
func New(dir, bin string) (*Cluster, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return nil, fmt.Errorf("%s is not empty: run make demo-stop, or remove it", dir)
	}
	c := &Cluster{Dir: dir, Bin: bin, Decrypts: true, Nodes: make(map[string]*NodeIdentity), Outsiders: make(map[string]Outsider),
		processes: make(map[string]*process), segmented: make(map[string]bool), moved: make(map[string]int), approvers: make(map[string]*ecdsa.PrivateKey)}
	if err := c.choosePorts(); err != nil {
		return nil, err
	}
	if err := c.makeKeys(); err != nil {
		return nil, fmt.Errorf("make keys: %w", err)
	}
	if err := c.writeConfigs(); err != nil {
		return nil, fmt.Errorf("write configurations: %w", err)
	}
	return c, nil
}

// choosePorts finds free ports. Another process could take one before ours does; ours then says so and ends.
func (c *Cluster) choosePorts() error {
	var listeners []net.Listener
	defer func() {
		for _, l := range listeners {
			_ = l.Close()
		}
	}()
	var failed error
	free := func() string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			failed = fmt.Errorf("find a free port: %w", err)
			return ""
		}
		listeners = append(listeners, l)
		return l.Addr().String()
	}
	c.Ports = Ports{Coordinator: free(), CoordinatorMonitoring: free(), Callback: free(), CallbackAdmin: free(),
		Admin: make(map[string]string), Monitoring: make(map[string]string)}
	for _, name := range NodeNames {
		c.Ports.Admin[name], c.Ports.Monitoring[name] = free(), free()
	}
	return failed
}

// path names a file in the cluster's folder.
func (c *Cluster) path(parts ...string) string {
	return filepath.Join(append([]string{c.Dir}, parts...)...)
}

// ApproverKeyPath is the private key file of one approver.
func (c *Cluster) ApproverKeyPath(name string) string { return c.path("keys", name+".pem") }

// TokenPath is the file with the callback's admin token.
func (c *Cluster) TokenPath() string { return c.path("keys", "admin.token") }

func (c *Cluster) makeKeys() error {
	if err := os.MkdirAll(c.path("keys"), 0o700); err != nil {
		return err
	}
	for _, name := range append([]string{"callback_reply_a", "callback_reply_b", "callback_reply_probe", "probe", "requester", "results"}, Approvers...) {
		key, err := c.makeKey(name)
		if err != nil {
			return err
		}
		if name == "requester" {
			c.Requester = key
		}
		c.approvers[name] = key
	}
	for _, name := range []string{"d", "e"} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return err
		}
		c.Outsiders[name] = Outsider{NodeID: wire.NodeIDOf(&key.PublicKey), Key: key}
	}
	for path, text := range map[string]*string{c.path("keys", "api.key"): &c.apiKey, c.TokenPath(): &c.token} {
		random := make([]byte, 24)
		if _, err := rand.Read(random); err != nil {
			return err
		}
		*text = hex.EncodeToString(random)
		if err := os.WriteFile(path, []byte(*text+"\n"), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// makeKey writes keys/name.pem and keys/name_public.pem.
func (c *Cluster) makeKey(name string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	private, err := wire.MarshalPrivateKey(key)
	if err != nil {
		return nil, err
	}
	public, err := wire.MarshalPublicKey(&key.PublicKey)
	if err != nil {
		return nil, err
	}
	return key, errors.Join(os.WriteFile(c.path("keys", name+".pem"), private, 0o600),
		os.WriteFile(c.path("keys", name+"_public.pem"), public, 0o644))
}

// Up starts everything: coordinator and nodes, then init, the files that need the nodes' ids, the callback, the bindings and
// unseal. It returns when all nodes are linked.
func (c *Cluster) Up(ctx context.Context) error {
	for _, name := range append([]string{"coordinator"}, NodeNames...) {
		if err := c.Start(ctx, name); err != nil {
			return err
		}
	}
	for _, name := range NodeNames {
		if err := c.Init(ctx, name); err != nil {
			return err
		}
	}
	if err := c.Introduce(ctx); err != nil {
		return err
	}
	for _, name := range NodeNames {
		if err := c.Unseal(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// Init sets a node's password and remembers its identity.
func (c *Cluster) Init(ctx context.Context, name string) error {
	out, err := c.Command(ctx, password+"\n", "mpc-node", "init", "--config", c.NodeConfig(name))
	if err != nil {
		return err
	}
	var reply struct {
		Data NodeIdentity `json:"data"`
	}
	if err := json.Unmarshal([]byte(out), &reply); err != nil {
		return fmt.Errorf("init %s printed %q: %w", name, out, err)
	}
	c.Nodes[name] = &reply.Data
	return nil
}

// Introduce tells everybody who the nodes are: their allow-lists, the callback's key of node a and its keygen list, and the
// coordinator's bindings. Then it starts the callback.
func (c *Cluster) Introduce(ctx context.Context) error {
	if err := c.writePartyFiles(); err != nil {
		return err
	}
	if err := c.Start(ctx, "callback"); err != nil {
		return err
	}
	for _, name := range NodeNames {
		if err := c.API().Bind(ctx, name, c.Nodes[name].NodeID); err != nil {
			return err
		}
	}
	for name, o := range c.Outsiders {
		if err := c.API().Bind(ctx, name, o.NodeID); err != nil {
			return err
		}
	}
	return nil
}

// Encrypt turns encrypt-signature of node Encryptor on or off, for keys that are made from then on, and restarts it.
func (c *Cluster) Encrypt(ctx context.Context, on bool) error {
	c.Encrypts = on
	return c.reconfigure(ctx, Encryptor)
}

// TellOutcomes has the guarded nodes tell the callback how requests end that it has approved, or not, and restarts them.
func (c *Cluster) TellOutcomes(ctx context.Context, on bool) error {
	c.Outcomes = on
	for _, name := range Guarded {
		if err := c.reconfigure(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// reconfigure writes a node's configuration anew and restarts the node with it.
func (c *Cluster) reconfigure(ctx context.Context, name string) error {
	if err := c.write(filepath.Join(c.nodeDir(name), "config.toml"), c.nodeConfig(name)); err != nil {
		return err
	}
	c.Stop(name)
	if err := c.Start(ctx, name); err != nil {
		return err
	}
	return c.Unseal(ctx, name)
}

// Unseal opens a node and waits until it is linked to the coordinator.
func (c *Cluster) Unseal(ctx context.Context, name string) error {
	err := error(nil)
	if c.segmented[name] {
		err = c.enter(ctx, name, "unseal", 3, 1)
	} else {
		_, err = c.Command(ctx, password+"\n", "mpc-node", "unseal", "--config", c.NodeConfig(name))
	}
	if err != nil {
		return err
	}
	return c.waitOK(ctx, name+" to be linked", "http://"+c.Ports.Monitoring[name]+"/readyz")
}

// Restart ends a process by SIGKILL and starts it again; a node is unsealed too.
func (c *Cluster) Restart(ctx context.Context, name string) error {
	c.Kill(name)
	if err := c.Start(ctx, name); err != nil {
		return err
	}
	if c.Nodes[name] == nil {
		return nil
	}
	return c.Unseal(ctx, name)
}

// Eventually tries until check is satisfied, every 20 ms; an error of a check that is not satisfied is told at the end of ctx.
func Eventually(ctx context.Context, what string, check func() (done bool, err error)) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	var last error
	for {
		done, err := check()
		if done {
			return err
		}
		last = err
		select {
		case <-ctx.Done():
			return fmt.Errorf("gave up waiting for %s: %w (last: %v)", what, ctx.Err(), last)
		case <-ticker.C:
		}
	}
}
