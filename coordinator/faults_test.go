package coordinator_test

import (
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/bolt/coordstore/coordtest"
	"github.com/countersign-mpc/countersign/coordinator"
	"github.com/countersign-mpc/countersign/manifest"
)

// Whatever access of the store fails, the call says so, nothing of it is kept, and the same call succeeds afterwards.
func TestStoreFailsAtEachAccess(t *testing.T) {
	w := coordtest.NewFaultyWorld(t, 2, coordinator.Limits{})
	key := w.Key(2)
	sign := func(id string) coordinator.Session {
		return w.Run(w.Submit(coordtest.SignOrder(key.ID, "m/1", id, id)).Request.SinoID)
	}
	for _, m := range w.Members(sign("pay")) {
		m.Must(coordtest.Envelope(m.Session, m.Index, 3-m.Index, 0, "x"))
		w.Drain()
	}
	for _, m := range w.Members(w.Last("pay")) {
		m.Must(m.Report(t, m.Session, w.Wallet.Signed(t, "m/1", coordtest.Digest("pay"))))
	}
	expect(t, "sessions of the payment", len(w.Status("pay").Sessions), 1)
	expect(t, "payment", w.Status("pay").Request.State, coordinator.StateCompleted)

	sign("broken") // and one that fails, twice, and expires
	a := w.Members(w.Last("broken"))[0]
	a.Must(coordtest.Envelope(a.Session, 1, 2, 0, "left in the mailbox"))
	a.Must(a.Report(t, a.Session, manifest.Report{Reason: "x"}))
	w.Clock.Step(coordinator.DefaultRetryDelay)
	w.Tick()
	w.Run("broken")
	w.Parties[1].Instance = "b-2"
	w.Connect(1)
	w.Drain()
	expect(t, "request", w.Status("broken").Request.Failure.Cause, coordinator.CauseRestarted)
	w.Clock.Step(25 * time.Hour)
	w.Tick()
	expect(t, "request", w.Status("broken").Request.State, coordinator.StateExpired)

	id := w.Submit(w.KeygenOrder(2, "conflict")).Request.SinoID
	w.Run(id)
	for i, text := range []string{"s", "x"} {
		w.Lives[i].Must(w.Parties[i].Confirmation(t, w.Status(id).Request.KeyID, byte(i+1), text, false))
	}
	expect(t, "key", w.Status(id).Key.State, coordinator.KeyConflicted)
}
