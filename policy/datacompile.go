package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/countersign-mpc/countersign/internal/pace"
	"github.com/countersign-mpc/countersign/wire"
)

// Bounds on data.json.
const (
	maxPartiesOfKey     = 9
	maxExpirySeconds    = 30 * 24 * 60 * 60
	defaultWaitSeconds  = 30
	maxWaitSeconds      = 60 * 60
	maxNameOfNodeLength = 1024
)

// coinDecimals are those of the coin of a UTXO chain: outputs hold satoshi.
const coinDecimals = 8

// maxName bounds a name, in bytes.
const maxName = 64

// isName reports whether a chain's symbol, an asset's id, a group or an approver may have this name: letters and digits, and behind the
// first one . _ : and -.
func isName(text string) bool {
	for i := range len(text) {
		switch c := text[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', isDigit(c):
		case i > 0 && (c == '.' || c == '_' || c == ':' || c == '-'):
		default:
			return false
		}
	}
	return text != "" && len(text) <= maxName
}

// keyIDPattern is how a requester or approver key is named.
var keyIDPattern = regexp.MustCompile(`^[0-9a-f]{64}$`)

var publicKeyPattern = regexp.MustCompile(`^(0[23])?[0-9a-f]{64}$`)

var requestTypes = []string{
	wire.TypeKeygen, wire.TypeRefresh, wire.TypeReshare, wire.TypeSign, wire.TypeBIP340SchnorrSign, wire.TypeTaprootSign,
	wire.TypePreSign, wire.TypePreSignOnline,
}

// compiler turns a data.json as written into what Rego sees, collecting faults on the way.
type compiler struct {
	faults
	file   *fileData
	pace   *pace.Pacer
	chains map[string]Chain
	groups map[string]Group
	data   Data // own addresses and tokens, filled on the way
}

// compile turns what was read from a file of size bytes into what Rego sees. It gives way to others; p may be nil.
func (f *fileData) compile(size int, p *pace.Pacer) (*Data, error) {
	c := &compiler{file: f, pace: p, data: Data{
		own: map[string]map[string]bool{}, brc20: map[string]map[string]int{}, runes: map[string]map[string]runeAsset{},
		nfts: map[string]map[string]string{},
	}}
	c.chains = c.compileChains()
	c.groups = c.compileGroups()
	c.data.wallets, c.data.vaults, c.data.unbound = c.bound("wallets", f.Wallets), c.bound("vaults", f.Vaults), f.UnboundWallets
	c.namesBound()
	tickers, runes := c.brc20(), c.runes() // windows may be about them
	document := map[string]any{
		"request_types":   c.requestTypes(),
		"unknown_fields":  orEmpty(f.UnknownFields),
		"chains":          c.chainDocument(),
		"keygen":          c.keygen(),
		"limits":          c.limits(),
		"windows":         c.windows(),
		"wallets":         c.data.wallets,
		"vaults":          c.data.vaults,
		"unbound_wallets": c.data.unbound,
		"addresses":       c.addresses(),
		"hours":           c.hours(),
		"contracts":       c.contracts(),
		"allowances":      c.allowances(),
		"nfts":            c.nfts(),
		"gas":             c.gas(),
		"evidence":        map[string]any{"unverifiable": c.unverifiable()},
		"messages":        c.messages(),
		"typed_data":      c.typedData(),
		"permits":         c.permits(),
		"raw":             c.raw(),
		"pre_sign":        c.preSign(),
		"utxo":            c.utxo(),
		"brc20":           tickers,
		"runes":           runes,
		"taproot":         c.taproot(),
		"groups":          c.groupDocument(),
		"custom":          map[string]any(f.Custom),
	}
	if f.Custom == nil {
		document["custom"] = map[string]any{}
	}
	if changes := c.policyChanges(); changes != nil {
		document["policy_changes"] = changes
	}
	if err := c.err(); err != nil {
		return nil, err
	}
	canonical, err := appendDocument(make([]byte, 0, size+size/8), document, p)
	if err != nil {
		return nil, fmt.Errorf("write the policy's data: %w", err)
	}
	c.data.chains, c.data.groups, c.data.tokens, c.data.canonical = c.chains, c.groups, tokensOf(c.chains), canonical
	return &c.data, nil
}

func (c *compiler) requestTypes() []string {
	for i, t := range c.file.RequestTypes {
		if !slices.Contains(requestTypes, t) {
			c.add([]string{"request_types", fmt.Sprint(i)}, "%q is none of %s", t, strings.Join(requestTypes, ", "))
		}
	}
	return orEmpty(c.file.RequestTypes)
}

func (c *compiler) compileChains() map[string]Chain {
	chains := make(map[string]Chain, len(c.file.Chains))
	byID := map[uint64]string{}
	for _, symbol := range sortedKeys(c.file.Chains) {
		at := []string{"chains", symbol}
		f := c.file.Chains[symbol]
		c.name(at, symbol)
		chain := Chain{Symbol: symbol, Family: f.Family, ChainID: f.ChainID, Network: f.Network, AmountUnit: f.AmountUnit}
		c.checkChain(at, chain)
		if f.ChainID != 0 {
			if other, ok := byID[f.ChainID]; ok {
				c.add(under(at, "chain_id"), "%d is also that of %s: limits of one would not hold for the other", f.ChainID, other)
			}
			byID[f.ChainID] = symbol
		}
		chain.Assets = c.compileAssets(at, chain, f.Assets)
		for _, id := range sortedKeys(chain.Assets) {
			if chain.Assets[id].Kind == AssetNative && chain.Native != "" {
				c.add(under(at, "assets", id), "is a second native asset beside %s", chain.Native)
			} else if chain.Assets[id].Kind == AssetNative {
				chain.Native = id
			}
		}
		chains[symbol] = chain
	}
	c.oneUTXOChain(chains)
	return chains
}

