package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/internal/listeners"
	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/wire"
)

// replica is one of several servers on one database. It is started again, to live, when it has ended.
type replica struct {
	t      *testing.T
	dir    string
	name   string
	done   chan struct{} // closed when it has ended for good
	mu     sync.Mutex    // guards the fields below
	where  map[string]string
	up     chan struct{} // closed while it serves
	killed int
	cmd    *exec.Cmd
	stop   bool
}

// live runs it, to be killed at a point, and again to live. It ends when kill is called.
func (r *replica) live(point string) {
	defer close(r.done)
	for r.start(point) {
		point = ""
	}
}

// start runs it once, and says whether it is to go on. It tells no address until it serves.
func (r *replica) start(point string) bool {
	path, err := exec.LookPath("callback-dies")
	if err != nil {
		r.t.Error(err)
		return false
	}
	said := &transcript{}
	cmd := exec.Command(path, "serve", "--config", filepath.Join(r.dir, r.name+".toml"))
	cmd.Env = append(os.Environ(), killEnv+"="+point)
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		r.t.Error(err)
		return false
	}
	ended := make(chan error, 1)
	go func() {
		ended <- cmd.Wait()
		close(ended)
	}()
	where, err := map[string]string(nil), (&server{cmd: cmd, ended: ended, said: said}).await("serving nodes on", 0)
	if err == nil {
		where, err = listeners.Announced(filepath.Join(r.dir, r.name+".json"))
	}
	if err != nil {
		r.t.Error(err)
		_ = cmd.Process.Kill()
		<-ended
		return false
	}
	r.serves(cmd, where)
	<-ended
	r.mu.Lock()
	defer r.mu.Unlock()
	r.where, r.up, r.killed = nil, make(chan struct{}), r.killed+1
	if !r.stop && point == "" {
		r.t.Errorf("%s ended by itself:\n%s", r.name, said.text.String())
	}
	return !r.stop && point != ""
}

func (r *replica) serves(cmd *exec.Cmd, where map[string]string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.where, r.cmd = where, cmd
	close(r.up)
	if r.stop {
		_ = cmd.Process.Kill()
	}
}

// address is where a side of it serves; "" where it does not, and then up is closed when it does again.
func (r *replica) address(side string) (address string, up <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.where[side], r.up
}

func (r *replica) kill() {
	r.mu.Lock()
	r.stop = true
	if r.cmd != nil {
		_ = r.cmd.Process.Kill()
	}
	r.mu.Unlock()
	<-r.done
}

// cluster is three replicas with what they need.
type cluster struct {
	t        *testing.T
	dir      string
	schema   string
	replicas []*replica
}

const replicaConfig = `listen = "127.0.0.1:0"
admin-listen = "127.0.0.1:0"
address-file = "NAME.json"
rate-limit = 0
[policy]
dir = "policy"
data-path = "data.json"
[postgres]
url-path = "pg.url"
schema = "SCHEMA"
[[node]]
name = "a"
public-key-path = "keys/node-a_public.pem"
reply-key-path = "keys/reply-a.pem"
`

// roomData is data of windowPolicy for so many messages.
func roomData(room int) string {
	return fmt.Sprintf(`{"format":"countersign/policy-data/v1","request_types":["sign"],"messages":{"0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798":{"any_requester":true,"text":["hello .*"]}},
"windows":{"few":{"measure":"count","kinds":["message"],"scope":["key"],"rolling_seconds":3600,"max":"%d"}}}`, room)
}

