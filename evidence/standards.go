package evidence

import (
	_ "embed"
	"fmt"
	"maps"
	"math/big"
	"sync"
)

// methodsJSON is the JSON ABI of the methods whose effect is known.
//
//go:embed methods.json
var methodsJSON []byte

// standard is a method whose effect is known: act says what it does, or unwrap which calls it makes.
type standard struct {
	*method
	act    func(t *tracer, s site, args []any)
	unwrap func(t *tracer, s site, args []any) ([]site, error)
	// wraps is the argument that holds the calls and nothing else; "": there is none such.
	wraps string
	// delegated: it is made to be run by DELEGATECALL.
	delegated bool
}

func (s *standard) runsDelegated() bool { return s != nil && s.delegated }

// standards are the methods whose effect is known, by selector.
var standards = sync.OnceValue(func() map[[selectorLength]byte]*standard {
	out := map[[selectorLength]byte]*standard{}
	methods, err := parseABI(methodsJSON)
	if err != nil {
		return out // nothing is decoded then, and nothing verified
	}
	acts, wrappers := standardActs(), standardWrappers()
	maps.Copy(wrappers, batchWrappers())
	for selector, m := range methods {
		s := &standard{method: m}
		if wrapper, ok := wrappers[m.signature]; ok {
			*s = wrapper
			s.method = m
		} else if s.act = acts[m.signature]; s.act == nil {
			continue
		}
		out[selector] = s
	}
	return out
})

// standardActs are the methods that move something or give power over it, by signature.
func standardActs() map[string]func(*tracer, site, []any) {
	const details, permissions = "(address,uint160,uint48,uint48)", "(address,uint256)"
	return map[string]func(*tracer, site, []any){
		// ERC-20, ERC-721
		MethodTransfer:                                    actTransfer,
		MethodTransferFrom:                                actTransferFrom,
		MethodApprove:                                     actApprove,
		"increaseAllowance(address,uint256)":              actAllowance(changeIncrease),
		"decreaseAllowance(address,uint256)":              actAllowance(changeDecrease),
		methodSafeTransferFrom:                            actSafeTransferFrom,
		"safeTransferFrom(address,address,uint256,bytes)": actSafeTransferFrom,
		"setApprovalForAll(address,bool)":                 actApprovalForAll,
		// OpenZeppelin 1
		"increaseApproval(address,uint256)": actAllowance(changeIncrease),
		"decreaseApproval(address,uint256)": actAllowance(changeDecrease),
		// ERC-1155
		"safeTransferFrom(address,address,uint256,uint256,bytes)":          actSafeTransfer1155,
		"safeBatchTransferFrom(address,address,uint256[],uint256[],bytes)": actSafeBatchTransfer1155,
		// ERC-2612, DAI
		"permit(address,address,uint256,uint256,uint8,bytes32,bytes32)":      actPermit,
		"permit(address,address,uint256,uint256,bool,uint8,bytes32,bytes32)": actPermitDAI,
		"permit(address,address,uint256,uint256,bytes)":                      actPermit, // ERC-7597
		// ERC-3009, of which ERC-7598 has the signature in one
		"transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)": actAuthorization,
		"receiveWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)":  actAuthorization,
		"transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,bytes)":                 actAuthorization,
		"receiveWithAuthorization(address,address,uint256,uint256,uint256,bytes32,bytes)":                  actAuthorization,
		// Safe
		"approveHash(bytes32)": actApproveHash,
		// Permit2
		"approve(address,address,uint160,uint48)":                                                                               actPermit2Approve,
		"permit(address,(" + details + ",address,uint256),bytes)":                                                               actPermit2Permit,
		"permit(address,(" + details + "[],address,uint256),bytes)":                                                             actPermit2PermitBatch,
		"transferFrom(address,address,uint160,address)":                                                                         actPermit2TransferFrom,
		"transferFrom((address,address,uint160,address)[])":                                                                     actPermit2TransferFromBatch,
		"permitTransferFrom((" + permissions + ",uint256,uint256)," + permissions + ",address,bytes)":                           actPermitTransferFrom,
		"permitTransferFrom((" + permissions + "[],uint256,uint256)," + permissions + "[],address,bytes)":                       actPermitTransferFromBatch,
		"permitWitnessTransferFrom((" + permissions + ",uint256,uint256)," + permissions + ",address,bytes32,string,bytes)":     actPermitTransferFrom,
		"permitWitnessTransferFrom((" + permissions + "[],uint256,uint256)," + permissions + "[],address,bytes32,string,bytes)": actPermitTransferFromBatch,
		// WETH
		"deposit()":         actDeposit,
		"withdraw(uint256)": actWithdraw,
	}
}

// The arguments of standard methods have the types that methods.json says.
func addressArg(v any) *[20]byte {
	a, _ := v.([20]byte)
	return &a
}

func intArg(v any) *big.Int {
	n, ok := v.(*big.Int)
	if !ok {
		return new(big.Int)
	}
	return n
}

func listArg(v any) []any {
	list, _ := v.([]any)
	return list
}

func bytesArg(v any) []byte {
	b, _ := v.([]byte)
	return b
}

var _ fmt.Stringer = Movement{}
