package policy

import (
	"regexp"
	"strings"
)

// maxFeeRateLimit bounds max_fee_rate in satoshi per virtual byte: above it a slip is likelier than a wish.
const maxFeeRateLimit = 100_000

var scriptRootPattern = regexp.MustCompile(`^[0-9a-f]{64}$`)

type fileUTXO struct {
	MaxFee      string `json:"max_fee"`      // in coins
	MaxFeeRate  int64  `json:"max_fee_rate"` // satoshi per virtual byte
	Batch       bool   `json:"batch"`        // more than one recipient
	DataOutputs bool   `json:"data_outputs"` // OP_RETURN outputs beside runes
	// MaxFeePerMille is the most that the fee may be of what leaves the own addresses; nil: any share.
	MaxFeePerMille *int `json:"max_fee_per_mille"`
}

type fileRecipients struct {
	AllowAny bool        `json:"allow_any"`
	Allow    addressList `json:"allow"`
	Deny     addressList `json:"deny"`
}

type fileBRC20 struct {
	Decimals   *int                       `json:"decimals"` // nil: 18
	Methods    map[string]fileBRC20Method `json:"methods"`
	Recipients *fileRecipients            `json:"recipients"` // nil: those of the chain's addresses
}

type fileBRC20Method struct {
	Steps     []int          `json:"steps"`
	Max       string         `json:"max"` // in coins
	Approvals []fileApproval `json:"approvals"`
}

type fileRune struct {
	SpacedName   string          `json:"spaced_name"`
	Symbol       string          `json:"symbol"`
	Divisibility *int            `json:"divisibility"`
	AmountUnit   string          `json:"amount_unit"` // UnitBase or UnitCoin: of runeAmount as it is sent
	Max          string          `json:"max"`         // in coins
	Approvals    []fileApproval  `json:"approvals"`
	Recipients   *fileRecipients `json:"recipients"` // nil: those of the chain's addresses
}

type fileTaproot struct {
	AnyScriptRoot bool              `json:"any_script_root"`
	ScriptRoots   map[string]string `json:"script_roots"` // Merkle root -> what it is
	ScriptPaths   bool              `json:"script_paths"`
}

// runeAsset is how amounts of a rune are read.
type runeAsset struct {
	AmountUnit   string
	Divisibility int
}

// brc20Decimals are those of a ticker in canonical form.
func (d *Data) brc20Decimals(chain, ticker string) int {
	if decimals, known := d.brc20[chain][ticker]; known {
		return decimals
	}
	return defaultBRC20Decimals
}

func (c *compiler) utxo() map[string]any {
	return perChain(c, FamilyUTXO, "utxo", c.file.UTXO, func(at []string, chain Chain, f fileUTXO) map[string]any {
		if chain.Native == "" {
			c.add(at, "pays fees, but /chains/%s/assets has no native asset", chain.Symbol)
		}
		if f.MaxFeeRate < 1 || f.MaxFeeRate > maxFeeRateLimit {
			c.add(under(at, "max_fee_rate"), "is %d, not from 1 to %d satoshi per virtual byte", f.MaxFeeRate, maxFeeRateLimit)
		}
		entry := map[string]any{
			"max_fee": f.MaxFee, "max_fee_base": c.coins(under(at, "max_fee"), chain.Assets[chain.Native], f.MaxFee),
			// as input.utxo.fee_rate counts it: per 1000 virtual bytes
			"max_fee_rate": f.MaxFeeRate, "max_fee_rate_kvb": f.MaxFeeRate * 1000,
			"batch": f.Batch, "data_outputs": f.DataOutputs,
		}
		c.feeShare(at, entry, f.MaxFeePerMille)
		return entry
	})
}

// feeShare writes a cap on the fee as a share of the amount; nil is none.
func (c *compiler) feeShare(at []string, entry map[string]any, perMille *int) {
	if perMille == nil {
		return
	}
	if *perMille < 1 || *perMille > 1000 {
		c.add(under(at, "max_fee_per_mille"), "is %d, not from 1 to 1000", *perMille)
	}
	entry["max_fee_per_mille"] = *perMille
}

func (c *compiler) brc20() map[string]any {
	return perChain(c, FamilyUTXO, "brc20", c.file.BRC20, func(at []string, chain Chain, files map[string]fileBRC20) map[string]any {
		decimals := make(map[string]int, len(files))
		c.data.brc20[chain.Symbol] = decimals
		out := make(map[string]any, len(files))
		for _, ticker := range sortedKeys(files) {
			at, f := under(at, ticker), files[ticker]
			if canonical, err := canonicalTicker(ticker); err != nil {
				c.add(at, "%v", err)
			} else if canonical != ticker {
				c.add(at, "is compared as %q: write it so", canonical)
			}
			asset := Asset{ID: ticker, Decimals: c.decimals(under(at, "decimals"), f.Decimals, defaultBRC20Decimals, defaultBRC20Decimals)}
			decimals[ticker] = asset.Decimals
			out[ticker] = map[string]any{
				"decimals": asset.Decimals, "methods": c.brc20Methods(under(at, "methods"), asset, f.Methods),
				"recipients": c.recipients(under(at, "recipients"), chain, f.Recipients),
			}
		}
		return out
	})
}

