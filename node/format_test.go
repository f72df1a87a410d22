package node_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	linkv1 "github.com/countersign-mpc/countersign/api/link/v1"
	"github.com/countersign-mpc/countersign/node"
	"github.com/countersign-mpc/countersign/node/asking"
	"github.com/countersign-mpc/countersign/wire"
)

// members lists the values of a JSON object by the way to them, as docs/FORMATS.md does; # stands for a number.
func members(value any, at string) []string {
	var out []string
	switch v := value.(type) {
	case map[string]any:
		for key, member := range v {
			if strings.Trim(key, "0123456789") == "" {
				key = "#"
			}
			out = append(out, members(member, strings.TrimPrefix(at+"."+key, "."))...)
		}
	case []any:
		for _, element := range v {
			out = append(out, members(element, at)...)
		}
	default:
		out = append(out, at)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// TestStoredFormats holds what is stored against docs/FORMATS.md, node: a renamed field would lose what older nodes stored.
func TestStoredFormats(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	requester := newP256(t)
	r.acceptRequester(requester)
	r.guard.reportsTo(reports{got: make(chan asking.Question, 8), failing: errors.New("the server is down")})
	r.guard.mu.Lock()
	r.guard.outcome = func(context.Context, asking.Question) error { return errors.New("the server is down") }
	r.guard.mu.Unlock()
	message := func() ask {
		a := r.signing()
		a.terms.SignType, a.terms.Message, a.terms.TxInfo = wire.SignTypeMessage, "hello", []byte(`{"chainSymbol":"ETH"}`)
		return a.authorized(t, requester, r.clock.Now().Add(time.Hour))
	}
	done, waiting := message(), message()
	r.mustSign(done)
	r.guard.set("")
	s := r.offer(waiting)
	r.guard.next(t).wait(time.Hour)
	r.awaitAnswer(s, r.a.id, linkv1.Answer_WAITING)

	const always = "ask.callback_id ask.body ask.signature ask.action ask.answered_at authorization.KeyID authorization.Expiry authorization.Nonce " +
		"authorization.Signature content_hash digest expires key_id sign_type sino_id state terms.Type terms.RequestID terms.KeyID terms.Parties " +
		"terms.T terms.N terms.Cryptography terms.Path terms.SignType terms.Message terms.TxInfo terms.TapScriptRoot v "
	for _, c := range []struct{ bucket, key, members string }{
		{"identity", "p256", "private_key v"},
		{"key", r.keyID, "confirmed.#.signature confirmed.#.active created epoch index key_id last_used parties.Index parties.NodeID parties.Guarded " +
			"parties.Recipient share state statement_hash told v"},
		{"request", done.sino, always + "ask.approved ask.outcome sessions share_released report.SessionID report.Completed report.Reason report.Culprit report.PublicKey " +
			"report.ChainCode report.Digest report.Result report.RecoveryID report.DerivedKey report.Released report.Encrypted report.Signature"},
		{"request", waiting.sino, always + "ask.reason ask.wait message reason tx_info"},
		{"nonce", "", "expires sino_id v"},
		{"report", "", "asked.CallbackID asked.ExtraInfo.sino_id asked.ExtraInfo.request_id body callback_id signature v"},
		{"outcome", "", "asked.CallbackID asked.ExtraInfo.sino_id asked.ExtraInfo.request_id body callback_id signature v"},
		{"session", "", "joined sino_id v"},
	} {
		found := false
		must(t, r.a.store.ForEach(c.bucket, c.key, func(key string, value []byte) error {
			found = true
			var record map[string]any
			must(t, json.Unmarshal(value, &record))
			if _, ok := record["told"]; !ok && c.bucket == "key" {
				record["told"] = true // it is there once the coordinator has said that it knows
			}
			expected := strings.Fields(c.members)
			slices.Sort(expected)
			if got := members(record, ""); !slices.Equal(got, expected) {
				t.Errorf("record %s/%s has\n%s\nwant\n%s", c.bucket, key, strings.Join(got, " "), strings.Join(expected, " "))
			}
			if record["v"] != 1.0 {
				t.Errorf("record %s/%s has version %v", c.bucket, key, record["v"])
			}
			return nil
		}))
		if !found {
			t.Errorf("no record %s/%s", c.bucket, c.key)
		}
	}
	stat, err := r.a.store.Stat()
	must(t, err)
	if len(stat.Records) != 7 {
		t.Errorf("the store has buckets %v", stat.Records)
	}
}

func TestWhatIsOverForLongIsForgotten(t *testing.T) {
	t.Parallel()
	r := newSigners(t)
	a := r.signing()
	r.mustSign(a)
	counts := func() map[string]int {
		stat, err := r.a.store.Stat()
		must(t, err)
		return stat.Records
	}
	if c := counts(); c["request"] != 2 || c["session"] != 2 {
		t.Fatalf("the store holds %v", c)
	}
	r.clock.step(24 * time.Hour)
	r.a.restart()
	if c := counts(); c["request"] != 2 || c["session"] != 2 {
		t.Fatalf("after a day the store holds %v", c)
	}
	r.clock.step(2 * 24 * time.Hour)
	r.mustSign(r.signing()) // without a restart
	if c := counts(); c["request"] != 3 || c["session"] != 1 {
		t.Fatalf("after three days the store holds %v", c)
	}
	r.clock.step(28 * 24 * time.Hour)
	r.a.restart()
	if c := counts(); c["request"] != 1 || c["session"] != 0 || c["key"] != 1 || c["identity"] != 1 {
		t.Fatalf("after a month the store holds %v", c)
	}
	r.mustSign(r.signing())
}

func FuzzDecodeRecord(f *testing.F) {
	for _, bucket := range []string{"identity", "key", "request", "nonce", "report"} {
		f.Add(bucket, []byte(`{"v":1}`))
	}
	f.Add("key", []byte(`{"v":1,"confirmed":{"1":{"signature":"AA=="},"999":null},"statement_hash":[1,2],"share":"AA=="}`))
	f.Add("request", []byte(`{"v":1,"terms":{"Type":"sign"},"expires":"2026-01-01T00:00:00Z"}`))
	f.Add("nonce", []byte(`{"v":2}`))
	f.Add("report", []byte(`null`))
	f.Fuzz(func(t *testing.T, bucket string, data []byte) {
		var head struct {
			V int `json:"v"`
		}
		if err := node.DecodeRecord(bucket, data); err == nil && (json.Unmarshal(data, &head) != nil || head.V != 1) {
			t.Fatal("a record of another version was read")
		}
	})
}
