package secret_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/internal/secret"
)

const plain = "hunter2!"

// leaks reports the forms in which Go could have printed the secret.
func leaks(s string) bool {
	for _, form := range []string{
		plain, fmt.Sprintf("%x", plain), fmt.Sprintf("%X", plain), fmt.Sprint([]byte(plain)), fmt.Sprintf("%#v", []byte(plain)),
		"104 117 110", "0x68, 0x75", "aHVudGVyMiE", "1101000 1110101", "150 165 156",
	} {
		if strings.Contains(s, form) {
			return true
		}
	}
	return false
}

func TestLeaksFindsTheSecret(t *testing.T) {
	for _, s := range []string{fmt.Sprint([]byte(plain)), fmt.Sprintf("%x", plain), fmt.Sprintf("%+v", struct{ b []byte }{[]byte(plain)})} {
		if !leaks(s) {
			t.Errorf("not found in %q", s)
		}
	}
}

func TestFormatsRedact(t *testing.T) {
	type holder struct {
		Name     string
		Exported secret.Bytes
		hidden   secret.Bytes
		pointer  *secret.Bytes
	}
	s := secret.New([]byte(plain))
	values := []any{s, &s, holder{"n", s, s, &s}, &holder{"n", s, s, &s}, []secret.Bytes{s}, map[string]secret.Bytes{"k": s},
		[]any{s}, fmt.Errorf("wrapped %v", s)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%b", "%o", "%c", "%U", "%t", "%p", "%T", "%8.3s", "% x"} {
		for _, v := range values {
			if out := fmt.Sprintf(verb, v); leaks(out) {
				t.Errorf("%s of %T: %s", verb, v, out)
			}
		}
	}
	for _, out := range []string{fmt.Sprint(s), fmt.Sprintln(s), s.String(), s.GoString(), fmt.Sprintf("%x", s)} {
		if strings.TrimSpace(out) != "[redacted]" {
			t.Errorf("placeholder: %q", out)
		}
	}
}

func TestEncodersRedact(t *testing.T) {
	s := secret.New([]byte(plain))
	in := struct {
		S secret.Bytes
		P *secret.Bytes
		M map[string]secret.Bytes
	}{s, &s, map[string]secret.Bytes{"k": s}}
	out, err := json.Marshal(in)
	if err != nil || string(out) != `{"S":"[redacted]","P":"[redacted]","M":{"k":"[redacted]"}}` {
		t.Errorf("json: %s, %v", out, err)
	}
	if out, _ = xml.Marshal(s); leaks(string(out)) {
		t.Errorf("xml: %s", out)
	}
	var buf bytes.Buffer
	if err := gob.NewEncoder(&buf).Encode(s); err == nil && leaks(buf.String()) {
		t.Errorf("gob: %q", buf.String())
	}
	if text, _ := s.MarshalText(); string(text) != "[redacted]" {
		t.Errorf("text: %s", text)
	}
	for name, handler := range map[string]func(*bytes.Buffer) slog.Handler{
		"text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
		"json": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
	} {
		var log bytes.Buffer
		slog.New(handler(&log)).With("w", s).Info("m", "s", s, "p", &s, "in", in, slog.Group("g", "s", s))
		if leaks(log.String()) || strings.Count(log.String(), "[redacted]") < 4 {
			t.Errorf("%s log: %s", name, log.String())
		}
	}
	for _, text := range []string{`"[redacted]"`, `{}`, `[1]`} {
		var back secret.Bytes
		if err := json.Unmarshal([]byte(text), &back); err == nil {
			t.Errorf("%s was read back as a secret", text)
		}
	}
}

func TestExposeAndCopy(t *testing.T) {
	b := []byte(plain)
	taken, copied := secret.New(b), secret.Copy(b)
	if string(taken.Expose()) != plain || string(copied.Expose()) != plain || taken.Len() != len(plain) {
		t.Fatal("the bytes are not there")
	}
	b[0] = 'X'
	if taken.Expose()[0] != 'X' || copied.Expose()[0] != 'h' {
		t.Error("New must take the bytes over, Copy must not")
	}
}

func TestWipe(t *testing.T) {
	b := []byte(plain)
	s := secret.New(b[:4])
	same := s
	view := s.Expose()
	s.Wipe()
	if !bytes.Equal(view, make([]byte, 4)) {
		t.Errorf("left: %q", view)
	}
	if string(b[4:]) != plain[4:] {
		t.Error("wiped beyond the secret")
	}
	if s.Len() != 0 || same.Len() != 0 || same.Expose() != nil {
		t.Error("a copy still holds it")
	}
	s.Wipe()
	secret.Bytes{}.Wipe()
	secret.Wipe(nil)
	if fmt.Sprint(s) != "[redacted]" {
		t.Error("a wiped secret prints differently")
	}
}

func TestEqual(t *testing.T) {
	var zero secret.Bytes
	tests := []struct {
		a, b secret.Bytes
		want bool
	}{
		{secret.New([]byte("ab")), secret.New([]byte("ab")), true},
		{secret.New([]byte("ab")), secret.New([]byte("ac")), false},
		{secret.New([]byte("ab")), secret.New([]byte("a")), false},
		{secret.New([]byte("ab")), zero, false},
		{zero, secret.New(nil), true},
	}
	for i, test := range tests {
		if got := test.a.Equal(test.b); got != test.want {
			t.Errorf("%d: %v", i, got)
		}
	}
}
