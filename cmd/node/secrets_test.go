package main

import (
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// TestNothingHoldsAPassword crashes a node while it works on a password and holds a change that has begun, with every log on:
// what it has written, crash output included, holds nothing of any password that it was given.
func TestNothingHoldsAPassword(t *testing.T) {
	t.Parallel()
	p := launch(t, "[storage]\nunseal-server-address = \"127.0.0.1:0\"\n[mpc-service]\naddress = \"127.0.0.1:1\"\n[log.stdout]\nenable = true\nlevel = 6\n"+
		"[log.file]\nenable = true\nlevel = 6\npath = \"logs/node.log\"\n")
	wrong, next := "Wrong-Horse-8-Battery", "Another-Horse-9-Battery"
	p.mustRun(password+"\n", "init")
	for _, try := range []struct{ command, text string }{{"unseal", wrong}, {"init", next}, {"init", "Horse \\ \" é"}} {
		if code, _ := p.run(try.text+"\n", try.command); code == 0 {
			t.Fatalf("%s was not refused", try.command)
		}
	}
	for _, body := range []string{`{"shard_bkey":"Horse"`, `{"shard_bkey":"Horse` + "\n" + `"}`, `{"Horse":1}`, "Horse", `{"shard_bkey":["Horse"]}`} {
		r, err := http.Post("http://"+p.admin+"/sys/in-bkey", "text/plain", strings.NewReader(body))
		must(t, err)
		r.Body.Close()
		if r.StatusCode == http.StatusOK {
			t.Fatalf("%q was taken", body)
		}
	}
	p.mustRun(password+"\n", "unseal")
	p.mustRun(password+"\n", "reset")

	busy := make(chan struct{}) // Argon2id takes a second: the node ends in the middle of it
	go func() {
		defer close(busy)
		r, err := http.Post("http://"+p.admin+"/sys/re-bkey", "text/plain", strings.NewReader(`{"shard_bkey":"`+next+`"}`))
		if err == nil {
			r.Body.Close()
		}
	}()
	eventually(t, "the node is at work on the password", func() bool {
		select {
		case <-busy:
			return true // a fast machine: it is done already
		default:
		}
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
		_, rest, found := strings.Cut(string(status), "VmRSS:")
		if err != nil || !found {
			return true // no /proc here: whatever it is doing
		}
		kilobytes, _ := strconv.Atoi(strings.Fields(rest)[0])
		return kilobytes > 150_000 // Argon2id takes 256 MiB
	})
	p.signal(syscall.SIGABRT)
	<-p.ended
	<-busy
	if !strings.Contains(p.said.String(), "SIGABRT") || !strings.Contains(p.said.String(), "goroutine ") {
		t.Fatalf("the node has not crashed with a trace: %.2000s", p.said.String())
	}
	files := 0
	must(t, filepath.WalkDir(p.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		files++
		data, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(data), "Horse") {
			t.Errorf("%s holds a password", path)
		}
		if strings.Contains(entry.Name(), "core") {
			t.Errorf("there is a core dump: %s", path)
		}
		return err
	}))
	if files < 4 {
		t.Errorf("%d files were looked at", files)
	}
}
