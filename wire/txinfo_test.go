package wire_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/wire"
)

// everyField is a tx_info with all keys that the protocol has, those of the guide's examples and ours. Each value is another.
const everyField = `{"vaultId":"v1","walletId":"v2","requestId":"v3","chainSymbol":"v4","assetId":"v5","from":"v6","to":"v7","toTag":"v8","amount":"v9",` +
	`"fee":"v10","fee_rate":"v11","gasPrice":"v12","gasLimit":"v13","inputdata":"v14","remark":"v15","note":"v16","curInputId":"v17",` +
	`"tapScriptRoot":"v18","publickKey":"v19","extraData":{"toTag":"v20","vinList":[{"address":"v21","amount":22,"blockHash":"v23",` +
	`"blockHeight":24,"blockState":25,"blockTimeStamp":26,"currency":"v27","id":28,"state":29,"tag":"v30","transactionHash":"v31",` +
	`"voutIndex":32}],"voutList":[{"address":"v33","amount":34}]},"brc20Details":[{"method":"v35","ticker":"v36","quantity":"v37",` +
	`"inscriptionId":"v38","step":39,"from":"v40","to":"v41"}],"runeDetails":[{"fromAddress":"v42","toAddress":"v43","runeName":"v44",` +
	`"runeId":"v45","runeSpacedName":"v46","runeAmount":"v47","runeSymbol":"v48","runeDivisibility":49}],"rawTx":"v50",` +
	`"requester":{"key_id":"v51","signature":"v52"}}`

// TestEveryField: every field of a claim is carried, as it was written, and none is lost or taken for another.
func TestEveryField(t *testing.T) {
	got, problems, err := wire.ReadTxInfo([]byte(everyField))
	if err != nil || len(problems) != 0 {
		t.Fatal(err, problems)
	}
	var values []string
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.String:
			values = append(values, strings.TrimPrefix(v.String(), "v"))
		case reflect.Pointer:
			walk(v.Elem())
		case reflect.Slice:
			for i := range v.Len() {
				walk(v.Index(i))
			}
		case reflect.Struct:
			for i := range v.NumField() {
				walk(v.Field(i))
			}
		default:
			t.Fatalf("a field of kind %s is not looked at", v.Kind())
		}
	}
	walk(reflect.ValueOf(got))
	seen := map[string]int{}
	for _, v := range values {
		seen[v]++
	}
	for i := range 52 {
		if seen[fmt.Sprint(i+1)] != 1 {
			t.Errorf("value %d is there %d times", i+1, seen[fmt.Sprint(i+1)])
		}
	}
	if len(values) != 52 {
		t.Errorf("%d fields are carried, want 52: a new one belongs into this test", len(values))
	}
	body := []byte(`{"callback_id":"x","request_type":"taproot-sign","request_detail":{"tx_info":` + everyField + `},"extra_info":{}}`)
	parsed, err := wire.ParseCheck(wire.PathCheck, body)
	if err != nil {
		t.Fatal(err)
	}
	canonical, err := parsed.Canonical()
	if err != nil || string(canonical) != string(body) || len(parsed.UnknownFields) != 0 {
		t.Errorf("the canonical form is %s (%v), unknown are %v", canonical, err, parsed.UnknownFields)
	}
}

// TestEveryFieldIsStrict: whatever key is written in another case makes the body invalid, and a value of another kind makes
// it impossible to judge; null is an absent value.
func TestEveryFieldIsStrict(t *testing.T) {
	var keys []string
	for _, part := range strings.Split(everyField, `":`) {
		if i := strings.LastIndex(part, `"`); i >= 0 {
			keys = append(keys, part[i+1:])
		}
	}
	keys = keys[:len(keys)-1] // what follows the last colon
	if len(keys) < 55 {
		t.Fatalf("found %d keys", len(keys))
	}
	for _, key := range keys {
		for _, other := range []string{strings.ToUpper(key), strings.ToUpper(key[:1]) + key[1:]} {
			if _, _, err := wire.ReadTxInfo([]byte(strings.Replace(everyField, `"`+key+`":`, `"`+other+`":`, 1))); err == nil || !strings.Contains(err.Error(), key) {
				t.Errorf("%q instead of %q: %v", other, key, err)
			}
		}
	}
	for i := range 52 {
		for _, value := range []string{fmt.Sprintf(`"v%d"`, i+1), fmt.Sprintf(`:%d`, i+1)} {
			text, number := everyField, strings.HasPrefix(value, ":")
			if !strings.Contains(text, value) || number && !strings.ContainsAny(after(text, value)[:1], ",}]") {
				continue
			}
			prefix := ""
			if number {
				prefix = ":"
			}
			for _, wrong := range []string{"true", "{}", "[]"} {
				_, problems, err := wire.ReadTxInfo([]byte(strings.Replace(text, value, prefix+wrong, 1)))
				if err != nil || len(problems) != 1 {
					t.Errorf("%s instead of %s: %v, %v", wrong, value, problems, err)
				}
			}
			if _, problems, err := wire.ReadTxInfo([]byte(strings.Replace(text, value, prefix+"null", 1))); err != nil || len(problems) != 0 {
				t.Errorf("null instead of %s: %v, %v", value, problems, err)
			}
		}
	}
}

func after(text, part string) string {
	_, rest, _ := strings.Cut(text, part)
	return rest
}

// TestNumbersAsWritten: a number keeps every digit, and may come as a string.
func TestNumbersAsWritten(t *testing.T) {
	for _, number := range []string{"0", "1425593", "1e5", "0.10", "123456789012345678901234567890", "-1"} {
		for _, written := range []string{number, `"` + number + `"`} {
			got, problems, err := wire.ReadTxInfo([]byte(`{"extraData":{"vinList":[{"id":` + written + `}],"voutList":[{"amount":` + written + `}]},` +
				`"brc20Details":[{"step":` + written + `}],"runeDetails":[{"runeDivisibility":` + written + `}]}`))
			if err != nil || len(problems) != 0 {
				t.Fatal(written, err, problems)
			}
			for _, v := range []string{got.ExtraData.VinList[0].ID, got.ExtraData.VoutList[0].Amount, got.BRC20Details[0].Step, got.RuneDetails[0].RuneDivisibility} {
				if v != number {
					t.Errorf("%s is read as %s", written, v)
				}
			}
		}
	}
	if !json.Valid([]byte(everyField)) {
		t.Error("the test's own tx_info is no JSON")
	}
}
