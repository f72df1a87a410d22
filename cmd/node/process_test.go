package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"google.golang.org/protobuf/proto"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/internal/certtest"
	"github.com/countersign-mpc/countersign/wire"
)

const password = "Correct-Horse-7-Battery"

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// real is a node as a process of its own.
type real struct {
	t      testing.TB
	dir    string
	cmd    *exec.Cmd
	said   *transcript
	ended  chan struct{} // closed once it has, and all that it has said is in said
	admin  string
	health string
}

// launch starts a node with a configuration, which gets addresses of its own, and waits until it serves.
func launch(t testing.TB, config string) *real {
	t.Helper()
	p := &real{t: t, dir: t.TempDir(), ended: make(chan struct{})}
	config = "address-file = \"addresses.json\"\n" + config + "\n[monitoring]\naddress = \"127.0.0.1:0\"\n"
	must(t, os.WriteFile(filepath.Join(p.dir, "config.toml"), []byte(config), 0o600))
	p.cmd = exec.Command("mpc-node", "start")
	p.cmd.Dir = p.dir
	said, err := newTranscript(filepath.Join(p.dir, "out.log"))
	must(t, err)
	p.said, p.cmd.Stderr = said, said
	out, err := p.cmd.StdoutPipe()
	must(t, err)
	must(t, p.cmd.Start())
	lines := bufio.NewScanner(out)
	serves := lines.Scan()
	go func() {
		defer close(p.ended)
		for lines.Scan() {
		}
		_ = p.cmd.Wait()
		_ = said.file.Close()
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
		if t.Failed() {
			t.Logf("the log of the node:\n%s", said)
		}
	})
	if !serves {
		t.Fatal("the node did not start")
	}
	var at struct{ Admin, Monitoring string }
	data, err := os.ReadFile(filepath.Join(p.dir, "addresses.json"))
	must(t, err)
	must(t, json.Unmarshal(data, &at))
	p.admin, p.health = at.Admin, at.Monitoring
	return p
}

func (p *real) signal(s os.Signal) {
	p.t.Helper()
	must(p.t, p.cmd.Process.Signal(s))
}

// mustEnd wants the process to have ended with code 0.
func (p *real) mustEnd() {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.t.Fatal("the node did not end")
	}
	if state := p.cmd.ProcessState; !state.Success() {
		p.t.Fatalf("the node ended with %v", state)
	}
}

// run runs a command in the node's folder and gives its exit code and what it wrote.
func (p *real) run(stdin string, args ...string) (int, string) {
	p.t.Helper()
	cmd := exec.Command("mpc-node", args...)
	cmd.Dir, cmd.Stdin = p.dir, strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		p.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

func (p *real) mustRun(stdin string, args ...string) string {
	p.t.Helper()
	code, out := p.run(stdin, args...)
	if code != 0 {
		p.t.Fatalf("mpc-node %v: exit code %d: %s", args, code, out)
	}
	return out
}

// ready is what /readyz says.
func (p *real) ready() (int, string) {
	p.t.Helper()
	r, err := http.Get("http://" + p.health + "/readyz")
	if err != nil {
		return 0, err.Error()
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	must(p.t, err)
	return r.StatusCode, string(body)
}

// eventually waits for what only asking tells.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for late := time.After(patience); !ok(); {
		select {
		case <-ticker.C:
		case <-late:
			t.Fatalf("this did not happen: %s", what)
		}
	}
}

// booth is a coordinator that offers one keygen of which the other party never says anything.
type booth struct {
	t    testing.TB
	url  string
	got  chan *linkv1.Frame // what the node sent, acknowledgements apart
	mu   sync.Mutex         // guards conn and next
	conn *websocket.Conn
	next uint64
}

func newBooth(t testing.TB) *booth {
	b := &booth{t: t, got: make(chan *linkv1.Frame, 64)}
	server := httptest.NewServer(http.HandlerFunc(b.serve))
	t.Cleanup(server.Close)
	b.url = strings.TrimPrefix(server.URL, "http://")
	return b
}

