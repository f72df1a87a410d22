package conffile

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/countersign-mpc/countersign/internal/spelling"
)

// decoder puts the values of a file into a struct one by one, so that one that does not fit hides no other.
type decoder struct {
	meta     *toml.MetaData
	known    []string // keys
	problems []error
}

func (d *decoder) problem(format string, args ...any) {
	d.problems = append(d.problems, fmt.Errorf("  "+format, args...))
}

// table reads a table into a struct; prefix is its own key and a dot.
func (d *decoder) table(table map[string]toml.Primitive, into reflect.Value, prefix string) {
	into = settled(into)
	fields := map[string]reflect.Value{}
	for field, value := range into.Fields() {
		if name, ok := keyOf(field); ok {
			fields[name] = value
		}
	}
	for _, name := range slices.Sorted(maps.Keys(table)) {
		field, ok := fields[name]
		if !ok {
			d.unknown(prefix + name)
			continue
		}
		d.value(table[name], field, prefix+name)
	}
}

// unknown reports a key; those below it are not reported besides.
func (d *decoder) unknown(key string) {
	text := fmt.Sprintf("unknown key %q", key)
	if near := nearest(key, d.known); near != "" {
		text += fmt.Sprintf(": did you mean %q?", near)
	}
	d.problem("%s", text)
}

func (d *decoder) value(value toml.Primitive, into reflect.Value, key string) {
	into = settled(into)
	switch {
	case into.Kind() == reflect.Struct:
		var table map[string]toml.Primitive
		if d.decode(value, &table, key) {
			d.subtable(table, into, key)
		}
	case into.Kind() == reflect.Slice && into.Type().Elem().Kind() == reflect.Struct:
		var tables []map[string]toml.Primitive
		if !d.decode(value, &tables, key) {
			return
		}
		list := reflect.MakeSlice(into.Type(), len(tables), len(tables))
		for i, table := range tables {
			d.subtable(table, list.Index(i), key)
		}
		into.Set(list)
	default:
		read := reflect.New(into.Type()) // what is read in part must not replace a default
		if d.decode(value, read.Interface(), key) {
			into.Set(read.Elem())
		}
	}
}

// decode reads one value and reports it if it is of a type, or of a form, that does not fit.
func (d *decoder) decode(value toml.Primitive, into any, key string) bool {
	err := d.meta.PrimitiveDecode(value, into)
	if err == nil {
		return true
	}
	text := err.Error()
	var at toml.ParseError
	if errors.As(err, &at) {
		text = at.Message
	}
	if strings.Contains(text, "incompatible types") {
		text = "it is " + typeName(d.meta.Type(strings.Split(key, ".")...)) + ", and " + typeNeeded(reflect.TypeOf(into).Elem()) + " is needed"
	}
	d.problem("%s: %s", key, text)
	return false
}

// subtable is table for one below the top; the library reads what is no table as none.
func (d *decoder) subtable(table map[string]toml.Primitive, into reflect.Value, key string) {
	if table == nil {
		d.problem("%s: it is no table, such as [%s] begins", key, key)
		return
	}
	d.table(table, into, key+".")
}

// typeName says in words what package toml calls a type.
func typeName(tomlType string) string {
	switch tomlType {
	case "Hash":
		return "a table"
	case "ArrayHash":
		return "a list of tables"
	case "Array", "Integer":
		return "an " + strings.ToLower(tomlType)
	}
	return "a " + strings.ToLower(tomlType)
}

func typeNeeded(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Map {
			return "a list of tables, each of which [[…]] begins,"
		}
		return "an array"
	case reflect.Map:
		return "a table"
	case reflect.Int, reflect.Int64:
		return "an integer"
	case reflect.Float64:
		return "a number"
	}
	return "a " + t.Kind().String()
}

// settled follows pointers, making what they point to.
func settled(v reflect.Value) reflect.Value {
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		v = v.Elem()
	}
	return v
}

// keyOf is the key of a field in the file.
func keyOf(field reflect.StructField) (string, bool) {
	name, _, _ := strings.Cut(field.Tag.Get("toml"), ",")
	if !field.IsExported() || name == "-" {
		return "", false
	}
	if name == "" {
		name = field.Name
	}
	return name, true
}

// keysOf lists the dotted keys of a configuration struct.
func keysOf(t reflect.Type, prefix string) []string {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	var keys []string
	for field := range t.Fields() {
		name, ok := keyOf(field)
		if !ok {
			continue
		}
		keys = append(keys, prefix+name)
		keys = append(keys, keysOf(field.Type, prefix+name+".")...)
	}
	return keys
}

// nearest finds the known key that a misspelt one is most likely to mean; none if all are far from it.
func nearest(key string, known []string) string {
	best, bestDistance := "", len(key)/3+2
	for _, k := range known {
		if d := spelling.Distance(key, k); d < bestDistance {
			best, bestDistance = k, d
		}
	}
	return best
}