// newCluster starts a replica for each of kills, which says at which point it kills itself. It skips the test without a database.
func newCluster(t *testing.T, room int, kills []string) *cluster {
	t.Helper()
	url := databaseURL(t)
	c := &cluster{t: t, dir: t.TempDir()}
	schema := fmt.Sprintf("countersign_replicas_%d_%d", os.Getpid(), time.Now().UnixNano())
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("pg.url", url+"\n")
	write("data.json", roomData(room))
	ok(t, windowPolicy(filepath.Join(c.dir, "policy")))
	for i := range kills {
		write(fmt.Sprintf("r%d.toml", i), strings.NewReplacer("NAME", fmt.Sprintf("r%d", i), "SCHEMA", schema).Replace(replicaConfig))
	}
	c.schema = schema
	t.Cleanup(func() { dropSchema(t, schema) })
	for _, args := range [][]string{
		{"keys", "generate", "node-a", "reply-a", "--out", filepath.Join(c.dir, "keys")}, {"migrate", "--config", filepath.Join(c.dir, "r0.toml")},
	} {
		if code, out := runHere(t, args...); code != exitOK {
			t.Fatal(args, out)
		}
	}
	for i, kill := range kills {
		r := &replica{t: t, dir: c.dir, name: fmt.Sprintf("r%d", i), done: make(chan struct{}), up: make(chan struct{})}
		c.replicas = append(c.replicas, r)
		go r.live(kill)
		t.Cleanup(r.kill)
	}
	return c
}

// post sends a request to an address, and returns what is answered.
func (c *cluster) post(address string, n int) (status int, text string, err error) {
	body := fmt.Appendf(nil, `{"callback_id":"cb-%d","request_type":"sign","request_detail":{"cryptography":"ecdsa-secp256k1","sign_type":"2","public_key":"0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798","path":"m/0","message":"hello %d"},"extra_info":{"sino_id":"s","request_id":"r%d"}}`, n, n, n)
	key, err := wire.LoadPrivateKey(filepath.Join(c.dir, "keys", "node-a.pem"))
	if err != nil {
		return 0, "", err
	}
	signature, err := wire.SignP256(key, body)
	if err != nil {
		return 0, "", err
	}
	request, err := http.NewRequest(http.MethodPost, "http://"+address+"/v1/check", bytes.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	request.Header.Set(wire.HeaderSignature, hex.EncodeToString(signature))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	return response.StatusCode, string(answer), err
}

// ask asks until a replica answers, as a node does, and returns the reply.
func (c *cluster) ask(n int) string {
	ctx, cancel := context.WithTimeout(c.t.Context(), 90*time.Second)
	defer cancel()
	for i, down := n, 0; ctx.Err() == nil; i++ {
		address, up := c.replicas[i%len(c.replicas)].address("callback")
		if address != "" {
			down = 0
			if status, text, err := c.post(address, n); err == nil && status == http.StatusOK {
				return text
			}
		} else if down++; down == len(c.replicas) {
			down = 0
			select {
			case <-up:
			case <-ctx.Done():
			}
		}
	}
	c.t.Errorf("request %d got no reply", n)
	return ""
}

// admin calls the admin API of the first replica that serves.
func (c *cluster) admin(method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	token, err := os.ReadFile(filepath.Join(c.dir, "admin.token"))
	if err != nil {
		return err
	}
	err = fmt.Errorf("no replica serves")
	for _, r := range c.replicas {
		address, _ := r.address("admin")
		if address == "" {
			continue
		}
		var request *http.Request
		if request, err = http.NewRequest(method, "http://"+address+path, bytes.NewReader(body)); err != nil {
			return err
		}
		request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
		var response *http.Response
		if response, err = http.DefaultClient.Do(request); err != nil {
			continue
		}
		text, readErr := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err = readErr; err == nil && response.StatusCode == http.StatusOK {
			return json.Unmarshal(text, out)
		}
		err = fmt.Errorf("HTTP %d %s", response.StatusCode, text)
	}
	return err
}

// TestReplicasKilled: three servers on one database answer more requests than a window has room for, each killed with SIGKILL at
// a point between receipt and reply, while another policy with more room is made live. Exactly as many are approved as that has
// room for, no decision is made by the policy before after the change, and every request has one reply.
func TestReplicasKilled(t *testing.T) {
	const few, room, requests = 8, 20, 40
	// The points are spread over the replicas, so that each is met while the others decide.
	c := newCluster(t, few, []string{killPoints[0] + " 7", killPoints[2] + " 9", killPoints[3] + " 6"})
	c.run(few, room, requests)
}

// TestReplicasKilledAround is the same, around the commit.
func TestReplicasKilledAround(t *testing.T) {
	c := newCluster(t, 8, []string{killPoints[1] + " 8", killPoints[4] + " 1", killPoints[4] + " 5"})
	c.run(8, 20, 40)
}

// TestLockTimeoutIs503: a server that waits in vain for the database answers 503, decides nothing, and decides when it can.
func TestLockTimeoutIs503(t *testing.T) {
	c := newCluster(t, 8, []string{""})
	if first := c.ask(0); !strings.Contains(first, `"Approve"`) {
		t.Fatal(first)
	}
	address, _ := c.replicas[0].address("callback")
	release := lockTable(t, c.schema)
	status, text, err := c.post(address, 1)
	release()
	if err != nil || status != http.StatusServiceUnavailable {
		t.Fatalf("HTTP %d %s (%v)", status, text, err)
	}
	if reply := c.ask(1); !strings.Contains(reply, `"Approve"`) {
		t.Fatal(reply)
	}
}

func (c *cluster) run(few, room, requests int) {
	t := c.t
	replies := make([]string, requests)
	var wg sync.WaitGroup
	next := make(chan int)
	for range 6 {
		wg.Go(func() {
			for n := range next {
				replies[n] = c.ask(n)
			}
		})
	}
	var change chan error
	for n := range requests {
		if n == requests/2 { // in the middle, while others are being decided
			change = make(chan error, 1)
			go func() { change <- c.activate(room) }()
		}
		next <- n
	}
	close(next)
	wg.Wait()
	if err := <-change; err != nil {
		t.Fatal(err)
	}
	if t.Failed() {
		return
	}
	c.check(replies, few, room)
}

// activate makes the policy with more room live, through whichever replica does it.
func (c *cluster) activate(room int) error {
	source, err := policyFiles{dir: filepath.Join(c.dir, "policy")}.read()
	if err != nil {
		return err
	}
	text := callback.PolicyTextOf(source)
	text.Data = roomData(room)
	var rec ledger.ActivationRecord
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		err = c.admin(http.MethodPost, "/admin/v1/policy/activate", callback.PolicyRequest{PolicyText: text, Reason: "more room"}, &rec)
		if err == nil || strings.Contains(err.Error(), ledger.ErrUnchanged.Error()) { // it was made, and the reply was lost
			return nil
		}
	}
	return err
}

