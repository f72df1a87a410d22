package policy_test

import (
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/policy"
)

const otherRoot = "02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5"

func binding(paths ...string) object {
	return object{"keys": []string{rootKey}, "paths": append([]string{}, paths...)}
}

// walletData counts USDT by wallet, and binds wallets.
func walletData(wallets object) object {
	data := demoData()
	set(data, "windows", object{"day": dayWindow})
	if wallets != nil {
		data["wallets"] = wallets
	}
	return data
}

func TestBindingFaults(t *testing.T) {
	limited := demoData()
	limited["limits"].(object)["ETH"].(object)["USDT_ETH"] = []object{{"max": "1", "wallets": []string{"1"}}, {"max": "2", "vaults": []string{"2"}}}
	const nobodyKnows = "nobody could tell"
	for name, c := range map[string]struct {
		data  object
		words []string
	}{
		"a window by wallets that are not bound": {walletData(nil), []string{"at /windows/day/scope", "claims", "unbound_wallets"}},
		"limits of those that are not bound": {limited, []string{
			"at /limits/ETH/USDT_ETH/0/wallets", "at /limits/ETH/USDT_ETH/1/vaults", "unbound_wallets"}},
		"no paths":            {walletData(object{"1": binding()}), []string{"at /wallets/1:", "paths"}},
		"no keys":             {walletData(object{"1": object{"paths": []string{"m"}}}), []string{"at /wallets/1:", "keys"}},
		"no id":               {walletData(object{"": binding("m")}), []string{"at /wallets/:", "id"}},
		"key":                 {walletData(object{"1": object{"keys": []string{"02"}, "paths": []string{"m"}}}), []string{"at /wallets/1/keys/0"}},
		"path of two forms":   {walletData(object{"1": binding("m", "m/01")}), []string{"at /wallets/1/paths/1", "m/01"}},
		"star inside":         {walletData(object{"1": binding("m/*/1")}), []string{"at /wallets/1/paths/0"}},
		"path of two wallets": {walletData(object{"1": binding("m/1"), "2": binding("m/1")}), []string{"at /wallets/2/paths/0", `of "1"`, nobodyKnows}},
		"all of two wallets":  {walletData(object{"1": binding("m/1/*"), "2": binding("m/1/*")}), []string{"at /wallets/2/paths/0", nobodyKnows}},
		"path under another":  {walletData(object{"1": binding("m/1/2/3"), "2": binding("m/1/*")}), []string{"at /wallets/1/paths/0", nobodyKnows}},
		"all under another":   {walletData(object{"1": binding("m/*"), "2": binding("m/1/*")}), []string{"at /wallets/2/paths/0", nobodyKnows}},
	} {
		_, err := parse(t, c.data)
		t.Run(name, func(t *testing.T) { wantError(t, err, c.words...) })
	}
	for name, data := range map[string]object{
		"bound":            walletData(object{"1": binding("m/1", "m/1/*"), "2": binding("m/2", "m/11/*"), "3": object{"keys": []string{otherRoot}, "paths": []string{"m/1"}}}),
		"taken as claimed": set(walletData(nil), "unbound_wallets", true),
	} {
		if _, err := parse(t, data); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestBoundWallets sends what a coordinator might claim to have another wallet's window counted, or none.
func TestBoundWallets(t *testing.T) {
	e := newEngine(t, walletData(object{"7": binding("m/44/60/0/0/0", "m/7/*"), "8": binding("m/8")}))
	for name, c := range map[string]struct {
		wallet, key, path string
		rules             string // those that reject
	}{
		"its own path":         {"7", rootKey, "m/44/60/0/0/0", ""},
		"under its own path":   {"7", rootKey, "m/7/1/2", ""},
		"another's path":       {"8", rootKey, "m/44/60/0/0/0", "wallet.bound window.scope"},
		"another's, beneath":   {"8", rootKey, "m/7/5", "wallet.bound window.scope"},
		"nobody's path":        {"7", rootKey, "m/7", "wallet.bound window.scope"},
		"another key":          {"7", otherRoot, "m/44/60/0/0/0", "wallet.bound window.scope"},
		"a wallet not bound":   {"9", rootKey, "m/9", "wallet.bound window.scope"},
		"one for a bound path": {"9", rootKey, "m/44/60/0/0/0", "wallet.bound window.scope"},
		"none":                 {"", rootKey, "m/44/60/0/0/0", "wallet.bound window.scope"},
	} {
		in := transfer(e, "1")
		in.Tx.WalletID, in.Request.PublicKey, in.Request.Path = c.wallet, c.key, c.path
		charges := e.Charges(&in)
		if counted := len(charges) == 1; counted != (c.rules == "") {
			t.Errorf("%s: counts in %+v", name, charges)
		}
		d := decide(t, e, in)
		rejecting := map[string]bool{}
		for _, reason := range d.Reasons {
			rejecting[reason.RuleID] = rejecting[reason.RuleID] || reason.Severity == policy.Reject
		}
		for _, rule := range []string{"wallet.bound", "window.scope"} {
			if rejecting[rule] != strings.Contains(c.rules, rule) {
				t.Errorf("%s: %s rejects is %v: %+v", name, rule, rejecting[rule], d.Reasons)
			}
		}
	}
}
