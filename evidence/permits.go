package evidence

import "math/big"

// maxUint256 stands for all of a token in permits that name no amount.
var maxUint256 = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1))

// permit makes an approval by a signature.
func permit(kind ApprovalKind, token, owner, spender string, amount *big.Int) Approval {
	a := Approval{Kind: kind, Token: token, Owner: owner, Spender: spender, Change: changeSet}
	a.setAmount(amount)
	return a
}

// actPermit: permit(owner, spender, value, deadline, v, r, s) of ERC-2612.
func actPermit(t *tracer, s site, args []any) {
	a := permit(ApprovePermit, formatAddress(s.contract), formatAddress(addressArg(args[0])), formatAddress(addressArg(args[1])), intArg(args[2]))
	a.Deadline = intArg(args[3]).String()
	t.approve(a)
	t.noTransfer("permit of ERC-2612")
}

// actPermitDAI: permit(holder, spender, nonce, expiry, allowed, v, r, s) of DAI, which allows all or nothing.
func actPermitDAI(t *tracer, s site, args []any) {
	amount := new(big.Int)
	if allowed, _ := args[4].(bool); allowed {
		amount = maxUint256
	}
	a := permit(ApprovePermit, formatAddress(s.contract), formatAddress(addressArg(args[0])), formatAddress(addressArg(args[1])), amount)
	if expiry := intArg(args[3]); expiry.Sign() != 0 { // 0 is no deadline
		a.Deadline = expiry.String()
	}
	t.approve(a)
	t.noTransfer("permit of DAI")
}

// actPermit2Approve: approve(token, spender, amount, expiration) of Permit2's AllowanceTransfer.
func actPermit2Approve(t *tracer, s site, args []any) {
	a := permit(ApprovePermit2, formatAddress(addressArg(args[0])), formatAddress(s.from), formatAddress(addressArg(args[1])), intArg(args[2]))
	a.Expires = intArg(args[3]).String()
	t.approve(a)
	t.noTransfer("approve of Permit2")
}

// actPermit2Permit: permit(owner, (details, spender, sigDeadline), signature) of Permit2's AllowanceTransfer.
func actPermit2Permit(t *tracer, _ site, args []any) {
	single := listArg(args[1])
	t.permit2Details(args[0], []any{single[0]}, single)
}

// actPermit2PermitBatch is the same for several tokens.
func actPermit2PermitBatch(t *tracer, _ site, args []any) {
	batch := listArg(args[1])
	t.permit2Details(args[0], listArg(batch[0]), batch)
}

// permit2Details approves each (token, amount, expiration, nonce) for the spender of (details, spender, sigDeadline).
func (t *tracer) permit2Details(owner any, details, permission []any) {
	for _, d := range details {
		detail := listArg(d)
		a := permit(ApprovePermit2, formatAddress(addressArg(detail[0])), formatAddress(addressArg(owner)), formatAddress(addressArg(permission[1])), intArg(detail[1]))
		a.Expires, a.Deadline = intArg(detail[2]).String(), intArg(permission[2]).String()
		t.approve(a)
	}
	t.noTransfer("permit of Permit2")
}

// actPermit2TransferFrom: transferFrom(from, to, amount, token) of Permit2's AllowanceTransfer.
func actPermit2TransferFrom(t *tracer, _ site, args []any) {
	t.drawPermit2(args[3], args[0], args[1], args[2])
}

// actPermit2TransferFromBatch: transferFrom((from, to, amount, token)[]) of Permit2's AllowanceTransfer.
func actPermit2TransferFromBatch(t *tracer, s site, args []any) {
	list := listArg(args[0])
	if !t.paired(s, list, list) {
		return
	}
	for _, d := range list {
		detail := listArg(d)
		t.drawPermit2(detail[3], detail[0], detail[1], detail[2])
	}
}

// drawPermit2 moves a token by an allowance or a signature that its owner gave to Permit2.
func (t *tracer) drawPermit2(token, from, to, amount any) {
	t.move(Movement{
		Asset: AssetERC20, Contract: formatAddress(addressArg(token)), From: formatAddress(addressArg(from)), To: formatAddress(addressArg(to)),
		Amount: intArg(amount).String(), drawn: true,
	})
	t.noTransfer("a transfer of Permit2")
}

// actPermitTransferFrom: permitTransferFrom(((token, amount), nonce, deadline), (to, requested), owner, signature) of
// Permit2's SignatureTransfer, and permitWitnessTransferFrom, in which a witness stands before the signature.
func actPermitTransferFrom(t *tracer, _ site, args []any) {
	permitted, transfer := listArg(listArg(args[0])[0]), listArg(args[1])
	t.drawPermit2(permitted[0], args[2], transfer[0], transfer[1])
}

// actPermitTransferFromBatch is the same for several tokens.
func actPermitTransferFromBatch(t *tracer, s site, args []any) {
	permitted, transfers := listArg(listArg(args[0])[0]), listArg(args[1])
	if !t.paired(s, permitted, transfers) {
		return
	}
	for i := range permitted {
		transfer := listArg(transfers[i])
		t.drawPermit2(listArg(permitted[i])[0], args[2], transfer[0], transfer[1])
	}
}
