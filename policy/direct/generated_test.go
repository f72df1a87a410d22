package direct_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// writer writes modules at random, of every form of rule and expression.
type writer struct {
	*rand.Rand
	values    []string // references to rules that have a value
	functions []string
	n         int // of variables
}

func (w *writer) one(of ...string) string { return of[w.IntN(len(of))] }

func (w *writer) fresh() string {
	w.n++
	return fmt.Sprintf("x%d", w.n)
}

func (w *writer) constant() string {
	return w.one(
		"0", "1", "1.0", "1e3", "1000", "2", "-1", "0.5", "123456789012345678901234567890", "123456789012345678901234567891", `"a"`, `"b"`, `""`, `"1"`,
		"true", "false", "null", "[]", "{}", "set()", `["a", 1]`, `[1, [2, "a"]]`, `{"a": 1}`, `{"a": {"b": "x"}, "l": [1, 2]}`, `{1, "a"}`, "{1, 1.0, null}",
	)
}

// path is a reference whose operands are among the variables.
func (w *writer) path(vars []string) string {
	operand := func() string {
		if len(vars) > 0 && w.IntN(2) == 0 {
			return "[" + w.one(vars...) + "]"
		}
		return w.one(".a", ".b", ".l", "[0]", "[1]", `["1"]`, ".k", "[_]")
	}
	head := w.one("input.a", "input.b", "input.s", "input.l", "input.o", "input.n", "input.t")
	switch w.IntN(5) {
	case 0:
		head = w.one("data.obj", "data.list", "data.limits", "data.limits.ETH", "data.empty", "data.nothing")
	case 1:
		if len(w.values) > 0 {
			head = w.one(w.values...)
		}
	case 2:
		if len(vars) > 0 {
			head = w.one(vars...)
		}
	}
	for range w.IntN(3) {
		head += operand()
	}
	return head
}

// term is a term over the variables.
func (w *writer) term(vars []string, depth int) string {
	if depth <= 0 {
		if len(vars) > 0 && w.IntN(2) == 0 {
			return w.one(vars...)
		}
		return w.one(w.constant(), w.path(vars))
	}
	inner := func() string { return w.term(vars, depth-1) }
	switch w.IntN(14) {
	case 0:
		return "[" + inner() + ", " + inner() + "]"
	case 1:
		return "{" + inner() + ", " + inner() + "}"
	case 2:
		return fmt.Sprintf(`{"a": %s, "k": %s}`, inner(), inner())
	case 3:
		return fmt.Sprintf(w.one("count(%s)", "sort(%s)", "type_name(%s)", "is_number(%s)", "sum(%s)", "max(%s)", "object.keys(%s)", "upper(%s)"), inner())
	case 4:
		return fmt.Sprintf(w.one("concat(%s, %s)", "array.concat(%s, %s)", "startswith(%s, %s)", `object.get(%s, %s, "none")`, `sprintf("%%v %%v", [%s, %s])`), inner(), inner())
	case 5:
		return inner() + w.one(" + ", " - ", " * ", " % ", " & ", " | ") + inner()
	case 6:
		if len(w.functions) > 0 {
			return fmt.Sprintf("%s(%s)", w.one(w.functions...), inner())
		}
	case 7, 8:
		v := w.fresh()
		within := append(vars[:len(vars):len(vars)], v)
		body := fmt.Sprintf("some %s in %s", v, w.path(vars))
		if w.IntN(2) == 0 {
			body += "; " + w.expression(&within, depth-1)
		}
		switch w.IntN(3) {
		case 0:
			return fmt.Sprintf("[%s | %s]", w.term(within, depth-1), body)
		case 1:
			return fmt.Sprintf("{%s | %s}", w.term(within, depth-1), body)
		}
		return fmt.Sprintf("{%s: %s | %s}", v, w.term(within, depth-1), body)
	case 9: // nothing but members of a variable
		v := w.fresh()
		member := func() string { return v + w.one(".a", ".b", ".b.c", ".c", ".x") }
		condition := w.one(member()+w.one(" != ", " == ", " < ")+inner(), "not "+member(), member()+" == "+member())
		return fmt.Sprintf("[%s | some %s in %s; %s]", w.one(member(), "["+member()+", "+member()+"]"), v, w.one("input.l", "input.o", "input.s"), condition)
	}
	return w.term(vars, 0)
}

// expression writes an expression, which may give new variables a value.
func (w *writer) expression(vars *[]string, depth int) string {
	term := func() string { return w.term(*vars, depth) }
	declare := func() string {
		v := w.fresh()
		*vars = append(*vars, v)
		return v
	}
	switch w.IntN(18) {
	case 15: // as OPA indexes rules by
		return fmt.Sprintf(w.one(
			`%s in {"a", "b", 1}`, `%s in ["a", [1, 2], null]`, `"a" in %s`, `startswith(%s, "t")`, `endswith(%s, "a")`, `glob.match("t*", [], %s)`,
			`strings.any_prefix_match(%s, ["a", "te"])`, `%s = "a"`, `%s == 1`, `%s = [1, 2]`, `%s = {"a": 1}`, `%s = [_, "a"]`, "%s",
		), w.path(*vars))
	case 16:
		t := w.path(*vars)
		v := declare()
		return v + " := " + t + "\n\t" + w.one(v+" in {1, \"a\"}", "1 in "+v, v+" == \"a\"", "startswith("+v+", \"a\")", v+" in "+w.path(*vars))
	case 17:
		t := "[" + w.term(*vars, 0) + ", 1]"
		v := declare()
		return v + " := " + t + "\n\t" + w.path(*vars) + " in " + v
	case 0, 1:
		t := term()
		return declare() + " := " + t
	case 2:
		t := w.path(*vars)
		return "some " + declare() + " in " + t
	case 3:
		t := w.path(*vars)
		return "some " + declare() + ", " + declare() + " in " + t
	case 4:
		return "not " + w.one(term(), term()+w.one(" == ", " < ", " != ")+term(), term()+" in "+term())
	case 5:
		v, t := w.fresh(), term()
		within := append((*vars)[:len(*vars):len(*vars)], v)
		return fmt.Sprintf("every %s in %s { %s }", v, t, w.expression(&within, depth-1))
	case 6:
		t := term()
		return "[" + declare() + ", " + declare() + "] = " + t
	case 7:
		t := term()
		return `{"a": ` + declare() + `, "k": _} = ` + t
	case 8:
		v := declare()
		return w.path((*vars)[:len(*vars)-1]) + "[" + v + "] = " + w.term((*vars)[:len(*vars)-1], 0)
	case 9:
		return term() + " in " + term()
	case 10:
		return term()
	}
	return term() + w.one(" == ", " = ", " != ", " < ", " <= ", " > ", " >= ") + term()
}

