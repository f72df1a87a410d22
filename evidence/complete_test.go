package evidence_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/evidence"
)

// TestComplete: what hands accounts to code, or makes code, is never all told.
func TestComplete(t *testing.T) {
	for name, want := range map[string]bool{"eip1559-native": true, "eip7702-set-code": false, "eip1559-contract-creation": false} {
		d := evidence.Check(claimOf(t, specs()[name])).Decoded
		if d.Complete != want || d.Calls == nil || d.Movements == nil || d.Approvals == nil {
			t.Errorf("%s: complete %v, want %v; %s", name, d.Complete, want, asJSON(t, d))
		}
	}
}

// TestCoinsBesideAToken: coins that go along contradict a claim about a token.
func TestCoinsBesideAToken(t *testing.T) {
	c := claimed(t, token, n(3), multicall(t, transferTo(t, alice, 5)), asToken("erc20", 0))
	if f := evidence.Check(c); f.Status != evidence.Mismatch || !slices.Equal(fields(f), []string{"value"}) {
		t.Errorf("%s %v", f.Status, f.Differences)
	}
}

// TestRevokedNFT: an approval of nobody takes one back.
func TestRevokedNFT(t *testing.T) {
	zero := "0x" + strings.Repeat("0", 40)
	c := claimed(t, token, n(0), packed(t, evidence.MethodApprove, *address(zero), n(5)), asToken("erc721", 5))
	if d := evidence.Check(c).Decoded; len(d.Approvals) != 1 || !d.Approvals[0].Revoke {
		t.Errorf("approvals %s", asJSON(t, d.Approvals))
	}
}
