package callback_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/countersign-mpc/countersign/bolt/ledgerstore"
	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/wire"
)

// Where a child of TestCrash kills itself.
const (
	crashNowhere  = "nowhere"
	crashDeciding = "deciding" // evaluated and signed, not yet committed
	crashRecorded = "recorded" // committed, not yet returned
	crashReplying = "replying" // about to write the reply
)

const crashVariable = "COUNTERSIGN_CALLBACK_CRASH_TEST"

func kill() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // the signal is on its way
}

// fuse kills the process at one point, when that is reached for so many times.
type fuse struct {
	where string
	left  atomic.Int64
}

func (f *fuse) reached(where string) {
	if f.where == where && f.left.Add(-1) <= 0 {
		kill()
	}
}

// fragile has a fuse around each commit, once armed.
type fragile struct {
	ledger.Store
	fuse  *fuse
	armed *bool
}

func (s *fragile) Update(ctx context.Context, fn func(ledger.Tx) error) error {
	if !*s.armed {
		return s.Store.Update(ctx, fn)
	}
	err := s.Store.Update(ctx, func(tx ledger.Tx) error {
		err := fn(tx)
		s.fuse.reached(crashDeciding)
		return err
	})
	s.fuse.reached(crashRecorded)
	return err
}

// TestCrashChild is the server of TestCrash, in a process of its own: it is no test by itself.
func TestCrashChild(t *testing.T) {
	spec := os.Getenv(crashVariable)
	if spec == "" {
		t.Skip("it is run by TestCrash")
	}
	where, db, _ := strings.Cut(spec, "|") // where is the place, and perhaps how often it is to be reached, and the policy
	place, rest, _ := strings.Cut(where, "/")
	times, rules, _ := strings.Cut(rest, "/")
	f := &fuse{where: place}
	n, _ := strconv.Atoi(times)
	f.left.Store(int64(max(n, 1)))
	live := agreeable // quick to start
	if rules == "windows" {
		live = roomy
	}
	store := must[*ledgerstore.Store](t)(ledgerstore.Open(ledgerstore.Config{Path: db}))
	armed := false
	w := newWorld(t, options{store: &fragile{store, f, &armed}, live: live()})
	listener := must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))
	handler := w.server.Handler()
	armed = true
	fmt.Printf("listening on %s admin %s\n", listener.Addr(), w.admin)
	_ = http.Serve(listener, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		handler.ServeHTTP(lastWords{rw, f}, r)
	}))
}

type lastWords struct {
	http.ResponseWriter
	fuse *fuse
}

func (w lastWords) Write(b []byte) (int, error) {
	w.fuse.reached(crashReplying)
	return w.ResponseWriter.Write(b)
}

// child starts a server in a process of its own, and returns its address and how to end it.
func child(t *testing.T, where, db string) (api, admin string, end func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestCrashChild$", "-test.timeout=2m")
	cmd.Env = append(os.Environ(), crashVariable+"="+where+"|"+db)
	out, err := cmd.StdoutPipe()
	ok(t, err)
	cmd.Stderr = os.Stderr
	ok(t, cmd.Start())
	end = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		end()
		t.Fatalf("the child did not start: %v", err)
	}
	if _, err := fmt.Sscanf(line, "listening on %s admin %s", &api, &admin); err != nil {
		end()
		t.Fatalf("the child said %q", line)
	}
	return "http://" + api, admin, end
}

