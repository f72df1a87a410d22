package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestPrintKeys(t *testing.T) {
	t.Parallel()
	body := []byte(`{"data":[{"key_id":"key-1","algorithm":"ecdsa-secp256k1","t":2,"n":3,"index":1,"epoch":1,"state":"active","public_key":"02ab",
		"path":"m/84/0","derived_key":"03cd","evm_address":"0xEF","bitcoin_addresses":{"p2wpkh":"bc1q","p2tr":"bc1p"},"guarded":true,"results_for_party":2,
		"parties":["sinoA","sinoB","sinoC"],"created":"2026-05-04T14:00:00+02:00","last_used":"2026-05-05T12:00:00Z"},
		{"key_id":"key-2","algorithm":"eddsa-ed25519","t":3,"n":3,"index":1,"epoch":1,"state":"unconfirmed","public_key":"ff","guarded":false,
		"parties":["sinoA"],"created":"2026-05-04T12:00:00Z","note":"restored from a backup: party 2 has not answered"}],"status":"ok"}`)
	var out bytes.Buffer
	if err := printList[keyLine](&out, body, false, "none"); err != nil {
		t.Fatal(err)
	}
	want := `key-1  ecdsa-secp256k1  2 of 3  party 1  epoch 1  active  guarded true
  public key    02ab
  path          m/84/0
  key there     03cd
  EVM           0xEF
  p2tr          bc1p
  p2wpkh        bc1q
  results for   party 2 alone (sign_type 2 and 3)
  party 1       sinoA
  party 2       sinoB
  party 3       sinoC
  created       2026-05-04T12:00:00Z
  last used     2026-05-05T12:00:00Z
key-2  eddsa-ed25519  3 of 3  party 1  epoch 1  unconfirmed  guarded false
  public key    ff
  party 1       sinoA
  created       2026-05-04T12:00:00Z
  last used     never
  note          restored from a backup: party 2 has not answered
`
	if out.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", out.String(), want)
	}
	out.Reset()
	if err := printList[keyLine](&out, body, true, "none"); err != nil || strings.Contains(out.String(), "solana") ||
		!strings.Contains(out.String(), `"p2tr": "bc1p"`) || strings.Count(out.String(), "last_used") != 1 || !strings.Contains(out.String(), `"note": "restored`) {
		t.Errorf("as JSON: %s (%v)", out.String(), err)
	}
	if err := printList[keyLine](&out, []byte("<html>"), false, "none"); err == nil {
		t.Error("what is no answer was printed")
	}
}
