package main

import (
	"bytes"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/countersign-mpc/countersign/internal/certtest"
	"github.com/countersign-mpc/countersign/internal/listeners"
	"github.com/countersign-mpc/countersign/internal/servertls"
	"github.com/countersign-mpc/countersign/wire"
)

// TestMain makes the test binary be the command itself, and `ask`, a node as far as the callback sees it.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"callback": main, "callback-dies": dying, "ask": ask})
}

// endAtOnce is in the environment of commands. Under the race detector each process else sleeps for a second before it ends, and
// the commands are hundreds and leave nothing running. Servers of the scripts sleep.
const endAtOnce = "GORACE=atexit_sleep_ms=0"

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"serve": serveCommand, "interrupt": interruptCommand, "hangup": hangupCommand, "data": dataCommand, "exits": exitsCommand,
			"idof": idOfCommand, "public": publicCommand, "nodesport": portCommand("callback"), "adminport": portCommand("admin"), "sub": subCommand, "damage": damageCommand, "wrongtoken": wrongTokenCommand, "database": databaseCommand,
		},
		Condition: condition,
		Setup: func(env *testscript.Env) error {
			env.Values[serverKey{}] = &server{}
			env.Vars = append(env.Vars, endAtOnce)
			if err := windowPolicy(filepath.Join(env.WorkDir, "window-policy")); err != nil {
				return err
			}
			return certificates(t, filepath.Join(env.WorkDir, "pki"))
		},
	})
}

// windowPolicy puts a policy into a folder that says yes where the window few has room. It is built and tested in no time, where
// the shipped one takes seconds under the race detector.
func windowPolicy(dir string) error {
	return os.CopyFS(dir, os.DirFS("testdata/window-policy"))
}

// certificates makes a root and a server's and some clients' certificates of it.
func certificates(t *testing.T, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	root := certtest.NewRoot(t, dir, "root")
	root.Server("server")
	for _, name := range []string{"node-a", "node-b", "olga", "vera"} {
		root.Client(name)
	}
	return nil
}

// ask is `ask ADDRESSES-FILE KEY REPLY-KEY BODY-FILE [PATH]`: it signs a body as a node does, sends it, and prints action and
// reason of a reply that counts.
func ask() {
	if err := askServer(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func askServer(args []string) error {
	d, err := askFor(args)
	if err != nil {
		return err
	}
	fmt.Println(d.Action, d.Reason)
	return nil
}

// askFor returns the decision of a reply that counts.
func askFor(args []string) (*wire.Decision, error) {
	where, err := listeners.Announced(args[0])
	if err != nil {
		return nil, err
	}
	key, err := wire.LoadPrivateKey(args[1])
	if err != nil {
		return nil, err
	}
	reply, err := wire.LoadPublicKey(args[2])
	if err != nil {
		return nil, err
	}
	body, err := os.ReadFile(args[3])
	if err != nil {
		return nil, err
	}
	body = bytes.TrimSpace(body)
	signature, err := wire.SignP256(key, body)
	if err != nil {
		return nil, err
	}
	path := "/v1/check"
	if len(args) > 4 {
		path = args[4]
	}
	client, scheme, err := askClient()
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequest(http.MethodPost, scheme+"://"+where["callback"]+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set(wire.HeaderSignature, hex.EncodeToString(signature))
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	var c wire.Check
	if err := json.Unmarshal(body, &c); err != nil {
		return nil, err
	}
	return wire.OpenReply(response.StatusCode, text, reply, c.Asked())
}

// askClient speaks TLS where $ASK_ROOT names the root to trust, and shows the client certificate $ASK_CLIENT if there is one.
func askClient() (*http.Client, string, error) {
	root, client := os.Getenv("ASK_ROOT"), os.Getenv("ASK_CLIENT")
	if root == "" {
		return http.DefaultClient, "http", nil
	}
	pool, err := servertls.ReadPool(root)
	if err != nil {
		return nil, "", err
	}
	t := &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13}
	if client != "" {
		pair, err := tls.LoadX509KeyPair(client+".crt", client+".key")
		if err != nil {
			return nil, "", err
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: t}}, "https", nil
}

// serverKey is under which a script's server is kept.
type serverKey struct{}

// server is the `callback serve` of a script.
type server struct {
	cmd   *exec.Cmd
	ended chan error
	said  *transcript
}

// transcript is what a process has written so far.
type transcript struct {
	mu      sync.Mutex // guards the fields below
	text    bytes.Buffer
	changed chan struct{} // closed at the next write
}

func (c *transcript) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changed != nil {
		close(c.changed)
		c.changed = nil
	}
	return c.text.Write(p)
}

// count says how often a text was written, and gives a channel that is closed when more was.
func (c *transcript) count(text string) (int, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changed == nil {
		c.changed = make(chan struct{})
	}
	return strings.Count(c.text.String(), text), c.changed
}

// await waits until the server has said a text more than n times.
func (s *server) await(text string, n int) error {
	timeout := time.NewTimer(time.Minute)
	defer timeout.Stop()
	for {
		got, changed := s.said.count(text)
		if got > n {
			return nil
		}
		select {
		case <-changed:
		case err := <-s.ended:
			return fmt.Errorf("the server ended (%v):\n%s", err, s.said.text.String())
		case <-timeout.C:
			return fmt.Errorf("the server did not say %q:\n%s", text, s.said.text.String())
		}
	}
}

// serveCommand is `serve CONFIG`: it starts the real binary in the background and waits until it serves.
func serveCommand(ts *testscript.TestScript, _ bool, args []string) {
	path, err := exec.LookPath("callback")
	ts.Check(err)
	s := ts.Value(serverKey{}).(*server)
	*s = server{cmd: exec.Command(path, "serve", "--config", ts.MkAbs(args[0])), ended: make(chan error, 1), said: &transcript{}}
	s.cmd.Stdout, s.cmd.Stderr = s.said, s.said
	ts.Check(s.cmd.Start())
	cmd, ended := s.cmd, s.ended
	go func() { ended <- cmd.Wait() }()
	ts.Defer(func() { _ = cmd.Process.Kill() })
	ts.Check(s.await("serving nodes on", 0))
}

// interruptCommand ends the server gracefully and wants it to end well.
func interruptCommand(ts *testscript.TestScript, _ bool, _ []string) {
	s := ts.Value(serverKey{}).(*server)
	ts.Check(s.cmd.Process.Signal(syscall.SIGTERM))
	ts.Check(<-s.ended)
}

// hangupCommand is `hangup TEXT`: it sends SIGHUP and waits until the server says TEXT once more.
func hangupCommand(ts *testscript.TestScript, _ bool, args []string) {
	s := ts.Value(serverKey{}).(*server)
	before, _ := s.said.count(args[0])
	ts.Check(s.cmd.Process.Signal(syscall.SIGHUP))
	ts.Check(s.await(args[0], before))
}

// dataCommand is `data TEMPLATE OUT NAME=KEY-JSON...`: it puts the public keys that keys generate printed into a template.
func dataCommand(ts *testscript.TestScript, _ bool, args []string) {
	text := ts.ReadFile(args[0])
	for _, arg := range args[2:] {
		name, file, _ := strings.Cut(arg, "=")
		var keys []keyFiles
		ts.Check(json.Unmarshal([]byte(ts.ReadFile(file)), &keys))
		text = strings.ReplaceAll(text, "@"+name+"@", keys[0].PublicKey)
		text = strings.ReplaceAll(text, "@"+name+".id@", keys[0].KeyID)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o600))
}

