package evidence

import "math/big"

const methodSafeTransferFrom = "safeTransferFrom(address,address,uint256)"

// zeroAddress is from whom tokens come that are made, and to whom those go that are destroyed.
var zeroAddress [20]byte

// actTransfer: transfer(to, value) of ERC-20. ERC-721 has no such method.
func actTransfer(t *tracer, s site, args []any) {
	m := Movement{
		Asset: AssetERC20, Contract: formatAddress(s.contract), From: formatAddress(s.from), To: formatAddress(addressArg(args[0])),
		Amount: formatInt(intArg(args[1])),
	}
	if t.standardOf(s.contract) == AssetERC721 {
		m.Asset, m.Amount, m.AmountOrID = AssetToken, "", m.Amount
		t.noTransfer(MethodTransfer)
	}
	t.move(m)
}

// actTransferFrom: transferFrom(from, to, value or token id) of ERC-20 and ERC-721.
func actTransferFrom(t *tracer, s site, args []any) {
	from, to, number := addressArg(args[0]), addressArg(args[1]), intArg(args[2])
	m := Movement{Contract: formatAddress(s.contract), From: formatAddress(from), To: formatAddress(to)}
	switch m.Asset = t.standardOf(s.contract); m.Asset {
	case AssetERC20:
		m.Amount, m.drawn = formatInt(number), true
		t.noTransfer(MethodTransferFrom)
	case AssetERC721:
		m.TokenID, m.Amount = formatInt(number), "1"
		t.ofCaller(&m, s, MethodTransferFrom)
	default:
		m.AmountOrID = formatInt(number)
		t.ambiguous(MethodTransferFrom, s)
	}
	t.move(m)
}

// ofCaller notes a movement of what is not known to be the caller's own.
func (t *tracer) ofCaller(m *Movement, s site, signature string) {
	if s.from == nil || formatAddress(s.from) != m.From {
		m.drawn = true
		t.note(CodeNotTransfer, "the calldata calls "+signature+" for tokens that are not known to be the caller's own")
	}
}

func (t *tracer) ambiguous(signature string, s site) {
	t.note(CodeNotTransfer, "the calldata calls "+signature+", which is ERC-20's or ERC-721's: the claimed asset is not token "+
		formatAddress(s.contract)+" and does not tell")
}

// actApprove: approve(spender, value or token id) of ERC-20 and ERC-721.
func actApprove(t *tracer, s site, args []any) {
	spender, number := addressArg(args[0]), intArg(args[1])
	a := Approval{
		Kind: ApproveToken, Token: formatAddress(s.contract), Owner: formatAddress(s.from), Spender: formatAddress(spender), Change: changeSet,
	}
	switch t.standardOf(s.contract) {
	case AssetERC20:
		a.Kind = ApproveERC20
		a.setAmount(number)
	case AssetERC721:
		a.Kind, a.TokenID, a.Amount = ApproveERC721, formatInt(number), "1"
		a.Revoke = *spender == zeroAddress
	default: // as an allowance it may be unlimited; as a token id it is one token
		a.AmountOrID, a.Unlimited = formatInt(number), isUnlimited(number)
	}
	t.approve(a)
	t.noTransfer(MethodApprove)
}

// setAmount makes an approval one of an amount.
func (a *Approval) setAmount(amount *big.Int) {
	a.Amount, a.Unlimited = formatInt(amount), isUnlimited(amount)
	a.Revoke = a.Change == changeDecrease || (a.Change == changeSet && amount.Sign() == 0)
}

// actAllowance: increaseAllowance and decreaseAllowance (spender, by how much), which many ERC-20 tokens have, and older ones as
// increaseApproval and decreaseApproval.
func actAllowance(change string) func(*tracer, site, []any) {
	return func(t *tracer, s site, args []any) {
		a := Approval{
			Kind: ApproveERC20, Token: formatAddress(s.contract), Owner: formatAddress(s.from), Spender: formatAddress(addressArg(args[0])), Change: change,
		}
		a.setAmount(intArg(args[1]))
		if change == changeDecrease {
			a.Unlimited = false
		}
		t.approve(a)
		t.noTransfer(t.steps[len(t.steps)-1].Method)
	}
}

