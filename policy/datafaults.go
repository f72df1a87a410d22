package policy

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// maxFaults bounds how many faults of a data.json are told at once.
const maxFaults = 20

// faults collects what is wrong in a data.json.
type faults struct {
	list []string
}

// add notes a fault at a place, given as unescaped path segments.
func (f *faults) add(at []string, format string, args ...any) {
	if len(f.list) <= maxFaults {
		f.list = append(f.list, "at "+pointer(at)+": "+fmt.Sprintf(format, args...))
	}
}

func (f *faults) err() error {
	switch {
	case len(f.list) == 0:
		return nil
	case len(f.list) > maxFaults:
		return errors.New(strings.Join(f.list[:maxFaults], "\n") + "\nand more")
	}
	return errors.New(strings.Join(f.list, "\n"))
}

// pointer writes path segments as a JSON pointer (RFC 6901).
func pointer(segments []string) string {
	escape := strings.NewReplacer("~", "~0", "/", "~1")
	var b strings.Builder
	for _, s := range segments {
		b.WriteByte('/')
		b.WriteString(escape.Replace(s))
	}
	return b.String()
}

// under returns base with more segments, never sharing base's memory.
func under(base []string, more ...string) []string {
	return append(slices.Clip(slices.Clone(base)), more...)
}

func jsonTypeName(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		return "JSON object"
	case reflect.Slice:
		return "JSON array"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return "whole number"
	}
	return "JSON string"
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
