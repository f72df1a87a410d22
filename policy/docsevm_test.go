package policy_test

import (
	"encoding/json"
	"testing"

	"github.com/countersign-mpc/countersign/evidence"
	"github.com/countersign-mpc/countersign/policy"
)

// TestManualExamplesOfCosts holds the tables of docs/POLICY.md, "Costs, hours and contracts", against the engine.
func TestManualExamplesOfCosts(t *testing.T) {
	holdTables(t, "Costs, hours and contracts", 6, map[string]example{
		"difference in evidence.decoded.transaction": exampleOfCosts,
	})
}

func exampleOfCosts(t *testing.T, e *policy.Engine, difference json.RawMessage) policy.Input {
	tx := differing(t, evidence.Transaction{GasLimit: "21000", MaxFeePerGas: "100000000000", MaxFee: "2100000000000000"}, difference)
	return payingGas(t, e, policy.EvidenceVerified, &tx)
}
