package evidence_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"math/big"
	"os"
	"slices"
	"testing"

	"github.com/countersign-mpc/countersign/evidence"
)

const callVectorFile = "../testdata/evm/calls.json"

// callVector is a call by an address of a contract, under a claim about an asset, with the account that is given of it.
type callVector struct {
	Name     string `json:"name"`
	From     string `json:"from"`
	Contract string `json:"contract"`
	Value    string `json:"value"`
	Calldata string `json:"calldata"`
	Asset    struct {
		Kind     evidence.AssetKind `json:"kind"`
		Contract string             `json:"contract,omitempty"`
		TokenID  string             `json:"token_id,omitempty"`
	} `json:"asset"`
	Calls     []evidence.Step     `json:"calls"`
	Movements []evidence.Movement `json:"movements"`
	Approvals []evidence.Approval `json:"approvals"`
	Complete  bool                `json:"complete"`
}

// TestCallVectors compares with testdata/evm/calls.json, in which every method stands, with what TestEveryMethod has
// checked.
func TestCallVectors(t *testing.T) {
	var vectors []callVector
	cases := callCases()
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		c := cases[name].claim(t)
		d := evidence.Check(c).Decoded
		v := callVector{Name: name, From: bob, Contract: token, Value: d.Transaction.Value, Calldata: c.InputData,
			Calls: d.Calls, Movements: d.Movements, Approvals: d.Approvals, Complete: d.Complete}
		v.Asset.Kind, v.Asset.Contract = c.Asset.Kind, c.Asset.Contract
		if c.Asset.TokenID != nil {
			v.Asset.TokenID = c.Asset.TokenID.String()
		}
		vectors = append(vectors, v)
	}
	got := append(mustT(json.MarshalIndent(vectors, "", " "))(t), '\n')
	if *update {
		if err := os.WriteFile(callVectorFile, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := mustT(os.ReadFile(callVectorFile))(t); !bytes.Equal(got, want) {
		t.Errorf("%s differs: run go test ./evidence -run TestCallVectors -update, and look at the difference", callVectorFile)
	}
}

// TestReadsCallVectors reads the file as another program would: what it says holds for calldata alone as well.
func TestReadsCallVectors(t *testing.T) {
	var vectors []callVector
	if err := json.Unmarshal(mustT(os.ReadFile(callVectorFile))(t), &vectors); err != nil {
		t.Fatal(err)
	}
	for _, v := range vectors {
		asset := evidence.Asset{Kind: v.Asset.Kind, Contract: v.Asset.Contract}
		if v.Asset.TokenID != "" {
			asset.TokenID, _ = new(big.Int).SetString(v.Asset.TokenID, 10)
		}
		d := evidence.Check(evidence.Claim{Family: evidence.FamilyEVM, Asset: asset, Signer: v.From, InputData: v.Calldata}).Decoded
		if len(d.Calls) != len(v.Calls) || !bytes.Equal(encoded(t, nil, d.Calls), unhex(v.Calldata[2:])) {
			t.Errorf("%s: %s", v.Name, asJSON(t, d))
		}
	}
}
