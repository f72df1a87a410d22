package e2e_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/countersign-mpc/countersign/e2e/cluster"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/wire"
)

// A keygen takes seconds of both cores, so all scripts share one set-up and one key, and run one after the other. Each
// leaves everything running and unsealed.
func TestScripts(t *testing.T) {
	dir := t.TempDir()
	build(t, filepath.Join(dir, "bin"))
	w := &world{t: t}
	w.up(filepath.Join(dir, "set-up"), filepath.Join(dir, "bin"))
	scripts, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, script := range scripts {
		t.Run(strings.TrimSuffix(filepath.Base(script), ".txtar"), func(t *testing.T) {
			testscript.Run(t, testscript.Params{Files: []string{script}, Setup: w.setup, Cmds: w.commands(), RequireExplicitExec: true})
		})
		if t.Failed() {
			w.logs()
			break
		}
	}
}

// build makes the real binaries.
func build(t *testing.T, dir string) {
	t.Helper()
	for binary, pkg := range map[string]string{"coordinator": "coordinator", "mpc-node": "node", "callback": "callback"} {
		out, err := exec.Command("go", "build", "-o", filepath.Join(dir, binary), "../cmd/"+pkg).CombinedOutput()
		if err != nil {
			t.Fatalf("build %s: %v\n%s", binary, err, out)
		}
	}
}

// world is the set-up that the scripts act on.
type world struct {
	t        *testing.T
	c        *cluster.Cluster
	keyID    string
	from     string
	nonce    uint64
	payments map[string]cluster.Payment // by request id
	sino     map[string]string          // request id -> sino_id
	keys     map[string]cluster.Request // finished keygens by name: "main" is keyID
	asked    map[string]asked           // by request id
	traffic  float64
	liar     *http.Server   // in the callback's place
	sealed   [][]byte       // what party d has sent so far
	share    *signing.Share // of party d: see shareWithD
}

const patience = 2 * time.Minute

func (w *world) up(dir, bin string) {
	w.t.Helper()
	w.payments, w.sino = make(map[string]cluster.Payment), make(map[string]string)
	w.keys, w.asked = make(map[string]cluster.Request), make(map[string]asked)
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	var err error
	if w.c, err = cluster.New(dir, bin); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(w.c.Down)
	if err := w.c.Up(ctx); err != nil {
		w.logs()
		w.t.Fatal(err)
	}
	r, err := w.c.API().Submit(ctx, w.keygenTerms("e2e-keygen", "c"))
	if err != nil {
		w.t.Fatal(err)
	}
	if r, err = w.c.API().Await(ctx, r.SinoID, "the keygen", func(r cluster.Request) bool { return r.State == "completed" }); err != nil {
		w.logs()
		w.t.Fatal(err)
	}
	w.keyID, w.keys["main"] = r.KeyID, r
	if w.from, err = w.c.API().Address(ctx, r.KeyID, cluster.Path); err != nil {
		w.t.Fatal(err)
	}
	known, err := w.c.API().Known(ctx, r)
	if err != nil {
		w.t.Fatal(err)
	}
	known.ScriptPaths, known.Messages = true, true
	if err := w.c.Learn(ctx, known); err != nil {
		w.t.Fatal(err)
	}
}

// logs prints the end of each process's log after a failure.
func (w *world) logs() {
	for _, name := range append([]string{"coordinator", "callback"}, cluster.NodeNames...) {
		w.t.Logf("--- end of the log of %s\n%s", name, w.c.Tail(name))
	}
}

func (w *world) keygenTerms(id, third string) manifest.Terms {
	return manifest.Terms{Type: wire.TypeKeygen, RequestID: id, T: 3, N: 3, Cryptography: wire.ECDSASecp256k1,
		Parties: []wire.NodeID{w.nodeID("a"), w.nodeID("b"), w.nodeID(third)}}
}

// nodeID is the id of a node or of an outsider.
func (w *world) nodeID(name string) wire.NodeID {
	if n := w.c.Nodes[name]; n != nil {
		return n.NodeID
	}
	return w.c.Outsiders[name].NodeID
}

// setup gives scripts the binaries and the addresses.
func (w *world) setup(env *testscript.Env) error {
	env.Setenv("PATH", w.c.Bin+string(os.PathListSeparator)+env.Getenv("PATH"))
	for _, name := range cluster.NodeNames {
		env.Setenv("NODE_"+strings.ToUpper(name), w.c.NodeConfig(name))
		env.Setenv("ID_"+strings.ToUpper(name), string(w.nodeID(name)))
	}
	env.Setenv("SETUP", w.c.Dir)
	env.Setenv("ADMIN", "http://"+w.c.Ports.CallbackAdmin)
	env.Setenv("TOKEN", w.c.TokenPath())
	env.Setenv("PERMIT", cluster.Permit(w.from, cluster.Spender, "750000000", 1))
	env.Setenv("PERMIT_STRANGER", cluster.Permit(w.from, cluster.Stranger, "1", 1))
	env.Setenv("PERMIT_TOO_MUCH", cluster.Permit(w.from, cluster.Spender, "5000000000", 1))
	env.Setenv("MAIL", cluster.Mail())
	env.Setenv("KEY", w.keyID)
	env.Setenv("FROM", w.from)
	return nil
}

