package cluster

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"path/filepath"

	"github.com/countersign-mpc/countersign/e2e/bitcoin"
	"github.com/countersign-mpc/countersign/manifest"
	"github.com/countersign-mpc/countersign/wire"
)

// The demo's limits, in whole coins of each kind: what a payment may be without asking anybody, with two approvers, and at most.
const (
	FreeLimit, HardLimit       = "5000", "10000" // USDT
	FreeBitcoin, HardBitcoin   = "0.002", "0.01" // BTC
	FreePermit                 = "1000"          // USDC, at most
	FreeRune, HardRune         = "200", "500"    // of the rune of package bitcoin
	FreeInscribed, HardScribed = "2000", "5000"  // of the BRC-20 ticker of package bitcoin
)

// Addresses of the demo.
const (
	USDT     = "0xdAC17F958D2ee523a2206206994597C13D831ec7"
	Supplier = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
	Denied   = "0x00000000000000000000000000000000DeaDBeef"
	Stranger = "0x0000000000000000000000000000000000c0ffee" // on no list
	Spender  = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359" // who permits may be given to
)

// Key is a finished key, for which the policy says more.
type Key struct {
	PublicKey, ChainCode string
	Raw                  bool              // it may sign raw data
	Messages             bool              // it may sign the demo's messages
	ScriptRoots          map[string]string // of taproot-sign: Merkle root -> what it is
	ScriptPaths          bool              // it may spend by scripts
	Own                  map[string]string // its Bitcoin addresses -> which they are
}

// Learn tells the callback about keys: what they may sign, and their chain codes. It restarts the callback.
func (c *Cluster) Learn(ctx context.Context, keys ...Key) error {
	c.Keys = append(c.Keys, keys...)
	if err := c.WriteData(nil); err != nil {
		return err
	}
	if err := c.writeCallbackConfig(); err != nil {
		return err
	}
	c.Stop("callback")
	return c.Start(ctx, "callback")
}

// Reload writes the policy's data and makes it live.
func (c *Cluster) Reload(ctx context.Context) error {
	if err := c.WriteData(nil); err != nil {
		return err
	}
	_, err := c.Callback(ctx, "policy", "reload")
	return err
}

// limit is one entry of limits, and what tokens have in its place.
func limit(free, hard string) map[string]any {
	return map[string]any{"max": hard, "approvals": []any{map[string]any{"above": free, "group": "treasury", "threshold": 2,
		"expiry_seconds": 3600, "wait_seconds": 1, "not_requester": true}}}
}

// WriteData writes the policy's data.json; change, if not nil, may alter it first.
func (c *Cluster) WriteData(change func(data map[string]any)) error {
	requester, err := manifest.NewRequesterKey(c.Requester.Public())
	if err != nil {
		return err
	}
	parties := make(map[string]any)
	for _, name := range NodeNames {
		parties[string(c.Nodes[name].NodeID)] = "node " + name
	}
	var schemes []any
	for _, cryptography := range []string{wire.ECDSASecp256k1, wire.EdDSAEd25519} {
		for _, t := range []int{2, 3} {
			schemes = append(schemes, map[string]any{"cryptography": cryptography, "t": t, "n": 3})
		}
	}
	data := map[string]any{
		"format":        "countersign/policy-data/v1",
		"request_types": []string{wire.TypeKeygen, wire.TypeSign, wire.TypeBIP340SchnorrSign, wire.TypeTaprootSign},
		"keygen":        map[string]any{"parties": parties, "schemes": schemes},
		"groups":        map[string]any{"treasury": map[string]any{"members": Approvers}},
		"custom":        map[string]any{"requester": requester.ID()},
	}
	if data["approvers"], err = c.approverData(); err != nil {
		return err
	}
	c.ethereumData(data)
	c.bitcoinData(data)
	c.keyData(data, requester.ID())
	if change != nil {
		change(data)
	}
	encoded, err := json.MarshalIndent(data, "", "  ")
	if err != nil {
		return err
	}
	return c.write(filepath.Join("policy", "data.json"), string(encoded)+"\n")
}

func (c *Cluster) approverData() (map[string]any, error) {
	approvers := make(map[string]any)
	for _, name := range Approvers {
		der, err := x509.MarshalPKIXPublicKey(&c.approvers[name].PublicKey)
		if err != nil {
			return nil, err
		}
		approvers[name] = map[string]any{"public_key": base64.StdEncoding.EncodeToString(der)}
	}
	return approvers, nil
}

