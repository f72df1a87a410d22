package wire_test

import (
	"testing"

	"github.com/countersign-mpc/countersign/wire"
)

func TestCallbackURLs(t *testing.T) {
	tests := []struct{ address, check, rawdata, outcome string }{
		{"http://10.151.100.41:9090",
			"http://10.151.100.41:9090/v1/check", "http://10.151.100.41:9090/v1/rawdata_signature", "http://10.151.100.41:9090/v1/outcome"},
		{"https://risk.example.org/",
			"https://risk.example.org/v1/check", "https://risk.example.org/v1/rawdata_signature", "https://risk.example.org/v1/outcome"},
		{"http://h/check", "http://h/check", "http://h/rawdata_signature", "http://h/outcome"},
		{"http://h/check/", "http://h/check", "http://h/rawdata_signature", "http://h/outcome"},
		{"http://h:1/a/b/check", "http://h:1/a/b/check", "http://h:1/a/b/rawdata_signature", "http://h:1/a/b/outcome"},
		{"http://h/v1/check", "http://h/v1/check", "http://h/v1/rawdata_signature", "http://h/v1/outcome"},
		{"http://h/a", "http://h/a/v1/check", "http://h/a/v1/rawdata_signature", "http://h/a/v1/outcome"},
		{"http://h/precheck", "http://h/precheck/v1/check", "http://h/precheck/v1/rawdata_signature", "http://h/precheck/v1/outcome"},
		{"http://h/Check", "http://h/Check/v1/check", "http://h/Check/v1/rawdata_signature", "http://h/Check/v1/outcome"},
		{"http://h/a%2Fb", "http://h/a%2Fb/v1/check", "http://h/a%2Fb/v1/rawdata_signature", "http://h/a%2Fb/v1/outcome"},
		{"HTTP://[::1]:9090", "http://[::1]:9090/v1/check", "http://[::1]:9090/v1/rawdata_signature", "http://[::1]:9090/v1/outcome"},
		{"http://check", "http://check/v1/check", "http://check/v1/rawdata_signature", "http://check/v1/outcome"},
	}
	for _, test := range tests {
		check, rawdata, outcome, err := wire.CallbackURLs(test.address)
		if err != nil {
			t.Errorf("%s: %v", test.address, err)
			continue
		}
		equal(t, "check", check, test.check)
		equal(t, "rawdata", rawdata, test.rawdata)
		equal(t, "outcome", outcome, test.outcome)
	}
}

func TestCallbackURLsRefuses(t *testing.T) {
	for address, says := range map[string]string{
		"":                        "http://",
		"10.0.0.1:9090":           "",
		"localhost:9090":          "http://",
		"//h/check":               "http://",
		"ftp://h/check":           "http://",
		"http://":                 "no host",
		"http:///check":           "no host",
		"http://:9090":            "no host",
		"http:h":                  "no host",
		"http://user:pw@h/check":  "password",
		"http://h/check?x=1":      "query",
		"http://h/check?":         "query",
		"http://h/check#x":        "fragment",
		"http://h/#":              "fragment",
		"http://h:port/":          "not a URL",
		"http://h/%zz":            "not a URL",
		"http://h/\x7f":           "not a URL",
		"http://user:hunter2@h:x": "not a URL",
	} {
		check, _, _, err := wire.CallbackURLs(address)
		wantError(t, err, says)
		equal(t, "check", check, "")
	}
}
