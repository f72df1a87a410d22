package wire_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/countersign-mpc/countersign/wire"
)

// opened is all that comes of a body, as text.
func opened(path wire.Path, body []byte) string {
	p, err := wire.ParseCheck(path, body)
	return shown(p, err)
}

func shown(p *wire.Parsed, err error) string {
	if err != nil {
		return err.Error()
	}
	text, err := json.Marshal(p)
	return fmt.Sprintf("%s %v", text, err)
}

// many are bodies of all kinds, among them what is refused, what cannot be judged, and what has unknown fields.
func many(t testing.TB) [][]byte {
	list := []string{
		in("tx", `"x":{"y":[1,null]},"Z":2`), in("detail", `"new":"<&>"`), in("tx", `"amount":1,"extraData":{"vinList":[{"id":1},null]}`),
		in("detail", `"message":"m","message":"m"`), in("tx", `"VaultId":"v"`), in("detail", `"t":1,"threshold":2`), in("body", `"a":`),
		`{"callback_id":"`, in("tx", `"extraData":{"vinList":[{"amount":{}},{"Amount":""}]}`), nested(wire.MaxDepth + 1), simple + " ",
		in("tx", `"note":"`+strings.Repeat(`\n`, 3000)+`"`), `{"callback_id":"c","request_type":"sign","request_detail":"{\"n\":3,\"zz\":0}","extra_info":"{}"}`,
	}
	out := [][]byte{}
	for _, body := range append(list, bodies(t)...) {
		out = append(out, []byte(body))
	}
	return out
}

// TestResultsOutliveLaterRequests: what was read of a body, and the error that it gave, stay as they are while others are read.
func TestResultsOutliveLaterRequests(t *testing.T) {
	type held struct {
		parsed *wire.Parsed
		err    error
		shown  string
	}
	var all []held
	for range 3 {
		for _, body := range many(t) {
			for _, path := range []wire.Path{wire.PathCheck, wire.PathRawdata} {
				p, err := wire.ParseCheck(path, body)
				all = append(all, held{p, err, shown(p, err)})
			}
		}
	}
	for i, h := range all {
		if got := shown(h.parsed, h.err); got != h.shown {
			t.Errorf("%d: it was %s and is %s", i, h.shown, got)
		}
	}
}

// TestRequestsBesideEachOther: each gives what it gives alone (with the race detector: and shares nothing with another).
func TestRequestsBesideEachOther(t *testing.T) {
	list := many(t)
	alone := make([]string, len(list))
	for i, body := range list {
		alone[i] = opened(wire.PathCheck, body)
	}
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for round := range 10 {
				for i := range list {
					i = (i*7 + w + round) % len(list)
					body, err := wire.ReadBody(iotest.HalfReader(bytes.NewReader(list[i])), wire.DefaultBodyLimit)
					if err != nil || !bytes.Equal(body, list[i]) {
						t.Errorf("read %q: %v", body, err)
					}
					if got := opened(wire.PathCheck, body); got != alone[i] {
						t.Errorf("%q: %s, alone %s", body, got, alone[i])
					}
				}
			}
		})
	}
	wg.Wait()
}

// dirty leaves something behind what it has read, as a reader may.
type dirty struct{ io.Reader }

func (d dirty) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return d.Reader.Read(p)
}

// TestNothingIsLeft: memory that the next request will use has nothing of this one, whatever came of it.
func TestNothingIsLeft(t *testing.T) {
	for _, body := range many(t) {
		for _, r := range []io.Reader{dirty{bytes.NewReader(body)}, iotest.TimeoutReader(iotest.OneByteReader(bytes.NewReader(body)))} {
			if read, err := wire.ReadBody(r, wire.DefaultBodyLimit); err == nil {
				equal(t, "body", string(read), string(body))
				_, _ = wire.ParseCheck(wire.PathCheck, read)
			}
			if left := wire.LeftInPools(); left != "" {
				t.Fatalf("%.100q leaves %s", body, left)
			}
		}
	}
}

// TestLittleIsKept: bodies with as many keys as they have room for, at one depth after the other, leave little in memory that is
// used again, however long they are.
func TestLittleIsKept(t *testing.T) {
	const most = 8 << 20
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a collection would hide what is kept
	for _, size := range []int{wire.BodyRoom, 64 << 10} {
		before := heap()
		for depth := wire.MaxDepth; depth > 0; depth-- {
			if _, err := wire.ParseCheck(wire.PathCheck, keysAt(depth, size)); err == nil {
				t.Fatal("accepted")
			}
		}
		if kept := heap() - before; kept > most {
			t.Errorf("bodies of %d bytes leave %d bytes", size, kept)
		}
	}
}

// heap is what is in use, with what pools have: they let go of it at the second collection only.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// keysAt is a body of about size bytes, most of which are keys of one object.
func keysAt(depth, size int) []byte {
	b := []byte(strings.Repeat(`{"":`, depth-1) + "{")
	for i := 0; len(b) < size-depth-len(`"ffff":0,`); i++ {
		b = fmt.Appendf(b, `"%x":0,`, i)
	}
	return append(b, `"":0`+strings.Repeat("}", depth)...)
}

// TestReadBodyOfAnyLength: nothing is lost or added where a body is longer than the memory that is used again.
func TestReadBodyOfAnyLength(t *testing.T) {
	for _, size := range []int{0, 1, wire.BodyRoom - 1, wire.BodyRoom, wire.BodyRoom + 1, 3*wire.BodyRoom + 7} {
		want := make([]byte, size)
		for i := range want {
			want[i] = byte(i % 251)
		}
		for name, r := range map[string]io.Reader{
			"at once": bytes.NewReader(want), "with its end": iotest.DataErrReader(bytes.NewReader(want)),
			"byte by byte": iotest.OneByteReader(bytes.NewReader(want)), "in halves": iotest.HalfReader(bytes.NewReader(want)),
		} {
			got, err := wire.ReadBody(r, int64(size))
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes, %s: %d bytes, %v", size, name, len(got), err)
			}
		}
		_, err := wire.ReadBody(bytes.NewReader(append(want, 0)), int64(size))
		wantCode(t, err, wire.CodeTooLarge, fmt.Sprint(size))
	}
}
