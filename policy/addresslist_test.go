package policy_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/derive"
	"github.com/countersign-mpc/countersign/policy"
)

// randomList is a list of addresses, each in one of the ways in which it may be written, with texts that JSON escapes, and the
// same list as Rego has to see it.
func randomList(r *rand.Rand, n int) (written, canonical map[string]string) {
	texts := []string{"", "supplier", `"quoted" \ back`, "<a> & b", "Zürich 株式会社 \u2028", "\x01\t\n", "\U0001f600"}
	written, canonical = map[string]string{}, map[string]string{}
	for range n {
		var raw [20]byte
		for i := range raw {
			raw[i] = byte(r.Uint32())
		}
		lower, text := "0x"+hex.EncodeToString(raw[:]), texts[r.IntN(len(texts))]
		canonical[lower] = text
		switch r.IntN(3) {
		case 0:
			written[lower] = text
		case 1:
			written["0x"+strings.ToUpper(lower[2:])] = text
		default:
			written[derive.FormatEVMAddress(raw)] = text
		}
	}
	return written, canonical
}

// inOrder writes an object with its members in a random order and with blanks, its names perhaps escaped.
func inOrder(r *rand.Rand, list map[string]string) json.RawMessage {
	var members []string
	for name, text := range list {
		value, _ := json.Marshal(text)
		if r.IntN(4) == 0 {
			name = `\u0030` + name[1:]
		}
		members = append(members, fmt.Sprintf("\n \"%s\"\t: %s ", name, value))
	}
	return json.RawMessage("{" + strings.Join(members, ",") + " }")
}

// TestAddressListsAsMaps: lists mean what they did as maps of encoding/json, which also writes the rest: the revision depends on it.
func TestAddressListsAsMaps(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		data := demoData()
		allow, wantAllow := randomList(r, r.IntN(60))
		deny, wantDeny := randomList(r, r.IntN(60))
		own, wantOwn := randomList(r, r.IntN(5))
		data["addresses"] = object{"ETH": object{"allow": inOrder(r, allow), "deny": inOrder(r, deny), "own": inOrder(r, own)}}
		data["custom"] = object{"a": []any{json.Number("12345678901234567890"), "<&>", true}, "": object{}, "é\"": "\u2029"}
		d, err := parse(t, data)
		must(t, err)
		var got map[string]any
		decoder := json.NewDecoder(bytes.NewReader(d.Canonical()))
		decoder.UseNumber()
		must(t, decoder.Decode(&got))
		again, err := json.Marshal(got)
		must(t, err)
		if !bytes.Equal(again, d.Canonical()) {
			t.Fatalf("encoding/json writes\n%s\nand it was\n%s", again, d.Canonical())
		}
		lists := got["addresses"].(object)["ETH"].(object)
		for name, want := range map[string]map[string]string{"allow": wantAllow, "deny": wantDeny, "own": wantOwn} {
			have := map[string]string{}
			for address, text := range lists[name].(object) {
				have[address] = text.(string)
			}
			if !reflect.DeepEqual(have, want) {
				t.Fatalf("%s is %v, want %v", name, have, want)
			}
		}
	}
}

// TestFaultsOfAddressLists: they are named in the order of the addresses as they are written, wherever in the file that is.
func TestFaultsOfAddressLists(t *testing.T) {
	const lower, upper = "0xabababababababababababababababababababab", "0xABABABABABABABABABABABABABABABABABABABAB"
	faulty := []string{
		`"0xAbababababababababababababababababababab": "wrong checksum"`, `"no address": ""`, `"` + lower + `": "a"`, `"` + upper + `": "b"`,
		`"0x0000000000000000000000000000000000000001": "right"`,
	}
	want := []string{
		"at /addresses/ETH/deny/" + lower + ": stands there twice, written differently",
		"at /addresses/ETH/deny/0xAbababababababababababababababababababab: has a wrong EIP-55 checksum",
		"at /addresses/ETH/deny/no address: is not 0x and 40 hex digits",
	}
	r := rand.New(rand.NewPCG(3, 4))
	for range 10 {
		r.Shuffle(len(faulty), func(i, j int) { faulty[i], faulty[j] = faulty[j], faulty[i] })
		data := demoData()
		data["addresses"] = object{"ETH": object{"deny": json.RawMessage("{" + strings.Join(faulty, ",") + "}")}}
		_, err := parse(t, data)
		if err == nil {
			t.Fatal("the list is taken")
		}
		var lines []string
		for _, line := range strings.Split(err.Error(), "\n") {
			if strings.HasPrefix(line, "at /addresses/ETH/deny/") {
				lines = append(lines, line)
			}
		}
		if len(lines) != len(want) || !strings.HasPrefix(lines[0], want[1]) || lines[1] != want[0] || lines[2] != want[2] {
			t.Fatalf("the faults are\n%s", strings.Join(lines, "\n"))
		}
	}
}

// TestKindsInLists: what is no list of texts is named by its place.
func TestKindsInLists(t *testing.T) {
	for text, want := range map[string]string{
		`{"format":"x","addresses":{"ETH":{"allow":[]}}}`:                    "at /addresses/ETH/allow: a JSON object is expected here",
		`{"format":"x","addresses":{"ETH":{"allow":{"a":"b","c":5}}}}`:       "at /addresses/ETH/allow/c: a JSON string is expected here",
		`{"format":"x","addresses":{"ETH":{"own":{"a":{"b":"c"}}}}}`:         "at /addresses/ETH/own/a: a JSON string is expected here",
		`{"format":"x","addresses":{"ETH":{"deny":{"a/b":true}}}}`:           "at /addresses/ETH/deny/a~1b: a JSON string is expected here",
		`{"format":"x","addresses":{"ETH":{"deny":{"a":"b","a":"c"}}}}`:      "at /addresses/ETH/deny/a: the key stands there twice",
		`{"format":"x","addresses":{"ETH":{"deny":{"a":"b","\u0061":"c"}}}}`: "at /addresses/ETH/deny/a: the key stands there twice",
		`{"format":"x","custom":[1]}`:                                        "at /custom: a JSON object is expected here",
		`{"format":"x","custom":"text"}`:                                     "at /custom: a JSON object is expected here",
	} {
		_, err := policy.ParseData("data.json", []byte(text))
		if err == nil || err.Error() != "data.json: "+want {
			t.Errorf("%s: %v", text, err)
		}
	}
}