// actSafeTransferFrom: safeTransferFrom(from, to, token id) of ERC-721, with or without data for the recipient.
func actSafeTransferFrom(t *tracer, s site, args []any) {
	m := Movement{
		Asset: AssetERC721, Contract: formatAddress(s.contract), TokenID: formatInt(intArg(args[2])),
		From: formatAddress(addressArg(args[0])), To: formatAddress(addressArg(args[1])), Amount: "1",
	}
	t.ofCaller(&m, s, methodSafeTransferFrom)
	t.move(m)
	if len(args) > 3 {
		t.told(args[3])
	}
}

// told notes data that the recipient, if it is a contract, is told: it may do anything upon it.
func (t *tracer) told(data any) {
	if len(bytesArg(data)) > 0 {
		t.open = true
		t.note(CodeNotTransfer, "the transfer carries data, upon which its recipient may act")
	}
}

// actApprovalForAll: setApprovalForAll(operator, approved) of ERC-721 and ERC-1155.
func actApprovalForAll(t *tracer, s site, args []any) {
	approved, _ := args[1].(bool)
	t.approve(Approval{
		Kind: ApproveAll, Token: formatAddress(s.contract), Owner: formatAddress(s.from), Spender: formatAddress(addressArg(args[0])),
		Unlimited: approved, Revoke: !approved, Change: changeSet,
	})
	t.noTransfer("setApprovalForAll(address,bool)")
}

// actSafeTransfer1155: safeTransferFrom(from, to, token id, amount, data) of ERC-1155.
func actSafeTransfer1155(t *tracer, s site, args []any) {
	t.move1155(s, args, args[2], args[3])
	t.told(args[4])
}

// actSafeBatchTransfer1155: safeBatchTransferFrom(from, to, token ids, amounts, data) of ERC-1155.
func actSafeBatchTransfer1155(t *tracer, s site, args []any) {
	ids, amounts := listArg(args[2]), listArg(args[3])
	if !t.paired(s, ids, amounts) {
		return
	}
	for i := range ids {
		t.move1155(s, args, ids[i], amounts[i])
	}
	t.told(args[4])
}

func (t *tracer) move1155(s site, args []any, id, amount any) {
	m := Movement{
		Asset: AssetERC1155, Contract: formatAddress(s.contract), TokenID: formatInt(intArg(id)),
		From: formatAddress(addressArg(args[0])), To: formatAddress(addressArg(args[1])), Amount: formatInt(intArg(amount)),
	}
	t.ofCaller(&m, s, "safeTransferFrom of ERC-1155")
	t.move(m)
}

// paired says whether two lists belong together; a method that is given others is refused by every contract.
func (t *tracer) paired(s site, a, b []any) bool {
	step := &t.steps[len(t.steps)-1] // an act is the last step's
	switch {
	case len(a) != len(b):
		t.unclear(step, CodeUndecodable, "calldata of "+step.Method+": "+errLengths.Error())
	case len(a) == 0:
		t.unclear(step, CodeNotTransfer, "the calldata calls "+step.Method+" with nothing in it")
	default:
		return true
	}
	return false
}

// actDeposit: WETH's deposit(), if the claim is about that token: the coins that are sent come back as tokens. Other
// contracts have a method of this name as well.
func actDeposit(t *tracer, s site, _ []any) {
	const signature = "deposit()"
	if t.asset.Kind != AssetERC20 || s.contract == nil || !t.claims(s.contract) || s.value == nil {
		t.otherWETH(signature)
		return
	}
	t.noTransfer(signature)
	t.move(Movement{
		Asset: AssetERC20, Contract: formatAddress(s.contract), From: formatAddress(&zeroAddress), To: formatAddress(s.from), Amount: formatInt(s.value),
	})
}

// actWithdraw: WETH's withdraw(amount), if the claim is about that token: tokens are destroyed for coins.
func actWithdraw(t *tracer, s site, args []any) {
	const signature = "withdraw(uint256)"
	if t.asset.Kind != AssetERC20 || s.contract == nil || !t.claims(s.contract) {
		t.otherWETH(signature)
		return
	}
	amount := formatInt(intArg(args[0]))
	t.noTransfer(signature)
	t.move(Movement{
		Asset: AssetERC20, Contract: formatAddress(s.contract), From: formatAddress(s.from), To: formatAddress(&zeroAddress), Amount: amount,
	})
	t.move(Movement{Asset: AssetNative, From: formatAddress(s.contract), To: formatAddress(s.from), Amount: amount})
}

func (t *tracer) otherWETH(signature string) {
	step := &t.steps[len(t.steps)-1]
	t.unclear(step, CodeNotTransfer, "the calldata calls "+signature+", which WETH is not alone to have: the claimed asset is not that token and does not tell")
}
