package coordinator_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/bolt/coordstore/coordtest"
	"github.com/countersign-mpc/countersign/coordinator"
	"github.com/countersign-mpc/countersign/manifest"
)

// Whatever a bound node sends while a session runs: no panic, no failure of the store, and never a result that does not
// verify.
func FuzzHandle(f *testing.F) {
	w := coordtest.NewWorld(f, 2, coordinator.Limits{})
	key := w.Key(2)
	id := w.Submit(coordtest.SignOrder(key.ID, "m/1", "pay", "payment")).Request.SinoID
	w.Run(id)
	a := w.Members(w.Last(id))[0]
	for _, frame := range []*linkv1.Frame{
		{}, coordtest.Answer(a.Session, approved, "x"), coordtest.Join(a.Session, a.Token), coordtest.Envelope(a.Session, 1, 2, 0, "sealed"),
		a.Contribution(f, a.Session, 1, "manifest", ""), a.Report(f, a.Session, manifest.Report{Reason: "x"}),
		a.Confirmation(f, key.ID, 1, "share", true),
		a.Report(f, a.Session, coordtest.Released(w.Wallet.Signed(f, "m/1", coordtest.Digest("payment")))), {Body: &linkv1.Frame_Envelope{}}, {Body: &linkv1.Frame_Report{Report: &linkv1.Report{SessionId: a.Session}}},
	} {
		b, err := proto.Marshal(frame)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		frame := new(linkv1.Frame)
		if proto.Unmarshal(data, frame) != nil {
			return
		}
		_, err := a.Peer.Handle(t.Context(), []*linkv1.Frame{frame}, nil)
		if err != nil && coordtest.CodeOf(err) == "" {
			t.Fatalf("not a refusal: %v", err)
		}
		st, err := w.C.Request(t.Context(), coordtest.Account, id)
		if err != nil {
			t.Fatal(err)
		}
		if st.Request.State == coordinator.StateCompleted {
			t.Fatal("completed by one party's frame")
		}
		if _, err := w.C.Keys(t.Context(), coordtest.Account, "", 100); err != nil {
			t.Fatal(err)
		}
	})
}
