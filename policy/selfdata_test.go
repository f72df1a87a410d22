package policy_test

import (
	"maps"
	"testing"

	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/rego"
)

// TestShippedTestsOverAnyData: the shipped tests are about rules, whatever stands in data.json. They would otherwise keep
// somebody's own data from going live.
func TestShippedTestsOverAnyData(t *testing.T) {
	shipped, err := policy.Load(rego.FS(), "")
	must(t, err)
	bound := demoData()
	set(bound, "chains.BTC", object{"family": "utxo", "network": "mainnet", "amount_unit": "coin", "assets": object{"BTC_BTC": object{"kind": "native", "decimals": 8}}})
	set(bound, "wallets", object{"hot": object{"keys": []string{rootKey}, "paths": []string{"m/44/60/*"}}})
	set(bound, "vaults", object{"vault": object{"keys": []string{rootKey}, "paths": []string{"m/*"}}})
	renamed := demoData()
	set(renamed, "chains.ETH.chain_id", 5)
	set(renamed, "chains.ETH.amount_unit", "coin")
	swapped := demoData()
	for _, part := range []string{"limits", "addresses", "gas"} {
		delete(swapped, part)
	}
	swapped["chains"] = object{
		"ETH": object{"family": "utxo", "network": "mainnet", "amount_unit": "coin", "assets": object{"ETH": object{"kind": "native", "decimals": 8}}},
		"BTC": object{"family": "evm", "chain_id": 7, "amount_unit": "base", "assets": object{"BTC_BTC": object{"kind": "native", "decimals": 18}}},
	}
	for name, data := range map[string]object{"bound": bound, "renamed": renamed, "families swapped": swapped} {
		t.Run(name, func(t *testing.T) { shippedPass(t, shipped, data) })
	}
	demoEngine(t) // with the demo's data there is none unless they pass
	for _, data := range everyData(t)[1:] {
		t.Run("every member", func(t *testing.T) { shippedPass(t, shipped, data) })
	}
}

func shippedPass(t *testing.T, shipped *policy.Source, data object) {
	t.Helper()
	s := source(t, data)
	s.Modules = maps.Clone(shipped.Modules)
	r, err := s.Test(t.Context(), policy.TestOptions{})
	must(t, err)
	for _, f := range r.Failures {
		t.Error(f)
	}
	if r.Passed < 200 {
		t.Errorf("%d tests passed", r.Passed)
	}
}