func (w *writer) body(vars []string) (string, []string) {
	var out []string
	for range 1 + w.IntN(3) {
		out = append(out, w.expression(&vars, w.IntN(3)))
	}
	return strings.Join(out, "\n\t"), vars
}

// rule writes the rules of one name.
func (w *writer) rule(name string) string {
	var b strings.Builder
	with := func(format string, vars []string) { // a rule with its body, and its value behind it
		body, vars := w.body(vars)
		fmt.Fprintf(&b, format+" if {\n\t%s\n}\n", w.term(vars, 1), body)
	}
	times := 1 + w.IntN(3)
	kind := w.IntN(8)
	switch kind {
	case 0:
		for range times {
			with(name+" := %s", nil)
		}
	case 1:
		fmt.Fprintf(&b, "default %s := %s\n", name, w.one("0", "false", `"none"`, "{}"))
		with(name+" := %s", nil)
	case 2:
		for range times {
			body, _ := w.body(nil)
			fmt.Fprintf(&b, "%s if {\n\t%s\n}\n", name, body)
		}
	case 3:
		with(name+" := %s", nil)
		for range times {
			body, vars := w.body(nil)
			fmt.Fprintf(&b, " else := %s if {\n\t%s\n}\n", w.term(vars, 1), body)
		}
	case 4:
		for range times {
			with(name+" contains %s", nil)
		}
	case 5:
		for range times {
			k := w.fresh()
			with(fmt.Sprintf("%s[%s] := %%s if {\n\tsome %s in %s\n}\n", name, k, k, w.path(nil)), []string{k})
		}
	default:
		if w.IntN(4) == 0 {
			fmt.Fprintf(&b, "default %s(_) := %s\n", name, w.one("0", "false"))
		}
		for range times {
			v := w.fresh()
			head := w.one(v, v, v, "["+v+", _]", `{"a": `+v+`}`)
			with(name+"("+head+") := %s", []string{v})
		}
		w.functions = append(w.functions, name)
		return b.String()
	}
	w.values = append(w.values, name)
	return b.String()
}

// write writes a module of some rules and the sets to ask for.
func (w *writer) write() (module string, sets []string) {
	var b strings.Builder
	b.WriteString("package t\n\n")
	for i := range 1 + w.IntN(4) {
		text := w.rule(fmt.Sprintf("h%d", i))
		// What is written with its body twice has the variable's body first.
		text = strings.ReplaceAll(text, "\n}\n if {\n\t", "\n\t")
		b.WriteString(text + "\n")
	}
	for _, v := range w.values {
		sets = append(sets, "{x | x = data.t."+v+"}", "{[k, x] | x = data.t."+v+"[k]}", "{x | x = data.t."+v+"[input.s]}")
	}
	for _, f := range w.functions {
		sets = append(sets, "{x | x = data.t."+f+"(input.o)}", "{[k, x] | x = data.t."+f+"(input.l[k])}", "{1 | not data.t."+f+"(input.a)}")
	}
	return b.String(), sets
}

// compareGenerated writes a module and compares all that it says of all inputs; it counts what comes of it.
func compareGenerated(t *testing.T, r *rand.Rand, seen map[string]int) {
	w := &writer{Rand: r}
	module, sets := w.write()
	compiled, err := compileRules(baseData, map[string]string{"t.rego": module})
	if err != nil {
		seen["refused by the compiler"]++
		return
	}
	seen["modules"]++
	for _, set := range sets {
		q, broken, err := compiled.ask(set)
		switch {
		case broken:
			seen["sets that are none"]++
			continue
		case err != nil:
			seen["left"]++
			continue
		}
		for _, text := range append(caseInputs, oddNumbers) {
			seen[[]string{"same", "failed", "gave up"}[q.compare(t, module+"\n"+set, object(t, text))]]++
		}
	}
}

// TestGenerated: modules at random say what they say to OPA.
func TestGenerated(t *testing.T) {
	seen := map[string]int{}
	r := rand.New(rand.NewPCG(7, 8))
	for seen["modules"] < 150 {
		compareGenerated(t, r, seen)
	}
	t.Log(seen)
	if seen["same"] < 2000 || seen["failed"] == 0 || seen["gave up"] == 0 || seen["left"] > seen["same"]/8 {
		t.Errorf("what was compared shows little: %v", seen)
	}
}

func FuzzGenerated(f *testing.F) {
	for i := range uint64(8) {
		f.Add(i, i+1)
	}
	f.Fuzz(func(t *testing.T, a, b uint64) {
		compareGenerated(t, rand.New(rand.NewPCG(a, b)), map[string]int{})
	})
}
