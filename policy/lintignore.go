package policy

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// ignoreMark begins a comment that lets a finding pass.
const ignoreMark = "lint:ignore"

// ignored is one such comment.
type ignored struct {
	at   *ast.Location
	name string
	used bool
}

// ignore takes out the findings that comments let pass, and adds those about the comments.
func (l *linter) ignore() {
	for _, file := range sortedKeys(l.modules) {
		marks := l.marks(l.modules[file])
		l.found = slices.DeleteFunc(l.found, func(f Finding) bool {
			for _, m := range marks {
				if f.File == file && m.name == f.Lint && (m.at.Row == f.Row || m.at.Row == f.Row-1) {
					m.used = true
					return true
				}
			}
			return false
		})
		for _, m := range marks {
			if !m.used {
				l.add(m.at, "ignore-comment", "there is no %s here to ignore: delete the comment", m.name)
			}
		}
	}
}

// marks reads the comments of a module that are right.
func (l *linter) marks(m *ast.Module) []*ignored {
	var out []*ignored
	for _, c := range m.Comments {
		rest, found := strings.CutPrefix(strings.TrimSpace(string(c.Text)), ignoreMark)
		if !found {
			continue
		}
		words := strings.Fields(rest)
		switch {
		case len(words) == 0:
			l.add(c.Location, "ignore-comment", "it names no lint: # %s <name> <reason>", ignoreMark)
		case lintsByName()[words[0]].Name == "":
			l.add(c.Location, "ignore-comment", "%q is no lint (callback policy check --lints lists them)", clip(words[0]))
		case !lintsByName()[words[0]].Ignorable:
			l.add(c.Location, "ignore-comment", "%s cannot be ignored: %s", words[0], lintsByName()[words[0]].Instead)
		case len(words) == 1:
			l.add(c.Location, "ignore-comment", "it gives no reason: # %s %s <reason>", ignoreMark, words[0])
		default:
			out = append(out, &ignored{at: c.Location, name: words[0]})
		}
	}
	return out
}