func (b *booth) serve(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"countersign.link.v1"}})
	if err != nil {
		return
	}
	defer conn.CloseNow()
	b.mu.Lock()
	b.conn, b.next = conn, 1
	b.mu.Unlock()
	b.send(&linkv1.Frame{Body: &linkv1.Frame_Challenge{Challenge: &linkv1.Challenge{Version: 1, Nonce: make([]byte, 32)}}})
	for {
		_, data, err := conn.Read(context.Background())
		f := new(linkv1.Frame)
		if err != nil || proto.Unmarshal(data, f) != nil {
			return
		}
		switch {
		case f.GetHello() != nil:
			b.send(&linkv1.Frame{Body: &linkv1.Frame_Welcome{Welcome: &linkv1.Welcome{Name: "a"}}})
		case f.GetAck() == nil:
			b.send(&linkv1.Frame{Body: &linkv1.Frame_Ack{Ack: &linkv1.Ack{Seq: f.Seq}}})
			b.got <- f
		}
	}
}

func (b *booth) send(f *linkv1.Frame) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if f.GetOffer() != nil || f.GetBegin() != nil {
		f.Seq = b.next
		b.next++
	}
	data, err := proto.Marshal(f)
	if err != nil {
		b.t.Error(err)
	}
	_ = b.conn.Write(context.Background(), websocket.MessageBinary, data)
}

// await waits for a frame of the node.
func (b *booth) await(what string, ok func(*linkv1.Frame) bool) *linkv1.Frame {
	b.t.Helper()
	for late := time.After(patience); ; {
		select {
		case f := <-b.got:
			if ok(f) {
				return f
			}
		case <-late:
			b.t.Fatalf("the node sent no %s", what)
		}
	}
}

