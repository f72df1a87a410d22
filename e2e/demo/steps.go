package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/countersign-mpc/countersign/e2e/cluster"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/wire"
)

// setUp starts the processes, initialises, introduces and unseals the nodes.
func (d *demo) setUp(ctx context.Context, s *Step) error {
	if err := d.c.Up(ctx); err != nil {
		return err
	}
	for _, name := range cluster.NodeNames {
		info, err := d.c.Command(ctx, "", "mpc-node", "info", "--config", d.c.NodeConfig(name))
		if err != nil {
			return err
		}
		if !strings.Contains(info, `"unsealed"`) || !strings.Contains(info, string(d.c.Nodes[name].NodeID)) {
			return fmt.Errorf("info of node %s is %s", name, info)
		}
	}
	s.VerifiedBy = "mpc-node info of a, b and c"
	return nil
}

// traffic counts protocol messages that the coordinator has routed and sessions that node a has run.
func (d *demo) traffic(ctx context.Context) (float64, error) {
	routed, err := d.c.API().Metric(ctx, d.c.Ports.CoordinatorMonitoring, "countersign_coordinator_envelopes_total")
	if err != nil {
		return 0, err
	}
	run, err := d.c.API().Metric(ctx, d.c.Ports.Monitoring["a"], "countersign_node_session_seconds_count")
	return routed + run, err
}

// silently runs a request that must end without a single protocol message.
func (d *demo) silently(ctx context.Context, s *Step, run func() error) error {
	before, err := d.traffic(ctx)
	if err != nil {
		return err
	}
	if err := run(); err != nil {
		return err
	}
	after, err := d.traffic(ctx)
	if err != nil {
		return err
	}
	if after != before {
		return fmt.Errorf("%v protocol messages and sessions were counted where there must be none", after-before)
	}
	s.VerifiedBy = "no protocol message was routed, node a joined nothing"
	return nil
}

func (d *demo) keygenTerms(s *Step, id string, third wire.NodeID) manifest.Terms {
	s.RequestType, s.Algorithm = wire.TypeKeygen, wire.ECDSASecp256k1
	return manifest.Terms{Type: wire.TypeKeygen, RequestID: id, T: 3, N: 3, Cryptography: wire.ECDSASecp256k1,
		Parties: []wire.NodeID{d.c.Nodes["a"].NodeID, d.c.Nodes["b"].NodeID, third}}
}

func (d *demo) keygenMain(ctx context.Context, s *Step) (err error) {
	if d.key, err = d.keygen(ctx, s, "demo-keygen", wire.ECDSASecp256k1, 3); err != nil {
		return err
	}
	d.from, err = d.c.API().Address(ctx, d.key.KeyID, cluster.Path)
	s.Address = d.from
	if err != nil {
		return err
	}
	known, err := d.c.API().Known(ctx, d.key.Request)
	if err != nil {
		return err
	}
	known.Messages, known.ScriptPaths = true, true
	return d.c.Learn(ctx, known)
}

// held checks that every node shows an active share of a key.
func (d *demo) held(ctx context.Context, publicKey string) error {
	for _, name := range cluster.NodeNames {
		keys, err := d.c.Command(ctx, "", "mpc-node", "keys", "--config", d.c.NodeConfig(name))
		if err != nil {
			return err
		}
		if !strings.Contains(keys, publicKey) || !strings.Contains(keys, "active") {
			return fmt.Errorf("node %s does not hold an active share of %s: %s", name, publicKey, keys)
		}
	}
	return nil
}

// decided fills in the newest decision of the callback about a request and checks its action; for an Approve also the newest of
// every other node that asked.
func (d *demo) decided(ctx context.Context, s *Step, sinoID, action string) error {
	decisions, err := d.c.API().Decisions(ctx, sinoID)
	if err != nil {
		return err
	}
	if len(decisions) == 0 {
		return errors.New("the callback has decided nothing about the request")
	}
	s.Decision, s.Rule = decisions[0].Action, decisions[0].Rule
	if s.Rules, err = d.c.API().Fired(ctx, decisions[0].ID); err != nil {
		return err
	}
	if s.Decision != action {
		return fmt.Errorf("the callback's decision is %s, want %s", s.Decision, action)
	}
	newest := map[string]string{}
	for _, decision := range decisions {
		if newest[decision.Node] == "" {
			newest[decision.Node] = decision.Action
		}
	}
	for node, said := range newest {
		if action == "Approve" && said != action {
			return fmt.Errorf("the callback's decision for node %s is %s, want %s", node, said, action)
		}
	}
	return nil
}

