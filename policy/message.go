package policy

import (
	"encoding/json"
	"math/big"
	"strconv"
	"strings"

	"github.com/countersign-mpc/countersign/evidence"
)

// Message is what a sign_type 2 request signs, made of verified evidence.
type Message struct {
	Kind string `json:"kind"` // MessageText, MessageBytes or MessageTypedData
	Text string `json:"text"` // of MessageText
	// Domain is the domain's fields in one string, under which data.typed_data holds it; "" for other kinds.
	Domain      string `json:"domain"`
	PrimaryType string `json:"primary_type"`
	// Grants says that the message gives somebody power over tokens: Permits says which, and is empty where the form is
	// not one that is read here.
	Grants  bool     `json:"grants"`
	Permits []Permit `json:"permits"`
	// Transaction says that others carry out a transaction by the message: a Safe, or a token by ERC-3009. It stands in Input.Tx and
	// Input.Call and is judged as one too. It is not written where it is false.
	Transaction bool `json:"transaction,omitempty"`
}

// The kinds of messages.
const (
	MessageText      = "text"       // EIP-191 over text
	MessageBytes     = "bytes"      // EIP-191 over bytes
	MessageTypedData = "typed_data" // EIP-712
)

// Permit is a power over a token that typed data gives: an ERC-2612 or DAI permit, an ERC-3009 authorization, or one
// token of a Permit2 permit.
type Permit struct {
	Chain     string      `json:"chain"` // symbol and asset id in data.json; "" when it does not know the token
	Asset     string      `json:"asset"`
	Token     string      `json:"token"` // canonical address
	Spender   string      `json:"spender"`
	ValueBase json.Number `json:"value_base,omitempty"` // integer in base units; absent when it is not known
	Unlimited bool        `json:"unlimited"`            // the value is one of those that stand for "all, for ever"
	Deadline  json.Number `json:"deadline_unix,omitempty"`
}

// domainKey writes a domain's fields, absent ones as null, so that two domains have one key only if they are the same.
func domainKey(d evidence.TypedDomain) string {
	if d.VerifyingContract != nil {
		lower := strings.ToLower(*d.VerifyingContract)
		d.VerifyingContract = &lower
	}
	b, err := json.Marshal([]*string{d.Name, d.Version, d.ChainID, d.VerifyingContract, d.Salt})
	if err != nil { // strings can always be written
		return ""
	}
	return string(b)
}

// message reads what evidence decoded of a message; nil for anything that is none.
func (d *Data) message(found *evidence.Decoded) *Message {
	switch {
	case found == nil:
		return nil
	case found.Kind == evidence.KindEIP191 && found.Data != "":
		return &Message{Kind: MessageBytes}
	case found.Kind == evidence.KindEIP191:
		return &Message{Kind: MessageText, Text: found.Text}
	case found.Kind != evidence.KindEIP712 || found.TypedData == nil:
		return nil
	}
	t := found.TypedData
	out := &Message{Kind: MessageTypedData, Domain: domainKey(t.Domain), PrimaryType: t.PrimaryType, Grants: grantsPower(t.PrimaryType, t.EncodedType)}
	if t.EncodedType == safeTxType {
		out.Transaction, out.Grants = true, false // what it does, its power over tokens included, is judged as a transaction's
		return out
	}
	if read := permitForms[t.EncodedType]; read != nil {
		out.Grants, out.Transaction = true, isERC3009(t.EncodedType)
		for _, p := range read(t.Domain, t.Message) {
			out.Permits = append(out.Permits, d.permit(t.Domain, p))
		}
		if sameToken(out.Permits) { // what the two come to depends on the contract
			out.Permits = nil
		}
	}
	return out
}

func sameToken(permits []Permit) bool {
	seen := make(map[string]bool, len(permits))
	for _, p := range permits {
		if seen[p.Token] {
			return true
		}
		seen[p.Token] = true
	}
	return false
}

// powerful are parts of the names of types that give power over tokens, or have a contract act for who signs: a Safe's
// transactions of other versions and its messages (ERC-1271), relayed calls (ERC-2771), operations of accounts (ERC-4337).
var powerful = []string{
	"Permit", "Authorization", "Approv", "Allowance", "Delegat", "SafeTx", "SafeMessage", "ForwardRequest", "RelayRequest", "MetaTransaction",
	"UserOperation", "UserOp", "Execut", "Multicall",
}

// grantsPower finds forms that give power over tokens among those that are not read here, by the names that such
// standards use.
func grantsPower(primaryType, encodedType string) bool {
	for _, part := range powerful {
		if strings.Contains(encodedType, part) || strings.Contains(primaryType, part) {
			return true
		}
	}
	for _, field := range []string{"address spender", "address operator", "address[] spender", "address delegatee"} {
		if strings.Contains(encodedType, field) {
			return true
		}
	}
	return false
}

// signedPermit is a permit as it stands in a message.
type signedPermit struct {
	token, spender, value string
	deadlines             []string
}

