package e2e_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/countersign-mpc/countersign/wire"
)

// stored waits until the callback has the result of a request, with a status. An opened one is verified, an unopened one is what
// the coordinator holds too.
func (w *world) stored(ctx context.Context, a []string) error {
	id, status := a[0], a[1]
	found, err := w.c.Result(ctx, id)
	if err != nil {
		return err
	}
	r, err := w.c.API().Get(ctx, w.sino[id], 0)
	if err != nil {
		return err
	}
	switch {
	case found.Status != status:
		return fmt.Errorf("the result is %s", found.Status)
	case !r.Encrypted || r.Signature == found.Signature:
		return fmt.Errorf("the coordinator holds %q (encrypted: %t)", r.Signature, r.Encrypted)
	case status == "encrypted" && (found.Ciphertext != r.Signature || found.Signature != ""):
		return errors.New("the ciphertext is not what the node reported")
	case status == "encrypted":
		return nil
	}
	asked := w.asked[id]
	child, err := w.c.API().Child(ctx, asked.key.KeyID, asked.terms.Path)
	if err != nil {
		return err
	}
	signature, err := hex.DecodeString(found.Signature)
	if err != nil {
		return err
	}
	return w.recovers(asked.terms, signature, child.EVMAddress)
}

// secret looks for a stored signature in the logs of processes, and in the callback's store, where it lies sealed.
func (w *world) secret(ctx context.Context, a []string) error {
	found, err := w.c.Result(ctx, a[0])
	if err != nil {
		return err
	}
	signature, err := hex.DecodeString(found.Signature)
	if err != nil || len(signature) < 64 {
		return fmt.Errorf("the stored signature is %q", found.Signature)
	}
	return w.c.LiesOpen(signature, "callback.db", "coordinator.db", "node-b/asset.db", "node-c/asset.db")
}

// unmatched reports, as the node probe, the signature of something that was never approved.
func (w *world) unmatched(ctx context.Context, _ []string) error {
	const series = `countersign_callback_results_total{status="unmatched"}`
	before, err := w.c.API().Metric(ctx, w.c.Ports.CallbackAdmin, series)
	if err != nil {
		return err
	}
	probe, err := w.key("probe")
	if err != nil {
		return err
	}
	report := &wire.Check{CallbackID: "nobody-asked", ExtraInfo: wire.ExtraInfo{SinoID: "s", RequestID: "nobody-asked"}}
	report.RequestDetail = wire.RequestDetail{Message: "hello", Signature: strings.Repeat("11", 65)}
	body, err := report.Marshal()
	if err != nil {
		return err
	}
	der, err := wire.SignP256(probe, body)
	if err != nil {
		return err
	}
	status, answer, err := w.send(ctx, "/v1/rawdata_signature", body, der)
	if err != nil {
		return err
	}
	if status != 200 || strings.Contains(answer, string(wire.Approve)) {
		return fmt.Errorf("HTTP %d with %q", status, answer)
	}
	after, err := w.c.API().Metric(ctx, w.c.Ports.CallbackAdmin, series)
	if err == nil && after != before+1 {
		err = fmt.Errorf("the metric went from %v to %v", before, after)
	}
	return err
}
