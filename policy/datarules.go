package policy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/countersign-mpc/countersign/evidence"
)

func (c *compiler) limits() map[string]any {
	return perChain(c, "", "limits", c.file.Limits, func(at []string, chain Chain, files map[string][]fileLimit) map[string]any {
		out := make(map[string]any, len(files))
		for _, id := range sortedKeys(files) {
			at := under(at, id)
			asset, known := chain.Assets[id]
			if !known {
				c.noAsset(at, chain, id)
				continue
			}
			list := make([]any, 0, len(files[id]))
			for i, f := range files[id] {
				list = append(list, c.limit(under(at, fmt.Sprint(i)), asset, f))
			}
			if len(list) == 0 {
				c.add(at, "is empty: leave it out to reject the asset, or give a max")
			}
			c.groupOnce(at, files[id])
			c.reachable(at, asset, files[id])
			out[id] = list
		}
		return out
	})
}

// groupOnce refuses two limits of an asset that ask the same group: one transfer would then wait for two different approvals
// of that group, of which each makes the other void.
func (c *compiler) groupOnce(at []string, limits []fileLimit) {
	first := make(map[string]int)
	for i, limit := range limits {
		if limit.Wallets != nil || limit.Vaults != nil {
			continue // of wallets and vaults of their own; where both hold, the group is asked once for both
		}
		for j, tier := range limit.Approvals {
			if k, asked := first[tier.Group]; asked && k != i {
				c.add(under(at, fmt.Sprint(i), "approvals", fmt.Sprint(j), "group"), "is asked by limit %d of this asset too: put the tiers of one group into one limit", k)
			}
			first[tier.Group] = i
		}
	}
}

// reachable refuses a tier that begins where another limit, which holds for every wallet and vault, has ended already: nobody
// would ever be asked.
func (c *compiler) reachable(at []string, asset Asset, limits []fileLimit) {
	for i, limit := range limits {
		for j, tier := range limit.Approvals {
			for k, other := range limits {
				if k == i || other.Wallets != nil || other.Vaults != nil {
					continue
				}
				above, err := baseUnits(tier.Above, UnitCoin, asset.Decimals)
				highest, err2 := baseUnits(other.Max, UnitCoin, asset.Decimals)
				if err == nil && err2 == nil && compareBase(above, highest) >= 0 {
					c.add(under(at, fmt.Sprint(i), "approvals", fmt.Sprint(j), "above"), "is not below the max of limit %d, which holds for every wallet: nobody would ever be asked", k)
				}
			}
		}
	}
}

func (c *compiler) limit(at []string, asset Asset, f fileLimit) map[string]any {
	coins := func(at []string, amount string) json.Number { return c.coins(at, asset, amount) }
	highest := coins(under(at, "max"), f.Max)
	out := map[string]any{"max": f.Max, "max_base": highest, "approvals": c.tiers(at, highest, f.Approvals, coins)}
	for _, of := range []struct {
		key  string
		list []string
	}{{"wallets", f.Wallets}, {"vaults", f.Vaults}} {
		if of.list == nil {
			continue
		}
		if len(of.list) == 0 || slices.Contains(of.list, "") {
			c.add(under(at, of.key), "names nobody, or one without an id: leave it out for all, or name ids as tx_info has them")
		}
		out[of.key] = of.list
	}
	return out
}

// tiers checks the approvals that a limit asks for below its max; base reads what they are above.
func (c *compiler) tiers(at []string, highest json.Number, list []fileApproval, base func([]string, string) json.Number) []any {
	tiers := make([]any, 0, len(list))
	last := json.Number("")
	for i, a := range list {
		tierAt := under(at, "approvals", fmt.Sprint(i))
		above := base(under(tierAt, "above"), a.Above)
		if above != "" && highest != "" && compareBase(above, highest) >= 0 {
			c.add(under(tierAt, "above"), "is not below the limit's max, beyond which everything is rejected")
		}
		if above != "" && last != "" && compareBase(above, last) <= 0 {
			c.add(under(tierAt, "above"), "is not above that of the tier before it: tiers rise")
		}
		last = above
		tiers = append(tiers, c.tier(tierAt, a, above))
	}
	return tiers
}

// quorum is the group of which so many approvers are asked.
func (c *compiler) quorum(at []string, name string, threshold int) Group {
	group, known := c.groups[name]
	switch {
	case !known:
		c.add(under(at, "group"), "%q is not a group of /groups", name)
	case threshold < 1 || threshold > len(group.Approvers):
		c.add(under(at, "threshold"), "is %d, but group %s has %d members", threshold, name, len(group.Approvers))
	}
	return group
}

func (c *compiler) tier(at []string, f fileApproval, above json.Number) map[string]any {
	c.quorum(at, f.Group, f.Threshold)
	if f.ExpirySeconds < 1 || f.ExpirySeconds > maxExpirySeconds {
		c.add(under(at, "expiry_seconds"), "is %d, not from 1 to %d", f.ExpirySeconds, maxExpirySeconds)
	}
	if f.WaitSeconds == 0 {
		f.WaitSeconds = defaultWaitSeconds
	}
	if f.WaitSeconds < 1 || f.WaitSeconds > maxWaitSeconds {
		c.add(under(at, "wait_seconds"), "is %d, not from 1 to %d", f.WaitSeconds, maxWaitSeconds)
	}
	return map[string]any{
		"above": f.Above, "above_base": above, "group": f.Group, "threshold": f.Threshold,
		"expiry_seconds": f.ExpirySeconds, "wait_seconds": f.WaitSeconds,
		"not_requester": f.NotRequester, "rejection_final": f.RejectionFinal,
	}
}

