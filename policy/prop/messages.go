package prop

import (
	"encoding/json"
	"strings"
	"time"
)

// message fills in what is signed with sign_type 2.
func (b *built) message() error {
	d := &b.check.RequestDetail
	switch b.request[dimWhat] {
	case formText:
		d.Message = b.request[dimText]
		return nil
	case formBytes:
		d.Message = "0x" + strings.Repeat("ab", 20)
		return nil
	}
	name, ok := parseTyped(b.request[dimTyped])
	if !ok {
		return errUnbuildable
	}
	domain, domainType := b.domain(name)
	types, message := []field{{"contents", "string"}}, map[string]any{"contents": "x"}
	if b.request[dimWhat] == formPermit { // ERC-2612
		at, err := time.Parse(time.RFC3339, b.request[dimTime])
		if err != nil {
			return errUnbuildable
		}
		types = []field{{"owner", "address"}, {"spender", "address"}, {"value", "uint256"}, {"nonce", "uint256"}, {"deadline", "uint256"}}
		message = map[string]any{
			"owner": b.owner(), "spender": b.request[dimSpender], "value": b.allowance().String(), "nonce": "0",
			"deadline": b.integer(dimDeadline).Add(b.integer(dimDeadline), ints(at.Unix())[0]).String(),
		}
	}
	text, err := json.Marshal(map[string]any{
		"types": map[string]any{"EIP712Domain": domainType, name.primary: types}, "primaryType": name.primary, "domain": domain, "message": message,
	})
	d.Message = string(text)
	return err
}

type field struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

func (b *built) domain(name typedName) (map[string]any, []field) {
	domain, types := map[string]any{}, []field{}
	for i, f := range []field{{"name", "string"}, {"version", "string"}, {"chainId", "uint256"}, {"verifyingContract", "address"}, {"salt", "bytes32"}} {
		if v := name.domain[i]; v != nil {
			domain[f.Name] = *v
			types = append(types, f)
		}
	}
	return domain, types
}

func (b *built) owner() string {
	if address := b.evmAddress(); address != "" {
		return address
	}
	return "0x" + strings.Repeat("1", 40)
}
