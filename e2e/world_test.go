package e2e_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/countersign-mpc/countersign/e2e/cluster"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/wire"
)

// submit asks, signed by the requester, and remembers the request.
func (w *world) submit(ctx context.Context, id string, terms manifest.Terms) error {
	r, err := w.c.API().Submit(ctx, terms)
	if err == nil {
		w.sino[id] = r.SinoID
	}
	return err
}

func (w *world) payment(id string, whole int64) cluster.Payment {
	p := cluster.Payment{RequestID: id, KeyID: w.keyID, From: w.from, To: cluster.Supplier, Amount: cluster.USDTUnits(whole), Nonce: w.nonce}
	w.nonce++
	w.payments[id] = p
	return p
}

// pay submits a transfer; field=value arguments change tx_info.
func (w *world) pay(ctx context.Context, a []string) error {
	var whole int64
	if _, err := fmt.Sscan(a[1], &whole); err != nil {
		return fmt.Errorf("amount %q: %w", a[1], err)
	}
	p := w.payment(a[0], whole)
	p.Claim = func(info map[string]any) {
		for _, change := range a[2:] {
			field, value, _ := strings.Cut(change, "=")
			info[field] = value
		}
	}
	terms, err := p.Terms()
	if err != nil {
		return err
	}
	return w.submit(ctx, a[0], terms)
}

// ask submits a transfer of 100 USDT with changed terms.
func (w *world) ask(ctx context.Context, a []string) error {
	terms, err := w.payment(a[0], 100).Terms()
	if err != nil {
		return err
	}
	var auth *manifest.Authorization
	var signers []wire.NodeID
	signed, expires := true, time.Duration(0)
	for _, change := range a[1:] {
		field, value, _ := strings.Cut(change, "=")
		switch field {
		case "path":
			terms.Path = value
		case "message":
			terms.Message = value
		case "key":
			terms.KeyID = value
		case "type":
			terms.Type = value
		case "sign_type":
			terms.SignType = value
		case "tx_info":
			terms.TxInfo = []byte(value)
		case "signers":
			for name := range strings.SplitSeq(value, ",") {
				signers = append(signers, w.nodeID(name))
			}
		case "unsigned":
			signed = false
		case "expires": // after that time
			if expires, err = time.ParseDuration(value); err != nil {
				return err
			}
		case "tampered": // the requester signed something else
			made, err := w.c.API().Authorize(terms)
			if err != nil {
				return err
			}
			terms.Path, auth = value, &made
		default:
			return fmt.Errorf("terms have no %q", field)
		}
	}
	if signed && auth == nil {
		made, err := w.c.API().Authorize(terms)
		if err != nil {
			return err
		}
		auth = &made
	}
	r, err := w.c.API().SubmitOrder(ctx, cluster.Order{Terms: terms, Authorization: auth, Signers: signers, ExpiresIn: expires})
	if err == nil {
		w.sino[a[0]] = r.SinoID
	}
	return err
}

// denied submits what the coordinator refuses.
func (w *world) denied(ctx context.Context, a []string) error {
	submit := map[string]func(context.Context, []string) error{"ask": w.ask, "pay": w.pay, "spend": w.spend, "sign": w.signData}[a[1]]
	if submit == nil {
		return fmt.Errorf("%q submits nothing", a[1])
	}
	err := submit(ctx, a[2:])
	if err == nil {
		return errors.New("it was not refused")
	}
	if !strings.Contains(err.Error(), a[0]) {
		return fmt.Errorf("it was refused with %q, want %q in it", err, a[0])
	}
	return nil
}

// write writes a payment into a script's folder, as a user would write it: with white space, and nothing signed.
func (w *world) write(ts *testscript.TestScript, _ bool, a []string) {
	var whole int64
	if len(a) != 3 {
		ts.Fatalf("write FILE ID WHOLE-USDT")
	}
	if _, err := fmt.Sscan(a[2], &whole); err != nil {
		ts.Fatalf("amount %q: %v", a[2], err)
	}
	data, err := w.payment(a[1], whole).Body()
	if err == nil {
		err = os.WriteFile(ts.MkAbs(a[0]), data, 0o600)
	}
	if err != nil {
		ts.Fatalf("%v", err)
	}
}

