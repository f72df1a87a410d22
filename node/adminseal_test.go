package node_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign-mpc/countersign/keystore/segment"
	"github.com/countersign-mpc/countersign/node"
)

const nextPassword = "Another-Horse-8-Battery"

// hand is a set of segments that a test hands out.
type hand struct {
	manifest *segment.Manifest
	texts    []string
}

func newHand(t testing.TB, threshold, n int) *hand {
	t.Helper()
	m, secrets, err := segment.Generate(threshold, n)
	must(t, err)
	h := &hand{manifest: m}
	for _, s := range secrets {
		h.texts = append(h.texts, string(s.Expose()))
	}
	return h
}

// body is what sends one segment, by number.
func (h *hand) body(number int) string { return bkey(h.texts[number-1]) }

// newSegmentOffice is an office whose node takes the segments of whatever hand is current for init and changes.
func newSegmentOffice(t testing.TB, current *atomic.Pointer[hand], time *clock, log *bytes.Buffer, change ...func(*node.Config)) *office {
	return newOffice(t, append(change, func(c *node.Config) {
		c.Segments = func() (*segment.Manifest, error) {
			if h := current.Load(); h != nil {
				return h.manifest, nil
			}
			return nil, nil
		}
		c.Clock = time.Now
		if log != nil {
			c.Log = slog.New(slog.NewTextHandler(log, nil))
		}
	})...)
}

const sealedStatus = `{"data":{"state":"sealed"},"status":"ok"}`

func TestSegmentsOneCallEach(t *testing.T) {
	t.Parallel()
	var current atomic.Pointer[hand]
	first, other, clock, log := newHand(t, 2, 3), newHand(t, 2, 3), new(clock), new(bytes.Buffer)
	current.Store(first)
	o := newSegmentOffice(t, &current, clock, log)
	said := func(call string, k int) string {
		return fmt.Sprintf(`{"data":"%s: %d of 2 segments entered","status":"ok"}`, call, k)
	}

	o.mustRefuse("POST", "/sys/init", bkey(password), `one begins with "segment-"`)
	o.mustAnswer("POST", "/sys/init", first.body(3), said("init", 1))
	o.mustAnswer("GET", "/sys/seal-status", "", `{"data":{"state":"uninitialised","progress":{"call":"init","entered":[3],"needed":2}},"status":"ok"}`)
	o.mustRefuse("POST", "/sys/init", first.body(3), "segment 3: it has been entered already")
	o.mustRefuse("POST", "/sys/init", other.body(2), "segment 2: it belongs to another set")
	o.mustRefuse("POST", "/sys/init", bkey(strings.Replace(first.texts[1], "-", "-A", 2)), "segment")
	if code, got := o.call("POST", "/sys/init", first.body(1)); code != 200 || !contains(got, `{"data":{"node_id":"sino`) {
		t.Fatalf("HTTP %d %s", code, got)
	}
	current.Store(nil) // unseal needs no manifest
	o.mustAnswer("GET", "/sys/seal-status", "", sealedStatus)
	o.mustRefuse("POST", "/sys/in-bkey", bkey(password), `one begins with "segment-"`)

	// cancelled, timed out, and sealed over: what was entered is gone each time
	for _, forget := range []func(){
		func() { o.mustAnswer("POST", "/sys/cancel-bkey", "", `{"data":"cancel-bkey success","status":"ok"}`) },
		func() { clock.step(node.EntryTimeout) },
		func() { o.mustAnswer("POST", "/sys/seal", "", `{"data":"seal success","status":"ok"}`) },
	} {
		o.mustAnswer("POST", "/sys/in-bkey", first.body(1), said("in-bkey", 1))
		clock.step(node.EntryTimeout - time.Minute)
		forget()
		o.mustAnswer("GET", "/sys/seal-status", "", sealedStatus)
		o.mustAnswer("POST", "/sys/in-bkey", first.body(2), said("in-bkey", 1))
		o.mustAnswer("POST", "/sys/cancel-bkey", "", `{"data":"cancel-bkey success","status":"ok"}`)
	}
	o.mustAnswer("POST", "/sys/in-bkey", first.body(1), said("in-bkey", 1))
	clock.step(node.EntryTimeout - time.Minute)
	o.mustAnswer("POST", "/sys/in-bkey", first.body(2), `{"data":"in-bkey success","status":"ok"}`)
	if code, got := o.call("GET", "/sys/info", ""); code != 200 || !contains(got, fmt.Sprintf(`"segments":"2 of 3, set %x"`, first.manifest.ID)) {
		t.Fatalf("HTTP %d %s", code, got)
	}

	// all segments are changed, then one password takes their place
	current.Store(other)
	o.mustRefuse("POST", "/sys/re-bkey", other.body(1), "run reset first")
	o.mustAnswer("POST", "/sys/re-bkey-init", first.body(1), said("re-bkey-init", 1))
	o.mustRefuse("POST", "/sys/re-bkey-init", other.body(2), "segment 2: it belongs to another set")
	o.mustAnswer("POST", "/sys/re-bkey-init", first.body(3), `{"data":"re-bkey-init success","status":"ok"}`)
	o.mustAnswer("POST", "/sys/re-bkey", other.body(1), said("re-bkey", 1))
	o.mustRefuse("POST", "/sys/re-bkey-init", first.body(1), "re-bkey has 1 of 2 segments: go on with it, or cancel it")
	o.mustAnswer("POST", "/sys/re-bkey", other.body(3), `{"data":"re-bkey success","status":"ok"}`)
	o.mustAnswer("POST", "/sys/seal", "", `{"data":"seal success","status":"ok"}`)
	o.mustRefuse("POST", "/sys/in-bkey", first.body(1), "segment 1: it belongs to another set")
	o.mustAnswer("POST", "/sys/in-bkey", other.body(1), said("in-bkey", 1))
	o.mustAnswer("POST", "/sys/in-bkey", other.body(2), `{"data":"in-bkey success","status":"ok"}`)
	current.Store(nil)
	o.mustAnswer("POST", "/sys/re-bkey-init", other.body(2), said("re-bkey-init", 1))
	o.mustAnswer("POST", "/sys/re-bkey-init", other.body(3), `{"data":"re-bkey-init success","status":"ok"}`)
	o.mustAnswer("POST", "/sys/re-bkey", bkey(password), `{"data":"re-bkey success","status":"ok"}`)
	o.mustAnswer("POST", "/sys/seal", "", `{"data":"seal success","status":"ok"}`)
	o.mustAnswer("POST", "/sys/in-bkey", bkey(password), `{"data":"in-bkey success","status":"ok"}`)

	for _, h := range []*hand{first, other} {
		for _, text := range h.texts {
			if strings.Contains(log.String(), text[12:40]) {
				t.Fatal("the log holds a segment")
			}
		}
	}
}