// coins reads an amount that the security team wrote, which is always in coins, and returns it in base units.
func (c *compiler) coins(at []string, asset Asset, amount string) json.Number {
	base, err := baseUnits(amount, UnitCoin, asset.Decimals)
	if err != nil {
		c.add(at, "%v: write coins of %s as a string, such as \"10000\" or \"0.5\"", err, asset.ID)
	}
	return base
}

func (c *compiler) addresses() map[string]any {
	return perChain(c, "", "addresses", c.file.Addresses, func(at []string, chain Chain, f fileAddresses) map[string]any {
		if f.AllowAny && len(f.Allow) > 0 {
			c.add(under(at, "allow_any"), "is true, which makes the allow list beside it mean nothing: keep one of them")
		}
		own := c.addressList(under(at, "own"), chain, f.Own)
		c.data.own[chain.Symbol] = make(map[string]bool, len(own))
		for _, e := range own {
			c.data.own[chain.Symbol][e.address] = true
		}
		return map[string]any{
			"allow_any": f.AllowAny,
			"allow":     c.addressList(under(at, "allow"), chain, f.Allow),
			"deny":      c.addressList(under(at, "deny"), chain, f.Deny),
			"own":       own,
		}
	})
}

func (c *compiler) unverifiable() map[string]any {
	out := make(map[string]any, len(c.file.Evidence.Unverifiable))
	for _, symbol := range sortedKeys(c.file.Evidence.Unverifiable) {
		at := []string{"evidence", "unverifiable", symbol}
		f := c.file.Evidence.Unverifiable[symbol]
		if _, known := c.chains[symbol]; !known {
			c.noChain(at, symbol)
		}
		if len(f.Codes) == 0 {
			c.add(under(at, "codes"), "is empty: name the evidence codes that are let through, such as \"no-raw-tx\"")
		}
		for i, code := range f.Codes {
			c.evidenceCode(under(at, "codes", fmt.Sprint(i)), code)
		}
		grant := c.grant(at, fileGrant{AnyRequester: f.AnyRequester, Requesters: f.Requesters})
		grant["codes"] = orEmpty(f.Codes)
		out[symbol] = grant
	}
	return out
}

// evidenceCode says what is wrong with a code that evidence never gives an unverifiable claim.
func (c *compiler) evidenceCode(at []string, code string) {
	known := map[string]bool{}
	for _, k := range evidence.UnverifiableCodes() {
		known[string(k)] = true
	}
	if !known[code] {
		c.add(at, "%q is none of the evidence codes %s%s", clip(code), strings.Join(sortedKeys(known), ", "), didYouMean(code, known))
	}
}

func (c *compiler) raw() map[string]any {
	out := make(map[string]any, len(c.file.Raw))
	for _, publicKey := range sortedKeys(c.file.Raw) {
		at := []string{"raw", publicKey}
		f := c.file.Raw[publicKey]
		c.publicKey(at, publicKey)
		if f.Paths != nil && len(f.Paths) == 0 {
			c.add(under(at, "paths"), "is empty: leave it out for every path of the key, or name the paths")
		}
		grant := c.grant(at, fileGrant{AnyRequester: f.AnyRequester, Requesters: f.Requesters})
		grant["any_path"], grant["paths"] = f.Paths == nil, orEmpty(f.Paths)
		out[publicKey] = grant
	}
	return out
}

func (c *compiler) preSign() map[string]any {
	out := make(map[string]any, len(c.file.PreSign))
	for _, publicKey := range sortedKeys(c.file.PreSign) {
		at := []string{"pre_sign", publicKey}
		f := c.file.PreSign[publicKey]
		c.publicKey(at, publicKey)
		if len(f.Paths) == 0 {
			c.add(under(at, "paths"), "is empty: name the paths for which presignatures may be made, such as \"m/44/60/0/0/0\"")
		}
		grant := c.grant(at, fileGrant{AnyRequester: f.AnyRequester, Requesters: f.Requesters})
		grant["paths"] = orEmpty(f.Paths)
		out[publicKey] = grant
	}
	return out
}

// grant says to whom something is allowed; it has to say so outright.
func (c *compiler) grant(at []string, f fileGrant) map[string]any {
	if f.AnyRequester == (len(f.Requesters) > 0) {
		c.add(at, "needs either \"any_requester\": true or \"requesters\" with the key ids that are allowed")
	}
	c.keyIDs(under(at, "requesters"), f.Requesters)
	return map[string]any{"any_requester": f.AnyRequester, "requesters": orEmpty(f.Requesters)}
}

func (c *compiler) keyIDs(at []string, ids []string) {
	for i, id := range ids {
		if !keyIDPattern.MatchString(id) {
			c.add(under(at, fmt.Sprint(i)), "is no key id: the 64 lower-case hex digits of SHA-256 of a public key's SPKI DER are")
		}
	}
}

func (c *compiler) publicKey(at []string, key string) {
	if !publicKeyPattern.MatchString(key) {
		c.add(at, "is no root public key: 66 lower-case hex digits for secp256k1 (compressed), 64 for Ed25519")
	}
}
