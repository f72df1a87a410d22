package policy

import "sync"

// unjudgedPowers are methods by which a contract hands over power that no rule can hold against a limit: what they give, or to whom,
// is not an amount of a token, or evidence does not read it. data.json lists them apart from others, so that nobody allows one
// without having said so. It is no list of all that is dangerous: what a listed method does is its contract's affair.
var unjudgedPowers = map[string]string{
	// Safe
	"addOwnerWithThreshold(address,uint256)": "makes somebody an owner of the Safe",
	"swapOwner(address,address,address)":     "makes somebody an owner of the Safe",
	"removeOwner(address,address,uint256)":   "removes an owner of the Safe, and sets how many have to sign",
	"changeThreshold(uint256)":               "sets how many owners of the Safe have to sign",
	"enableModule(address)":                  "lets a contract act as the Safe, without its owners",
	"setGuard(address)":                      "sets or removes what guards the Safe",
	"setModuleGuard(address)":                "sets or removes what guards the Safe's modules",
	"setFallbackHandler(address)":            "has another contract answer for the Safe",
	"setup(address[],uint256,address,bytes,address,address,uint256,address)": "sets the Safe's owners, and runs code as it",
	"simulateAndRevert(address,bytes)":                                       "runs code as the Safe",
	"createProxyWithNonce(address,bytes,uint256)":                            "makes a Safe with owners that nobody judges",
	// Ownership, roles, proxies
	"transferOwnership(address)":            "gives the contract to somebody",
	"grantRole(bytes32,address)":            "gives somebody a role of the contract",
	"setOwner(address)":                     "gives the contract to somebody",
	"changeAdmin(address)":                  "lets somebody replace the contract's code",
	"upgradeTo(address)":                    "replaces the contract's code",
	"upgradeToAndCall(address,bytes)":       "replaces the contract's code, and runs it",
	"upgrade(address,address)":              "replaces a contract's code",
	"upgradeAndCall(address,address,bytes)": "replaces a contract's code, and runs it",
	// Tokens and lending
	"approveAndCall(address,uint256)":                    "approves a spender (ERC-1363), which is not read",
	"approveAndCall(address,uint256,bytes)":              "approves a spender (ERC-1363), which is not read",
	"transferAndCall(address,uint256)":                   "moves tokens (ERC-677, ERC-1363), which is not read",
	"transferAndCall(address,uint256,bytes)":             "moves tokens (ERC-677, ERC-1363), which is not read",
	"transferFromAndCall(address,address,uint256)":       "moves tokens (ERC-1363), which is not read",
	"transferFromAndCall(address,address,uint256,bytes)": "moves tokens (ERC-1363), which is not read",
	"authorizeOperator(address)":                         "gives somebody power over all tokens (ERC-777)",
	"send(address,uint256,bytes)":                        "moves tokens (ERC-777), which is not read",
	"operatorSend(address,address,uint256,bytes,bytes)":  "moves tokens (ERC-777), which is not read",
	"setOperator(address,bool)":                          "gives somebody power over all tokens (ERC-6909)",
	"approve(address,uint256,uint256)":                   "approves a spender (ERC-6909), which is not read",
	"approveDelegation(address,uint256)":                 "lets somebody borrow in one's name (Aave)",
	"allow(address,bool)":                                "gives somebody power over all that is deposited (Compound III)",
	"setAuthorization(address,bool)":                     "gives somebody power over all that is deposited (Morpho)",
	// Smart accounts
	"execute(bytes32,bytes)":               "has the account make calls that are not read, DELEGATECALL among them (ERC-7579)",
	"executeFromExecutor(bytes32,bytes)":   "has the account make calls that are not read, DELEGATECALL among them (ERC-7579)",
	"installModule(uint256,address,bytes)": "lets a contract act as the account (ERC-7579)",
	"handleOps((address,uint256,bytes,bytes,uint256,uint256,uint256,uint256,uint256,bytes,bytes)[],address)": "has accounts make calls that are not read (ERC-4337)",
	"handleOps((address,uint256,bytes,bytes,bytes32,uint256,bytes32,bytes,bytes)[],address)":                 "has accounts make calls that are not read (ERC-4337)",
}

// powerOf says by selector what a method of unjudgedPowers gives.
var powerOf = sync.OnceValue(func() map[string]string {
	out := make(map[string]string, len(unjudgedPowers))
	for signature, gives := range unjudgedPowers {
		if selector, err := selectorOf(signature); err == nil {
			out[selector] = gives
		}
	}
	return out
})

// powers adds the methods under powers to those that may be called. Each has to be in the list that it is for.
func (c *compiler) powers(at []string, f fileContract) map[string]string {
	methods := c.methods(under(at, "methods"), f.Methods, len(f.Powers) > 0)
	for _, selector := range sortedKeys(methods) {
		text := methods[selector]
		if gives := powerOf()[selector]; gives != "" {
			c.add(under(at, "methods"), "%q %s, and no rule sees how much: if that is meant, name it under powers of this contract", text, gives)
		}
	}
	named := c.methods(under(at, "powers"), f.Powers, true)
	for _, selector := range sortedKeys(named) {
		text := named[selector]
		if powerOf()[selector] == "" {
			c.add(under(at, "powers"), "%q is none of the methods that this list is for (docs/POLICY.md, Calls): name it under methods", text)
		}
		methods[selector] = text
	}
	return methods
}
