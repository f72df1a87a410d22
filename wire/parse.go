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
	Check Check // RequestDetail.TxInfo is compacted as a node sends it
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
	if err := parsed.read(body); err != nil {
		return nil, &Error{Code: CodeParse, Detail: fmt.Sprintf("request body: %v", err)}
	}
	return parsed, nil
}

func (q *Parsed) read(body []byte) error {
	if err := scan(body, 0); err != nil {
		return err
	}
	var p parser
	c := &q.Check
	err := p.object(
		member{"callback_id", p.text(&c.CallbackID)},
		member{"request_type", p.text(&c.RequestType)},
		member{"request_detail", p.inString(&q.DetailAsString, q.detail(&p))},
		member{"extra_info", p.inString(&q.ExtraAsString, p.object(
			member{"sino_id", p.text(&c.ExtraInfo.SinoID)},
			member{"request_id", p.text(&c.ExtraInfo.RequestID)},
		))},
	)(body)
	if err != nil {
		return err
	}
	if c.CallbackID == "" {
		p.path = []string{"callback_id"}
		p.problem("must not be empty")
	}
	q.UnknownFields = slices.Concat(p.unknown, p.unknownTx)
	q.Problems = p.problems
	return nil
}

// finish applies the limit to the unknown fields that are left.
func (q *Parsed) finish() {
	if len(q.UnknownFields) > MaxUnknownFields {
		q.UnknownFields = q.UnknownFields[:MaxUnknownFields]
		q.Problems = append(q.Problems, Problem{Reason: fmt.Sprintf("more than %d unknown fields", MaxUnknownFields)})
	}
}

// detail reads request_detail.
func (q *Parsed) detail(p *parser) reader {
	d := &q.Check.RequestDetail
	var t, threshold, n *int
	read := p.object(
		member{"t", p.integer(&t)},
		member{"threshold", p.integer(&threshold)},
		member{"n", p.integer(&n)},
		member{"cryptography", p.text(&d.Cryptography)},
		member{"party_ids", p.list(func(value jsontext.Value) error {
			d.PartyIDs = append(d.PartyIDs, "")
			return p.text(&d.PartyIDs[len(d.PartyIDs)-1])(value)
		})},
		member{"sign_type", p.text(&d.SignType)},
		member{"public_key", p.text(&d.PublicKey)},
		member{"path", p.text(&d.Path)},
		member{"message", p.text(&d.Message)},
		member{"coin", p.text(&d.Coin)},
		member{"from_address", p.text(&d.FromAddress)},
		member{"to_address", p.text(&d.ToAddress)},
		member{"amount", p.text(&d.Amount)},
		member{"fee", p.text(&d.Fee)},
		member{"gas_price", p.text(&d.GasPrice)},
		member{"gas_limit", p.text(&d.GasLimit)},
		member{"signature", p.text(&d.Signature)},
		member{"tx_info", q.readTxInfo(p)},
	)
	return func(value jsontext.Value) error {
		if err := read(value); err != nil {
			return err
		}
		if n != nil {
			d.N = *n
		}
		if t == nil {
			t = threshold
		}
		if t == nil {
			return nil
		}
		if threshold != nil && *threshold != *t {
			return errors.New("t and threshold in /request_detail are two names of one number and differ")
		}
		d.T = *t
		return nil
	}
}

func (q *Parsed) readTxInfo(p *parser) reader {
	return func(value jsontext.Value) (err error) {
		if q.Check.RequestDetail.TxInfo, err = json.Marshal(json.RawMessage(value)); err != nil {
			return fmt.Errorf("%s: compact: %w", txInfoPointer, err)
		}
		t := &TxInfo{}
		return keepObject(&q.TxInfo, t, p.txInfo(t))(value)
	}
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
