package logging_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/countersign-mpc/countersign/internal/logging"
)

func TestNew(t *testing.T) {
	for level, lines := range map[string]int{"debug": 4, "info": 3, "warn": 2, "error": 1, "nonsense": 3} {
		var text, structured bytes.Buffer
		for format, w := range map[string]*bytes.Buffer{"text": &text, "json": &structured} {
			log := logging.New(level, format, w)
			log.Debug("one")
			log.Info("two")
			log.Warn("three")
			log.Error("four", "id", 4)
		}
		if strings.Count(text.String(), "\n") != lines || !strings.Contains(text.String(), "msg=four id=4") {
			t.Errorf("%s: %s", level, text.String())
		}
		for line := range strings.Lines(structured.String()) {
			if !json.Valid([]byte(line)) {
				t.Errorf("%s: no JSON: %s", level, line)
			}
		}
		if strings.Count(structured.String(), "\n") != lines {
			t.Errorf("%s: %s", level, structured.String())
		}
	}
}

func TestCheck(t *testing.T) {
	for _, level := range []string{"debug", "info", "warn", "error"} {
		for _, format := range []string{"text", "json"} {
			if err := logging.Check(level, format); err != nil {
				t.Errorf("%s, %s: %v", level, format, err)
			}
		}
	}
	for _, tc := range []struct{ level, format, want string }{
		{"loud", "text", `log.level: "loud"`}, {"", "json", `log.level: ""`}, {"info+2", "json", `log.level: "info+2"`},
		{"info", "xml", `log.format is "xml"`}, {"loud", "xml", `log.format is "xml"`}, {"loud", "xml", `log.level: "loud"`},
	} {
		if err := logging.Check(tc.level, tc.format); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s, %s: %v, want %s", tc.level, tc.format, err, tc.want)
		}
	}
}
