package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// sample is what one run under load came to.
type sample struct {
	name      string
	latencies []time.Duration // of the answered requests, sorted by summarise
	elapsed   time.Duration
	cpu       time.Duration // of the server's process
	bytes     int64         // by which its files grew; 0: it keeps none
	lost      int           // requests without the answer that was wanted
}

// summary is a sample in the terms of the table.
type summary struct {
	name      string
	requests  int
	perSecond float64
	p50, p99  time.Duration
	longest   time.Duration
	cpu       time.Duration // a request
	bytes     int64         // a request
	lost      int
}

func summarise(s sample) summary {
	out := summary{name: s.name, requests: len(s.latencies), lost: s.lost}
	if len(s.latencies) == 0 {
		return out
	}
	slices.Sort(s.latencies)
	n := len(s.latencies)
	out.p50, out.p99, out.longest = percentile(s.latencies, 50), percentile(s.latencies, 99), s.latencies[n-1]
	out.cpu, out.bytes = s.cpu/time.Duration(n), s.bytes/int64(n)
	if s.elapsed > 0 {
		out.perSecond = float64(n) / s.elapsed.Seconds()
	}
	return out
}

// percentile is the smallest value that at least p per cent of the sorted values do not exceed (the nearest rank).
func percentile(sorted []time.Duration, p int) time.Duration {
	rank := (len(sorted)*p + 99) / 100
	return sorted[max(rank, 1)-1]
}

// ratio is the share of the decision's CPU that no decision can do without; 0 where nothing was measured.
func ratio(envelope, decision summary) float64 {
	if decision.cpu <= 0 {
		return 0
	}
	return float64(envelope.cpu) / float64(decision.cpu)
}

func printTable(w io.Writer, rows []summary) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "what\trequests\trequests/s\tp50\tp99\tlongest\tserver CPU/request\tbytes/decision\tlost\t")
	for _, r := range rows {
		size, cpu := "-", "-"
		if r.bytes > 0 {
			size = fmt.Sprint(r.bytes)
		}
		if r.cpu > 0 {
			cpu = microseconds(r.cpu)
		}
		fmt.Fprintf(t, "%s\t%d\t%.0f\t%s\t%s\t%s\t%s\t%s\t%d\t\n", r.name, r.requests, r.perSecond,
			milliseconds(r.p50), milliseconds(r.p99), milliseconds(r.longest), cpu, size, r.lost)
	}
	return t.Flush()
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%.2f ms", d.Seconds()*1e3) }
func microseconds(d time.Duration) string { return fmt.Sprintf("%.0f us", d.Seconds()*1e6) }

// megabytes writes bytes as MB of 10^6.
func megabytes(n uint64) string {
	return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(n)/1e6), ".0") + " MB"
}