// TestChangeOfPassword has the guide's answers, and the vendor's script's manner of calling: text/plain.
func TestChangeOfPassword(t *testing.T) {
	t.Parallel()
	var none atomic.Pointer[hand]
	clock := new(clock)
	o := newSegmentOffice(t, &none, clock, nil)
	plain := func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }
	call := func(path, pass, want string) {
		t.Helper()
		if code, got := o.call("POST", path, bkey(pass), plain); code != 200 || (want != "" && got != want) {
			t.Fatalf("%s: HTTP %d %s", path, code, got)
		}
	}
	o.mustRefuse("POST", "/sys/re-bkey-init", bkey(password), "run init")
	call("/sys/init", password, "")
	o.mustRefuse("POST", "/sys/re-bkey-init", bkey(password), "run unseal")
	call("/sys/in-bkey", password, `{"data":"in-bkey success","status":"ok"}`)

	o.mustRefuse("POST", "/sys/re-bkey", bkey(nextPassword), "run reset first, then cmreset")
	o.mustRefuse("POST", "/sys/re-bkey-init", bkey(nextPassword), "wrong password")
	o.mustRefuse("POST", "/sys/re-bkey", bkey(nextPassword), "run reset first, then cmreset")
	call("/sys/re-bkey-init", password, `{"data":"re-bkey-init success","status":"ok"}`)
	clock.step(node.EntryTimeout)
	o.mustRefuse("POST", "/sys/re-bkey", bkey(nextPassword), "more than ten minutes ago")
	call("/sys/re-bkey-init", password, `{"data":"re-bkey-init success","status":"ok"}`)
	o.mustRefuse("POST", "/sys/re-bkey", bkey("weak"), "at least 12 characters")
	o.mustRefuse("POST", "/sys/re-bkey", `{"shard_bkey":"Another-"Horse-8-Battery"}`, `must not contain " or \`)
	call("/sys/re-bkey", nextPassword, `{"data":"re-bkey success","status":"ok"}`)
	o.mustRefuse("POST", "/sys/re-bkey", bkey(password), "run reset first") // once for each reset

	o.mustAnswer("POST", "/sys/seal", "", `{"data":"seal success","status":"ok"}`)
	o.mustRefuse("POST", "/sys/in-bkey", bkey(password), "wrong password")
	call("/sys/in-bkey", nextPassword, `{"data":"in-bkey success","status":"ok"}`)

	call("/sys/re-bkey-init", nextPassword, "")
	o.mustAnswer("POST", "/sys/seal", "", `{"data":"seal success","status":"ok"}`) // ends the change
	call("/sys/in-bkey", nextPassword, "")
	o.mustRefuse("POST", "/sys/re-bkey", bkey(password), "run reset first")
	for range 3 {
		o.mustRefuse("POST", "/sys/re-bkey-init", bkey(password), "wrong password")
	}
	o.mustRefuse("POST", "/sys/re-bkey-init", bkey(nextPassword), "too many wrong passwords")
}

// TestTheNewPasswordThatResetWasGiven: between reset and the change nobody puts another password in its place.
func TestTheNewPasswordThatResetWasGiven(t *testing.T) {
	t.Parallel()
	var current atomic.Pointer[hand]
	clock := new(clock)
	o := newSegmentOffice(t, &current, clock, nil)
	both := func(present, next string) string {
		return strings.TrimSuffix(bkey(present), "}") + `,"new_bkey":"` + next + `"}`
	}
	const reset, other = `{"data":"re-bkey-init success","status":"ok"}`, "Stranger-Horse-9-Battery"
	o.call("POST", "/sys/init", bkey(password))
	o.mustRefuse("POST", "/sys/in-bkey", both(password, nextPassword), "a new password comes with re-bkey-init of one password, and with nothing else")
	o.mustAnswer("POST", "/sys/in-bkey", bkey(password), `{"data":"in-bkey success","status":"ok"}`)
	o.mustRefuse("POST", "/sys/re-bkey-init", both(password, "weak"), "at least 12 characters")
	o.mustRefuse("POST", "/sys/re-bkey-init", both(nextPassword, nextPassword), "wrong password")
	o.mustRefuse("POST", "/sys/re-bkey-init", strings.TrimSuffix(bkey(password), "}")+`,"new_bkey":7}`, "the body is not")
	o.mustAnswer("POST", "/sys/re-bkey-init", both(password, nextPassword), reset)
	o.mustRefuse("POST", "/sys/re-bkey", bkey(other), "this is not the new password that was given with reset")
	current.Store(newHand(t, 2, 3))
	o.mustRefuse("POST", "/sys/re-bkey", current.Load().body(1), "this is not the new password that was given with reset")
	current.Store(nil)
	o.mustAnswer("POST", "/sys/re-bkey", bkey(nextPassword), `{"data":"re-bkey success","status":"ok"}`)

	// another reset begins anew, with or without one
	o.mustAnswer("POST", "/sys/re-bkey-init", both(nextPassword, other), reset)
	o.mustAnswer("POST", "/sys/re-bkey-init", bkey(nextPassword), reset)
	o.mustAnswer("POST", "/sys/re-bkey", bkey(password), `{"data":"re-bkey success","status":"ok"}`)
	o.mustAnswer("POST", "/sys/re-bkey-init", both(password, other), reset)
	clock.step(node.EntryTimeout)
	o.mustRefuse("POST", "/sys/re-bkey", bkey(other), "more than ten minutes ago")
}

func TestManifestThatCannotBeRead(t *testing.T) {
	t.Parallel()
	o := newOffice(t, func(c *node.Config) {
		c.Segments = func() (*segment.Manifest, error) { return nil, errors.New("storage.segments-path: not there") }
	})
	o.mustRefuse("POST", "/sys/init", bkey(password), "storage.segments-path: not there")
	o.mustAnswer("GET", "/sys/seal-status", "", `{"data":{"state":"uninitialised"},"status":"ok"}`)
}
