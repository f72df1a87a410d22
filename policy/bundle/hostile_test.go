package bundle_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/policy/bundle"
)

// file is one entry of an archive made by a test.
type file struct {
	name, content string
	kind          byte
}

func archive(t testing.TB, files ...file) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	w := tar.NewWriter(z)
	for _, f := range files {
		h := &tar.Header{Name: f.name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(f.content))}
		if f.kind != 0 {
			h.Typeflag, h.Linkname = f.kind, "data.json"
			if f.kind != tar.TypeDir {
				h.Size = 0
			}
		}
		must(t, w.WriteHeader(h))
		if h.Size > 0 {
			_, err := io.WriteString(w, f.content)
			must(t, err)
		}
	}
	must(t, w.Close())
	must(t, z.Close())
	return out.Bytes()
}

var (
	number = file{name: "/.manifest", content: `{"revision":"7"}`}
	data   = file{name: "/data.json", content: `{"format":"countersign/policy-data/v1"}`}
	module = file{name: "/a.rego", content: "package countersign\n"}
)

// TestHostileArchives: each is refused with a message that says why.
func TestHostileArchives(t *testing.T) {
	big := strings.Repeat("x", 2<<20)
	many := []file{number, data}
	for i := range 1001 {
		many = append(many, file{name: fmt.Sprintf("m%d.rego", i), content: module.content})
	}
	good := archive(t, number, data, module)
	if _, err := bundle.Read(good, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := bundle.Read(archive(t, file{name: "./", kind: tar.TypeDir}, file{name: "./.manifest", content: number.content}, file{name: "./data.json", content: data.content}, file{name: "b/", kind: tar.TypeDir}, file{name: "b/c.rego", content: module.content}), nil); err != nil {
		t.Errorf("as tar makes it of a folder: %v", err)
	}
	for name, c := range map[string]struct {
		b    []byte
		says string
	}{
		"nothing":             {nil, "no .tar.gz"},
		"no gzip":             {[]byte("PK\x03\x04"), "no .tar.gz"},
		"truncated":           {good[:len(good)/2], "is truncated"},
		"no end":              {good[:len(good)-4], "is truncated"},
		"damaged":             {damaged(good), "is damaged"},
		"more behind it":      {append(bytes.Clone(good), good...), "more behind its end"},
		"no tar":              {gzipped(t, strings.NewReader(strings.Repeat("no tar", 200))), "is damaged"},
		"more in the archive": {gzipped(t, io.MultiReader(bytes.NewReader(gunzipped(t, good)), strings.NewReader("more"))), "more behind its last file"},
		"a bomb":              {gzipped(t, io.MultiReader(bytes.NewReader(gunzipped(t, good)), io.LimitReader(zeros{}, 70<<20))), "when it is unpacked"},
		"a bomb of one file":  {archive(t, number, data, file{name: "a.rego", content: strings.Repeat("\n", 65<<20)}), "when it is unpacked"},
		"a path upwards":      {archive(t, number, data, file{name: "../../etc/cron.d/x.rego", content: "x"}), "no name of a file within"},
		"a path inside":       {archive(t, number, data, file{name: "a/../b.rego", content: "x"}), "no name of a file within"},
		"an absolute path":    {archive(t, number, data, file{name: "//etc/x.rego", content: "x"}), "no name of a file within"},
		"a backslash":         {archive(t, number, data, file{name: `a\b.rego`, content: "x"}), "no name of a file within"},
		"a line break":        {archive(t, number, data, file{name: "a\nb.rego", content: "x"}), "no name of a file within"},
		"a symlink":           {archive(t, number, data, module, file{name: "b.rego", kind: tar.TypeSymlink}), "is a link"},
		"a hard link":         {archive(t, number, data, module, file{name: "b.rego", kind: tar.TypeLink}), "is a link"},
		"a device":            {archive(t, number, data, module, file{name: "b.rego", kind: tar.TypeChar}), "neither a file nor a folder"},
		"a pipe":              {archive(t, number, data, module, file{name: "b.rego", kind: tar.TypeFifo}), "neither a file nor a folder"},
		"twice":               {archive(t, number, data, module, file{name: "a.rego", content: "x"}), "is there twice"},
		"YAML":                {archive(t, number, data, module, file{name: "data.yaml", content: "x"}), "YAML is refused"},
		"data in a folder":    {archive(t, number, data, module, file{name: "b/data.json", content: "{}"}), "one data.json"},
		"another file":        {archive(t, number, data, module, file{name: "policy.wasm", content: "x"}), "and nothing else"},
		"a patch":             {archive(t, number, data, module, file{name: "patch.json", content: "{}"}), "and nothing else"},
		"a hidden module":     {archive(t, number, data, module, file{name: ".x.rego", content: "x"}), "hidden"},
		"a hidden folder":     {archive(t, number, data, module, file{name: "b/.git/x.rego", content: "x"}), "hidden"},
		"a long module":       {archive(t, number, data, file{name: "a.rego", content: big}), "longer than"},
		"many modules":        {archive(t, many...), "more than 1000"},
		"no manifest":         {archive(t, data, module), "is missing"},
		"no number":           {archive(t, file{name: ".manifest", content: `{}`}, data, module), "no whole number"},
		"number 0":            {archive(t, file{name: ".manifest", content: `{"revision":"0"}`}, data, module), "no whole number"},
		"number 07":           {archive(t, file{name: ".manifest", content: `{"revision":"07"}`}, data, module), "no whole number"},
		"a number too large":  {archive(t, file{name: ".manifest", content: `{"revision":"9223372036854775808"}`}, data, module), "no whole number"},
		"a hash":              {archive(t, file{name: ".manifest", content: `{"revision":"c0b906d"}`}, data, module), "no whole number"},
		"the number twice":    {archive(t, file{name: ".manifest", content: `{"revision":"7","revision":"8"}`}, data, module), "is not JSON"},
		"roots":               {archive(t, file{name: ".manifest", content: `{"revision":"7","roots":["countersign"]}`}, data, module), "names roots"},
		"wasm in it":          {archive(t, file{name: ".manifest", content: `{"revision":"7","wasm":[]}`}, data, module), "is not JSON"},
		"Rego v0":             {archive(t, file{name: ".manifest", content: `{"revision":"7","rego_version":2}`}, data, module), "version of Rego"},
		"no data":             {archive(t, number, module), "no data.json"},
		"no module":           {archive(t, number, data), "no .rego file"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := bundle.Read(c.b, nil)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %q", err, c.says)
			}
			if err != nil && strings.ContainsAny(err.Error(), "\n\x00") {
				t.Errorf("the message is not one line: %q", err)
			}
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func damaged(b []byte) []byte {
	out := bytes.Clone(b)
	out[len(out)-6] ^= 0xff // the checksum
	return out
}

func gzipped(t testing.TB, r io.Reader) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, err := io.Copy(z, r)
	must(t, err)
	must(t, z.Close())
	return out.Bytes()
}

func gunzipped(t testing.TB, b []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(b))
	must(t, err)
	out, err := io.ReadAll(z)
	must(t, err)
	return out
}
