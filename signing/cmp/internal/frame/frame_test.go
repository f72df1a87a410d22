package frame_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/signing"
	"github.com/countersign-mpc/countersign/signing/cmp/internal/frame"
)

// threshold of the key whose messages are in testdata/frames.
const threshold = 3

// realFrames returns the frames that a real keygen and a real signature sent, by file name.
func realFrames(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/frames/*.bin")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		out[strings.TrimSuffix(filepath.Base(name), ".bin")] = data
	}
	return out
}

func mustDecode(t testing.TB, data []byte) frame.Frame {
	t.Helper()
	f, err := frame.Decode(data, threshold)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestEveryPlaceHasARealFrame(t *testing.T) {
	frames := realFrames(t)
	places := 0
	for _, p := range []frame.Protocol{frame.Keygen, frame.Sign} {
		for _, slot := range frame.Slots(p) {
			places++
			name := map[frame.Protocol]string{frame.Keygen: "keygen", frame.Sign: "sign"}[p]
			kind := map[bool]string{true: "broadcast", false: "p2p"}[slot.Broadcast]
			data, ok := frames[fmt.Sprintf("%s-%d-%s", name, slot.Round, kind)]
			if !ok {
				t.Fatalf("no frame of %s %+v", p, slot)
			}
			f := mustDecode(t, data)
			if f.Protocol != p || f.Round != slot.Round || f.Broadcast != slot.Broadcast {
				t.Errorf("%s %+v: decoded as %s round %d broadcast %t", p, slot, f.Protocol, f.Round, f.Broadcast)
			}
			again, err := frame.Encode(f, threshold)
			if err != nil || !bytes.Equal(again, data) {
				t.Errorf("%s %+v: encodes to other bytes: %v", p, slot, err)
			}
		}
	}
	if len(frames) != places {
		t.Errorf("%d frames for %d places", len(frames), places)
	}
}

func TestFrameSharesNoMemory(t *testing.T) {
	data := realFrames(t)["sign-3-broadcast"]
	f := mustDecode(t, data)
	want := bytes.Clone(f.Payload)
	clear(data)
	if !bytes.Equal(f.Payload, want) || bytes.Equal(f.Echo, make([]byte, 64)) {
		t.Fatal("the frame changed with its input")
	}
}

func TestDecodeRefusesHeads(t *testing.T) {
	data := realFrames(t)["sign-3-broadcast"]
	change := func(f func(b []byte)) []byte {
		b := bytes.Clone(data)
		f(b)
		return b
	}
	const echoAt, lengthAt = 69, 133
	cases := map[string][]byte{
		"empty":                {},
		"version 0":            change(func(b []byte) { b[0] = 0 }),
		"version 2":            change(func(b []byte) { b[0] = 2 }),
		"protocol 0":           change(func(b []byte) { b[1] = 0 }),
		"other protocol":       change(func(b []byte) { b[1] = byte(frame.Keygen) }),
		"unknown protocol":     change(func(b []byte) { b[1] = 3 }),
		"round 0":              change(func(b []byte) { b[3] = 0 }),
		"round 1":              change(func(b []byte) { b[3] = 1 }),
		"round of a neighbour": change(func(b []byte) { b[3] = 4 }),
		"round 6":              change(func(b []byte) { b[3] = 6 }),
		"round 259":            change(func(b []byte) { b[2] = 1 }),
		"not broadcast":        change(func(b []byte) { b[4] &^= 1 }),
		"unknown flag":         change(func(b []byte) { b[4] |= 4 }),
		"echo flag lost":       change(func(b []byte) { b[4] &^= 2 }),
		"echo lost":            append(change(func(b []byte) { b[4] &^= 2 })[:echoAt], data[lengthAt:]...),
		"length too long":      change(func(b []byte) { b[lengthAt+3]++ }),
		"length too short":     change(func(b []byte) { b[lengthAt+3]-- }),
		"length huge":          change(func(b []byte) { binary.BigEndian.PutUint32(b[lengthAt:], 0xffffffff) }),
		"trailing byte":        append(bytes.Clone(data), 0),
		"over the limit":       append(bytes.Clone(data), make([]byte, signing.MaxFrame)...),
	}
	for i := range data {
		cases[fmt.Sprintf("cut at %d", i)] = data[:i]
	}
	for name, bad := range cases {
		if _, err := frame.Decode(bad, threshold); !errors.Is(err, frame.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	first := realFrames(t)["sign-2-broadcast"]
	first[4] |= 2
	withEcho := append(bytes.Clone(first[:echoAt]), make([]byte, 64)...)
	if _, err := frame.Decode(append(withEcho, first[echoAt:]...), threshold); !errors.Is(err, frame.ErrMalformed) {
		t.Errorf("echo in round 2: %v", err)
	}
}

func TestEncodeRefuses(t *testing.T) {
	good := mustDecode(t, realFrames(t)["sign-3-broadcast"])
	cases := map[string]func(*frame.Frame){
		"no payload":  func(f *frame.Frame) { f.Payload = nil },
		"short echo":  func(f *frame.Frame) { f.Echo = f.Echo[:63] },
		"no echo":     func(f *frame.Frame) { f.Echo = nil },
		"other round": func(f *frame.Frame) { f.Round = 4 },
		"no protocol": func(f *frame.Frame) { f.Protocol = 0 },
	}
	for name, spoil := range cases {
		f := good
		spoil(&f)
		if _, err := frame.Encode(f, threshold); !errors.Is(err, frame.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, data := range realFrames(f) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := frame.Decode(data, threshold)
		if err != nil {
			if !errors.Is(err, frame.ErrMalformed) {
				t.Fatalf("an error of another kind: %v", err)
			}
			return
		}
		again, err := frame.Encode(got, threshold)
		if err != nil || !bytes.Equal(again, data) {
			t.Fatalf("a decoded frame encodes to other bytes: %v", err)
		}
	})
}
