package evidence_test

import (
	"bytes"
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/txscript"

	"github.com/countersign-mpc/countersign/evidence"
)

var inscriptionKey = bytes.Repeat([]byte{7}, 32)

const transferBody = `{"p":"brc-20","op":"transfer","tick":"ordi","amt":"100.5"}`

// envelope is a tapscript that reveals an inscription.
func envelope(t testing.TB, contentType, body string) []byte {
	t.Helper()
	b := txscript.NewScriptBuilder().AddData(inscriptionKey).AddOp(txscript.OP_CHECKSIG).AddOp(txscript.OP_FALSE).AddOp(txscript.OP_IF).
		AddData([]byte("ord")).AddOps([]byte{txscript.OP_DATA_1, 1}).AddData([]byte(contentType)).AddOp(txscript.OP_0)
	for rest := []byte(body); len(rest) > 0; {
		n := min(len(rest), 520)
		b.AddData(rest[:n])
		rest = rest[n:]
	}
	script, err := b.AddOp(txscript.OP_ENDIF).Script()
	if err != nil {
		t.Fatal(err)
	}
	return script
}

func TestParseInscription(t *testing.T) {
	for _, contentType := range []string{"text/plain;charset=utf-8", "text/plain", "application/json"} {
		in, err := evidence.ParseInscription(envelope(t, contentType, transferBody))
		if err != nil {
			t.Fatalf("%s: %v", contentType, err)
		}
		if in.Operation != "transfer" || in.Ticker != "ordi" || in.Amount != "100.5" || !bytes.Equal(in.Key, inscriptionKey) {
			t.Errorf("%s: inscription is %+v", contentType, in)
		}
	}
	in, err := evidence.ParseInscription(envelope(t, "text/plain", `{"p":"brc-20","op":"deploy","tick":"abcd","max":"21000000","lim":"1000","dec":"8"}`))
	if err != nil || in.Max != "21000000" || in.Limit != "1000" || in.Decimals != "8" || in.Amount != "" {
		t.Errorf("deploy is %+v, %v", in, err)
	}
}

// What some indexer may read otherwise than another is refused.
func TestParseInscriptionRefusesOtherForms(t *testing.T) {
	good := envelope(t, "text/plain", transferBody)
	other := func(edit func([]byte) []byte) []byte { return edit(bytes.Clone(good)) }
	scripts := map[string][]byte{
		"second envelope":      append(bytes.Clone(good), good[34:]...),
		"opcode behind it":     append(bytes.Clone(good), txscript.OP_DROP),
		"no key":               good[33:],
		"no OP_CHECKSIG":       other(func(b []byte) []byte { b[33] = txscript.OP_DROP; return b }),
		"content tag as OP_1":  bytes.Replace(good, []byte{txscript.OP_DATA_1, 1}, []byte{txscript.OP_1}, 1),
		"another tag":          bytes.Replace(good, []byte{txscript.OP_DATA_1, 1}, []byte{txscript.OP_DATA_1, 2}, 1),
		"tag behind the type":  bytes.Replace(good, []byte{txscript.OP_0, byte(len(transferBody))}, []byte{txscript.OP_DATA_1, 9, txscript.OP_0, byte(len(transferBody))}, 1),
		"opcode in the body":   append(good[:len(good)-1:len(good)-1], txscript.OP_NOP, txscript.OP_ENDIF),
		"no OP_ENDIF":          good[:len(good)-1],
		"cut off in a push":    good[:len(good)-9],
		"body too long":        envelope(t, "text/plain", strings.Repeat(" ", evidence.MaxInscription)+transferBody),
		"content type":         envelope(t, "text/html", transferBody),
		"content type's words": envelope(t, "text/plain;charset=utf-16", transferBody),
	}
	for _, body := range []string{
		``, `null`, `[]`, `{}`, `{"p":"brc-20"}`, transferBody + "x",
		`{"p":"brc20","op":"transfer","tick":"ordi","amt":"1"}`,
		`{"p":"brc-20","op":"burn","tick":"ordi","amt":"1"}`,
		`{"p":"brc-20","op":"transfer","tick":"ordi","amt":1}`,
		`{"p":"brc-20","op":"transfer","tick":"ordi","amt":"1","amt":"2"}`,
		`{"p":"brc-20","op":"transfer","tick":"ordi","Amt":"1"}`,
		`{"p":"brc-20","op":"transfer","tick":"ordi","amt":"1","to":"x"}`,
		`{"p":"brc-20","op":"transfer","tick":"ordi"}`,
		`{"p":"brc-20","op":"transfer","tick":"ordi","amt":"1e3"}`,
		`{"p":"brc-20","op":"transfer","tick":"ordi","amt":"-1"}`,
		`{"p":"brc-20","op":"transfer","tick":"ordi","amt":"1","max":"1"}`,
		`{"p":"brc-20","op":"transfer","tick":"or","amt":"1"}`,
		`{"p":"brc-20","op":"transfer","tick":"or\nd","amt":"1"}`,
		`{"p":"brc-20","op":"transfer","tick":"ordinals","amt":"1"}`,
		`{"p":"brc-20","op":"deploy","tick":"ordi","amt":"1"}`,
		`{"p":"brc-20","op":"deploy","tick":"ordi"}`,
	} {
		scripts["body "+body] = envelope(t, "text/plain", body)
	}
	for name, script := range scripts {
		if in, err := evidence.ParseInscription(script); err == nil || errors.Is(err, evidence.ErrNoInscription) {
			t.Errorf("%s: %+v, %v; want a refusal", name, in, err)
		}
	}
}