func (c *compiler) brc20Methods(at []string, asset Asset, files map[string]fileBRC20Method) map[string]any {
	if len(files) == 0 {
		c.add(at, "is empty: leave the ticker out to reject it, or name what may be done with it")
	}
	out := make(map[string]any, len(files))
	for _, method := range sortedKeys(files) {
		f := files[method]
		if method != BRC20Deploy && method != BRC20Mint && method != BRC20Transfer {
			c.add(under(at, method), "is none of %s, %s and %s", BRC20Deploy, BRC20Mint, BRC20Transfer)
		}
		if len(f.Steps) == 0 {
			c.add(under(at, method, "steps"), "is empty: name the steps that may be signed, such as [1, 2, 3]")
		}
		for _, step := range f.Steps {
			if step < 0 || step > 255 {
				c.add(under(at, method, "steps"), "%d is not from 0 to 255", step)
			}
		}
		limit := c.limit(under(at, method), asset, fileLimit{Max: f.Max, Approvals: f.Approvals})
		limit["steps"] = orEmpty(f.Steps)
		out[method] = limit
	}
	return out
}

func (c *compiler) runes() map[string]any {
	return perChain(c, FamilyUTXO, "runes", c.file.Runes, func(at []string, chain Chain, files map[string]fileRune) map[string]any {
		c.data.runes[chain.Symbol] = map[string]runeAsset{}
		out, named := make(map[string]any, len(files)), map[string]string{}
		for _, id := range sortedKeys(files) {
			at, f := under(at, id), files[id]
			name := strings.ReplaceAll(f.SpacedName, "•", "")
			if other, twice := named[name]; twice {
				c.add(under(at, "spaced_name"), "is also that of %s: each rune has a name of its own", other)
			}
			named[name] = id
			out[id] = c.rune(at, chain, id, name, f)
		}
		return out
	})
}

func (c *compiler) rune(at []string, chain Chain, id, name string, f fileRune) map[string]any {
	if err := checkRuneID(id); err != nil {
		c.add(at, "%v", err)
	}
	if !spacedNamePattern.MatchString(f.SpacedName) || !runeNamePattern.MatchString(name) {
		c.add(under(at, "spaced_name"), "is %q, not up to 28 letters A to Z with a bullet (•) between some of them", f.SpacedName)
	}
	if f.AmountUnit != UnitBase && f.AmountUnit != UnitCoin {
		c.add(under(at, "amount_unit"), "is %q, not %q (runeAmount is an integer) or %q (it may have a point)", f.AmountUnit, UnitBase, UnitCoin)
	}
	asset := Asset{ID: f.SpacedName, Decimals: c.decimals(under(at, "divisibility"), f.Divisibility, 38, -1)}
	c.data.runes[chain.Symbol][id] = runeAsset{AmountUnit: f.AmountUnit, Divisibility: asset.Decimals}
	out := c.limit(at, asset, fileLimit{Max: f.Max, Approvals: f.Approvals})
	out["name"], out["spaced_name"], out["symbol"], out["divisibility"] = name, f.SpacedName, f.Symbol, asset.Decimals
	out["amount_unit"] = f.AmountUnit
	out["recipients"] = c.recipients(under(at, "recipients"), chain, f.Recipients)
	return out
}

// decimals checks a number of decimals; without a default (below 0) it has to be given.
func (c *compiler) decimals(at []string, given *int, most, otherwise int) int {
	switch {
	case given == nil && otherwise >= 0:
		return otherwise
	case given == nil || *given < 0 || *given > most:
		c.add(at, "has to be given, from 0 to %d", most)
		return 0
	}
	return *given
}

// recipients are null where those of the chain's addresses hold.
func (c *compiler) recipients(at []string, chain Chain, f *fileRecipients) any {
	if f == nil {
		return nil
	}
	if f.AllowAny && len(f.Allow) > 0 {
		c.add(under(at, "allow_any"), "is true, which makes the allow list beside it mean nothing: keep one of them")
	}
	return map[string]any{
		"allow_any": f.AllowAny,
		"allow":     c.addressList(under(at, "allow"), chain, f.Allow),
		"deny":      c.addressList(under(at, "deny"), chain, f.Deny),
	}
}

func (c *compiler) taproot() map[string]any {
	out := make(map[string]any, len(c.file.Taproot))
	for _, publicKey := range sortedKeys(c.file.Taproot) {
		at := []string{"taproot", publicKey}
		f := c.file.Taproot[publicKey]
		if !publicKeyPattern.MatchString(publicKey) || len(publicKey) != 66 {
			c.add(at, "is no root public key of secp256k1: 66 lower-case hex digits (compressed) are")
		}
		if f.AnyScriptRoot && len(f.ScriptRoots) > 0 {
			c.add(under(at, "any_script_root"), "is true, which makes the script_roots beside it mean nothing: keep one of them")
		}
		for _, root := range sortedKeys(f.ScriptRoots) {
			if !scriptRootPattern.MatchString(root) {
				c.add(under(at, "script_roots", root), "is no Merkle root: 64 lower-case hex digits are")
			}
		}
		roots := f.ScriptRoots
		if roots == nil {
			roots = map[string]string{}
		}
		out[publicKey] = map[string]any{"any_script_root": f.AnyScriptRoot, "script_roots": roots, "script_paths": f.ScriptPaths}
	}
	return out
}
