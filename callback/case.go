package callback

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/countersign-mpc/countersign/evidence"
	"github.com/countersign-mpc/countersign/ledger"
	"github.com/countersign-mpc/countersign/policy"
	"github.com/countersign-mpc/countersign/wire"
)

// Case is a request to /check made ready to be judged: what the policy will see of it, and for what an approval counts.
type Case struct {
	// Input is complete but for the node, the approvals and the time.
	Input policy.Input
	// Intent is IntentHash; Digests are the bytes to be signed, none where nothing is signed or it cannot be told what.
	Intent  ledger.Hash
	Digests [][]byte
	// Requester is the key id of who asked, as the node verified it; "" if nobody is known.
	Requester string
	// Execution is what an Approve counts in windows; nil for nothing.
	Execution *ledger.Execution

	signer signer
	abis   *evidence.ABIs
	own    []byte // what this request has signed; one of Digests
	// account is what was decoded of what is signed; nil for nothing.
	account *evidence.Decoded
	memo    evidence.Memo
	// keyed: nothing in the request contradicts the key that would sign.
	keyed   bool
	numbers numbers
	room    room
}

// room is what most cases point to, in one piece of memory with them.
type room struct {
	execution ledger.Execution
	anchors   [1]ledger.Hash
	digests   [1][]byte
	transfer  policy.Transfer
}

// keyIDLength is that of a requester's key id: hex of SHA-256.
const keyIDLength = 64

// NewCase compares what is signed with what is claimed, by the engine's data, and writes down what a policy may know.
// Whatever makes the request impossible to judge stands in Input.Problems; the server rejects it, whatever the policy
// says.
func NewCase(e *policy.Engine, p *wire.Parsed, keys *Keys) (*Case, error) {
	c := &Case{Input: e.NewInput(p), abis: keys.contracts()}
	var err error
	if c.Intent, err = IntentHash(p); err != nil {
		return nil, err
	}
	c.identify(p)
	if !signs(p.Check.RequestType) {
		if p.Check.RequestType == wire.TypePreSign {
			if err := spelled(&p.Check.RequestDetail); err != nil {
				c.signerProblem(err)
			}
		}
		c.Execution = c.session(e, p)
		return c, nil
	}
	if c.signer, err = keys.signer(p); err != nil {
		c.signerProblem(err)
	}
	c.keyed = err == nil
	payload, err := signingPayload(p, &c.memo)
	c.examine(e, p)
	c.digest(p, payload, err)
	if c.Execution, err = c.execution(e, p); err != nil {
		return nil, err
	}
	return c, nil
}

// signs says whether a request type asks for a signature over a message that comes with the request.
func signs(requestType string) bool {
	switch requestType {
	case wire.TypeSign, wire.TypeBIP340SchnorrSign, wire.TypeTaprootSign, wire.TypePreSignOnline:
		return true
	}
	return false
}

func (c *Case) problem(field, format string, args ...any) {
	c.Input.Problems = append(c.Input.Problems, policy.Problem{
		Rule: policy.RuleRequestMalformed, Field: field, Message: fmt.Sprintf(format, args...),
	})
}

// signerProblem says why the key that would sign is none that this request can mean.
func (c *Case) signerProblem(err error) {
	field, text := "/request_detail/public_key", err.Error()
	var known *errSigner
	if errors.As(err, &known) {
		field, text = known.field, known.text
	}
	c.problem(field, "%s", text)
}

// identify checks the names that are recorded, and that who asked is named as keys are.
func (c *Case) identify(p *wire.Parsed) {
	for _, f := range []struct{ field, value string }{
		{"/callback_id", p.Check.CallbackID}, {"/request_type", p.Check.RequestType},
		{"/extra_info/sino_id", p.Check.ExtraInfo.SinoID}, {"/extra_info/request_id", p.Check.ExtraInfo.RequestID},
	} {
		if len(f.value) > maxName {
			c.problem(f.field, "has %d bytes, at most %d are taken", len(f.value), maxName)
		}
	}
	if c.Input.Requester == nil {
		return
	}
	id := c.Input.Requester.KeyID
	if len(id) != keyIDLength || !isLowerHex(id) {
		c.problem("/request_detail/tx_info/requester/key_id", "is no key id: %d lower-case hex digits are", keyIDLength)
		c.Input.Requester = nil
		return
	}
	c.Requester = id
}

// digest takes what the node signs, computed with the node's own function. A request for which the node would refuse to
// compute it is not judged either, and neither is one whose rawTx is of another family than the chain that is claimed. A
// digest that contradicts rawTx is left to the evidence where that has named the difference.
func (c *Case) digest(p *wire.Parsed, payload evidence.Payload, err error) {
	switch {
	case errors.Is(err, evidence.ErrDigestMismatch) && c.Input.Evidence.Status == policy.EvidenceMismatch:
	case err != nil:
		c.problem("/request_detail", "%s", strings.TrimPrefix(err.Error(), "signing digest: "))
	case c.otherFamily(payload.Kind):
		c.problem("/request_detail/tx_info/rawTx", "is a transaction of another family than chainSymbol names, which is %s", c.Input.Tx.Family)
	default:
		c.approvable(p, payload)
	}
}