// TestCrash kills the server at each point between decision and reply. After the next start the same request gets its
// decision, there is one decision about it, and the log is whole.
func TestCrash(t *testing.T) {
	check := payment{callbackID: "cb-1", requestID: "r", amount: 500}.check(t)
	ask := func(url string) (answer, error) { return sendTo(t, url+"/v1/check", check) }
	for where, replays := range map[string]string{crashDeciding: "1", crashRecorded: "2", crashReplying: "2"} {
		t.Run(where, func(t *testing.T) {
			db := filepath.Join(t.TempDir(), "callback.db")
			url, _, end := child(t, where, db)
			a, err := ask(url)
			end()
			if err == nil {
				t.Fatalf("the server was to be killed, and answered %s", a.body)
			}
			url, admin, end := child(t, crashNowhere, db)
			defer end()
			first, err := ask(url)
			ok(t, err)
			decision, err := wire.OpenReply(first.status, []byte(first.body), &privateKey(t, "callback_server").PublicKey, check.Asked())
			ok(t, err)
			want(t, decision, wire.Approve)
			second, err := ask(url)
			ok(t, err)
			if first.body != second.body {
				t.Errorf("two replies:\n%s\n%s", first.body, second.body)
			}
			w := &world{t: t, admin: admin}
			if got := w.decisions(""); len(got) != 1 || got[0].Reply != first.body {
				t.Errorf("%d decisions are recorded: %+v", len(got), got)
			}
			if text := open(w, "/metrics").body; !strings.Contains(text, "countersign_callback_replays_total "+replays+"\n") {
				t.Errorf("want %s of the two answers to be of before the crash or of the first", replays)
			}
			end()
			verifyLog(t, db, 1)
		})
	}
}

// TestCrashOfResults kills the server while it takes a signature result. It is kept once, with its acknowledgement.
func TestCrashOfResults(t *testing.T) {
	signature := signMessage("hello")
	result := report("cb-1", "hello", hex.EncodeToString(signature))
	for _, where := range []string{crashDeciding, crashRecorded, crashReplying} {
		t.Run(where, func(t *testing.T) {
			db := filepath.Join(t.TempDir(), "callback.db")
			url, _, end := child(t, crashNowhere, db)
			must[answer](t)(sendTo(t, url+"/v1/check", message("cb-1", "hello")))
			end()
			url, _, end = child(t, where, db)
			a, err := sendTo(t, url+"/v1/rawdata_signature", result)
			end()
			if err == nil {
				t.Fatalf("the server was to be killed, and answered %s", a.body)
			}
			url, admin, end := child(t, crashNowhere, db)
			defer end()
			first := must[answer](t)(sendTo(t, url+"/v1/rawdata_signature", result))
			want(t, must[*wire.Decision](t)(wire.OpenReply(first.status, []byte(first.body), &privateKey(t, "callback_server").PublicKey, result.Asked())), wire.Approve)
			if second := must[answer](t)(sendTo(t, url+"/rawdata_signature", result)); second.body != first.body {
				t.Errorf("two replies:\n%s\n%s", first.body, second.body)
			}
			w := &world{t: t, admin: admin}
			if got := w.result("cb-1"); got.Status != callback.ResultVerified || !bytes.Equal(got.Signature, signature) {
				t.Errorf("kept is %+v", got)
			}
			end()
			verifyLog(t, db, 2)
		})
	}
}

// sendTo has node a send a request to a server.
func sendTo(t *testing.T, url string, c *wire.Check) (answer, error) {
	t.Helper()
	body, signature, err := wire.SealCheck(privateKey(t, "mpc_node"), c)
	ok(t, err)
	r := must[*http.Request](t)(http.NewRequest(http.MethodPost, url, bytes.NewReader(body)))
	r.Header.Set("Signature", signature)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	text, err := readAll(response)
	return answer{response.StatusCode, text, response.Header}, err
}

func verifyLog(t *testing.T, db string, entries int64) {
	t.Helper()
	store := must[*ledgerstore.Store](t)(ledgerstore.Open(ledgerstore.Config{Path: db}))
	defer store.Close()
	l := must[*ledger.Ledger](t)(ledger.New(t.Context(), ledger.Config{Store: store, Clock: newClock(), Origin: "test/callback"}))
	report, err := l.Verify(t.Context())
	if err := errors.Join(err, report.Err()); err != nil || report.Size != entries {
		text, _ := json.Marshal(report)
		t.Errorf("the log: %v: %s", err, text)
	}
}