// refused waits until a request has failed and takes its error.
func (d *demo) refused(ctx context.Context, s *Step, terms manifest.Terms, want string) (string, error) {
	r, err := d.c.API().Submit(ctx, terms)
	if err != nil {
		return "", err
	}
	done, err := d.c.API().Await(ctx, r.SinoID, "the refusal", func(r cluster.Request) bool { return r.State == "failed" })
	if err != nil {
		return "", err
	}
	s.Error = done.Error
	if !strings.Contains(done.Error, want) {
		return "", fmt.Errorf("the error does not say %q", want)
	}
	return r.SinoID, nil
}

func (d *demo) keygenUnknownParty(ctx context.Context, s *Step) error {
	terms := d.keygenTerms(s, "demo-keygen-unknown", d.c.Outsiders["e"].NodeID)
	return d.silently(ctx, s, func() error {
		sinoID, err := d.refused(ctx, s, terms, "allow-list")
		if err != nil {
			return err
		}
		s.Decision, s.Rule = "refused", "node's allow-list of parties"
		if decisions, err := d.c.API().Decisions(ctx, sinoID); err != nil || len(decisions) != 0 {
			return errors.Join(err, fmt.Errorf("the callback was asked %d times about what the node itself refuses", len(decisions)))
		}
		return nil
	})
}

func (d *demo) keygenForbidden(ctx context.Context, s *Step) error {
	terms := d.keygenTerms(s, "demo-keygen-forbidden", d.c.Outsiders["d"].NodeID)
	return d.rejected(ctx, s, terms, "keygen.")
}

// rejected runs a request that the policy must reject by a rule.
func (d *demo) rejected(ctx context.Context, s *Step, terms manifest.Terms, rule string) error {
	return d.silently(ctx, s, func() error {
		sinoID, err := d.refused(ctx, s, terms, rule)
		if err != nil {
			return err
		}
		if err := d.decided(ctx, s, sinoID, "Reject"); err != nil {
			return err
		}
		if !strings.HasPrefix(s.Rule, rule) {
			return fmt.Errorf("the rule is %s, want %s", s.Rule, rule)
		}
		return nil
	})
}

// payment is the next USDT transfer of the demo's address.
func (d *demo) payment(id string, whole int64) cluster.Payment {
	d.nonce++
	return cluster.Payment{RequestID: id, KeyID: d.key.KeyID, From: d.from, To: cluster.Supplier, Amount: cluster.USDTUnits(whole), Nonce: d.nonce - 1}
}

func (d *demo) terms(s *Step, p cluster.Payment) (manifest.Terms, error) {
	terms, err := p.Terms()
	s.RequestType, s.SignType, s.Algorithm, s.Path, s.Address = terms.Type, terms.SignType, wire.ECDSASecp256k1, terms.Path, d.from
	s.PublicKey, s.Digest, s.Message = d.key.PublicKey, p.Digest(), p.Digest()
	return terms, err
}

// signed waits for a signature and checks it with go-ethereum: the recovered sender is the derived address.
func (d *demo) signed(ctx context.Context, s *Step, p cluster.Payment, sinoID string) error {
	r, err := d.c.API().Await(ctx, sinoID, "the signature", func(r cluster.Request) bool { return r.State == "completed" })
	if err != nil {
		return err
	}
	if r.Digest != s.Digest || r.PublicKey != s.PublicKey {
		return fmt.Errorf("digest %s of key %s was signed, go-ethereum's is %s of key %s", r.Digest, r.PublicKey, s.Digest, s.PublicKey)
	}
	s.Signature, s.RecoveryID, s.DerivedKey, s.Scheme, s.VerifyingKey = r.Signature, r.RecoveryID, r.DerivedKey, r.Scheme, r.VerifyingKey
	signature, err := hex.DecodeString(r.Signature)
	if err != nil || len(signature) != 64 {
		return fmt.Errorf("the signature is %q", r.Signature)
	}
	sender, err := p.Sender(append(signature, byte(r.RecoveryID)))
	if err != nil {
		return err
	}
	if sender != d.from {
		return fmt.Errorf("go-ethereum recovers sender %s, the key's address is %s", sender, d.from)
	}
	s.VerifiedBy = "go-ethereum recovers " + sender
	return d.decided(ctx, s, sinoID, "Approve")
}

// submit asks for a payment.
func (d *demo) submit(ctx context.Context, s *Step, p cluster.Payment) (cluster.Request, error) {
	terms, err := d.terms(s, p)
	if err != nil {
		return cluster.Request{}, err
	}
	return d.c.API().Submit(ctx, terms)
}

