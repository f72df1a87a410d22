package evidence

import (
	"errors"
	"fmt"
	"math/big"
)

// ErrUnknownMethod is wrapped by DecodeCall for calldata of a method that it does not know.
var ErrUnknownMethod = errors.New("unknown method")

// The ERC-20 methods that are decoded, by their canonical signatures.
const (
	MethodTransfer     = "transfer(address,uint256)"
	MethodTransferFrom = "transferFrom(address,address,uint256)"
	MethodApprove      = "approve(address,uint256)"
)

const (
	selectorLength = 4
	wordLength     = 32
)

// Call is a decoded method call.
type Call struct {
	Method string // one of the Method constants
	// From is whose tokens move, for MethodTransferFrom only; with MethodTransfer they are the sender's.
	From *[20]byte
	// To is the recipient, or for MethodApprove the spender.
	To [20]byte
	// Amount is in the token's smallest unit.
	Amount *big.Int
}

// DecodeCall decodes calldata of ERC-20's transfer, transferFrom and approve. It is strict where contracts are lax: the
// length must be exact and each address padded with zeros, so that the calldata is the ABI encoding of what is returned
// and of nothing else. Other methods, and calldata shorter than a selector, give an error that wraps ErrUnknownMethod;
// a known selector with arguments that do not decode gives one that does not.
//
// Selectors do not name a contract's standard: an ERC-721's transferFrom and approve have the same ones, with a token
// id in place of the amount.
func DecodeCall(data []byte) (*Call, error) {
	if len(data) < selectorLength {
		return nil, fmt.Errorf("calldata of %d bytes: %w", len(data), ErrUnknownMethod)
	}
	switch [selectorLength]byte(data) {
	case [...]byte{0xa9, 0x05, 0x9c, 0xbb}:
		return decodeCall(MethodTransfer, data)
	case [...]byte{0x23, 0xb8, 0x72, 0xdd}:
		return decodeCall(MethodTransferFrom, data)
	case [...]byte{0x09, 0x5e, 0xa7, 0xb3}:
		return decodeCall(MethodApprove, data)
	default:
		return nil, fmt.Errorf("calldata with selector %x: %w", data[:selectorLength], ErrUnknownMethod)
	}
}

// decodeCall reads one or two addresses and an amount.
func decodeCall(method string, data []byte) (*Call, error) {
	args := data[selectorLength:]
	words := 2
	if method == MethodTransferFrom {
		words = 3
	}
	if len(args) != words*wordLength {
		return nil, fmt.Errorf("calldata of %s: %d bytes of arguments, it takes %d", method, len(args), words*wordLength)
	}
	call := &Call{Method: method}
	for i := range words - 1 {
		word := args[i*wordLength : (i+1)*wordLength]
		if [12]byte(word) != [12]byte{} {
			return nil, fmt.Errorf("calldata of %s: argument %d is no address: its first 12 bytes are not zero", method, i+1)
		}
		if i < words-2 {
			from := [20]byte(word[12:])
			call.From = &from
		} else {
			call.To = [20]byte(word[12:])
		}
	}
	call.Amount = new(big.Int).SetBytes(args[len(args)-wordLength:])
	return call, nil
}

// fields gives the call as a policy reads it; step is that of this call.
func (c *Call) fields(step *Step) *CallFields {
	return &CallFields{
		Method: c.Method, Selector: step.Selector, Contract: step.Contract,
		From: formatAddress(c.From), To: formatAddress(&c.To), Amount: formatInt(c.Amount),
	}
}