// exitsCommand is `exits CODE COMMAND...`: it wants an exit code.
func exitsCommand(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	code := "0"
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = fmt.Sprint(exit.ExitCode())
	} else if err != nil {
		ts.Check(err)
	}
	if code != args[0] {
		ts.Fatalf("%s ended with %s, want %s", strings.Join(args[1:], " "), code, args[0])
	}
}

// idOfCommand is `idof VARIABLE FILE`: the first id in a JSON list that a command printed.
func idOfCommand(ts *testscript.TestScript, _ bool, args []string) {
	var list map[string]any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[1])), &list))
	for _, v := range list {
		if items, ok := v.([]any); ok && len(items) > 0 {
			ts.Setenv(args[0], items[0].(map[string]any)["id"].(string))
			return
		}
	}
	ts.Fatalf("no id in %s", args[1])
}

// publicCommand is `public VARIABLE FILE`: the log's public key out of what log prove --json printed.
func publicCommand(ts *testscript.TestScript, _ bool, args []string) {
	var view struct {
		PublicKey string `json:"public_key"`
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[1])), &view))
	ts.Setenv(args[0], view.PublicKey)
}

// portCommand is `nodesport VARIABLE FILE` and `adminport VARIABLE FILE`: the address of a side out of an address-file.
func portCommand(side string) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, _ bool, args []string) {
		where, err := listeners.Announced(ts.MkAbs(args[1]))
		ts.Check(err)
		ts.Setenv(args[0], where[side])
	}
}

// subCommand is `sub FILE OLD NEW`: it replaces a text that has to be there.
func subCommand(ts *testscript.TestScript, _ bool, args []string) {
	text := ts.ReadFile(args[0])
	if !strings.Contains(text, args[1]) {
		ts.Fatalf("%s has no %q", args[0], args[1])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.ReplaceAll(text, args[1], args[2])), 0o600))
}

// damageCommand is `damage FILE TEXT`: it changes a byte of every place in a file that holds the text.
func damageCommand(ts *testscript.TestScript, _ bool, args []string) {
	data, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	if !bytes.Contains(data, []byte(args[1])) {
		ts.Fatalf("%s does not hold %q", args[0], args[1])
	}
	other := "X" + args[1][1:]
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), bytes.ReplaceAll(data, []byte(args[1]), []byte(other)), 0o600))
}

// wrongTokenCommand is `wrongtoken FILE`: a token of the right form.
func wrongTokenCommand(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Repeat("x", 40)+"\n"), 0o600))
}
