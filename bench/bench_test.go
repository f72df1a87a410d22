package main

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestMain lets the smoke test start this test binary again as a server under test.
func TestMain(m *testing.M) {
	if os.Getenv(asServer) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestRun is the whole bench over a few hundred requests.
func TestRun(t *testing.T) {
	var out bytes.Buffer
	o := options{requests: 400, seconds: time.Second, connections: 4, log: 100, dir: t.TempDir(), profile: t.TempDir() + "/cpu"}
	if err := o.run(&out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if last := lines[len(lines)-1]; !regexp.MustCompile(`^cpu-ratio [0-9]+\.[0-9]{2}$`).MatchString(last) {
		t.Errorf("the last line is %q", last)
	}
	for _, row := range []string{"plain HTTP floor", "envelope only", "nothing kept", "durable log", "at 60 %", "beside reloads", "start"} {
		if !strings.Contains(out.String(), row) {
			t.Errorf("nothing is said of %q:\n%s", row, out.String())
		}
	}
	for _, line := range lines {
		if fields := strings.Fields(line); !strings.HasPrefix(line, "with ") && strings.Contains(line, " ms ") && len(fields) > 8 && fields[len(fields)-1] != "0" {
			t.Errorf("requests were lost: %s", line)
		}
	}
}

func TestRefusesOptions(t *testing.T) {
	for _, o := range []options{{}, {requests: 1, connections: 1}, {requests: 1, seconds: 1}, {requests: 1, seconds: 1, connections: 1, log: -1}} {
		if err := o.run(&bytes.Buffer{}); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}

func TestSummarise(t *testing.T) {
	s := sample{name: "x", elapsed: 2 * time.Second, cpu: 300 * time.Millisecond, bytes: 5000, lost: 3}
	for i := 100; i > 0; i-- {
		s.latencies = append(s.latencies, time.Duration(i)*time.Millisecond)
	}
	got := summarise(s)
	want := summary{
		name: "x", requests: 100, perSecond: 50, p50: 50 * time.Millisecond, p99: 99 * time.Millisecond, longest: 100 * time.Millisecond,
		cpu: 3 * time.Millisecond, bytes: 50, lost: 3,
	}
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got := summarise(sample{name: "none", lost: 2}); got != (summary{name: "none", lost: 2}) {
		t.Errorf("of no answer: %+v", got)
	}
}

func TestPercentile(t *testing.T) {
	for _, c := range []struct {
		values string
		p      int
		want   time.Duration
	}{{"7", 50, 7}, {"7", 99, 7}, {"1 2", 50, 1}, {"1 2", 51, 2}, {"1 2 3", 99, 3}, {"1 2 3 4", 25, 1}, {"1 2 3 4", 100, 4}} {
		var sorted []time.Duration
		for _, text := range strings.Fields(c.values) {
			var n int64
			fmt.Sscan(text, &n)
			sorted = append(sorted, time.Duration(n))
		}
		if got := percentile(sorted, c.p); got != c.want {
			t.Errorf("percentile %d of %s is %d, want %d", c.p, c.values, got, c.want)
		}
	}
}

func TestRatio(t *testing.T) {
	if got := ratio(summary{cpu: 45}, summary{cpu: 100}); got != 0.45 {
		t.Errorf("%v, want 0.45", got)
	}
	if got := ratio(summary{cpu: 45}, summary{}); got != 0 {
		t.Errorf("%v of nothing, want 0", got)
	}
}

func TestPrintTable(t *testing.T) {
	var out bytes.Buffer
	err := printTable(&out, []summary{
		{name: "one", requests: 1000, perSecond: 123.4, p50: 1500 * time.Microsecond, p99: 20 * time.Millisecond, longest: time.Second, cpu: 432 * time.Microsecond, bytes: 5678},
		{name: "two", lost: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimRight(out.String(), "\n"), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d lines:\n%s", len(lines), out.String())
	}
	if got := strings.Join(strings.Fields(lines[1]), " "); got != "one 1000 123 1.50 ms 20.00 ms 1000.00 ms 432 us 5678 0" {
		t.Errorf("the row is %q", got)
	}
	if got := strings.Join(strings.Fields(lines[2]), " "); got != "two 0 0 0.00 ms 0.00 ms 0.00 ms - - 1" {
		t.Errorf("the row is %q", got)
	}
}

func TestParseCPU(t *testing.T) {
	got, err := parseCPU("12 (a ) b) S 1 2 3 4 5 6 7 8 9 10 120 30 0 0 20")
	if err != nil || got != 1500*time.Millisecond {
		t.Errorf("%v, %v: want 1.5 s", got, err)
	}
	for _, bad := range []string{"", "12 (x) S 1", "12 (x) S 1 2 3 4 5 6 7 8 9 10 x y"} {
		if _, err := parseCPU(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestRequestsDiffer(t *testing.T) {
	one, err := check(1)
	if err != nil {
		t.Fatal(err)
	}
	other, err := check(1 + listed) // the same recipient
	if err != nil {
		t.Fatal(err)
	}
	if one.CallbackID == other.CallbackID || one.RequestDetail.Message == other.RequestDetail.Message {
		t.Error("two requests ask for one thing")
	}
}
