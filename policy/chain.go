package policy

import "crypto"

// Chain holds what data.json says about a chain.
type Chain struct {
	Symbol     string
	Family     string // FamilyEVM or FamilyUTXO
	ChainID    uint64 // EVM only
	Network    string // UTXO only: "mainnet", "testnet", "regtest" or "signet"
	AmountUnit string // UnitBase or UnitCoin: the unit of the amounts in tx_info
	Native     string // id of the asset that pays fees
	Assets     map[string]Asset
}

// Lookup returns what data.json says about a chain, but for the list of its assets, and about one of those; symbol and id
// are matched exactly. What it does not know is zero.
func (e *Engine) Lookup(symbol, id string) (Chain, Asset) {
	chain := e.data.chains[symbol]
	asset := chain.Assets[id]
	chain.Assets = nil
	return chain, asset
}

// Asset holds what data.json says about an asset of a chain.
type Asset struct {
	ID       string
	Kind     string // AssetNative, AssetERC20
	Contract string // ERC-20: canonical address
	Decimals int
}

// The families, units and kinds of data.json.
const (
	FamilyEVM   = "evm"
	FamilyUTXO  = "utxo"
	UnitBase    = "base"
	UnitCoin    = "coin"
	AssetNative = "native"
	AssetERC20  = "erc20"
)

// Group is a group of approvers.
type Group struct {
	Name      string
	Revision  string // hex SHA-256 over names and public keys (docs/FORMATS.md)
	Approvers []Approver
}

// Approver is a person or machine whose signature approves.
type Approver struct {
	Name      string
	PublicKey crypto.PublicKey // *ecdsa.PublicKey on P-256, or ed25519.PublicKey
	KeyID     string           // hex SHA-256 of the key's SPKI DER
	// RequesterKeyIDs are the ids under which the same person asks for signatures; with KeyID and Name they tell that
	// a requester would approve its own request.
	RequesterKeyIDs []string

	spki []byte // PublicKey in SPKI DER
}