// engage starts a node and puts it into a session that waits for the other party.
func engage(t testing.TB, grace int) (*real, *booth) {
	t.Helper()
	b := newBooth(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	other := wire.NodeIDOf(&key.PublicKey)
	p := launch(t, fmt.Sprintf("[storage]\nunseal-server-address = \"127.0.0.1:0\"\n[mpc-service]\naddress = %q\n[limits]\ngrace-seconds = %d\n"+
		"[callback]\nallow-unguarded-quorum = true\n[parties]\nparty-ids = [%q]\n", b.url, grace, other))
	p.mustRun(password, "init")
	p.mustRun(password, "unseal")
	var info struct {
		Data struct {
			NodeID string `json:"node_id"`
		}
	}
	must(t, json.Unmarshal([]byte(p.mustRun("", "status")), &info))
	own := info.Data.NodeID
	eventually(t, "readyz", func() bool { code, _ := p.ready(); return code == 200 })
	b.send(&linkv1.Frame{Body: &linkv1.Frame_Offer{Offer: &linkv1.Offer{SessionId: "session-1", SinoId: "sino-1", JoinToken: "t", KeyId: "key-1", Expires: time.Now().Add(time.Hour).Unix(),
		Parties: []*linkv1.Party{{Index: 1, NodeId: own}, {Index: 2, NodeId: string(other)}},
		Terms:   &linkv1.Terms{Type: wire.TypeKeygen, RequestId: "request-1", T: 2, N: 2, Cryptography: wire.ECDSASecp256k1, Parties: []string{own, string(other)}}}}})
	b.await("approval", func(f *linkv1.Frame) bool { return f.GetAnswer().GetState() == linkv1.Answer_APPROVED })
	b.send(&linkv1.Frame{Body: &linkv1.Frame_Begin{Begin: &linkv1.Begin{SessionId: "session-1", Deadline: time.Now().Add(time.Hour).Unix(),
		Statements: []*linkv1.Statement{{Index: 1, NodeId: own}, {Index: 2, NodeId: string(other)}}}}})
	b.await("contribution", func(f *linkv1.Frame) bool { return f.GetContribution() != nil })
	return p, b
}

func TestStopWithASessionRunning(t *testing.T) {
	t.Parallel()
	p, b := engage(t, 1)
	if out := p.mustRun("", "sessions"); !strings.HasPrefix(out, "session-1  keygen  gathering  since 20") || !strings.Contains(out, "\n  request   sino-1  request-1\n  key       key-1\n  parties   1 ") {
		t.Fatalf("the sessions are %s", out)
	}
	p.signal(syscall.SIGTERM)
	report := b.await("report", func(f *linkv1.Frame) bool { return f.GetReport() != nil }).GetReport()
	if report.Completed || !strings.Contains(report.Reason, "the node is stopping, and its grace period is over") {
		t.Fatalf("the report is %v", report)
	}
	p.mustEnd()
	if log := p.said.String(); !strings.Contains(log, "the node is stopping: nothing new is begun") || !strings.Contains(log, `msg="session aborted"`) || !strings.Contains(log, "session_id=session-1") || !strings.Contains(log, "node ended") {
		t.Fatalf("the log is %s", log)
	}
}

func TestStopWaitsForASession(t *testing.T) {
	t.Parallel()
	p, b := engage(t, maxGrace)
	p.signal(syscall.SIGTERM)
	eventually(t, "readyz says so", func() bool { code, text := p.ready(); return code == 503 && text == "the node is stopping\n" })
	if out := p.mustRun("", "sessions"); !strings.Contains(out, "gathering") {
		t.Fatalf("the sessions are %s", out)
	}
	b.send(&linkv1.Frame{Body: &linkv1.Frame_End{End: &linkv1.End{SessionId: "session-1", State: "failed", Reason: "party b is away"}}})
	if r := b.await("report", func(f *linkv1.Frame) bool { return f.GetReport() != nil }).GetReport(); !strings.Contains(r.Reason, "party b is away") {
		t.Fatalf("the report is %v", r)
	}
	p.mustEnd() // long before the ten minutes are over
}

func TestASecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	p, _ := engage(t, maxGrace)
	p.signal(syscall.SIGTERM)
	eventually(t, "readyz says so", func() bool { code, _ := p.ready(); return code == 503 })
	p.signal(syscall.SIGTERM)
	p.mustEnd()
	if log := p.said.String(); !strings.Contains(log, "node ended at once, by a second signal") {
		t.Fatalf("the log is %s", log)
	}
}

func TestHangupOpensTheLogAnew(t *testing.T) {
	t.Parallel()
	p := launch(t, "[storage]\nunseal-server-address = \"127.0.0.1:0\"\n[log.file]\nenable = true\nlevel = 4\npath = \"logs/node.log\"\n")
	path := filepath.Join(p.dir, "logs", "node.log")
	if code, out := p.run("", "start"); code != exitFailed || !strings.Contains(out, "another process has the key store open") {
		t.Fatalf("a second process: exit code %d: %s", code, out)
	}
	must(t, os.Rename(path, path+".1"))
	p.signal(syscall.SIGHUP)
	eventually(t, "a new file", func() bool {
		data, err := os.ReadFile(path)
		return err == nil && bytes.Contains(data, []byte("log file opened anew"))
	})
	old, err := os.ReadFile(path + ".1")
	must(t, err)
	if !bytes.Contains(old, []byte(`"msg":"node started"`)) || !bytes.Contains(old, []byte(`"level":"FATAL","msg":"the node could not go on"`)) || bytes.Contains(old, []byte("opened anew")) {
		t.Fatalf("the old file has %s", old)
	}
	must(t, os.Rename(filepath.Join(p.dir, "logs"), filepath.Join(p.dir, "moved")))
	must(t, os.WriteFile(filepath.Join(p.dir, "logs"), nil, 0o600)) // where the folder was
	p.signal(syscall.SIGHUP)
	must(t, p.said.await(regexp.MustCompile("the rest stays as it was")))
	p.signal(syscall.SIGTERM)
	p.mustEnd()
	if data, err := os.ReadFile(filepath.Join(p.dir, "moved", "node.log")); err != nil || !bytes.Contains(data, []byte("node ended")) {
		t.Fatalf("the log was lost: %s (%v)", data, err)
	}
}

