package callback_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/wire"
)

// TestEd25519ApproverHandsInItsOwnVote: an approver with an Ed25519 key in data.json and a credential of the role approver
// votes; one without the role cannot hand in the same bytes.
func TestEd25519ApproverHandsInItsOwnVote(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	ok(t, err)
	der := must[[]byte](t)(x509.MarshalPKIXPublicKey(public))
	w := newWorld(t, options{
		data: func(data map[string]any) {
			data["approvers"].(map[string]any)["carol"] = map[string]any{"public_key": base64.StdEncoding.EncodeToString(der)}
		},
		cfg: func(c *callback.Config) {
			c.Operators = []callback.Operator{operator("carols-laptop", callback.RoleApprover), operator("dashboard", callback.RoleViewer)}
		},
	})
	asker := keyID(t, newKey(t))
	d, _ := w.ask(large("cb-1", asker).check(t))
	want(t, d, wire.Wait)
	a := w.pending()
	w.approveBy(a, "alice")
	vote := func(token string, over []byte) int {
		body := must[[]byte](t)(json.Marshal(map[string]string{"approver": "carol", "decision": "approve", "signature": hex.EncodeToString(ed25519.Sign(private, over))}))
		return w.adminAs(http.DefaultClient, http.MethodPost, fmt.Sprintf("%s/admin/v1/approvals/%s/signatures", w.admin, a.ID), token, string(body)).status
	}
	if got := vote(tokenOf("dashboard"), a.Signing.Approve); got != http.StatusForbidden {
		t.Errorf("without the role: HTTP %d", got)
	}
	if got := vote(tokenOf("carols-laptop"), a.Signing.Reject); got != http.StatusForbidden {
		t.Errorf("a signature over a rejection as an approval: HTTP %d", got)
	}
	d, _ = w.ask(large("cb-2", asker).check(t))
	want(t, d, wire.Wait, "1 so far")
	if got := vote(tokenOf("carols-laptop"), a.Signing.Approve); got != http.StatusOK {
		t.Errorf("with the role: HTTP %d", got)
	}
	d, _ = w.ask(large("cb-3", asker).check(t))
	want(t, d, wire.Approve)
}
