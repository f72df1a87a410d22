package evidence

import (
	"slices"
	"strings"
)

// Status is the outcome of a check.
type Status string

// The three outcomes. Everything but Verified must stop a request unless the policy's data says otherwise for
// Unverifiable; Mismatch always stops it.
const (
	// Verified: the digest belongs to what was decoded, and that is what the request claims.
	Verified Status = "verified"
	// Mismatch: at least one claimed field contradicts what is signed; Differences names each.
	Mismatch Status = "mismatch"
	// Unverifiable: nothing contradicts, but something could not be checked; Code and Reason say what.
	Unverifiable Status = "unverifiable"
)

// Code says, in a form that policies may branch on, why a finding is not Verified. Codes are never renamed.
type Code string

// The codes of a Mismatch (CodeDiffers) and of an Unverifiable (the others; where several apply, the first in this
// order). So CodeNoRawTx says that nothing but the transaction is missing, the one gap that a policy may choose to live
// with; the others say that something is there which this package cannot vouch for.
const (
	CodeDiffers      Code = "differs"
	CodeUndecodable  Code = "undecodable"       // rawTx, calldata or message is malformed
	CodeChain        Code = "unknown-chain"     // the chain's family or its chain id is not known
	CodeAsset        Code = "unknown-asset"     // the claimed asset is not known, so nothing can be compared with it
	CodeCreation     Code = "contract-creation" // the transaction deploys code
	CodeDelegation   Code = "delegation"        // EIP-7702 authorizations hand accounts to code
	CodeBlobs        Code = "blobs"             // EIP-4844 blobs, whose content and fee tx_info cannot claim
	CodeRunestone    Code = "runestone"         // a message of the runes protocol that no claim vouches for
	CodeInscription  Code = "inscription"       // a revealed inscription that no claim vouches for
	CodeDelegateCall Code = "delegatecall"      // a Safe runs another contract's code as its own
	CodeBound        Code = "too-many-calls"    // calls are wrapped deeper, or are more, than is followed
	CodeUnknownCall  Code = "unknown-call"      // calldata of a method that is not decoded
	CodeNotTransfer  Code = "not-a-transfer"    // a decoded method that is no transfer, an approval for example
	CodeUnproven     Code = "unproven-inputs"   // the PSBT does not prove what its inputs hold, so that the fee may be any
	CodeUnknownKey   Code = "unknown-key"       // the claim does not name the key that signs a Bitcoin input
	CodeIncomplete   Code = "incomplete-claim"  // recipient or amount is not claimed
	CodeNoRawTx      Code = "no-raw-tx"         // no unsigned transaction came with the request
	CodeRaw          Code = "raw"               // raw signing: by definition nobody can say what is signed
)

// UnverifiableCodes are the codes that an Unverifiable may have of which tx_info claims something, in their order: all but CodeRaw.
func UnverifiableCodes() []Code {
	return []Code{
		CodeUndecodable, CodeChain, CodeAsset, CodeCreation, CodeDelegation, CodeBlobs, CodeRunestone, CodeInscription, CodeDelegateCall,
		CodeBound, CodeUnknownCall, CodeNotTransfer, CodeUnproven, CodeUnknownKey, CodeIncomplete, CodeNoRawTx,
	}
}

// Finding is what a check found. It serialises to the policy's input as evidence; every amount is a decimal string.
type Finding struct {
	Status Status `json:"status"`
	// Code and Reason are empty when Verified. Reason is for people and may change.
	Code   Code   `json:"code,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Codes are all that apply of an Unverifiable, in their order, Code among them: who lives with one gap must not be
	// taken to live with another.
	Codes []Code `json:"codes,omitempty"`
	// Decoded is what was decoded, as far as that was possible, whatever the status.
	Decoded *Decoded `json:"decoded,omitempty"`
	// Differences lists every contradiction, in a fixed order; it is empty unless Status is Mismatch.
	Differences []Difference `json:"differences,omitempty"`
}

// Difference is one contradiction. Field is the name in tx_info where there is one (extraData.vinList and the like inside
// it), else chainId, message, value (the transaction's own, beside a token transfer), method, tokenId, movements or
// approvals (what is signed beyond what is claimed). Signed is what the transaction says or, where no transaction
// could be read, what the claimed calldata says.
type Difference struct {
	Field   string `json:"field"`
	Claimed string `json:"claimed"`
	Signed  string `json:"signed"`
}

// obstacle is a reason for which a claim cannot be called verified.
type obstacle struct {
	code   Code
	reason string
}

// comparison gathers what a check finds on its way; it never stops at the first difference.
type comparison struct {
	decoded     Decoded
	differences []Difference
	obstacles   []obstacle
}

func (c *comparison) differ(field, claimed, signed string) {
	c.differences = append(c.differences, Difference{Field: field, Claimed: excerpt(claimed), Signed: excerpt(signed)})
}

func (c *comparison) obstruct(code Code, reason string) {
	c.obstacles = append(c.obstacles, obstacle{code, reason})
}

// finding gives the verdict: any difference is a mismatch, else any obstacle leaves it unverifiable.
func (c *comparison) finding() Finding {
	f := Finding{Status: Verified, Decoded: &c.decoded}
	if c.decoded.Kind == "" {
		f.Decoded = nil
	}
	switch {
	case len(c.differences) > 0:
		f.Status, f.Code, f.Differences = Mismatch, CodeDiffers, c.differences
		fields := make([]string, len(c.differences))
		for i, d := range c.differences {
			fields[i] = d.Field
		}
		f.Reason = "what is signed is not what is claimed: " + strings.Join(fields, ", ")
	case len(c.obstacles) > 0:
		f.Status = Unverifiable
		f.Codes, f.Reason = c.gaps()
		f.Code = f.Codes[0]
	}
	return f
}

// gaps gives the codes of all obstacles, each once, by the order of their declaration, and the reasons of all.
func (c *comparison) gaps() ([]Code, string) {
	order := []Code{
		CodeUndecodable, CodeChain, CodeAsset, CodeCreation, CodeDelegation, CodeBlobs, CodeRunestone, CodeInscription,
		CodeDelegateCall, CodeBound, CodeUnknownCall, CodeNotTransfer, CodeUnproven, CodeUnknownKey, CodeIncomplete, CodeNoRawTx,
	}
	slices.SortStableFunc(c.obstacles, func(a, b obstacle) int {
		return slices.Index(order, a.code) - slices.Index(order, b.code)
	})
	var codes []Code
	reasons := make([]string, len(c.obstacles))
	for i, o := range c.obstacles {
		reasons[i] = o.reason
		codes = append(codes, o.code)
	}
	return slices.Compact(codes), strings.Join(reasons, "; ")
}

// excerpt bounds what a finding repeats: calldata may be long, and the request itself is kept beside the finding.
func excerpt(s string) string {
	const most = 256
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}
