package evidence

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
)

// standardWrappers are the methods that make calls which stand in their arguments, by signature.
func standardWrappers() map[string]standard {
	return map[string]standard{
		"multicall(bytes[])":         {unwrap: unwrapMulticall, wraps: "data"},
		"multicall(uint256,bytes[])": {unwrap: unwrapMulticall, wraps: "data"},
		"multicall(bytes32,bytes[])": {unwrap: unwrapMulticall, wraps: "data"},
		"execTransaction(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,bytes)": {unwrap: unwrapSafe, wraps: "data"},
		"multiSend(bytes)": {unwrap: unwrapMultiSend, wraps: "transactions", delegated: true},
	}
}

// unwrapMulticall: the contract calls itself with each of the last argument's calldata, by DELEGATECALL, so that its
// caller stays the caller and no coins move (Uniswap's and OpenZeppelin's Multicall, with a deadline or the hash of the
// block before).
func unwrapMulticall(_ *tracer, s site, args []any) ([]site, error) {
	var inner []site
	for _, data := range listArg(args[len(args)-1]) {
		if len(bytesArg(data)) == 0 {
			return nil, errors.New("calldata of multicall: one of its calls is empty")
		}
		inner = append(inner, site{depth: s.depth + 1, from: s.from, contract: s.contract, data: bytesArg(data), self: true})
	}
	return inner, nil
}

// The operations of a Safe (Enum.Operation).
const (
	operationCall         = 0
	operationDelegateCall = 1
)

// unwrapSafe: the Safe makes the call (Safe.sol, execTransaction), and pays for it if a gas price is named.
func unwrapSafe(t *tracer, s site, args []any) ([]site, error) {
	operation := intArg(args[3])
	if !operation.IsUint64() || operation.Uint64() > operationDelegateCall {
		return nil, fmt.Errorf("calldata of execTransaction: operation %s is neither CALL (0) nor DELEGATECALL (1)", operation)
	}
	t.refund(intArg(args[6]))
	return []site{t.safeCall(s, s.contract, addressArg(args[0]), intArg(args[1]), bytesArg(args[2]), operation.Uint64())}, nil
}

// refund notes that a Safe pays for gas: how much and to whom shows only when the transaction is executed.
func (t *tracer) refund(gasPrice *big.Int) {
	if gasPrice.Sign() != 0 {
		t.open = true
		t.note(CodeNotTransfer, "the Safe pays for gas (gasPrice is not 0), and how much its calldata does not say")
	}
}

// safeCall is a call that a Safe, or MultiSend as a Safe, makes.
func (t *tracer) safeCall(s site, safe, to *[20]byte, value *big.Int, data []byte, operation uint64) site {
	inner := site{depth: s.depth + 1, from: safe, contract: to, value: value, data: data}
	if operation == operationDelegateCall {
		inner.delegate = true
		t.open = true
		t.note(CodeDelegateCall, "a Safe runs the code of "+formatAddress(to)+" as its own (DELEGATECALL)")
	}
	return inner
}

// unwrapMultiSend reads the packed calls of a Safe's MultiSend: operation (1 byte), to (20), value (32), length of the
// data (32), data; one after the other, and nothing after the last (MultiSend.sol).
func unwrapMultiSend(t *tracer, s site, args []any) ([]site, error) {
	const head = 1 + 20 + 32 + 32
	caller := s.contract
	if s.delegate {
		caller = s.from
	}
	var inner []site
	for rest := bytesArg(args[0]); len(rest) > 0; {
		if len(inner) == maxCalls {
			break // one more than there may be in all: it is not followed
		}
		if len(rest) < head {
			return nil, errors.New("calldata of multiSend: it ends inside a call")
		}
		operation, to, value := uint64(rest[0]), [20]byte(rest[1:21]), new(big.Int).SetBytes(rest[21:53])
		length := rest[53:head]
		if rest = rest[head:]; !isZero(length[:24]) || binary.BigEndian.Uint64(length[24:]) > uint64(len(rest)) {
			return nil, errors.New("calldata of multiSend: the data of a call is longer than the calldata")
		}
		if operation > operationDelegateCall {
			return nil, fmt.Errorf("calldata of multiSend: operation %d is neither CALL (0) nor DELEGATECALL (1)", operation)
		}
		if to == zeroAddress { // MultiSend itself from version 1.5.0 on, the zero address before
			return nil, errors.New("calldata of multiSend: a call goes to the zero address, which versions of MultiSend read differently")
		}
		n := binary.BigEndian.Uint64(length[24:])
		inner = append(inner, t.safeCall(s, caller, &to, value, rest[:n], operation))
		rest = rest[n:]
	}
	return inner, nil
}