func (c *cluster) check(replies []string, few, room int) {
	t := c.t
	for n := len(replies); ; n++ { // what was decided before the change leaves room: it is filled
		reply := c.ask(n)
		replies = append(replies, reply)
		if !strings.Contains(reply, `"Approve"`) {
			break
		}
	}
	approved := 0
	for n, reply := range replies {
		if again := c.ask(n); again != reply {
			t.Errorf("request %d got %s, and then %s", n, reply, again)
		}
		if strings.Contains(reply, `"Approve"`) {
			approved++
		}
	}
	var list callback.DecisionList
	if err := c.admin(http.MethodGet, "/admin/v1/decisions?limit=1000", nil, &list); err != nil {
		t.Fatal(err)
	}
	var revisions []string
	recorded := 0
	for _, d := range list.Decisions {
		if d.Action == string(wire.Approve) {
			recorded++
		}
		if !slices.Contains(revisions, d.Revision) {
			revisions = append(revisions, d.Revision)
		} else if revisions[len(revisions)-1] != d.Revision {
			t.Errorf("decision %s is of policy %s, and one of another policy came between", d.ID, d.Revision)
		}
	}
	if approved != room || recorded != room || len(list.Decisions) != len(replies) || len(revisions) != 2 {
		t.Errorf("%d approved and %d recorded so, with room for %d (before: %d); %d decisions about %d requests, by %d policies", approved, recorded, room, few, len(list.Decisions), len(replies), len(revisions))
	}
	for _, r := range c.replicas {
		r.mu.Lock()
		if r.killed == 0 {
			t.Errorf("%s was not killed: the test shows little", r.name)
		}
		r.mu.Unlock()
	}
	if code, out := runHere(t, "log", "verify", "--config", filepath.Join(c.dir, "r0.toml")); code != exitOK || !strings.Contains(out, "0 problems") {
		t.Errorf("the log: %s", out)
	}
}