func TestParseInscriptionTellsOrdinaryScripts(t *testing.T) {
	key := append([]byte{txscript.OP_DATA_32}, inscriptionKey...)
	for name, script := range map[string][]byte{
		"empty": nil, "key and signature": append(key, txscript.OP_CHECKSIG),
		"if without ord": append(bytes.Clone(key), txscript.OP_FALSE, txscript.OP_IF, txscript.OP_DATA_1, 9, txscript.OP_ENDIF),
		"ord without if": append(bytes.Clone(key), txscript.OP_DATA_3, 'o', 'r', 'd', txscript.OP_DROP),
	} {
		if _, err := evidence.ParseInscription(script); !errors.Is(err, evidence.ErrNoInscription) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseQuantity(t *testing.T) {
	for s, want := range map[string]string{
		"0": "0", "1": "1000000000000000000", "100.5": "100500000000000000000", "0.000000000000000001": "1", "0100": "100000000000000000000",
	} {
		if v, err := evidence.ParseQuantity(s); err != nil || v.String() != want {
			t.Errorf("%q is %v, %v; want %s", s, v, err, want)
		}
	}
	for _, s := range []string{"", ".", "1.", ".1", "-1", "+1", "1e3", " 1", "1 ", "1_0", "1,0", "1.0.0", "0.0000000000000000001", "1" + strings.Repeat("0", 40), "١"} {
		if v, err := evidence.ParseQuantity(s); err == nil {
			t.Errorf("%q is %v, want an error", s, v)
		}
	}
}

func FuzzParseInscription(f *testing.F) {
	f.Add(envelope(f, "text/plain", transferBody))
	f.Add(envelope(f, "text/plain", `{"p":"brc-20","op":"deploy","tick":"abcd","max":"1"}`))
	f.Fuzz(func(t *testing.T, script []byte) {
		in, err := evidence.ParseInscription(script)
		if err != nil {
			return
		}
		if len(in.Key) != 32 || evidence.CheckTicker(in.Ticker) != nil {
			t.Errorf("inscription is %+v", in)
		}
		if in.Operation == "deploy" {
			return
		}
		if v, err := evidence.ParseQuantity(in.Amount); err != nil || v.Cmp(new(big.Int)) < 0 {
			t.Errorf("amount %q: %v, %v", in.Amount, v, err)
		}
	})
}
