package policy

import (
	"encoding/binary"

	"github.com/open-policy-agent/opa/v1/ast"
)

// sharing makes what OPA has compiled fewer objects for the collector to go over: names, texts, numbers and plain references that are
// alike become one value, and all that stands in one line has one place. It is used before anything is evaluated; from then on neither
// OPA nor this package writes into what is shared. OPA's errors tell lines, and no more of a place.
//
// A term that is a reference or a comprehension stays one of its own, since readsFinder and OPA tell these apart by where they are in
// memory. Terms are made anew and not written into, as replacement does, and for the same reason.
type sharing struct {
	placeless bool // nobody is told where anything stands
	atOnce    int  // how many terms are made room for at once

	scalars map[ast.Value]scalar
	refs    map[string]sharedRef // by the numbers of what they are made of
	lines   map[line]*ast.Location
	terms   []ast.Term
	lists   []*ast.Term
	key     []byte
}

// scalar is what a reference can be made of, by its number.
type scalar struct {
	term   *ast.Term
	number uint64
}

// sharedRef is a reference, and the same as a value.
type sharedRef struct {
	ref   ast.Ref
	value ast.Value
}

type line struct {
	file string
	row  int
}

func newSharing(atOnce int) *sharing {
	return &sharing{
		atOnce: atOnce, scalars: map[ast.Value]scalar{}, refs: map[string]sharedRef{}, lines: map[line]*ast.Location{},
	}
}

// modules shares what modules hold, without what only their authors read.
func (s *sharing) modules(all map[string]*ast.Module) {
	for _, name := range sortedKeys(all) {
		all[name].Comments, all[name].Annotations = nil, nil
		for _, r := range all[name].Rules {
			s.rule(r)
		}
	}
}

func (s *sharing) rule(r *ast.Rule) {
	for each := r; each != nil; each = each.Else {
		each.Annotations, each.Location = nil, s.place(each.Location)
		each.Module = r.Module // a copy of a module leaves those behind else in what it was copied of, which would be kept for it
		h := each.Head
		h.Location = s.place(h.Location)
		h.Args, h.Key, h.Value = s.list(h.Args), s.term(h.Key), s.term(h.Value)
		if known := s.ref(h.Reference); known.value != nil {
			h.Reference = known.ref
		}
		s.body(each.Body)
	}
}

func (s *sharing) body(b ast.Body) {
	for _, e := range b {
		e.Location = s.place(e.Location)
		switch ts := e.Terms.(type) {
		case *ast.Term:
			e.Terms = s.term(ts)
		case []*ast.Term:
			e.Terms = s.list(ts)
		case *ast.Every: // what it goes through keeps its place: OPA tells it of what fails there
			ts.Key, ts.Value = s.term(ts.Key), s.term(ts.Value)
			s.body(ts.Body)
		case *ast.Not:
			s.body(ts.Body)
		}
	}
}

// place is that of the line.
func (s *sharing) place(at *ast.Location) *ast.Location {
	if at == nil || s.placeless {
		return nil
	}
	l := line{at.File, at.Row}
	if s.lines[l] == nil {
		s.lines[l] = &ast.Location{File: at.File, Row: at.Row, Col: at.Col}
	}
	return s.lines[l]
}

func (s *sharing) list(ts []*ast.Term) []*ast.Term {
	if ts == nil {
		return nil
	}
	out := s.room(len(ts))
	for i, t := range ts {
		out[i] = s.term(t)
	}
	return out
}

// room is that of a list.
func (s *sharing) room(n int) []*ast.Term {
	if len(s.lists)+n > cap(s.lists) {
		s.lists = make([]*ast.Term, 0, max(n, s.atOnce))
	}
	begin := len(s.lists)
	s.lists = s.lists[:begin+n]
	return s.lists[begin : begin+n : begin+n]
}

// own is a term of its own.
func (s *sharing) own(v ast.Value) *ast.Term {
	if len(s.terms) == cap(s.terms) {
		s.terms = make([]ast.Term, 0, s.atOnce)
	}
	s.terms = append(s.terms, ast.Term{Value: v})
	return &s.terms[len(s.terms)-1]
}

// term is one that is alike, or t itself.
func (s *sharing) term(t *ast.Term) *ast.Term {
	if t == nil {
		return nil
	}
	if known, isScalar := s.scalar(t.Value); isScalar {
		return known.term
	}
	switch v := t.Value.(type) {
	case ast.Ref:
		if known := s.ref(v); known.value != nil {
			return s.own(known.value)
		}
		return s.own(ast.Ref(s.list(v)))
	case *ast.Array:
		list := make([]*ast.Term, 0, v.Len())
		v.Foreach(func(t *ast.Term) { list = append(list, s.term(t)) })
		return s.own(ast.NewArray(list...))
	case ast.Object:
		pairs := make([][2]*ast.Term, 0, v.Len())
		v.Foreach(func(key, value *ast.Term) { pairs = append(pairs, [2]*ast.Term{s.term(key), s.term(value)}) })
		return s.own(ast.NewObject(pairs...))
	case *ast.ArrayComprehension:
		v.Term = s.term(v.Term)
		s.body(v.Body)
	case *ast.SetComprehension:
		v.Term = s.term(v.Term)
		s.body(v.Body)
	case *ast.ObjectComprehension: // OPA tells the place of a key that is there twice
		v.Value = s.term(v.Value)
		s.body(v.Body)
	}
	return t
}

// scalar is the one name, text or number that is alike; isScalar is false for other values.
func (s *sharing) scalar(v ast.Value) (known scalar, isScalar bool) {
	switch v.(type) {
	case ast.Var, ast.String, ast.Number, ast.Boolean, ast.Null:
	default:
		return scalar{}, false
	}
	known, is := s.scalars[v]
	if !is {
		known = scalar{s.own(v), uint64(len(s.scalars))}
		s.scalars[v] = known
	}
	return known, true
}

// ref is the one reference that is alike; none for one that holds more than names, texts and numbers.
func (s *sharing) ref(ref ast.Ref) sharedRef {
	s.key = s.key[:0]
	for _, t := range ref {
		part, isScalar := s.scalar(t.Value)
		if !isScalar {
			return sharedRef{}
		}
		s.key = binary.AppendUvarint(s.key, part.number)
	}
	known, is := s.refs[string(s.key)]
	if !is {
		known.ref = s.list(ref)
		known.value = known.ref
		s.refs[string(s.key)] = known
	}
	return known
}

// How many terms are made room for at once.
const (
	termsOfPolicy = 512
	termsOfQuery  = 64
)
