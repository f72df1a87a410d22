package coordinator_test

import (
	"errors"
	"strings"
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

	w.Parties[1].EncryptResults(t) // and one for a recipient alone
	order := coordtest.SignOrder(w.KeyOf(w.Ed25519, 2).ID, "m/1", "sealed", "sealed")
	both := w.Members(w.Run(w.Submit(order).Request.SinoID))
	signed := w.Ed25519.Sign(t, order.Terms, coordtest.Digest("sealed"))
	both[0].Must(both[0].Report(t, both[0].Session, coordtest.Released(signed)))
	both[1].Must(both[1].Report(t, both[1].Session, both[1].Sealed(t, signed)))
	expect(t, "sealed", w.Status("sealed").Request.State, coordinator.StateCompleted)

	id := w.Submit(w.KeygenOrder(2, "conflict")).Request.SinoID
	w.Run(id)
	for i, text := range []string{"s", "x"} {
		w.Lives[i].Must(w.Parties[i].Confirmation(t, w.Status(id).Request.KeyID, byte(i+1), text, false))
	}
	expect(t, "key", w.Status(id).Key.State, coordinator.KeyConflicted)
}

// Records of the earlier version, which knew neither recipients nor schemes, are read as they were.
func TestRecordsOfTheEarlierVersion(t *testing.T) {
	w := coordtest.NewWorld(t, 2, coordinator.Limits{})
	key := w.Key(2)
	st := w.Submit(coordtest.SignOrder(key.ID, "", "pay", "payment"))
	for table, id := range map[coordinator.Table]string{
		coordinator.TableKeys: key.ID, coordinator.TableRequests: st.Request.SinoID, coordinator.TableTerms: st.Request.SinoID,
		coordinator.TableSessions: st.Sessions[0].ID, coordinator.TableNodes: string(w.Parties[0].ID),
	} {
		record := w.Read(table, id)
		expect(t, "version of "+string(table), record[0], 2)
		w.Overwrite(table, id, "\x01"+record[1:])
	}
	for _, m := range w.Members(w.Run("pay")) {
		m.Must(m.Report(t, m.Session, w.Wallet.Signed(t, "", coordtest.Digest("payment"))))
	}
	expect(t, "request", w.Status("pay").Request.State, coordinator.StateCompleted)
	expect(t, "version", w.Read(coordinator.TableRequests, st.Request.SinoID)[0], 2)
}

// A record that cannot be read stops what is about it, and nothing else.
func TestUnreadableRecords(t *testing.T) {
	w := coordtest.NewWorld(t, 2, coordinator.Limits{})
	for name, value := range map[string]string{"empty": "", "a later version": "\x03{}", "no version": "\x00{}", "no JSON": "\x01{"} {
		broken := w.Submit(w.KeygenOrder(2, "broken "+name)).Request
		fine := w.Submit(w.KeygenOrder(2, "fine "+name)).Request
		w.Overwrite(coordinator.TableSessions, broken.Sessions[0], value)
		if _, err := w.C.Request(t.Context(), coordtest.Account, broken.SinoID); !errors.Is(err, coordinator.ErrCorrupt) {
			t.Errorf("%s: reads as %v", name, err)
		}
		if err := w.Lives[0].Send(coordtest.Answer(broken.Sessions[0], approved, "")); !errors.Is(err, coordinator.ErrCorrupt) {
			t.Errorf("%s: answered with %v", name, err)
		}
		w.Clock.Step(coordinator.DefaultRequestLife)
		if err := w.C.Tick(t.Context()); !errors.Is(err, coordinator.ErrCorrupt) || !strings.Contains(err.Error(), broken.SinoID) {
			t.Errorf("%s: ticks with %v", name, err)
		}
		expect(t, name+", the other", w.Status(fine.SinoID).Request.State, coordinator.StateExpired)
	}
	if err := w.C.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	w.Close()
	if w.C.Ready(t.Context()) == nil {
		t.Error("ready without a store")
	}
}
