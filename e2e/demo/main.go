// Command demo sets up a whole Countersign on loopback from its real binaries, has every kind of signature made and prints what
// happened: each request is decided by Rego policies, every signature checked by go-ethereum, btcd or crypto/ed25519.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/countersign-mpc/countersign/e2e/cluster"
	"github.com/countersign-mpc/countersign/wire"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx)
	stop()
	os.Exit(code)
}

func run(ctx context.Context) int {
	dir := flag.String("dir", ".demo", "folder for everything that the demo makes; it is emptied first")
	bin := flag.String("bin", "bin", "folder with the binaries")
	keep := flag.Bool("keep", false, "leave everything running at the end")
	end := flag.Bool("stop", false, "only end what an earlier demo left running")
	flag.Parse()
	binaries, err := filepath.Abs(*bin)
	if err != nil {
		return failed(err)
	}
	stopped, err := cluster.StopAll(*dir, binaries)
	if err != nil {
		return failed(err)
	}
	if *end {
		fmt.Printf("demo: stopped %d processes %s\n", len(stopped), strings.Join(stopped, " "))
		return 0
	}
	if err := os.RemoveAll(*dir); err != nil {
		return failed(err)
	}
	c, err := cluster.New(*dir, binaries)
	if err != nil {
		return failed(err)
	}
	d := &demo{c: c, out: os.Stdout}
	ok := d.run(ctx)
	if err := d.writeReport(filepath.Join(*dir, "report.json")); err != nil {
		return failed(err)
	}
	if *keep && ok {
		if err := d.writeExample(); err != nil {
			return failed(err)
		}
		d.explain()
	} else {
		c.Down()
	}
	d.summary()
	if !ok {
		return 1
	}
	return 0
}

func failed(err error) int {
	fmt.Fprintf(os.Stderr, "demo: %v\n", err)
	return 1
}

// Step is one line of the report; bytes are hex.
type Step struct {
	Name          string   `json:"name"`
	RequestType   string   `json:"request_type"`
	SignType      string   `json:"sign_type"`
	Algorithm     string   `json:"algorithm"`
	Path          string   `json:"path"`
	Digest        string   `json:"digest"`
	Message       string   `json:"message"`
	PublicKey     string   `json:"public_key"`
	Address       string   `json:"address"`
	DerivedKey    string   `json:"derived_key"` // of Path under PublicKey
	Scheme        string   `json:"scheme"`
	TapScriptRoot string   `json:"tap_script_root"`
	VerifyingKey  string   `json:"verifying_key"`  // what Signature verifies under
	Signers       []string `json:"signers"`        // that were named; none: all
	Signature     string   `json:"signature"`      // r ‖ s, or R ‖ s; of an encrypted result as the callback opened it
	Encrypted     string   `json:"encrypted"`      // what the coordinator holds in place of Signature
	TransactionID string   `json:"transaction_id"` // of a finished Bitcoin transaction
	RecoveryID    int      `json:"recovery_id"`
	Decision      string   `json:"decision"`
	Rule          string   `json:"rule"`
	Rules         []string `json:"rules"` // all that had a say
	Error         string   `json:"error"`
	Milliseconds  int64    `json:"milliseconds"`
	VerifiedBy    string   `json:"verified_by"`

	passed bool
}

// demo runs the steps and remembers what they gave.
type demo struct {
	c     *cluster.Cluster
	out   *os.File
	steps []*Step
	nonce uint64

	key, ed, secret, two, twoEd key    // 3-of-3 of both curves, one with encrypted results, 2-of-3 of both curves
	from, secretFrom, twoFrom   string // EVM addresses of key, secret and two at cluster.Path

	example string // a payment that the reader may submit
}

const stepTimeout = 3 * time.Minute

// run does all steps; a failed one ends the demo, since the later ones build on it.
func (d *demo) run(ctx context.Context) bool {
	fmt.Fprintf(d.out, "Countersign demo: one coordinator, one callback server, nodes a and b (guarded) and c; everything in %s\n\n", d.c.Dir)
	fmt.Fprintf(d.out, "%-4s %-36s %-8s %-34s %9s  %s\n", "step", "request", "decision", "rule", "time", "verified by")
	for _, s := range d.plan() {
		step := &Step{Name: s.name, Signers: []string{}, Rules: []string{}}
		d.steps = append(d.steps, step)
		limited, cancel := context.WithTimeout(ctx, stepTimeout)
		started := time.Now()
		err := s.do(limited, step)
		cancel()
		step.Milliseconds = time.Since(started).Milliseconds()
		step.passed = err == nil
		d.print(step, err)
		if err != nil {
			d.logs()
			return false
		}
	}
	return true
}