// ethereumData: two coins and a token with permits, the addresses that they may go to, and the typed data that may be signed.
func (c *Cluster) ethereumData(data map[string]any) {
	data["chains"] = map[string]any{"ETH": map[string]any{"family": "evm", "chain_id": 1, "amount_unit": "base", "assets": map[string]any{
		"ETH":      map[string]any{"kind": "native", "decimals": 18},
		"USDT_ETH": map[string]any{"kind": "erc20", "contract": USDT, "decimals": 6},
		"USDC_ETH": map[string]any{"kind": "erc20", "contract": USDC, "decimals": 6},
	}}}
	data["gas"] = map[string]any{"ETH": map[string]any{"max_fee": "0.1"}}
	data["limits"] = map[string]any{"ETH": map[string]any{"ETH": []any{limit("1", "5")}, "USDT_ETH": []any{limit(FreeLimit, HardLimit)}}}
	data["addresses"] = map[string]any{"ETH": map[string]any{"allow": map[string]any{Supplier: "supplier"}, "deny": map[string]any{Denied: "known thief"}}}
	data["typed_data"] = map[string]any{
		"usdc": map[string]any{"primary_types": []string{"Permit"},
			"domain": map[string]any{"name": "USD Coin", "version": "2", "chain_id": 1, "verifying_contract": USDC}},
		"mail": map[string]any{"primary_types": []string{"Mail"},
			"domain": map[string]any{"name": "Ether Mail", "version": "1", "chain_id": 1, "verifying_contract": "0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC"}},
	}
	data["permits"] = map[string]any{"ETH": map[string]any{"USDC_ETH": map[string]any{"spenders": map[string]any{Spender: "exchange"},
		"max": FreePermit, "max_deadline_seconds": 10 * 365 * 24 * 3600}}}
}

// bitcoinData: the coin, a rune and a BRC-20 ticker.
func (c *Cluster) bitcoinData(data map[string]any) {
	own := make(map[string]any)
	for _, key := range c.Keys {
		for address, what := range key.Own {
			own[address] = what
		}
	}
	data["chains"].(map[string]any)["BTC"] = map[string]any{"family": "utxo", "network": "mainnet", "amount_unit": "base",
		"assets": map[string]any{"BTC": map[string]any{"kind": "native", "decimals": 8}}}
	data["limits"].(map[string]any)["BTC"] = map[string]any{"BTC": []any{limit(FreeBitcoin, HardBitcoin)}}
	data["addresses"].(map[string]any)["BTC"] = map[string]any{"allow": map[string]any{bitcoin.Recipient: "supplier"}, "own": own}
	data["utxo"] = map[string]any{"BTC": map[string]any{"max_fee": "0.0001", "max_fee_rate": 50}}
	tokens := limit(FreeRune, HardRune)
	tokens["spaced_name"], tokens["symbol"], tokens["divisibility"], tokens["amount_unit"] = bitcoin.Rune.Spaced, bitcoin.Rune.Symbol, bitcoin.Rune.Divisibility, "coin"
	data["runes"] = map[string]any{"BTC": map[string]any{bitcoin.Rune.ID: tokens}}
	transfer := limit(FreeInscribed, HardScribed)
	transfer["steps"] = []int{1, 2, 3}
	data["brc20"] = map[string]any{"BTC": map[string]any{bitcoin.Ticker: map[string]any{"methods": map[string]any{"transfer": transfer}}}}
}

// keyData: what single keys may sign beside payments.
func (c *Cluster) keyData(data map[string]any, requester string) {
	messages, raw, taproot := make(map[string]any), make(map[string]any), make(map[string]any)
	for _, key := range c.Keys {
		if key.Messages {
			messages[key.PublicKey] = map[string]any{"requesters": []string{requester}, "typed_data": []string{"usdc", "mail"}, "text": []string{"Sign in to [a-z.]+"}}
		}
		if key.Raw {
			raw[key.PublicKey] = map[string]any{"requesters": []string{requester}}
		}
		if key.ScriptPaths || len(key.ScriptRoots) > 0 {
			taproot[key.PublicKey] = map[string]any{"script_roots": key.ScriptRoots, "script_paths": key.ScriptPaths}
		}
	}
	data["messages"], data["raw"], data["taproot"] = messages, raw, taproot
}
