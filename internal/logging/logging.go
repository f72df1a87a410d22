// Package logging makes the log of a process that is configured by a level's name and a format. What is logged, and that it
// holds ids only, is for those who log.
package logging

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// Check returns an error for each of the two that is not one New takes, behind the name of its setting.
func Check(level, format string) error {
	_, err := levelOf(level)
	if format != "text" && format != "json" {
		err = errors.Join(err, fmt.Errorf("  log.format is %q: \"text\" or \"json\" is needed", format))
	}
	return err
}

func levelOf(text string) (slog.Level, error) {
	for name, level := range map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
	} {
		if text == name {
			return level, nil
		}
	}
	return slog.LevelInfo, fmt.Errorf("  log.level: %q is not \"debug\", \"info\", \"warn\" or \"error\"", text)
}

// New returns a log of structured lines to w: level "debug", "info", "warn" or "error", format "text" or "json". What Check
// refuses is taken as "info" and "text".
func New(level, format string, w io.Writer) *slog.Logger {
	least, _ := levelOf(level)
	opts := &slog.HandlerOptions{Level: least}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}
