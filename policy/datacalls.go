package policy

import (
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"

	"golang.org/x/crypto/sha3"
)

// fileContract is a contract that may be called.
type fileContract struct {
	Name    string   `json:"name"`
	Methods []string `json:"methods"` // signatures or selectors
	Powers  []string `json:"powers"`  // the same, of unjudgedPowers
}

// fileAllowance is what power over a token a transaction may give.
type fileAllowance struct {
	Spenders  addressList `json:"spenders"` // address -> whose it is
	Max       string      `json:"max"`      // in coins
	Unlimited bool        `json:"unlimited"`
}

func (c *compiler) contracts() map[string]any {
	return perChain(c, FamilyEVM, "contracts", c.file.Contracts, func(at []string, chain Chain, files map[string]fileContract) map[string]any {
		out := make(map[string]any, len(files))
		for _, address := range sortedKeys(files) {
			at, f := under(at, address), files[address]
			canonical, _ := onceAmong(c, at, chain, address, out)
			out[canonical] = map[string]any{"name": f.Name, "methods": c.powers(at, f)}
		}
		return out
	})
}

// methods writes methods by selector. There have to be some, unless none is right.
func (c *compiler) methods(at []string, list []string, none bool) map[string]string {
	if len(list) == 0 && !none {
		c.add(at, "is empty: name methods, such as \"deposit()\" or \"0xd0e30db0\"")
	}
	out := make(map[string]string, len(list))
	for i, text := range list {
		here := under(at, fmt.Sprint(i))
		selector, err := selectorOf(text)
		if err != nil {
			c.add(here, "%v", err)
			continue
		}
		if other, twice := out[selector]; twice {
			c.add(here, "has the selector %s of %q: name it once", selector, other)
		}
		out[selector] = text
	}
	return out
}

var (
	selectorPattern  = regexp.MustCompile(`^0x[0-9a-f]{8}$`)
	signaturePattern = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$]*\([a-z0-9,()\[\]]*\)$`)
	typePattern      = regexp.MustCompile(`^(address|bool|string|function|bytes([1-9]|[12][0-9]|3[0-2])?|u?int([1-9][0-9]{0,2}))(\[[0-9]*\])*$`)
)

// selectorOf is the first four bytes of Keccak-256 of a signature (Solidity's ABI specification, "Function Selector").
// A signature in another than the canonical form would have a selector that no contract knows.
func selectorOf(text string) (string, error) {
	if selectorPattern.MatchString(text) {
		return text, nil
	}
	malformed := fmt.Errorf("%q is neither a selector such as \"0xd0e30db0\" nor a signature in canonical form, such as \"swap(address,uint256[],(bool,bytes))\"", clip(text))
	if !signaturePattern.MatchString(text) || strings.Count(text, "(") != strings.Count(text, ")") {
		return "", malformed
	}
	_, arguments, _ := strings.Cut(strings.TrimSuffix(text, ")"), "(")
	for _, argument := range strings.Split(arguments, ",") {
		argument = strings.TrimLeft(argument, "(")
		if i := strings.IndexByte(argument, ')'); i >= 0 {
			argument = argument[:i]
		}
		if arguments != "" && argument != "" && !typePattern.MatchString(argument) || argument == "" && strings.Contains(arguments, ",") {
			return "", malformed
		}
	}
	h := sha3.NewLegacyKeccak256()
	h.Write([]byte(text))
	return "0x" + hex.EncodeToString(h.Sum(nil)[:4]), nil
}

func (c *compiler) allowances() map[string]any {
	return perChain(c, FamilyEVM, "allowances", c.file.Allowances, func(at []string, chain Chain, files map[string]fileAllowance) map[string]any {
		out := make(map[string]any, len(files))
		for _, id := range sortedKeys(files) {
			at, f := under(at, id), files[id]
			asset, ok := c.erc20(at, chain, id)
			if !ok {
				continue
			}
			if len(f.Spenders) == 0 {
				c.add(under(at, "spenders"), "is empty: name the addresses that may be given power over %s", id)
			}
			out[id] = map[string]any{
				"spenders": c.addressList(under(at, "spenders"), chain, f.Spenders),
				"max":      f.Max, "max_base": c.coins(under(at, "max"), asset, f.Max), "unlimited": f.Unlimited,
			}
		}
		return out
	})
}
