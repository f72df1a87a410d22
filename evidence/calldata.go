package evidence

// The ERC-20 methods that an account's Call is of, by their canonical signatures.
const (
	MethodTransfer     = "transfer(address,uint256)"
	MethodTransferFrom = "transferFrom(address,address,uint256)"
	MethodApprove      = "approve(address,uint256)"
)

const (
	selectorLength = 4
	wordLength     = 32
)

// of takes over what a step calls, if that is ERC-20's transfer, transferFrom or approve and its arguments were read: by the names
// that methods.json gives them.
//
// Selectors do not name a contract's standard: an ERC-721's transferFrom and approve have the same ones, with a token id in
// place of the amount.
func (c *CallFields) of(step *Step) bool {
	*c = CallFields{Method: step.Method, Selector: step.Selector, Contract: step.Contract}
	to, from := "to", ""
	switch step.Method {
	case MethodTransfer:
	case MethodTransferFrom:
		from = "from"
	case MethodApprove:
		to = "spender"
	default:
		return false
	}
	if from != "" {
		c.From, _ = step.Args[from].(string)
	}
	c.To, _ = step.Args[to].(string)
	c.Amount, _ = step.Args["value"].(string)
	return c.To != "" && c.Amount != "" && (c.From != "") == (from != "")
}
