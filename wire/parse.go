package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	// MaxUnknownFields is how many unknown fields a body may have; with more it is a Problem.
	MaxUnknownFields = 64
	// MaxListLength is how many elements party_ids may have, with more the body is malformed; and how many a list of tx_info
	// may have, with more it is a Problem.
	MaxListLength = 4096
)

const txInfoPointer = "/request_detail/tx_info"

// Parsed is a request body that is strictly well formed. Whether it can be approved is another question: a server answers
// it with a signed decision, which is Reject if there are Problems.
type Parsed struct {
	Path  Path
	Check Check // RequestDetail.TxInfo is compacted as a node sends it; it may share memory with the body
	// TxInfo is Check.RequestDetail.TxInfo taken apart; nil if there is none or if it is not an object.
	TxInfo *TxInfo
	// DetailAsString and ExtraAsString tell that the object came as a JSON string holding it.
	DetailAsString, ExtraAsString bool
	// UnknownFields are the keys that this version does not know, at most MaxUnknownFields of them, those in tx_info last.
	UnknownFields []UnknownField
	// Problems are why the body cannot be judged: a tx_info of the wrong shape, no callback_id, too many unknown fields.
	Problems []Problem
}

// ParseCheck parses the body of a request. The body must be one JSON object and nothing after it, in valid UTF-8, nested
// no deeper than MaxDepth, without a key that is there twice or that differs from a known one only in case, with known
// fields of their types. Its request_type must belong to the path: "outcome" to PathOutcome, none to PathRawdata, and
// any other to PathCheck. Errors are *Error with CodeParse or CodePath; they name keys and places, never values.
func ParseCheck(path Path, body []byte) (*Parsed, error) {
	parsed, err := parseBody(path, body)
	if err != nil {
		return nil, err
	}
	if err := parsed.checkPath(); err != nil {
		return nil, err
	}
	parsed.finish()
	return parsed, nil
}

func parseBody(path Path, body []byte) (*Parsed, error) {
	parsed := &Parsed{Path: path}
	return parsed, parsed.parse(body)
}

// parse is read with an error of the protocol.
func (q *Parsed) parse(body []byte) error {
	if err := q.read(body); err != nil {
		return &Error{Code: CodeParse, Detail: fmt.Sprintf("request body: %v", err)}
	}
	return nil
}

func (q *Parsed) read(body []byte) error {
	if err := scan(body, 0); err != nil {
		return err
	}
	p := newParser()
	defer p.release()
	if err := readObject(p, q, body, bodyMembers); err != nil {
		return err
	}
	if q.Check.CallbackID == "" {
		p.down("callback_id")
		p.problem("must not be empty")
	}
	q.UnknownFields = slices.Concat(p.unknown, p.unknownTx)
	q.Problems = p.problems
	return nil
}

// bodyMembers are the keys of a request.
var bodyMembers = []member[Parsed]{
	{"callback_id", text(func(q *Parsed) *string { return &q.Check.CallbackID })},
	{"request_type", text(func(q *Parsed) *string { return &q.Check.RequestType })},
	{"request_detail", inString(func(q *Parsed) *bool { return &q.DetailAsString }, readDetail)},
	{"extra_info", inString(func(q *Parsed) *bool { return &q.ExtraAsString }, object(
		func(q *Parsed) *ExtraInfo { return &q.Check.ExtraInfo }, extraInfoMembers,
	))},
}

var extraInfoMembers = []member[ExtraInfo]{
	{"sino_id", text(func(x *ExtraInfo) *string { return &x.SinoID })},
	{"request_id", text(func(x *ExtraInfo) *string { return &x.RequestID })},
}

// finish applies the limit to the unknown fields that are left.
func (q *Parsed) finish() {
	if len(q.UnknownFields) > MaxUnknownFields {
		q.UnknownFields = q.UnknownFields[:MaxUnknownFields]
		q.Problems = append(q.Problems, Problem{Reason: fmt.Sprintf("more than %d unknown fields", MaxUnknownFields)})
	}
}

// detail is a request_detail that is being read, with the numbers that it gives.
type detail struct {
	of              *Parsed
	t, threshold, n whole
}

// detailMembers are the keys of request_detail.
var detailMembers = []member[detail]{
	{"t", integer(func(d *detail) *whole { return &d.t })},
	{"threshold", integer(func(d *detail) *whole { return &d.threshold })},
	{"n", integer(func(d *detail) *whole { return &d.n })},
	{"cryptography", text(func(d *detail) *string { return &d.of.Check.RequestDetail.Cryptography })},
	{"party_ids", texts(func(d *detail) *[]string { return &d.of.Check.RequestDetail.PartyIDs })},
	{"sign_type", text(func(d *detail) *string { return &d.of.Check.RequestDetail.SignType })},
	{"public_key", text(func(d *detail) *string { return &d.of.Check.RequestDetail.PublicKey })},
	{"path", text(func(d *detail) *string { return &d.of.Check.RequestDetail.Path })},
	{"message", text(func(d *detail) *string { return &d.of.Check.RequestDetail.Message })},
	{"coin", text(func(d *detail) *string { return &d.of.Check.RequestDetail.Coin })},
	{"from_address", text(func(d *detail) *string { return &d.of.Check.RequestDetail.FromAddress })},
	{"to_address", text(func(d *detail) *string { return &d.of.Check.RequestDetail.ToAddress })},
	{"amount", text(func(d *detail) *string { return &d.of.Check.RequestDetail.Amount })},
	{"fee", text(func(d *detail) *string { return &d.of.Check.RequestDetail.Fee })},
	{"gas_price", text(func(d *detail) *string { return &d.of.Check.RequestDetail.GasPrice })},
	{"gas_limit", text(func(d *detail) *string { return &d.of.Check.RequestDetail.GasLimit })},
	{"signature", text(func(d *detail) *string { return &d.of.Check.RequestDetail.Signature })},
	{"tx_info", readTxInfo},
}

