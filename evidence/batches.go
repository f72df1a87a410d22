package evidence

import (
	"fmt"
	"math/big"
)

// batchWrappers are the methods of a Safe's modules, Multicall3 and smart accounts that make calls which stand in their arguments,
// by signature. Where the calls stand in tuples, the arguments are kept beside the steps: what else the tuples say would be lost.
func batchWrappers() map[string]standard {
	return map[string]standard{
		// Safe, ModuleManager.sol; Kernel 2 has its execute with the same arguments.
		"execTransactionFromModule(address,uint256,bytes,uint8)":           {unwrap: unwrapModule, wraps: "data"},
		"execTransactionFromModuleReturnData(address,uint256,bytes,uint8)": {unwrap: unwrapModule, wraps: "data"},
		"execute(address,uint256,bytes,uint8)":                             {unwrap: unwrapModule, wraps: "data"},
		// Multicall3, and Multicall2 before it
		"aggregate((address,bytes)[])":                    {unwrap: unwrapAggregate(0, -1, 1)},
		"tryAggregate(bool,(address,bytes)[])":            {unwrap: unwrapAggregate(0, -1, 1)},
		"blockAndAggregate((address,bytes)[])":            {unwrap: unwrapAggregate(0, -1, 1)},
		"tryBlockAndAggregate(bool,(address,bytes)[])":    {unwrap: unwrapAggregate(0, -1, 1)},
		"aggregate3((address,bool,bytes)[])":              {unwrap: unwrapAggregate(0, -1, 2)},
		"aggregate3Value((address,bool,uint256,bytes)[])": {unwrap: unwrapAggregate(0, 2, 3)},
		"execute(address,uint256,bytes)":                  {unwrap: unwrapExecute, wraps: "data"}, // ERC-4337's SimpleAccount, and many more
		"executeBatch(address[],bytes[])":                 {unwrap: unwrapExecuteLists, wraps: "data"},
		"executeBatch(address[],uint256[],bytes[])":       {unwrap: unwrapExecuteLists, wraps: "data"},
		"executeBatch((address,uint256,bytes)[])":         {unwrap: unwrapAggregate(0, 1, 2)},
	}
}

// unwrapModule: a Safe makes the call for one of its modules: (to, value, data, operation), without a refund.
func unwrapModule(t *tracer, s site, args []any) ([]site, error) {
	operation := intArg(args[3])
	if !operation.IsUint64() || operation.Uint64() > operationDelegateCall {
		return nil, fmt.Errorf("calldata of a module's call: operation %s is neither CALL (0) nor DELEGATECALL (1)", operation)
	}
	return []site{t.safeCall(s, s.contract, addressArg(args[0]), intArg(args[1]), bytesArg(args[2]), operation.Uint64())}, nil
}

// unwrapAggregate: the contract makes the calls of the last argument, a list of tuples of which to, value (-1: none is sent) and data
// have these places.
func unwrapAggregate(to, value, data int) func(*tracer, site, []any) ([]site, error) {
	return func(_ *tracer, s site, args []any) ([]site, error) {
		var inner []site
		for _, v := range listArg(args[len(args)-1]) {
			call, sent := listArg(v), new(big.Int)
			if value >= 0 {
				sent = intArg(call[value])
			}
			inner = append(inner, s.makes(addressArg(call[to]), sent, bytesArg(call[data])))
		}
		return inner, nil
	}
}

// unwrapExecute: a smart account makes the call: (to, value, data).
func unwrapExecute(_ *tracer, s site, args []any) ([]site, error) {
	return []site{s.makes(addressArg(args[0]), intArg(args[1]), bytesArg(args[2]))}, nil
}

// unwrapExecuteLists: a smart account makes calls that are given as lists of recipients, values, if there are any, and calldata
// (SimpleAccount of ERC-4337's reference, versions 0.6 and 0.7).
func unwrapExecuteLists(_ *tracer, s site, args []any) ([]site, error) {
	to, data := listArg(args[0]), listArg(args[len(args)-1])
	var values []any
	if len(args) == 3 {
		values = listArg(args[1])
	}
	if len(to) != len(data) || len(values) > 0 && len(values) != len(to) {
		return nil, fmt.Errorf("calldata of executeBatch: %w", errLengths)
	}
	var inner []site
	for i := range to {
		sent := new(big.Int)
		if len(values) > 0 {
			sent = intArg(values[i])
		}
		inner = append(inner, s.makes(addressArg(to[i]), sent, bytesArg(data[i])))
	}
	return inner, nil
}

// makes is a call that the called contract makes.
func (s site) makes(to *[20]byte, value *big.Int, data []byte) site {
	return site{depth: s.depth + 1, from: s.contract, contract: to, value: value, data: data}
}

// actApproveHash: approveHash(hash) of a Safe: an owner agrees to a transaction of the Safe of which only the hash is there.
func actApproveHash(t *tracer, s site, _ []any) {
	t.open = true
	t.approve(Approval{Kind: ApproveHash, Owner: formatAddress(s.contract), Unlimited: true, Change: changeSet})
	t.note(CodeNotTransfer, "the calldata calls approveHash(bytes32), which agrees to a Safe's transaction that it does not show")
}

// actAuthorization: transferWithAuthorization and receiveWithAuthorization of ERC-3009, by which a token moves what belongs to who
// signed: (from, to, value, validAfter, validBefore, nonce, signature...).
func actAuthorization(t *tracer, s site, args []any) {
	t.move(Movement{
		Asset: AssetERC20, Contract: formatAddress(s.contract), From: formatAddress(addressArg(args[0])), To: formatAddress(addressArg(args[1])),
		Amount: intArg(args[2]).String(), drawn: true,
	})
	t.noTransfer("an authorization of ERC-3009")
}
