package evidence

import "strings"

// known says whether an asset is of a kind that can be compared.
func (a Asset) known() bool {
	switch a.Kind {
	case AssetNative, AssetERC20, AssetERC721, AssetERC1155:
		return true
	default:
		return false
	}
}

// hasID says whether an asset is one of many of its contract's.
func (a Asset) hasID() bool { return a.Kind == AssetERC721 || a.Kind == AssetERC1155 }

// matches says whether a movement is of the asset. Contracts are not compared where only calldata is there to compare.
func (a *Asset) matches(m *Movement) bool {
	switch {
	case a.Kind != m.Asset:
		return false
	case a.Kind == AssetNative:
		return true
	default:
		return (m.Contract == "" || isAddress(a.Contract, m.Contract)) && (!a.hasID() || a.TokenID == nil || a.TokenID.String() == m.TokenID)
	}
}

func formatAsset(kind AssetKind, contract string) string {
	return strings.TrimSpace(string(kind) + " " + contract)
}

// compareTransfer compares the movement that the transaction makes with the claimed one.
func (k *evmCheck) compareTransfer(claim *Claim, moved *Movement) {
	if kind := claim.Asset.Kind; claim.Asset.known() && !claim.Asset.matches(moved) {
		sameContract := kind == moved.Asset && (moved.Contract == "" || isAddress(claim.Asset.Contract, moved.Contract))
		if sameContract {
			k.differ("tokenId", formatInt(claim.Asset.TokenID), moved.TokenID)
		} else {
			k.differ("assetId", formatAsset(kind, claim.Asset.Contract), formatAsset(moved.Asset, moved.Contract))
		}
	}
	if claim.To != "" && !isAddress(claim.To, moved.To) {
		k.differ("to", claim.To, moved.To)
	}
	if signed := moved.Amount + moved.AmountOrID; claim.Amount != nil && !isInt(claim.Amount, signed) {
		k.differ("amount", claim.Amount.String(), signed)
	}
}

// is says whether a movement is the claimed one.
func (c *Claim) is(m *Movement) bool {
	return c.Asset.matches(m) && isAddress(c.To, m.To) && c.Amount != nil && isInt(c.Amount, m.Amount)
}

// effects compares what calldata does with the claim; tx is nil where only the calldata is there.
func (k *evmCheck) effects(claim *Claim, e *effect, tx *EVM) {
	sole := e.sole()
	switch {
	case claim.Asset.Kind == AssetNative:
		k.coinClaim(claim, e, tx)
	case claim.Asset.known():
		k.tokenClaim(claim, e, tx)
	case sole != nil:
		k.compareTransfer(claim, sole)
	}
}

// coinClaim compares a call with a claim about the native coin. Either it says what is moved in the end; or it declares
// the call, naming the contract as the recipient and the transaction's own value as the amount. For either it has to name
// the calldata: a claim without says that there is none.
func (k *evmCheck) coinClaim(claim *Claim, e *effect, tx *EVM) {
	sole := e.sole()
	final := sole != nil && sole.Asset == AssetNative
	switch {
	case tx == nil: // whom the call goes to is not known
		final = final && claim.is(sole)
	case isAddress(claim.To, formatAddress(tx.To)):
		final = false
	}
	if !final && len(e.obstacles) == 0 {
		k.obstruct(CodeNotTransfer, "the call does not only move the claimed coins")
	}
	if tx == nil {
		return
	}
	if !final {
		k.declaredCall(claim, tx)
		return
	}
	k.moved(sole)
	k.compareTransfer(claim, sole)
	if claim.InputData == "" {
		k.differ("inputdata", "", formatBytes(tx.Data))
	}
}

// tokenClaim compares a call with a claim about a token, which says that this one transfer is all that happens: every
// other movement and every approval contradicts it. What could not be read is an obstacle already.
func (k *evmCheck) tokenClaim(claim *Claim, e *effect, tx *EVM) {
	if tx != nil && tx.Value.Sign() != 0 {
		k.differ("value", "0", tx.Value.String())
	}
	if sole := e.sole(); sole != nil && sole.Asset != AssetNative {
		if !sole.drawn && tx != nil {
			k.moved(sole)
		}
		k.drawn(claim, sole)
		k.compareTransfer(claim, sole)
		return
	}
	claimed := Movement{Asset: claim.Asset.Kind, Contract: claim.Asset.Contract, TokenID: formatInt(claim.Asset.TokenID), To: claim.To, Amount: formatInt(claim.Amount)}
	found := false
	for i := range e.movements {
		m := &e.movements[i]
		own := i == 0 && tx != nil && tx.Value.Sign() != 0 // reported as value
		switch {
		case own:
		case !found && claim.is(m):
			found = true
			k.drawn(claim, m)
		default:
			k.differ("movements", claimed.String(), m.String())
		}
	}
	for _, a := range e.approvals {
		k.differ("approvals", "", a.String())
	}
}

// drawn finds a movement of what is not the caller's own. For ERC-20 that is another method than is claimed; otherwise the
// owner is compared, if the claim names one.
func (k *evmCheck) drawn(claim *Claim, m *Movement) {
	switch {
	case !m.drawn:
	case m.Asset == AssetERC20:
		k.differ("method", MethodTransfer, "a transfer by an approval of "+m.From)
	case claim.From != "" && m.From != "":
		k.differ("from", claim.From, m.From)
	}
}
