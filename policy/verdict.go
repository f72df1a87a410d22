package policy

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/open-policy-agent/opa/v1/ast"
)

// verdict is what data.countersign.decision has to be, and nothing else.
type verdict struct {
	Require []string // ids that have to be among those of allow
	Allow   []say
	Reject  []say
	Wait    []say
}

// say is one element of allow, reject or wait.
type say struct {
	ID          string
	Message     string
	Seconds     int
	Requirement *requirementSay
}

// requirementSay is a requirement as a rule states it; who is in the group is not the rule's to say.
type requirementSay struct {
	Rule           string
	Group          string
	GroupRevision  string
	Threshold      int
	ExpirySeconds  int64
	NotRequester   bool
	RejectionFinal bool
}

// readVerdict reads the result of an evaluation strictly.
func readVerdict(result ast.Value) (verdict, error) {
	var out verdict
	obj, ok := result.(ast.Object)
	if !ok || obj.Len() != len(outcomes) {
		return out, errors.New("it is not an object of allow, reject, wait and require")
	}
	for _, key := range outcomes {
		member := obj.Get(ast.InternedTerm(key))
		if member == nil {
			return out, fmt.Errorf("it has no member %s", key)
		}
		if err := out.readMember(key, member.Value); err != nil {
			return out, err
		}
	}
	return out, nil
}

// readMember reads allow, reject, wait or require.
func (v *verdict) readMember(key string, value ast.Value) error {
	set, isSet := value.(ast.Set)
	if !isSet {
		return fmt.Errorf("its member %s is not a set", key)
	}
	if err := v.readElements(key, set.Slice()); err != nil {
		return fmt.Errorf("in its member %s: %w", key, err)
	}
	return nil
}

func (v *verdict) readElements(key string, elements []*ast.Term) error {
	if key == "require" {
		for _, e := range elements {
			var id string
			if err := readText(e.Value, &id); err != nil {
				return err
			}
			v.Require = append(v.Require, id)
		}
		return nil
	}
	says := make([]say, len(elements))
	for i, e := range elements {
		if err := says[i].read(e.Value); err != nil {
			return err
		}
	}
	switch key {
	case "allow":
		v.Allow = append(v.Allow, says...)
	case "reject":
		v.Reject = append(v.Reject, says...)
	case "wait":
		v.Wait = append(v.Wait, says...)
	}
	return nil
}

func (s *say) read(v ast.Value) error {
	return readMembers(v, func(key string, value ast.Value) error {
		switch key {
		case "id":
			return readText(value, &s.ID)
		case "message":
			return readText(value, &s.Message)
		case "seconds":
			n, err := readInteger(value)
			s.Seconds = int(n)
			return err
		case "requirement":
			s.Requirement = &requirementSay{}
			return readMembers(value, s.Requirement.member)
		}
		return errUnknownMember
	})
}

func (r *requirementSay) member(key string, value ast.Value) (err error) {
	switch key {
	case "rule":
		return readText(value, &r.Rule)
	case "group":
		return readText(value, &r.Group)
	case "group_revision":
		return readText(value, &r.GroupRevision)
	case "threshold":
		n, err := readInteger(value)
		r.Threshold = int(n)
		return err
	case "expiry_seconds":
		r.ExpirySeconds, err = readInteger(value)
		return err
	case "not_requester":
		return readFlag(value, &r.NotRequester)
	case "rejection_final":
		return readFlag(value, &r.RejectionFinal)
	}
	return errUnknownMember
}

var errUnknownMember = errors.New("this key is not known here")

// readMembers hands each member of an object to read.
func readMembers(v ast.Value, read func(key string, value ast.Value) error) error {
	obj, ok := v.(ast.Object)
	if !ok {
		return errors.New("an object is expected")
	}
	return obj.Iter(func(k, value *ast.Term) error {
		key, ok := k.Value.(ast.String)
		if !ok {
			return errors.New("a key is not a string")
		}
		if err := read(string(key), value.Value); err != nil {
			return fmt.Errorf("%s: %w", clip(string(key)), err)
		}
		return nil
	})
}

func readText(v ast.Value, to *string) error {
	text, ok := v.(ast.String)
	if !ok {
		return errors.New("a string is expected")
	}
	*to = string(text)
	return nil
}

func readFlag(v ast.Value, to *bool) error {
	flag, ok := v.(ast.Boolean)
	if !ok {
		return errors.New("true or false is expected")
	}
	*to = bool(flag)
	return nil
}

// readInteger reads a whole number; those of a verdict are small.
func readInteger(v ast.Value) (int64, error) {
	n, ok := v.(ast.Number)
	if !ok {
		return 0, errors.New("a whole number is expected")
	}
	out, err := strconv.ParseInt(string(n), 10, 32)
	if err != nil {
		return 0, errors.New("a whole number is expected")
	}
	return out, nil
}