// command is what scripts can do beside running binaries.
type command = func(*testscript.TestScript, bool, []string)

// simple makes a command of a function that is given at least so many arguments.
func simple(args int, f func(ctx context.Context, a []string) error) command {
	return func(ts *testscript.TestScript, neg bool, a []string) {
		if len(a) < args {
			ts.Fatalf("at least %d arguments are needed", args)
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		err := f(ctx, a)
		if neg && err == nil {
			ts.Fatalf("it did not fail")
		}
		if !neg && err != nil {
			ts.Fatalf("%v", err)
		}
	}
}

func (w *world) commands() map[string]command {
	all := map[string]command{
		// start|terminate|crash|restart NAME…: processes; crash is SIGKILL; restart unseals a node again
		"start": simple(1, func(ctx context.Context, a []string) error {
			return w.each(a, func(n string) error { return w.c.Start(ctx, n) })
		}),
		"terminate": simple(1, func(_ context.Context, a []string) error {
			return w.each(a, func(n string) error { w.c.Stop(n); return nil })
		}),
		"crash": simple(1, func(_ context.Context, a []string) error {
			return w.each(a, func(n string) error { w.c.Kill(n); return nil })
		}),
		"restart": simple(1, func(ctx context.Context, a []string) error {
			return w.each(a, func(n string) error { return w.c.Restart(ctx, n) })
		}),
		"unseal": simple(1, func(ctx context.Context, a []string) error {
			return w.each(a, func(n string) error { return w.c.Unseal(ctx, n) })
		}),
		// keygen ID THIRD: ask for a 3-of-3 key of a, b and THIRD
		"keygen": simple(2, func(ctx context.Context, a []string) error { return w.submit(ctx, a[0], w.keygenTerms(a[0], a[1])) }),
		// pay ID WHOLE-USDT [field=value…]: ask for a transfer; the fields change tx_info after it was made (a lie)
		"pay": simple(2, w.pay),
		// ask ID [field=value…]: a transfer whose terms are changed before the requester signs them
		"ask": simple(1, w.ask),
		// denied TEXT ask|pay|spend|sign ARGUMENTS: as that command, but the coordinator refuses at once, with TEXT in its error
		"denied": simple(3, w.denied),
		// await ID STATE: until the request is completed, failed …
		"await": simple(2, w.await),
		// running ID: until the request's session runs its protocol
		"running": simple(1, func(ctx context.Context, a []string) error { return w.await(ctx, []string{a[0], "in_progress"}) }),
		// answer ID NODE ANSWER [TEXT]: until the node has answered so, with TEXT in its reason
		"answer": simple(3, w.answer),
		// error ID TEXT: the failed request's error says TEXT
		"error": simple(2, w.errorSays),
		// verify ID: go-ethereum recovers the key's address from the signed transaction
		"verify": simple(1, w.verify),
		// decision ID ACTION RULE: the newest decision of the callback about the request
		"decision": simple(3, w.decision),
		// undecided ID: the callback has decided nothing about the request
		"undecided": simple(1, w.undecided),
		// approve NAME: an approver approves the one open approval with the command line
		"approve": simple(1, w.approve),
		// count / still: remember how many protocol messages were routed; none has been since
		"count": simple(0, func(ctx context.Context, _ []string) (err error) { w.traffic, err = w.messages(ctx); return err }),
		"still": simple(0, func(ctx context.Context, _ []string) error {
			now, err := w.messages(ctx)
			if err == nil && now != w.traffic {
				err = fmt.Errorf("%v protocol messages were routed", now-w.traffic)
			}
			return err
		}),
		// write FILE ID WHOLE-USDT: write a payment as the body of a request, for coordinator request
		"write": w.write,
		// post VARIANT STATUS TEXT: send the callback a body in one wrong form (or "good"); it answers so, with TEXT in it
		"post": simple(3, w.post),
		// lie VARIANT / truth: put a server in the callback's place that answers node a in one wrong form; take it away
		"lie":   simple(1, func(_ context.Context, a []string) error { return w.lie(a[0]) }),
		"truth": simple(0, func(context.Context, []string) error { w.liar.Close(); return nil }),
		// share-with-d: a key of Ed25519 that party d has made with a and b, and an honest signature with it
		"share-with-d": simple(0, w.shareWithD),
		// hostile PLAN TEXT [CRYPTOGRAPHY|sign]: a keygen, or a signature with the key of share-with-d, with party d, which does what the plan says; the nodes abort with TEXT in their reason
		"hostile": simple(2, w.hostile),
		// intrude ID FRAME TEXT: party d sends a frame about the request's session; its link is ended with TEXT in the reason
		"intrude": simple(3, w.intrude),
		// data good|broken|wrong|with-d|window: what the policy's data.json on disk holds
		"data": simple(1, w.data),
	}
	maps.Copy(all, w.kindCommands())
	maps.Copy(all, w.outcomeCommands())
	return all
}

func (w *world) each(names []string, f func(string) error) error {
	for _, name := range names {
		if err := f(name); err != nil {
			return err
		}
	}
	return nil
}

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		fmt.Println("e2e: left out by -short, since it runs real keygen and signing")
		os.Exit(0)
	}
	os.Exit(m.Run())
}
