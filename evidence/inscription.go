package evidence

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/btcsuite/btcd/txscript"
	jsonv2 "github.com/go-json-experiment/json"
)

// Inscription is a BRC-20 operation that a tapscript reveals.
type Inscription struct {
	// Key is the x-only key whose signature the script asks for, 32 bytes.
	Key []byte `json:"-"`
	// Operation is op: deploy, mint or transfer.
	Operation string `json:"op"`
	// Ticker is tick as written; tickers differing in case alone are one and the same.
	Ticker string `json:"tick"`
	// Amount is amt, a decimal number of coins; for a deploy it is empty and Max, Limit and Decimals may be set.
	Amount   string `json:"amt,omitempty"`
	Max      string `json:"max,omitempty"`
	Limit    string `json:"lim,omitempty"`
	Decimals string `json:"dec,omitempty"`
}

// ErrNoInscription is wrapped by ParseInscription for a script without an ordinals envelope.
var ErrNoInscription = errors.New("the script reveals no inscription")

// MaxInscription bounds the body of a BRC-20 inscription in bytes; real ones have about a hundred.
const MaxInscription = 1 << 10

const inscriptionContentType = 1 // tag of the content type in an ordinals envelope

// ParseInscription reads the one form of tapscript in which everybody sees the same BRC-20 operation:
//
//	<32-byte key> OP_CHECKSIG OP_FALSE OP_IF "ord" 1 <content type> OP_0 <body> ... OP_ENDIF
//
// with a JSON object of text members as body. Indexers differ in what they make of anything else (a second envelope,
// other tags, numbers in the JSON, unknown or repeated members), so that is an error, whatever it may mean to one of them.
func ParseInscription(script []byte) (*Inscription, error) {
	if !hasEnvelope(script) {
		return nil, ErrNoInscription
	}
	tokens := txscript.MakeScriptTokenizer(0, script)
	if !tokens.Next() || tokens.Opcode() != txscript.OP_DATA_32 {
		return nil, errors.New("the inscription's script does not begin with a key of 32 bytes")
	}
	in := &Inscription{Key: bytes.Clone(tokens.Data())}
	for _, opcode := range []byte{txscript.OP_CHECKSIG, txscript.OP_FALSE, txscript.OP_IF} {
		if !tokens.Next() || tokens.Opcode() != opcode {
			return nil, errors.New("the inscription's script is not: key, OP_CHECKSIG, one envelope, and nothing else")
		}
	}
	contentType, body, err := readEnvelope(&tokens)
	if err != nil {
		return nil, fmt.Errorf("inscription: %w", err)
	}
	if err := checkContentType(contentType); err != nil {
		return nil, fmt.Errorf("inscription: %w", err)
	}
	if err := in.readBody(body); err != nil {
		return nil, fmt.Errorf("inscription: %w", err)
	}
	return in, nil
}

// hasEnvelope tells whether a script could hold an envelope: OP_FALSE, OP_IF and a push of "ord" somewhere in it, however
// the rest reads.
func hasEnvelope(script []byte) bool {
	tokens := txscript.MakeScriptTokenizer(0, script)
	state := 0
	for tokens.Next() {
		switch {
		case state == 2 && bytes.Equal(tokens.Data(), []byte("ord")):
			return true
		case tokens.Opcode() == txscript.OP_IF && state == 1:
			state = 2
		case tokens.Opcode() <= txscript.OP_PUSHDATA4 && len(tokens.Data()) == 0:
			state = 1
		default:
			state = 0
		}
	}
	// A script that cannot be read to its end is nobody's inscription, but it may be one to a lenient reader.
	return tokens.Err() != nil && bytes.Contains(script, []byte("\x03ord"))
}

