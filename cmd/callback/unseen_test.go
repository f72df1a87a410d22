package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/policy"
)

// TestApproveUnseen: where a proposal changes more than is shown, it is approved only by who says so.
func TestApproveUnseen(t *testing.T) {
	dir := t.TempDir()
	engine := func(deny map[string]string) *policy.Engine {
		list := must[[]byte](t)(json.Marshal(deny))
		path := filepath.Join(dir, "data.json")
		ok(t, os.WriteFile(path, []byte(strings.Replace(strings.Replace(approvalData, `"allow_any": true`, `"allow_any": true, "deny": `+string(list), 1),
			`"approvers": {"alice": {"public_key": "ALICE"}}, "groups": {"treasury": {"members": ["alice"]}}`, `"custom": {}`, 1)), 0o600))
		text := strings.Replace(string(must[[]byte](t)(os.ReadFile(path))), `, "approvals": [{"above": "10000", "group": "treasury", "threshold": 1, "expiry_seconds": 3600}]`, "", 1)
		ok(t, os.WriteFile(path, []byte(text), 0o600))
		return must[*policy.Engine](t)(policy.New(t.Context(), policy.Config{Source: must[*policy.Source](t)(policy.Load(os.DirFS("testdata/window-policy"), path)), Timeout: 30e9}))
	}
	deny := map[string]string{}
	from := engine(map[string]string{"0x" + strings.Repeat("f", 40): "listed"})
	for i := range maxShown + 1 {
		deny[fmt.Sprintf("0x%040x", i+1)] = "listed"
	}
	to := engine(deny)
	view := callback.ProposalView{FromPolicy: callback.PolicyTextOf(from.Source()), ToPolicy: callback.PolicyTextOf(to.Source())}
	view.DiffDocument = string(must[[]byte](t)(callback.DiffDocument(from, to)))
	view.EffectDocument = string(must[[]byte](t)(json.Marshal(callback.Effect{From: from.Revision(), Backtest: callback.Backtest{Revision: to.Revision()}})))
	view.Proposal = ledger.Proposal{
		ID: strings.Repeat("0", 32), State: ledger.ProposalPending, From: from.Revision(), To: to.Revision(), Content: sha256.Sum256(view.ToPolicy.Source().Archive()),
		Diff: sha256.Sum256([]byte(view.DiffDocument)), Effect: sha256.Sum256([]byte(view.EffectDocument)),
	}
	answer := must[[]byte](t)(json.Marshal(view))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(answer) }))
	defer server.Close()
	token := filepath.Join(dir, "admin.token")
	_, err := openToken(token)
	ok(t, err)
	key := must[keyFiles](t)(generateKey(dir, "alice", algorithmP256))
	args := []string{"policy", "approve", view.ID, "--key", key.Private, "--server", server.URL, "--token-file", token}
	for _, c := range []struct {
		more []string
		want string
	}{
		{nil, "lines of what differs are not shown: nothing was signed"},
		{[]string{"--unseen"}, "asks for no approvals"},
		{[]string{"--reject"}, "asks for no approvals"},
	} {
		if code, out := runHere(t, append(args, c.more...)...); code != exitRefused || !strings.Contains(out, c.want) {
			t.Errorf("%q: exit code %d, %q", c.more, code, out[max(0, len(out)-300):])
		}
	}
}
