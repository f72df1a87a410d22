package evidence

import (
	"math/big"
	"strings"

	"github.com/countersign-mpc/countersign/derive"
)

// The types of EIP-712 messages that give power over tokens, by encodeType: the whole of it, since a struct of the same
// name with other fields means something else.
const (
	typePermit2612   = "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
	typePermitDAI    = "Permit(address holder,address spender,uint256 nonce,uint256 expiry,bool allowed)"
	fields3009       = "(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
	typePermitSingle = "PermitSingle(PermitDetails details,address spender,uint256 sigDeadline)" + typeDetails
	typePermitBatch  = "PermitBatch(PermitDetails[] details,address spender,uint256 sigDeadline)" + typeDetails
	typeDetails      = "PermitDetails(address token,uint160 amount,uint48 expiration,uint48 nonce)"
	typePermissions  = "TokenPermissions(address token,uint256 amount)"
	fieldsTransfer   = "(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline"
	fieldsTransfers  = "(TokenPermissions[] permitted,address spender,uint256 nonce,uint256 deadline"
	typeSafeTx       = "SafeTx(address to,uint256 value,bytes data,uint8 operation,uint256 safeTxGas,uint256 baseGas,uint256 gasPrice,address gasToken,address refundReceiver,uint256 nonce)"
)

// typedApprovals are the approvals that typed data gives: ERC-2612's and DAI's permits, ERC-3009's authorizations, and
// Permit2's permits, with a witness or without. Of other messages there are none, which does not say that they give no power.
func typedApprovals(d *TypedData) []Approval {
	token := ""
	if d.Domain.VerifyingContract != nil {
		token = *d.Domain.VerifyingContract
	}
	m := d.Message
	switch d.EncodedType {
	case typePermit2612:
		a := permit(ApprovePermit, token, textOf(m, "owner"), textOf(m, "spender"), amountOf(m, "value"))
		a.Deadline = textOf(m, "deadline")
		return []Approval{a}
	case typePermitDAI:
		amount := maxUint256
		if m["allowed"] == false {
			amount = new(big.Int)
		}
		a := permit(ApprovePermit, token, textOf(m, "holder"), textOf(m, "spender"), amount)
		if expiry := textOf(m, "expiry"); expiry != "0" {
			a.Deadline = expiry
		}
		return []Approval{a}
	case "TransferWithAuthorization" + fields3009, "ReceiveWithAuthorization" + fields3009:
		a := permit(ApprovePermit, token, textOf(m, "from"), textOf(m, "to"), amountOf(m, "value"))
		a.Deadline = textOf(m, "validBefore")
		return []Approval{a}
	case typePermitSingle, typePermitBatch:
		return permit2Typed(m, "details", "sigDeadline")
	}
	if isPermit2Transfer(d.EncodedType) {
		return permit2Typed(m, "permitted", "deadline")
	}
	return []Approval{}
}

// isPermit2Transfer recognises the four forms of Permit2's SignatureTransfer. A witness stands behind the standard
// fields, and its types follow.
func isPermit2Transfer(encodedType string) bool {
	switch encodedType {
	case "PermitTransferFrom" + fieldsTransfer + ")" + typePermissions, "PermitBatchTransferFrom" + fieldsTransfers + ")" + typePermissions:
		return true
	}
	witnessed := strings.HasPrefix(encodedType, "PermitWitnessTransferFrom"+fieldsTransfer+",") ||
		strings.HasPrefix(encodedType, "PermitBatchWitnessTransferFrom"+fieldsTransfers+",")
	return witnessed && strings.Contains(encodedType, ")"+typePermissions)
}

// permit2Typed makes an approval of each (token, amount...) in a member that holds one or a list of them.
func permit2Typed(m map[string]any, member, deadline string) []Approval {
	list, ok := m[member].([]any)
	if !ok {
		list = []any{m[member]}
	}
	out := make([]Approval, 0, min(len(list), maxEffects))
	for _, v := range list {
		detail, _ := v.(map[string]any)
		a := permit(ApprovePermit2, textOf(detail, "token"), "", textOf(m, "spender"), amountOf(detail, "amount"))
		a.Deadline, a.Expires = textOf(m, deadline), textOf(detail, "expiration")
		out = append(out, a)
	}
	return out
}

// safeTransaction follows a Safe's transaction that an owner signs as typed data, to be executed by the Safe: the same
// as execTransaction, without the signatures. It is nil for any other message.
func safeTransaction(d *TypedData) *effect {
	if d.EncodedType != typeSafeTx {
		return nil
	}
	to, errTo := derive.ParseEVMAddress(textOf(d.Message, "to"))
	data, errData := parseCalldata(textOf(d.Message, "data"))
	if errTo != nil || errData != nil {
		return nil
	}
	s := site{contract: &to, value: amountOf(d.Message, "value"), data: data}
	if d.Domain.VerifyingContract != nil {
		if safe, err := derive.ParseEVMAddress(*d.Domain.VerifyingContract); err == nil {
			s.from = &safe
		}
	}
	t := &tracer{}
	t.refund(amountOf(d.Message, "gasPrice"))
	switch textOf(d.Message, "operation") {
	case "0":
	case "1":
		s = t.safeCall(s, s.from, &to, s.value, data, operationDelegateCall)
		s.depth = 0
	default:
		t.open = true
	}
	return t.run(s)
}

// textOf reads a member of a message that is a string, as addresses and integers are.
func textOf(m map[string]any, name string) string {
	s, _ := m[name].(string)
	return s
}

// amountOf reads an integer that was checked to be one; one that is not there counts as all there is.
func amountOf(m map[string]any, name string) *big.Int {
	n, ok := new(big.Int).SetString(textOf(m, name), 10)
	if !ok {
		return maxUint256
	}
	return n
}