// readEnvelope reads what follows OP_FALSE OP_IF, up to the end of the script.
func readEnvelope(tokens *txscript.ScriptTokenizer) (contentType string, body []byte, err error) {
	push := func() ([]byte, bool) {
		if !tokens.Next() || tokens.Opcode() > txscript.OP_PUSHDATA4 {
			return nil, false
		}
		return tokens.Data(), true
	}
	if name, ok := push(); !ok || string(name) != "ord" {
		return "", nil, errors.New(`the envelope does not begin with "ord"`)
	}
	if !tokens.Next() || !isContentTag(tokens) {
		return "", nil, errors.New("the envelope's first tag is not the content type")
	}
	kind, ok := push()
	if !ok {
		return "", nil, errors.New("the envelope has no content type")
	}
	contentType = string(kind)
	if !tokens.Next() || tokens.Opcode() != txscript.OP_0 {
		return "", nil, errors.New("the envelope has other tags than the content type: only the body may follow it")
	}
	for tokens.Next() && tokens.Opcode() != txscript.OP_ENDIF {
		if tokens.Opcode() > txscript.OP_PUSHDATA4 {
			return "", nil, fmt.Errorf("opcode %#x in the envelope's body", tokens.Opcode())
		}
		if body = append(body, tokens.Data()...); len(body) > MaxInscription {
			return "", nil, fmt.Errorf("the body has more than %d bytes", MaxInscription)
		}
	}
	if tokens.Err() != nil || tokens.Opcode() != txscript.OP_ENDIF {
		return "", nil, errors.New("the envelope does not end")
	}
	if !tokens.Done() {
		return "", nil, errors.New("something follows the envelope")
	}
	return contentType, body, nil
}

// isContentTag takes the tag 1 as one byte of data; as OP_1, which some wallets write, older indexers do not read it.
func isContentTag(tokens *txscript.ScriptTokenizer) bool {
	return tokens.Opcode() == txscript.OP_DATA_1 && tokens.Data()[0] == inscriptionContentType
}

func checkContentType(s string) error {
	kind, parameters, _ := strings.Cut(s, ";")
	if kind != "text/plain" && kind != "application/json" {
		return fmt.Errorf("content type %q: BRC-20 is text/plain or application/json", excerpt(s))
	}
	if parameters != "" && parameters != "charset=utf-8" {
		return fmt.Errorf("content type %q has other parameters than charset=utf-8", excerpt(s))
	}
	return nil
}

func (in *Inscription) readBody(body []byte) error {
	var fields struct {
		Protocol  string  `json:"p"`
		Operation string  `json:"op"`
		Ticker    string  `json:"tick"`
		Amount    *string `json:"amt"`
		Max       *string `json:"max"`
		Limit     *string `json:"lim"`
		Decimals  *string `json:"dec"`
	}
	if err := jsonv2.Unmarshal(body, &fields, jsonv2.RejectUnknownMembers(true)); err != nil {
		return errors.New("the body is not a JSON object of p, op, tick, amt, max, lim and dec, each once and as text")
	}
	if fields.Protocol != "brc-20" {
		return fmt.Errorf("protocol %q: only brc-20 is decoded", excerpt(fields.Protocol))
	}
	if err := CheckTicker(fields.Ticker); err != nil {
		return err
	}
	in.Operation, in.Ticker = fields.Operation, fields.Ticker
	deploy := []*string{fields.Max, fields.Limit, fields.Decimals}
	switch fields.Operation {
	case "mint", "transfer":
		if fields.Amount == nil || fields.Max != nil || fields.Limit != nil || fields.Decimals != nil {
			return fmt.Errorf("a %s has amt and none of max, lim and dec", fields.Operation)
		}
		in.Amount = *fields.Amount
		_, err := ParseQuantity(in.Amount)
		return err
	case "deploy":
		if fields.Max == nil || fields.Amount != nil {
			return errors.New("a deploy has max and no amt")
		}
		for i, to := range []*string{&in.Max, &in.Limit, &in.Decimals} {
			if deploy[i] != nil {
				*to = *deploy[i]
			}
		}
		return nil
	default:
		return fmt.Errorf("op %q is not deploy, mint or transfer", excerpt(fields.Operation))
	}
}