// permitForms reads the forms of typed data that give power over tokens, by encodeType (EIP-712): the whole of it, since
// a struct of the same name with other fields means something else.
var permitForms = map[string]func(evidence.TypedDomain, map[string]any) []signedPermit{
	// ERC-2612
	"Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)": func(d evidence.TypedDomain, m map[string]any) []signedPermit {
		return []signedPermit{{token: contract(d), spender: text(m, "spender"), value: text(m, "value"), deadlines: []string{text(m, "deadline")}}}
	},
	"Permit(address holder,address spender,uint256 nonce,uint256 expiry,bool allowed)": readDAI,
	// ERC-3009
	"TransferWithAuthorization" + fields3009: read3009,
	"ReceiveWithAuthorization" + fields3009:  read3009,
	// Permit2
	"PermitSingle(PermitDetails details,address spender,uint256 sigDeadline)" + permitDetails:                                 readAllowances,
	"PermitBatch(PermitDetails[] details,address spender,uint256 sigDeadline)" + permitDetails:                                readAllowances,
	"PermitTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline)" + tokenPermissions:        readTransfers,
	"PermitBatchTransferFrom(TokenPermissions[] permitted,address spender,uint256 nonce,uint256 deadline)" + tokenPermissions: readTransfers,
}

const (
	fields3009       = "(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
	permitDetails    = "PermitDetails(address token,uint160 amount,uint48 expiration,uint48 nonce)"
	tokenPermissions = "TokenPermissions(address token,uint256 amount)"
)

// readDAI: allowed means all, for ever or until expiry; 0 means for ever.
func readDAI(d evidence.TypedDomain, m map[string]any) []signedPermit {
	p := signedPermit{token: contract(d), spender: text(m, "spender"), value: "0", deadlines: []string{text(m, "expiry")}}
	if m["allowed"] != false {
		p.value = maxBase.String()
	}
	if p.deadlines[0] == "0" {
		p.deadlines[0] = maxBase.String()
	}
	return []signedPermit{p}
}

func read3009(d evidence.TypedDomain, m map[string]any) []signedPermit {
	return []signedPermit{{token: contract(d), spender: text(m, "to"), value: text(m, "value"), deadlines: []string{text(m, "validBefore")}}}
}

// readAllowances: the signature may be used until sigDeadline, the allowance until expiration.
func readAllowances(_ evidence.TypedDomain, m map[string]any) []signedPermit {
	var out []signedPermit
	for _, details := range structs(m["details"]) {
		out = append(out, signedPermit{
			token: text(details, "token"), spender: text(m, "spender"), value: text(details, "amount"),
			deadlines: []string{text(m, "sigDeadline"), text(details, "expiration")},
		})
	}
	return out
}

func readTransfers(_ evidence.TypedDomain, m map[string]any) []signedPermit {
	var out []signedPermit
	for _, permitted := range structs(m["permitted"]) {
		out = append(out, signedPermit{
			token: text(permitted, "token"), spender: text(m, "spender"), value: text(permitted, "amount"), deadlines: []string{text(m, "deadline")},
		})
	}
	return out
}

// permit makes a permit exact against data.json: the token is that of a chain with the domain's chain id.
func (d *Data) permit(domain evidence.TypedDomain, p signedPermit) Permit {
	out := Permit{ValueBase: exactBase(p.value), Deadline: latest(p.deadlines)}
	evm := Chain{Family: FamilyEVM}
	out.Token, _ = evm.canonicalAddress(p.token)
	out.Spender, _ = evm.canonicalAddress(p.spender)
	out.Unlimited = out.ValueBase == "" || isUnlimited(out.ValueBase)
	if domain.ChainID == nil || out.Token == "" {
		return out
	}
	if id, err := strconv.ParseUint(*domain.ChainID, 10, 64); err == nil && id != 0 {
		at := d.tokens[tokenKey{id, out.Token}]
		out.Chain, out.Asset = at.chain, at.asset
	}
	return out
}

// latest returns the latest of some times, "" if one is not known.
func latest(times []string) json.Number {
	var last json.Number
	for _, t := range times {
		n := exactBase(t)
		if n == "" {
			return ""
		}
		if last == "" || compareBase(n, last) > 0 {
			last = n
		}
	}
	return last
}

// isUnlimited reports whether an allowance is one of those that stand for no limit: from 2^255 on, and the largest
// values of the smaller integers that tokens and Permit2 keep allowances in.
func isUnlimited(n json.Number) bool {
	v, ok := new(big.Int).SetString(string(n), 10)
	if !ok || v.BitLen() == 256 {
		return true
	}
	plusOne := new(big.Int).Add(v, big.NewInt(1))
	for _, bits := range []uint{96, 112, 128, 160, 192, 224, 248, 255} {
		if plusOne.Cmp(new(big.Int).Lsh(big.NewInt(1), bits)) == 0 {
			return true
		}
	}
	return false
}

func contract(d evidence.TypedDomain) string {
	if d.VerifyingContract == nil {
		return ""
	}
	return *d.VerifyingContract
}

func text(m map[string]any, name string) string {
	s, _ := m[name].(string) // "" is neither an address nor a number
	return s
}

// structs returns the structs of a member that is one or an array of them.
func structs(v any) []map[string]any {
	switch v := v.(type) {
	case map[string]any:
		return []map[string]any{v}
	case []any:
		var out []map[string]any
		for _, e := range v {
			m, _ := e.(map[string]any) // nil has no members, and so no value that could be judged
			out = append(out, m)
		}
		return out
	}
	return nil
}