func TestTheAdminInterfaceOverTLS(t *testing.T) {
	t.Parallel()
	certs := t.TempDir()
	root, operators, others := certtest.NewRoot(t, certs, "root"), certtest.NewRoot(t, certs, "operators"), certtest.NewRoot(t, certs, "others")
	server, operator, stranger := root.Server("server"), operators.Client("operator"), others.Client("stranger")
	// 127.0.0.1 is in the certificate, and 0.0.0.0 is what only TLS with client certificates may listen on
	p := launch(t, fmt.Sprintf("[storage]\nunseal-server-address = \"0.0.0.0:0\"\n[admin-tls]\ncert-path = %q\nkey-path = %q\nclient-ca-path = %q\n"+
		"ca-path = %q\nclient-cert-path = %q\nclient-key-path = %q\n", server.Certificate, server.Key, operators.Path, root.Path, operator.Certificate, operator.Key))
	p.mustRun(password, "init")
	p.mustRun(password, "unseal")
	if out := p.mustRun("", "info"); !strings.Contains(out, `"state": "unsealed"`) {
		t.Fatalf("info says %s", out)
	}
	_, port, _ := strings.Cut(strings.TrimPrefix(p.admin, "["), "]:")
	if port == "" {
		_, port, _ = strings.Cut(p.admin, ":")
	}
	config, err := os.ReadFile(filepath.Join(p.dir, "config.toml"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(p.dir, "fixed.toml"), bytes.Replace(config, []byte("0.0.0.0:0"), []byte("0.0.0.0:"+port), 1), 0o600))
	if _, out := p.run("", "check", "-c", "fixed.toml"); !strings.Contains(out, "storage.unseal-server-address 0.0.0.0:"+port+" is taken, and a node answers") {
		t.Fatalf("check says %s", out)
	}
	at := []string{"--address", "127.0.0.1:" + port, "--config", "none.toml"} // by flags alone
	flags := func(more ...string) []string { return append(append([]string{"info"}, at...), more...) }
	for name, tc := range map[string]struct {
		args []string
		code int
		says string
	}{
		"the operator":        {flags("--ca", root.Path, "--cert", operator.Certificate, "--key", operator.Key), 0, `"state": "unsealed"`},
		"nobody":              {flags("--ca", root.Path), exitRefused, "refuses the client certificate, or that there is none"},
		"a stranger":          {flags("--ca", root.Path, "--cert", stranger.Certificate, "--key", stranger.Key), exitRefused, "refuses the client certificate"},
		"another root":        {flags("--ca", others.Path, "--cert", operator.Certificate, "--key", operator.Key), exitFailed, "shows no certificate that counts: give its CA with --ca"},
		"in the clear":        {flags(), exitFailed, "is that a node's admin address?"},
		"half a pair":         {flags("--ca", root.Path, "--cert", operator.Certificate), exitFailed, "needed together"},
		"a key that is not":   {flags("--ca", root.Path, "--cert", operator.Certificate, "--key", stranger.Key), exitFailed, "admin-tls, or the flags"},
		"a name that is none": {append([]string{"info", "--address", "localhost.localdomain:" + port, "--config", "none.toml"}, "--ca", root.Path), exitAway, "no node answers"},
	} {
		t.Run(name, func(t *testing.T) {
			if code, out := p.run("", tc.args...); code != tc.code || !strings.Contains(out, tc.says) {
				t.Fatalf("exit code %d: %s", code, out)
			}
		})
	}
	next := certtest.NewRoot(t, certs, "next")
	next.Server("server") // over the same files
	p.signal(syscall.SIGHUP)
	eventually(t, "the new certificate", func() bool {
		code, _ := p.run("", flags("--ca", next.Path, "--cert", operator.Certificate, "--key", operator.Key)...)
		return code == 0
	})
	p.signal(syscall.SIGTERM)
	p.mustEnd()
}
