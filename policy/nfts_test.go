package policy_test

import (
	"testing"

	"github.com/countersign-mpc/countersign/evidence"
	"github.com/countersign-mpc/countersign/policy"
)

const punks = "0xb47e3cd837dDF8e4c57F05d70Ab865de6e193BBB"

func nftData() object {
	data := callsData()
	set(data, "addresses.ETH", object{"allow_any": true, "deny": object{burned: "burns"}})
	set(data, "contracts.ETH."+punks, object{"name": "punks", "methods": []string{"0x42842e0e"}})
	return set(data, "nfts.ETH", object{punks: object{
		"kind": "erc721", "name": "punks", "recipients": object{recipient: "vault", burned: "burned"}, "ids": []string{"7", "115792089237316195423570985008687907853269984665640564039457584007913129639935"},
	}})
}

// TestTokensWithIDs: a call moves a token with an id where contracts lists the method, and nfts the token and who gets it.
func TestTokensWithIDs(t *testing.T) {
	e := newEngine(t, nftData())
	for name, c := range map[string]struct {
		move   evidence.Movement
		action policy.Action
		rule   string
	}{
		"listed": {evidence.Movement{Asset: evidence.AssetERC721, Contract: punks, TokenID: "7", To: recipient, Amount: "1"}, policy.Approve, "call.movement"},
		"as ERC-20's transferFrom": {evidence.Movement{Asset: evidence.AssetToken, Contract: punks, AmountOrID: "7", To: recipient},
			policy.Approve, "call.movement"},
		"another id": {evidence.Movement{Asset: evidence.AssetERC721, Contract: punks, TokenID: "8", To: recipient, Amount: "1"}, policy.Reject, "call.movement"},
		"another id, as ERC-20's transferFrom": {evidence.Movement{Asset: evidence.AssetToken, Contract: punks, AmountOrID: "8", To: recipient},
			policy.Reject, "call.movement"},
		"another recipient": {evidence.Movement{Asset: evidence.AssetERC721, Contract: punks, TokenID: "7", To: router, Amount: "1"}, policy.Reject, "call.movement"},
		"who is denied":     {evidence.Movement{Asset: evidence.AssetERC721, Contract: punks, TokenID: "7", To: burned, Amount: "1"}, policy.Reject, "address.denied"},
		"another kind":      {evidence.Movement{Asset: evidence.AssetERC1155, Contract: punks, TokenID: "7", To: recipient, Amount: "1"}, policy.Reject, "call.movement"},
		"another contract":  {evidence.Movement{Asset: evidence.AssetERC721, Contract: weth, TokenID: "7", To: recipient, Amount: "1"}, policy.Reject, "call.movement"},
	} {
		t.Run(name, func(t *testing.T) {
			in := calling(t, e, punks, func(in *policy.Input, d *evidence.Decoded) {
				in.Tx.AmountBase, d.Transaction.Value = "0", "0"
				d.Calls[0].Selector, d.Calls[0].Method = "0x42842e0e", "safeTransferFrom(address,address,uint256)"
				d.Movements = []evidence.Movement{c.move}
			})
			wantAmong(t, decide(t, e, in), c.action, c.rule)
		})
	}
}

// TestTokensWithIDsData: what data.json may not say of them.
func TestTokensWithIDsData(t *testing.T) {
	for name, c := range map[string]struct {
		entry object
		at    string
		says  string
	}{
		"kind":          {object{"kind": "erc20", "recipients": object{recipient: "x"}, "any_id": true}, "/kind", "not erc721 or erc1155"},
		"nobody":        {object{"kind": "erc721", "recipients": object{}, "any_id": true}, "/recipients", "is empty"},
		"no token":      {object{"kind": "erc721", "recipients": object{recipient: "x"}}, "", "needs one of"},
		"all and some":  {object{"kind": "erc721", "recipients": object{recipient: "x"}, "any_id": true, "ids": []string{"1"}}, "", "needs one of"},
		"id in hex":     {object{"kind": "erc721", "recipients": object{recipient: "x"}, "ids": []string{"0x1"}}, "/ids/0", "is no token id"},
		"id with zeros": {object{"kind": "erc721", "recipients": object{recipient: "x"}, "ids": []string{"01"}}, "/ids/0", "is no token id"},
		"id too large":  {object{"kind": "erc721", "recipients": object{recipient: "x"}, "ids": []string{maxUint256 + "0"}}, "/ids/0", "is no token id"},
		"max of one":    {object{"kind": "erc721", "recipients": object{recipient: "x"}, "any_id": true, "max": "1"}, "/max", "belongs to erc1155"},
		"no max":        {object{"kind": "erc1155", "recipients": object{recipient: "x"}, "any_id": true}, "/max", "whole number"},
		"an address":    {object{"kind": "erc721", "recipients": object{"0x1": "x"}, "any_id": true}, "/recipients/0x1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			data := callsData()
			set(data, "nfts.ETH", object{punks: c.entry})
			_, err := policy.New(t.Context(), policy.Config{Source: source(t, data)})
			wantError(t, err, "/nfts/ETH/"+punks+c.at, c.says)
		})
	}
	data := callsData()
	set(data, "nfts.ETH", object{usdt: object{"kind": "erc721", "recipients": object{recipient: "x"}, "any_id": true}})
	_, err := policy.New(t.Context(), policy.Config{Source: source(t, data)})
	wantError(t, err, "/nfts/ETH/"+usdt, "is the contract of asset USDT_ETH")
}