// id is the request id of a step.
func (d *demo) id(s *Step) string {
	words := strings.FieldsFunc(strings.ToLower(s.Name), func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
	return "demo-" + strings.Join(words, "-")
}

type planned struct {
	name string
	do   func(context.Context, *Step) error
}

// plan is what the demo does, in order.
func (d *demo) plan() []planned {
	return []planned{
		{"start, init, unseal, info", d.setUp},
		{"keygen 3-of-3", d.keygenMain},
		{"keygen with an unknown party", d.keygenUnknownParty},
		{"keygen that policy forbids", d.keygenForbidden},
		{"USDT transfer within limits", d.transfer},
		{"USDT transfer over the limit", d.overLimit},
		{"large USDT transfer, two approvals", d.approved},
		{"rawTx that tx_info does not match", d.mismatch},
		{"callback down, then up again", d.callbackDown},
		{"keygen 3-of-3 Ed25519", d.ed25519Keygen},
		{"Solana message", d.solana("m")},
		{"Solana message, derived path", d.solana(solanaPath)},
		{"P2TR key path", d.taproot(false)},
		{"P2TR key path beside a script tree", d.taproot(true)},
		{"rune transfer, script path", d.runeTransfer},
		{"rune transfer over the limit", d.runeOverLimit},
		{"BRC-20 inscription, script path", d.brc20},
		{"BRC-20 inscription over the limit", d.brc20OverLimit},
		{"P2WPKH payment, three inputs", d.threeInputs},
		{"ERC-2612 permit (EIP-712)", d.permit},
		{"permit for an unknown spender", d.permitForStranger},
		{"permit over the limit", d.permitTooLarge},
		{"Mail (EIP-712)", d.mail},
		{"text (EIP-191)", d.text},
		{"raw data that nobody allowed", d.rawForbidden(wire.SignTypeRaw)},
		{"only a hash that nobody allowed", d.rawForbidden(wire.SignTypeTransaction)},
		{"raw data that data.json allows", d.rawAllowed},
		{"keygen with encrypt-signature", d.encryptedKeygen},
		{"text, result encrypted", d.encryptedText},
		{"raw data, encrypted, callback down", d.encryptedRaw},
		{"keygen 2-of-3", d.keygenTwo},
		{"keygen 2-of-3 Ed25519", d.keygenTwoEd25519},
		{"2-of-3 by a and b, c is down", d.pairECDSA(0)},
		{"2-of-3 Ed25519 by a and b, c is down", d.pairEd25519(0)},
		{"2-of-3 by a and c, b is down", d.pairECDSA(1)},
		{"2-of-3 Ed25519 by a and c, b is down", d.pairEd25519(1)},
		{"2-of-3 by b and c, a is down", d.pairECDSA(2)},
		{"2-of-3 Ed25519 by b and c, a is down", d.pairEd25519(2)},
		{"2-of-3 by a alone", d.oneAlone},
	}
}

func (d *demo) print(s *Step, err error) {
	fmt.Fprintf(d.out, "%-4d %-36s %-8s %-34s %6.1f s   %s\n", len(d.steps), s.Name, s.Decision, s.Rule, float64(s.Milliseconds)/1000, s.VerifiedBy)
	if s.Error != "" {
		fmt.Fprintf(d.out, "       %s\n", shorten(s.Error))
	}
	if err != nil {
		fmt.Fprintf(d.out, "       FAILED: %v\n", err)
	}
}

// shorten cuts long words (node ids) for the terminal; the report has them whole.
func shorten(text string) string {
	const most = 48
	words := strings.Split(text, " ")
	for i, w := range words {
		if len(w) > most && !strings.Contains(w, "/") {
			words[i] = w[:12] + "…" + w[len(w)-12:]
		}
	}
	return strings.Join(words, " ")
}

// logs shows the end of every log after a failure.
func (d *demo) logs() {
	for _, name := range append([]string{"coordinator", "callback"}, cluster.NodeNames...) {
		fmt.Fprintf(d.out, "\n--- end of %s\n%s\n", d.c.LogPath(name), d.c.Tail(name))
	}
}

func (d *demo) summary() {
	passed := 0
	for _, s := range d.steps {
		if s.passed {
			passed++
		}
	}
	fmt.Fprintf(d.out, "\ndemo: %d steps, %d passed, %d failed\n", len(d.steps), passed, len(d.steps)-passed)
}

func (d *demo) writeReport(path string) error {
	data, err := json.MarshalIndent(map[string]any{"steps": d.steps}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o600)
}

// writeExample writes a payment that is yet to be signed.
func (d *demo) writeExample() error {
	body, err := d.payment("try-it-yourself", 42).Body()
	if err != nil {
		return err
	}
	d.example = filepath.Join(d.c.Dir, "payment.json")
	return os.WriteFile(d.example, append(body, '\n'), 0o600)
}

// explain says what runs and what to try next.
func (d *demo) explain() {
	c := d.c
	node := fmt.Sprintf("bin/mpc-node --config %s", c.NodeConfig("a"))
	fmt.Fprintf(d.out, `
Everything is left running (make demo-stop ends it):
  coordinator     http://%s   metrics http://%s/metrics
  callback        http://%s   admin   http://%s
`, c.Ports.Coordinator, c.Ports.CoordinatorMonitoring, c.Ports.Callback, c.Ports.CallbackAdmin)
	for _, name := range cluster.NodeNames {
		fmt.Fprintf(d.out, "  node %s          http://%s   metrics http://%s/metrics\n", name, c.Ports.Admin[name], c.Ports.Monitoring[name])
	}
	fmt.Fprintf(d.out, `
Try next:
  %s status
  %s keys
  bin/callback approvals --server http://%s --token-file %s
  bin/callback decisions --server http://%s --token-file %s
  bin/callback results list --server http://%s --token-file %s
  curl -H "X-API-Key: $(cat %s)" http://%s/api/v1/keys
  bin/coordinator request %s --config %s --requester-key %s --wait 1m

Step by step: %s
`, node, node, c.Ports.CallbackAdmin, c.TokenPath(), c.Ports.CallbackAdmin, c.TokenPath(), c.Ports.CallbackAdmin, c.TokenPath(), filepath.Join(c.Dir, "keys", "api.key"),
		c.Ports.Coordinator, d.example, filepath.Join(c.Dir, "coordinator.toml"), filepath.Join(c.Dir, "keys", "requester.pem"), filepath.Join(c.Dir, "report.json"))
}