// approvable notes for what an approval counts: the digests of the whole payment, that of this request among them.
func (c *Case) approvable(p *wire.Parsed, own evidence.Payload) {
	c.room.digests[0] = own.Digest
	digests, err := c.room.digests[:], error(nil)
	if own.Kind == evidence.KindBitcoin || !c.keyed { // only a PSBT has other inputs, and only such a key is refused
		digests, err = paymentDigests(p, &c.memo)
	}
	switch {
	case err != nil:
		c.problem("/request_detail", "%v", err)
	case !slices.ContainsFunc(digests, func(d []byte) bool { return bytes.Equal(d, own.Digest) }):
		c.problem("/request_detail/tx_info/curInputId", "names an input that this key does not sign for")
	default:
		c.Digests, c.own = digests, own.Digest
	}
}

// otherFamily tells a transaction of another family of chains than is claimed.
func (c *Case) otherFamily(kind evidence.Kind) bool {
	if c.Input.Tx == nil || c.Input.Tx.Chain == "" {
		return false
	}
	switch kind {
	case evidence.KindEVMTransaction:
		return c.Input.Tx.Family != policy.FamilyEVM
	case evidence.KindBitcoin:
		return c.Input.Tx.Family != policy.FamilyUTXO
	}
	return false
}

// PaymentDigests are the digests for which an approval of a request counts (evidence.PaymentDigests): all that the
// payment needs signed by the request's key in the same way. They follow from the request alone, whoever computes them.
func PaymentDigests(p *wire.Parsed) ([][]byte, error) { return paymentDigests(p, nil) }

func paymentDigests(p *wire.Parsed, memo *evidence.Memo) ([][]byte, error) {
	shown, err := (*Keys)(nil).signer(p)
	if err != nil {
		return nil, err
	}
	r := evidenceRequest(p)
	r.Memo = memo
	digests, err := evidence.PaymentDigests(r, shown.key)
	if err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "signing digest: "))
	}
	return digests, nil
}

// SigningPayload computes what a node signs for a request (evidence.SigningDigest). A request that names no cryptography,
// as the vendor's nodes send it, has that of its public key, whose length says which it is.
func SigningPayload(p *wire.Parsed) (evidence.Payload, error) { return signingPayload(p, nil) }

func signingPayload(p *wire.Parsed, memo *evidence.Memo) (evidence.Payload, error) {
	r := evidenceRequest(p)
	r.Memo = memo
	return evidence.SigningDigest(r)
}

// evidenceRequest is the request in the terms of package evidence, with the same fields as the node's.
func evidenceRequest(p *wire.Parsed) evidence.Request {
	d := &p.Check.RequestDetail
	r := evidence.Request{
		RequestType: p.Check.RequestType, Cryptography: cryptography(d), SignType: d.SignType, Message: d.Message, HasTxInfo: p.TxInfo != nil,
	}
	if r.RequestType == wire.TypePreSignOnline { // a signature of type sign, by a presignature
		r.RequestType = wire.TypeSign
	}
	t := p.TxInfo
	if t == nil {
		return r
	}
	r.RawTx, r.InputID, r.TapScriptRoot = t.RawTx, t.CurInputID, t.TapScriptRoot
	if t.ExtraData != nil {
		for _, in := range t.ExtraData.VinList {
			r.InputIDs = append(r.InputIDs, in.ID)
		}
	}
	return r
}

// examine adds the evidence.
func (c *Case) examine(e *policy.Engine, p *wire.Parsed) {
	switch {
	case p.Check.RequestDetail.SignType == wire.SignTypeMessage:
		c.describe(evidence.CheckMessage(p.Check.RequestDetail.Message))
	case p.Check.RequestDetail.SignType == wire.SignTypeTransaction && c.Input.Tx != nil:
		c.describe(evidence.Check(c.claim(e, p)))
	default:
		c.Input.Evidence = policy.Evidence{
			Status: policy.EvidenceUnverifiable, Code: string(evidence.CodeRaw), Reason: "raw data: nobody can say what is signed",
		}
	}
	e.Complete(&c.Input)
}

// describe writes a finding in the policy's terms.
func (c *Case) describe(f evidence.Finding) {
	out := &c.Input.Evidence
	*out = policy.Evidence{Status: policy.EvidenceStatus(f.Status), Code: string(f.Code), Reason: f.Reason}
	for _, code := range f.Codes {
		out.Codes = append(out.Codes, string(code))
	}
	for _, d := range f.Differences {
		out.Differences = append(out.Differences, policy.Difference{Field: d.Field, Claimed: d.Claimed, Signed: d.Signed})
	}
	if f.Decoded == nil {
		return
	}
	if err := out.Describe(f.Decoded); err != nil {
		c.problem("/request_detail", "%v", err)
		return
	}
	c.account = f.Decoded
	if t := f.Decoded.Transfer; t != nil {
		out.Transfer = &c.room.transfer
		c.room.transfer = policy.Transfer{Kind: string(t.Asset), Contract: t.Contract, To: t.To, Amount: t.Amount}
	}
}
