package policy

import (
	"fmt"
	"regexp"
	"strconv"

	"github.com/countersign-mpc/countersign/evidence"
)

// maxDeadline bounds max_deadline_seconds: ten years.
const maxDeadline = 10 * 366 * 24 * 60 * 60

var saltPattern = regexp.MustCompile(`^0x[0-9a-f]{64}$`)

type fileMessages struct {
	AnyRequester bool     `json:"any_requester"`
	Requesters   []string `json:"requesters"`
	Text         []string `json:"text"`       // RE2, each over the whole text
	Bytes        bool     `json:"bytes"`      // EIP-191 over bytes
	TypedData    []string `json:"typed_data"` // names in /typed_data
}

type fileTypedData struct {
	Domain       fileDomain `json:"domain"`
	PrimaryTypes []string   `json:"primary_types"`
}

// fileDomain is an EIP712Domain. What is left out must not be in the message's domain either.
type fileDomain struct {
	Name              *string `json:"name"`
	Version           *string `json:"version"`
	ChainID           *uint64 `json:"chain_id"`
	VerifyingContract *string `json:"verifying_contract"`
	Salt              *string `json:"salt"`
}

type filePermit struct {
	Spenders           addressList `json:"spenders"` // address -> whose it is
	Max                string      `json:"max"`      // in coins
	Unlimited          bool        `json:"unlimited"`
	MaxDeadlineSeconds int64       `json:"max_deadline_seconds"`
}

// tokenKey names a token as a message does; tokenAt as data.json does.
type (
	tokenKey struct {
		chainID  uint64
		contract string
	}
	tokenAt struct{ chain, asset string }
)

func tokensOf(chains map[string]Chain) map[tokenKey]tokenAt {
	out := map[tokenKey]tokenAt{}
	for symbol, chain := range chains {
		for id, asset := range chain.Assets {
			if asset.Kind == AssetERC20 {
				out[tokenKey{chain.ChainID, asset.Contract}] = tokenAt{symbol, id}
			}
		}
	}
	return out
}

func (c *compiler) messages() map[string]any {
	out := make(map[string]any, len(c.file.Messages))
	for _, publicKey := range sortedKeys(c.file.Messages) {
		at := []string{"messages", publicKey}
		f := c.file.Messages[publicKey]
		c.publicKey(at, publicKey)
		if len(f.Text) == 0 && !f.Bytes && len(f.TypedData) == 0 {
			c.add(at, "allows no message: it needs \"text\" (patterns), \"typed_data\" (names of /typed_data) or \"bytes\": true")
		}
		patterns := make([]string, 0, len(f.Text))
		for i, pattern := range f.Text {
			whole, err := wholeText(pattern)
			if err != nil {
				c.add(under(at, "text", fmt.Sprint(i)), "%v (patterns are RE2: https://github.com/google/re2/wiki/Syntax)", err)
			}
			patterns = append(patterns, whole)
		}
		names := make(map[string]bool, len(f.TypedData))
		for i, name := range f.TypedData {
			if _, known := c.file.TypedData[name]; !known {
				c.add(under(at, "typed_data", fmt.Sprint(i)), "%q is not one of /typed_data", name)
			}
			names[name] = true
		}
		grant := c.grant(at, fileGrant{AnyRequester: f.AnyRequester, Requesters: f.Requesters})
		grant["text"], grant["bytes"], grant["typed_data"] = patterns, f.Bytes, names
		out[publicKey] = grant
	}
	return out
}

// wholeText makes a pattern match all of a text or nothing.
func wholeText(pattern string) (string, error) {
	if _, err := regexp.Compile(pattern); err != nil { // by itself: a) |(b is none
		return "", err
	}
	whole := `\A(?:` + pattern + `)\z`
	_, err := regexp.Compile(whole)
	return whole, err
}

// typedData is indexed by the domain in one string, as input.message.domain has it.
func (c *compiler) typedData() map[string]any {
	out, byDomain := make(map[string]any, len(c.file.TypedData)), map[string]string{}
	for _, name := range sortedKeys(c.file.TypedData) {
		at := []string{"typed_data", name}
		f := c.file.TypedData[name]
		c.name(at, name)
		key := c.domain(under(at, "domain"), f.Domain)
		if other, twice := byDomain[key]; twice {
			c.add(under(at, "domain"), "is also that of %s: name the primary types of both in one", other)
		}
		byDomain[key] = name
		if len(f.PrimaryTypes) == 0 {
			c.add(under(at, "primary_types"), "is empty: name the types that may be signed, such as \"Permit\"")
		}
		types := make(map[string]bool, len(f.PrimaryTypes))
		for _, t := range f.PrimaryTypes {
			types[t] = true
		}
		out[key] = map[string]any{"name": name, "primary_types": types}
	}
	return out
}

func (c *compiler) domain(at []string, f fileDomain) string {
	d := evidence.TypedDomain{Name: f.Name, Version: f.Version, Salt: f.Salt}
	if f.Name == nil && f.VerifyingContract == nil {
		c.add(at, "has neither name nor verifying_contract: it would be that of anybody")
	}
	if f.ChainID != nil {
		id := strconv.FormatUint(*f.ChainID, 10)
		d.ChainID = &id
	}
	if f.VerifyingContract != nil {
		contract, err := Chain{Family: FamilyEVM}.canonicalAddress(*f.VerifyingContract)
		if err != nil {
			c.add(under(at, "verifying_contract"), "%v", err)
		}
		d.VerifyingContract = &contract
	}
	if f.Salt != nil && !saltPattern.MatchString(*f.Salt) {
		c.add(under(at, "salt"), "is not 0x and 64 lower-case hex digits")
	}
	return domainKey(d)
}

func (c *compiler) permits() map[string]any {
	return perChain(c, "", "permits", c.file.Permits, func(at []string, chain Chain, files map[string]filePermit) map[string]any {
		out := make(map[string]any, len(files))
		for _, id := range sortedKeys(files) {
			if asset, ok := c.erc20(under(at, id), chain, id); ok {
				out[id] = c.permit(under(at, id), chain, asset, files[id])
			}
		}
		return out
	})
}

func (c *compiler) permit(at []string, chain Chain, asset Asset, f filePermit) map[string]any {
	if len(f.Spenders) == 0 {
		c.add(under(at, "spenders"), "is empty: name the addresses that may be given power over %s", asset.ID)
	}
	if f.MaxDeadlineSeconds < 1 || f.MaxDeadlineSeconds > maxDeadline {
		c.add(under(at, "max_deadline_seconds"), "is %d, not from 1 to %d", f.MaxDeadlineSeconds, maxDeadline)
	}
	return map[string]any{
		"spenders": c.addressList(under(at, "spenders"), chain, f.Spenders),
		"max":      f.Max, "max_base": c.coins(under(at, "max"), asset, f.Max),
		"unlimited": f.Unlimited, "max_deadline_seconds": f.MaxDeadlineSeconds,
	}
}
