package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"github.com/countersign-mpc/countersign/node"
)

// The guide's levels that slog has no names for. A panic is what ends the process by itself, and the runtime writes it: with
// level 0 the log is silent until then.
const (
	levelPanic = slog.LevelError + 8
	levelFatal = slog.LevelError + 4 // why the process could not go on
	levelTrace = node.LevelTrace
)

// level translates the guide's levels: 0 panic, 1 fatal, 2 error, 3 warn, 4 info, 5 debug, 6 trace.
func level(n int) slog.Level {
	return []slog.Level{levelPanic, levelFatal, slog.LevelError, slog.LevelWarn, slog.LevelInfo, slog.LevelDebug, levelTrace}[min(max(n, 0), 6)]
}

// logs is the log that the configuration asks for: structured lines on standard error and in a file.
type logs struct {
	*slog.Logger
	file  *slog.Logger // alone; nil: there is none
	lines *logFile
}

func (o *options) logger(c config) (*logs, error) {
	var handlers []slog.Handler
	out := new(logs)
	named := func(h slog.Handler) *slog.Logger { return slog.New(h).With("app", c.App.Name, "party", c.App.PartyID) }
	if c.Log.Stdout.Enable {
		handlers = append(handlers, slog.NewTextHandler(o.err, handlerOptions(c.Log.Stdout.Level)))
	}
	if c.Log.File.Enable {
		var err error
		if out.lines, err = openLog(c.Log.File.Path); err != nil {
			return nil, err
		}
		h := slog.NewJSONHandler(out.lines, handlerOptions(c.Log.File.Level))
		out.file, handlers = named(h), append(handlers, h)
	}
	if len(handlers) == 0 {
		out.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
		return out, nil
	}
	out.Logger = named(slog.NewMultiHandler(handlers...))
	return out, nil
}

func handlerOptions(n int) *slog.HandlerOptions {
	names := map[slog.Level]string{levelPanic: "PANIC", levelFatal: "FATAL", levelTrace: "TRACE"}
	return &slog.HandlerOptions{Level: level(n), ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if l, ok := a.Value.Any().(slog.Level); ok && a.Key == slog.LevelKey && names[l] != "" {
			a.Value = slog.StringValue(names[l])
		}
		return a
	}}
}

// close writes why the process could not go on, where it could not, and closes the file. The message itself goes to standard
// error from main.
func (l *logs) close(err error) {
	if l.file == nil {
		return
	}
	if err != nil {
		l.file.Log(context.Background(), levelFatal, "the node could not go on", "error", err)
	}
	l.lines.close()
}

// reopen goes on in a new file under the configured path, for those who move the old one away.
func (l *logs) reopen() error {
	if l.lines == nil {
		return nil
	}
	return l.lines.reopen()
}

// logFile is a file of log lines that can be moved away while it is written.
type logFile struct {
	path string
	mu   sync.Mutex // guards file
	file *os.File
}

func openLog(path string) (*logFile, error) {
	l := &logFile{path: path}
	return l, l.reopen()
}

func (l *logFile) reopen() error {
	if err := os.MkdirAll(filepath.Dir(l.path), 0o700); err != nil {
		return fmt.Errorf("log.file.path: %w", err)
	}
	f, err := os.OpenFile(l.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("log.file.path: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		_ = l.file.Close()
	}
	l.file = f
	return nil
}

// Write implements io.Writer.
func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.file.Write(p)
}

func (l *logFile) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.file.Close()
}
