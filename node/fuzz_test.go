package node_test

import (
	"context"
	"crypto/ecdsa"
	"log/slog"
	"net"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/keystore"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/node"
	"github.com/countersign-mpc/countersign/wire"
)

// acceptRequester makes every node take requests of a key.
func (r *trio) acceptRequester(key *ecdsa.PrivateKey) {
	known, err := manifest.NewRequesterKey(&key.PublicKey)
	must(r.t, err)
	for _, m := range []*member{r.a, r.b, r.c} {
		m.settings.change(func(s *settings) { s.requesters = map[string]manifest.RequesterKey{known.ID(): known} })
	}
}

// lone is an unsealed node whose coordinator never says anything, with the frames that would make it work.
func lone(t testing.TB, limits ...node.Limits) (*node.Node, []*linkv1.Frame) {
	t.Helper()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = silent.Close() })
	store, err := keystore.Open(keystore.Config{Path: filepath.Join(t.TempDir(), "asset.db"), Argon2: cheap})
	must(t, err)
	s := &settings{parties: make(map[wire.NodeID]bool), unguarded: true}
	cfg := node.Config{Store: store, Settings: s, Protocols: &toys{}, LinkURL: "ws://" + silent.Addr().String() + "/proxy", Log: slog.New(slog.DiscardHandler)}
	if len(limits) > 0 {
		cfg.Limits = limits[0]
	}
	n, err := node.New(cfg)
	must(t, err)
	t.Cleanup(func() { _ = n.Close() })
	id, err := n.Init(context.Background(), pass(password))
	must(t, err)
	must(t, n.Unseal(context.Background(), pass(password)))
	other := newID(t)
	s.parties[other] = true

	a := keygenOf("sino-1", "key-1", 2, parties(id.NodeID, other))
	a.expires = time.Now().Add(24 * time.Hour)
	session := &session{id: "session-1"}
	for _, p := range a.parties {
		session.parties = append(session.parties, &linkv1.Party{Index: uint32(p.Index), NodeId: string(p.NodeID)})
	}
	begin := &linkv1.Begin{SessionId: "session-1", Deadline: time.Now().Add(time.Hour).Unix(), Statements: []*linkv1.Statement{
		{Index: 1, NodeId: string(id.NodeID)}, {Index: 2, NodeId: string(other)}}}
	return n, []*linkv1.Frame{
		{Body: &linkv1.Frame_Offer{Offer: a.frame(session)}},
		{Body: &linkv1.Frame_Begin{Begin: begin}},
		{Body: &linkv1.Frame_Contribution{Contribution: &linkv1.Contribution{SessionId: "session-1", Index: 2, ManifestHash: make([]byte, 32), Random: make([]byte, 32), Ephemeral: make([]byte, 32)}}},
		{Body: &linkv1.Frame_Envelope{Envelope: &linkv1.Envelope{SessionId: "session-1", From: 2, To: 1, Round: 2, Sealed: make([]byte, 64)}}},
		{Body: &linkv1.Frame_Confirmation{Confirmation: &linkv1.Confirmation{KeyId: "key-1", Epoch: 1, Index: 2, StatementHash: make([]byte, 32), Signature: make([]byte, 70)}}},
		{Body: &linkv1.Frame_End{End: &linkv1.End{SessionId: "session-1", State: "failed"}}},
		{Body: &linkv1.Frame_EpochQuestion{EpochQuestion: &linkv1.EpochQuestion{KeyId: "key-1", Index: 2, Challenge: make([]byte, 32), Signature: make([]byte, 70)}}},
		{Body: &linkv1.Frame_EpochStatement{EpochStatement: &linkv1.EpochStatement{KeyId: "key-1", Index: 2, To: 1, Challenge: make([]byte, 32), Epoch: 1,
			StatementHash: make([]byte, 32), State: "active", Proof: &linkv1.EpochStatement_Proof{Active: true, Signature: make([]byte, 70)}, Signature: make([]byte, 70)}}},
	}
}

// FuzzFrame gives a node what a coordinator may send: no frame makes it panic, and what it answers can be sent.
func FuzzFrame(f *testing.F) {
	n, frames := lone(f)
	for _, frame := range frames {
		data, err := proto.Marshal(frame)
		must(f, err)
		f.Add(data)
	}
	f.Add([]byte{})
	f.Add([]byte{0xff, 0x01})
	f.Fuzz(func(t *testing.T, data []byte) {
		frame := new(linkv1.Frame)
		if proto.Unmarshal(data, frame) != nil {
			return // the link ends
		}
		n.Frame(frame)
		if _, err := n.Info(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestFramesInOrder makes sure that the seeds of FuzzFrame reach what they are meant to reach.
func TestFramesInOrder(t *testing.T) {
	t.Parallel()
	n, frames := lone(t)
	for i, want := range []struct{ requests, sessions int }{{1, 0}, {1, 1}} {
		n.Frame(frames[i])
		if info, err := n.Info(); err != nil || info.Requests != want.requests || info.Sessions != want.sessions {
			t.Fatalf("after frame %d: %+v (%v)", i, info, err)
		}
	}
	n.Frame(frames[5])
	n.Seal()
	if info, err := n.Info(); err != nil || info.Requests != 0 {
		t.Fatalf("%+v (%v)", info, err)
	}
}

func FuzzReadPassword(f *testing.F) {
	for _, s := range []string{bkey(password), `{"shard_bkey":"\u00e4\\\""}`, "", "{}", `{"shard_bkey":`, `[]`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		secret, err := node.ReadPassword(body)
		if err != nil {
			if text := err.Error(); !contains(text, "the body is not") && text != "the request's body has more than 4096 bytes" {
				t.Fatalf("the error is %q", text)
			}
			return
		}
		again, err := node.ReadPassword(bkey(string(secret.Expose())))
		if err != nil || !again.Equal(secret) {
			t.Fatalf("a password does not come back (%v)", err)
		}
	})
}