func (c *compiler) checkChain(at []string, chain Chain) {
	switch chain.Family {
	case FamilyEVM:
		if chain.ChainID == 0 {
			c.add(under(at, "chain_id"), "is missing: an evm chain has its EIP-155 chain id, such as 1")
		}
		if chain.Network != "" {
			c.add(under(at, "network"), "belongs to utxo chains")
		}
	case FamilyUTXO:
		if !slices.Contains([]string{"mainnet", "testnet", "signet", "regtest"}, chain.Network) {
			c.add(under(at, "network"), "is %q, not mainnet, testnet, signet or regtest", chain.Network)
		}
		if chain.ChainID != 0 {
			c.add(under(at, "chain_id"), "belongs to evm chains")
		}
	default:
		c.add(under(at, "family"), "is %q, not %s or %s", chain.Family, FamilyEVM, FamilyUTXO)
	}
	if chain.AmountUnit != UnitBase && chain.AmountUnit != UnitCoin {
		c.add(under(at, "amount_unit"), "is %q, not %q (amounts in tx_info are integers, such as wei) or %q (they may have a point)",
			chain.AmountUnit, UnitBase, UnitCoin)
	}
}

func (c *compiler) compileAssets(chainAt []string, chain Chain, files map[string]fileAsset) map[string]Asset {
	assets := make(map[string]Asset, len(files))
	byContract := map[string]string{}
	for _, id := range sortedKeys(files) {
		at := under(chainAt, "assets", id)
		f := files[id]
		c.name(at, id)
		asset := Asset{ID: id, Kind: f.Kind}
		if f.Decimals == nil || *f.Decimals < 0 || *f.Decimals > maxDecimals {
			c.add(under(at, "decimals"), "has to be given, from 0 to %d", maxDecimals)
		} else {
			asset.Decimals = *f.Decimals
		}
		switch {
		case f.Kind == AssetERC20 && chain.Family == FamilyEVM:
			contract, err := chain.canonicalAddress(f.Contract)
			if err != nil {
				c.add(under(at, "contract"), "%v", err)
			} else if other, ok := byContract[contract]; ok {
				c.add(under(at, "contract"), "is also that of %s: limits of one would not hold for the other", other)
			}
			byContract[contract] = id
			asset.Contract = contract
		case f.Kind == AssetNative:
			if f.Contract != "" {
				c.add(under(at, "contract"), "belongs to %s assets", AssetERC20)
			}
			if chain.Family == FamilyUTXO && f.Decimals != nil && *f.Decimals != coinDecimals {
				c.add(under(at, "decimals"), "is %d, but a coin of Bitcoin has %d", *f.Decimals, coinDecimals)
			}
		default:
			c.add(under(at, "kind"), "is %q, not %s or, on evm chains, %s", f.Kind, AssetNative, AssetERC20)
		}
		assets[id] = asset
	}
	return assets
}

func (c *compiler) chainDocument() map[string]any {
	out := make(map[string]any, len(c.chains))
	for symbol, chain := range c.chains {
		assets := make(map[string]any, len(chain.Assets))
		for id, a := range chain.Assets {
			assets[id] = map[string]any{"kind": a.Kind, "contract": a.Contract, "decimals": a.Decimals}
		}
		out[symbol] = map[string]any{
			"family": chain.Family, "chain_id": chain.ChainID, "network": chain.Network,
			"amount_unit": chain.AmountUnit, "native": chain.Native, "assets": assets,
		}
	}
	return out
}

func (c *compiler) keygen() map[string]any {
	parties := make(map[string]string, len(c.file.Keygen.Parties))
	for _, id := range sortedKeys(c.file.Keygen.Parties) {
		if id == "" || len(id) > maxNameOfNodeLength {
			c.add([]string{"keygen", "parties", id}, "is no node id")
		}
		parties[id] = c.file.Keygen.Parties[id]
	}
	schemes := make([]any, 0, len(c.file.Keygen.Schemes))
	for i, s := range c.file.Keygen.Schemes {
		at := []string{"keygen", "schemes", fmt.Sprint(i)}
		if s.Cryptography != wire.ECDSASecp256k1 && s.Cryptography != wire.EdDSAEd25519 {
			c.add(under(at, "cryptography"), "is %q, not %s or %s", s.Cryptography, wire.ECDSASecp256k1, wire.EdDSAEd25519)
		}
		if s.T < 2 || s.T > s.N || s.N > maxPartiesOfKey {
			c.add(at, "t is %d and n is %d, but 2 <= t <= n <= %d has to hold (t is the number of signers needed)", s.T, s.N, maxPartiesOfKey)
		}
		schemes = append(schemes, map[string]any{"cryptography": s.Cryptography, "t": s.T, "n": s.N})
	}
	return map[string]any{"parties": parties, "schemes": schemes}
}

func (c *compiler) name(at []string, name string) {
	if !isName(name) {
		c.add(at, "is no name: up to 64 letters, digits and . _ : - are, starting with a letter or digit")
	}
}

// orEmpty makes JSON write [] instead of null.
func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