// readDetail reads request_detail.
func readDetail(p *parser, q *Parsed, value jsontext.Value) error {
	d := &p.detail
	d.of = q
	if err := readObject(p, d, value, detailMembers); err != nil {
		return err
	}
	to := &q.Check.RequestDetail
	to.N = d.n.value
	switch {
	case d.t.given && d.threshold.given && d.t.value != d.threshold.value:
		return errors.New("t and threshold in /request_detail are two names of one number and differ")
	case d.t.given:
		to.T = d.t.value
	default:
		to.T = d.threshold.value
	}
	return nil
}

func readTxInfo(p *parser, d *detail, value jsontext.Value) (err error) {
	q := d.of
	if q.Check.RequestDetail.TxInfo, err = asSent(value); err != nil {
		return fmt.Errorf("%s: compact: %w", txInfoPointer, err)
	}
	if value.Kind() == '{' {
		q.TxInfo = &TxInfo{}
	}
	return p.txInfo(q.TxInfo, value)
}

// asSent is a tx_info as a node sends it, which is how encoding/json writes it: the value itself where it is written so.
func asSent(value jsontext.Value) ([]byte, error) {
	if isAsSent(value) {
		return value[:len(value):len(value)], nil
	}
	return json.Marshal(json.RawMessage(value))
}

// isAsSent says whether encoding/json writes a value that passed scan as it stands: without blanks between what it is made
// of, and nowhere with one of the characters that are escaped. Others that begin as U+2028 and U+2029 do count as those.
func isAsSent(value []byte) bool {
	const separators = 0xe2 // the first byte of U+2028 and U+2029
	quoted := false
	for i := 0; i < len(value); i++ {
		switch value[i] {
		case '<', '>', '&', separators:
			return false
		case ' ', '\t', '\r', '\n':
			if !quoted {
				return false
			}
		case '"':
			quoted = !quoted
		case '\\':
			i++ // what is escaped, which may be a quotation mark
		}
	}
	return true
}

// checkPath makes no body good for two paths.
func (q *Parsed) checkPath() error {
	switch requestType := q.Check.RequestType; {
	case q.Path != PathCheck && q.Path != PathRawdata && q.Path != PathOutcome:
		return &Error{Code: CodePath, Detail: fmt.Sprintf("no endpoint %q", string(q.Path))}
	case q.Path == PathOutcome && requestType != TypeOutcome:
		return &Error{Code: CodePath, Detail: "a request to /outcome must have request_type \"outcome\""}
	case q.Path == PathRawdata && requestType != "":
		return &Error{Code: CodePath, Detail: "a request to /rawdata_signature must not have a request_type"}
	case q.Path == PathCheck && requestType == "":
		return &Error{Code: CodePath, Detail: "a request to /check must have a request_type"}
	case q.Path == PathCheck && requestType == TypeOutcome:
		return &Error{Code: CodePath, Detail: "a request of type \"outcome\" belongs to /outcome"}
	}
	return nil
}

// Canonical returns the parsed request serialised again, as Check.Marshal does; an object that came as a string goes back
// as a string that holds its canonical form. Unknown fields outside tx_info are not in it.
func (q *Parsed) Canonical() ([]byte, error) {
	if !q.DetailAsString && !q.ExtraAsString {
		return q.Check.Marshal()
	}
	if err := q.Check.validate(); err != nil {
		return nil, fmt.Errorf("marshal request: %w", err)
	}
	detail, err := objectOrString(q.Check.RequestDetail, q.DetailAsString)
	if err != nil {
		return nil, err
	}
	extra, err := objectOrString(q.Check.ExtraInfo, q.ExtraAsString)
	if err != nil {
		return nil, err
	}
	return json.Marshal(struct {
		CallbackID    string `json:"callback_id,omitempty"`
		RequestType   string `json:"request_type,omitempty"`
		RequestDetail any    `json:"request_detail"`
		ExtraInfo     any    `json:"extra_info"`
	}{q.Check.CallbackID, q.Check.RequestType, detail, extra})
}

func objectOrString(object any, asString bool) (any, error) {
	if !asString {
		return object, nil
	}
	text, err := json.Marshal(object)
	if err != nil {
		return nil, fmt.Errorf("marshal request: %w", err)
	}
	return string(text), nil
}

// dropUnsigned removes what the canonical form does not carry: the unknown fields outside tx_info.
func (q *Parsed) dropUnsigned() {
	q.UnknownFields = slices.DeleteFunc(q.UnknownFields, func(f UnknownField) bool {
		return !strings.HasPrefix(f.Pointer, txInfoPointer+"/")
	})
}