func (d *demo) transfer(ctx context.Context, s *Step) error {
	p := d.payment("demo-transfer", 1500)
	r, err := d.submit(ctx, s, p)
	if err != nil {
		return err
	}
	if err := d.signed(ctx, s, p, r.SinoID); err != nil {
		return err
	}
	// The address itself, from the derived key, by go-ethereum alone.
	done, err := d.c.API().Get(ctx, r.SinoID, 0)
	if err != nil {
		return err
	}
	derived, err := hex.DecodeString(done.DerivedKey)
	if err != nil {
		return fmt.Errorf("derived key: %w", err)
	}
	public, err := crypto.DecompressPubkey(derived)
	if err != nil {
		return fmt.Errorf("derived key: %w", err)
	}
	if address := crypto.PubkeyToAddress(*public); address != common.HexToAddress(d.from) {
		return fmt.Errorf("the derived key's address is %s, not %s", address, d.from)
	}
	return nil
}

func (d *demo) overLimit(ctx context.Context, s *Step) error {
	terms, err := d.terms(s, d.payment("demo-over-limit", 12_000))
	if err != nil {
		return err
	}
	return d.rejected(ctx, s, terms, "limit.")
}

func (d *demo) approved(ctx context.Context, s *Step) error {
	p := d.payment("demo-approved", 8000)
	r, err := d.submit(ctx, s, p)
	if err != nil {
		return err
	}
	waiting, err := d.c.API().Await(ctx, r.SinoID, "the Wait", func(r cluster.Request) bool { return answerOf(r, "a") == "waiting" })
	if err != nil {
		return err
	}
	decisions, err := d.c.API().Decisions(ctx, r.SinoID)
	if err != nil {
		return err
	}
	for _, decision := range decisions { // one for each guarded node
		if decision.Action != "Wait" || decision.Wait < 1 {
			return fmt.Errorf("the callback's decisions are %+v, want Wait with a wait_time", decisions)
		}
	}
	s.Error = fmt.Sprintf("first: Wait, wait_time %d s: %s", decisions[0].Wait, reasonOf(waiting, "a"))
	if err := d.approve(ctx, "alice", "carol"); err != nil {
		return err
	}
	if err := d.signed(ctx, s, p, r.SinoID); err != nil {
		return err
	}
	s.VerifiedBy += ", after alice and carol approved"
	return nil
}

// approve has approvers approve the one open approval with the command line.
func (d *demo) approve(ctx context.Context, names ...string) error {
	ids, err := d.c.API().Approvals(ctx)
	if err != nil {
		return err
	}
	if len(ids) != 1 {
		return fmt.Errorf("%d approvals are open, want 1", len(ids))
	}
	for _, name := range names {
		if _, err := d.c.Callback(ctx, "approve", ids[0], "--key", d.c.ApproverKeyPath(name)); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) mismatch(ctx context.Context, s *Step) error {
	p := d.payment("demo-mismatch", 100)
	p.Claim = func(info map[string]any) { info["amount"] = big.NewInt(1).String() }
	terms, err := d.terms(s, p)
	if err != nil {
		return err
	}
	if err := d.rejected(ctx, s, terms, "evidence.mismatch"); err != nil {
		return err
	}
	if !strings.Contains(s.Error, "amount") {
		return errors.New("the error does not name the field that differs: amount")
	}
	return nil
}

func (d *demo) callbackDown(ctx context.Context, s *Step) error {
	d.c.Kill("callback")
	p := d.payment("demo-callback-down", 200)
	terms, err := d.terms(s, p)
	if err != nil {
		return err
	}
	before, err := d.traffic(ctx)
	if err != nil {
		return err
	}
	r, err := d.c.API().Submit(ctx, terms)
	if err != nil {
		return err
	}
	asking, err := d.c.API().Await(ctx, r.SinoID, "node a to ask in vain", func(r cluster.Request) bool {
		return answerOf(r, "a") == "asking" && reasonOf(r, "a") != ""
	})
	if err != nil {
		return err
	}
	after, err := d.traffic(ctx)
	if err != nil {
		return err
	}
	if after != before {
		return errors.New("protocol messages were sent while the callback was down")
	}
	s.Error = "first: " + reasonOf(asking, "a")
	if err := d.c.Start(ctx, "callback"); err != nil {
		return err
	}
	return d.signed(ctx, s, p, r.SinoID)
}

func answerOf(r cluster.Request, name string) string {
	for _, p := range r.Parties {
		if p.Name == name {
			return p.Answer
		}
	}
	return ""
}

func reasonOf(r cluster.Request, name string) string {
	for _, p := range r.Parties {
		if p.Name == name {
			return p.Reason
		}
	}
	return ""
}