func (w *world) await(ctx context.Context, a []string) error {
	_, err := w.c.API().Await(ctx, w.sino[a[0]], a[0]+" to be "+a[1], func(r cluster.Request) bool { return r.State == a[1] })
	return err
}

func (w *world) answer(ctx context.Context, a []string) error {
	_, err := w.c.API().Await(ctx, w.sino[a[0]], fmt.Sprintf("node %s to answer %s", a[1], a[2]), func(r cluster.Request) bool {
		for _, p := range r.Parties {
			if p.Name == a[1] && p.Answer == a[2] && (len(a) < 4 || strings.Contains(p.Reason, a[3])) {
				return true
			}
		}
		return false
	})
	return err
}

func (w *world) errorSays(ctx context.Context, a []string) error {
	r, err := w.c.API().Get(ctx, w.sino[a[0]], 0)
	if err == nil && (r.State != "failed" || !strings.Contains(r.Error, a[1])) {
		err = fmt.Errorf("the request is %s with error %q, want %q in it", r.State, r.Error, a[1])
	}
	return err
}

func (w *world) verify(ctx context.Context, a []string) error {
	r, err := w.c.API().Get(ctx, w.sino[a[0]], 0)
	if err != nil {
		return err
	}
	signature, err := hex.DecodeString(r.Signature)
	if err != nil || len(signature) != 64 {
		return fmt.Errorf("the signature is %q", r.Signature)
	}
	sender, err := w.payments[a[0]].Sender(append(signature, byte(r.RecoveryID)))
	if err == nil && sender != w.from {
		err = fmt.Errorf("go-ethereum recovers %s, the key's address is %s", sender, w.from)
	}
	return err
}

func (w *world) decision(ctx context.Context, a []string) error {
	decisions, err := w.c.API().Decisions(ctx, w.sino[a[0]])
	if err != nil {
		return err
	}
	if len(decisions) == 0 {
		return errors.New("the callback has decided nothing about the request")
	}
	if d := decisions[0]; d.Action != a[1] || !strings.HasPrefix(d.Rule, a[2]) {
		return fmt.Errorf("the decision is %s by %s", d.Action, d.Rule)
	}
	return nil
}

func (w *world) undecided(ctx context.Context, a []string) error {
	decisions, err := w.c.API().Decisions(ctx, w.sino[a[0]])
	if err == nil && len(decisions) != 0 {
		err = fmt.Errorf("the callback has decided %d times", len(decisions))
	}
	return err
}

func (w *world) approve(ctx context.Context, a []string) error {
	ids, err := w.c.API().Approvals(ctx)
	if err != nil {
		return err
	}
	if len(ids) != 1 {
		return fmt.Errorf("%d approvals are open, want one", len(ids))
	}
	_, err = w.c.Callback(ctx, append([]string{"approve", ids[0], "--key", w.c.ApproverKeyPath(a[0])}, a[1:]...)...)
	return err
}

// messages counts the protocol messages that the coordinator has routed.
func (w *world) messages(ctx context.Context) (float64, error) {
	return w.c.API().Metric(ctx, w.c.Ports.CoordinatorMonitoring, "countersign_coordinator_envelopes_total")
}

// data rewrites the policy's data.json: "good", "broken" (does not parse), "wrong" (unknown unit) or "with-d".
func (w *world) data(_ context.Context, a []string) error {
	switch a[0] {
	case "good":
		return w.c.WriteData(nil)
	case "broken":
		return os.WriteFile(w.c.DataPath(), []byte("{"), 0o600)
	case "with-d": // a keygen with the outsider is allowed
		return w.c.WriteData(func(data map[string]any) {
			data["keygen"].(map[string]any)["parties"].(map[string]any)[string(w.c.Outsiders["d"].NodeID)] = "outsider d"
		})
	case "window": // 250 USDT within an hour to each recipient
		return w.c.WriteData(func(data map[string]any) {
			data["windows"] = map[string]any{"hourly": map[string]any{"measure": "amount", "chain": "ETH", "asset": "USDT_ETH", "scope": []string{"recipient"},
				"rolling_seconds": 3600, "max": "250"}}
		})
	case "wrong":
		return w.c.WriteData(func(data map[string]any) { data["limits"] = map[string]any{"ETH": "many"} })
	}
	return fmt.Errorf("no data %q", a[0])
}
