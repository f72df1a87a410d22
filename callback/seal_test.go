package callback_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/callback"
	"github.com/countersign-mpc/countersign/wire"
)

func TestResultKeyFile(t *testing.T) {
	one, two := callback.GenerateResultKey(), callback.GenerateResultKey()
	a, b := must[*callback.ResultKey](t)(callback.ParseResultKey(one)), must[*callback.ResultKey](t)(callback.ParseResultKey(two))
	if a.ID() == b.ID() || len(a.ID()) != 16 {
		t.Errorf("two keys are called %s and %s", a.ID(), b.ID())
	}
	inside := strings.Fields(string(one))[1]
	for _, form := range []string{fmt.Sprint(a), fmt.Sprintf("%#v", a), fmt.Sprintf("%+v", a)} {
		if form != "result key "+a.ID() || strings.Contains(form, inside) {
			t.Errorf("a key prints as %s", form)
		}
	}
	for name, file := range map[string][]byte{
		"empty": nil, "another version": bytes.Replace(one, []byte("/v1"), []byte("/v2"), 1), "cut off": one[:len(one)-10],
		"no key": []byte("countersign/callback-result-key/v1\n"), "a line more": append(bytes.Clone(one), "x\n"...), "token": []byte(adminToken + "\n"),
		"short key": []byte("countersign/callback-result-key/v1\nAAAA\n"),
	} {
		if _, err := callback.ParseResultKey(file); err == nil || strings.Contains(err.Error(), inside[:20]) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseResultKey(f *testing.F) {
	f.Add(resultKeyFile)
	f.Add([]byte("countersign/callback-result-key/v1\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		key, err := callback.ParseResultKey(file)
		if err != nil {
			return
		}
		if again, err := callback.ParseResultKey(file); err != nil || again.ID() != key.ID() {
			t.Errorf("read again: %v, %v", again, err)
		}
	})
}

// FuzzSealedResults: what is in the place of a sealed result opens only if it is what was sealed there.
func FuzzSealedResults(f *testing.F) {
	key := must[*callback.ResultKey](f)(callback.ParseResultKey(resultKeyFile))
	sealed := callback.SealForTest(key, "cb-1", []byte(`{"format":"x"}`))
	f.Add(sealed)
	f.Add(sealed[:20])
	f.Add([]byte("CSCR\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if plain, err := callback.OpenForTest(key, "cb-1", data); err == nil && string(plain) != `{"format":"x"}` {
			t.Errorf("%x opens as %q", data, plain)
		}
		if _, err := callback.OpenForTest(key, "cb-2", data); err == nil {
			t.Errorf("%x opens in another's place", data)
		}
	})
}

func TestKeysRefused(t *testing.T) {
	good := callback.Key{PublicKey: fromHex(rootKey), ChainCode: chainCode}
	ed := callback.Key{PublicKey: fromHex(edPublic()), ChainCode: chainCode}
	if _, err := callback.NewKeys([]callback.Key{good, ed}); err != nil {
		t.Error(err)
	}
	for name, list := range map[string][]callback.Key{
		"twice":         {good, good},
		"no chain code": {{PublicKey: good.PublicKey}},
		"no key":        {{ChainCode: chainCode}},
		"not a point":   {{PublicKey: append([]byte{2}, bytes.Repeat([]byte{0xff}, 32)...), ChainCode: chainCode}},
		"x only":        {{PublicKey: bytes.Repeat([]byte{0xff}, 32), ChainCode: chainCode}},
	} {
		if _, err := callback.NewKeys(list); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestKeysAtTheCheck: a request that names a publickKey, a from or a path that is not the key's is rejected.
func TestKeysAtTheCheck(t *testing.T) {
	const path = "m/44/60/0/0/0"
	known := must[*callback.Keys](t)(callback.NewKeys([]callback.Key{{PublicKey: fromHex(rootKey), ChainCode: chainCode}}))
	w := newWorld(t, options{cfg: func(c *callback.Config) { c.Keys = known }})
	for i, tc := range []struct {
		name   string
		change func(c *wire.Check, info map[string]any)
		action wire.Action
		says   []string
	}{
		{"nothing named", nil, wire.Approve, nil},
		{"its own", func(_ *wire.Check, info map[string]any) { info["publickKey"] = publicAt(path) }, wire.Approve, nil},
		{"in capitals", func(_ *wire.Check, info map[string]any) { info["publickKey"] = strings.ToUpper(publicAt(path)) }, wire.Approve, nil},
		{"the root's", func(_ *wire.Check, info map[string]any) { info["publickKey"] = rootKey }, wire.Reject, []string{"request.malformed: ", "publickKey"}},
		{"none", func(_ *wire.Check, info map[string]any) { info["publickKey"] = "zz" }, wire.Reject, []string{"request.malformed: ", "publickKey"}},
		{"another from", func(_ *wire.Check, info map[string]any) { info["from"] = "0x742d35Cc6634C0532925a3b844Bc454e4438f44e" }, wire.Reject, []string{"evidence.mismatch: ", "from"}},
		{"a hardened path", func(c *wire.Check, _ map[string]any) { c.RequestDetail.Path = "m/44'/60" }, wire.Reject, []string{"request.malformed: ", "path"}},
		{"root with another's publickKey", func(c *wire.Check, info map[string]any) {
			c.RequestDetail.Path, info["publickKey"] = "m", publicAt(path)
		}, wire.Reject, []string{"request.malformed: ", "publickKey"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := payment{callbackID: fmt.Sprint("cb-", i), requestID: "r", amount: 500}
			c := p.check(t)
			if tc.change != nil {
				info := p.txInfo()
				tc.change(c, info)
				setInfo(c, info)
			}
			d, _ := w.ask(c)
			want(t, d, tc.action, tc.says...)
		})
	}
}
