package policy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// archiveMagic starts an archive (docs/FORMATS.md, "policy").
const archiveMagic = "CSPA\x01"

// Archive writes the source as it is stored: one byte string for one source.
func (s *Source) Archive() []byte {
	b := []byte(archiveMagic)
	field := func(v []byte) { b = append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...) }
	b = binary.BigEndian.AppendUint32(b, uint32(len(s.Modules)))
	for _, name := range sortedKeys(s.Modules) {
		field([]byte(name))
		field(s.Modules[name])
	}
	field([]byte(s.DataName))
	field(s.Data)
	return b
}

// ParseArchive reads what Archive writes, and nothing else. Nothing of the policy is checked yet, but for the bounds on its files.
func ParseArchive(b []byte) (*Source, error) {
	rest, found := bytes.CutPrefix(b, []byte(archiveMagic))
	if !found {
		return nil, errors.New("read a stored policy: it is of another format")
	}
	r := archiveReader{b: rest}
	n := r.u32()
	if n > maxModules {
		return nil, fmt.Errorf("read a stored policy: it has more than %d .rego files", maxModules)
	}
	s := &Source{Modules: map[string][]byte{}}
	last := ""
	for i := range n {
		name := string(r.field(maxModuleSize))
		if name <= last && i > 0 {
			r.fail("its files are not in order")
		}
		last = name
		s.Modules[name] = r.field(maxModuleSize)
	}
	s.DataName, s.Data = string(r.field(maxModuleSize)), r.field(maxDataSize)
	if len(r.b) > 0 {
		r.fail("bytes are left over")
	}
	if r.err != nil {
		return nil, fmt.Errorf("read a stored policy: %w", r.err)
	}
	return s, nil
}

// archiveReader gives zero values after its first error.
type archiveReader struct {
	b   []byte
	err error
}

func (r *archiveReader) fail(text string) {
	if r.err == nil {
		r.err, r.b = errors.New(text), nil
	}
}

func (r *archiveReader) u32() uint32 {
	if len(r.b) < 4 {
		r.fail("it ends too early")
		return 0
	}
	n := binary.BigEndian.Uint32(r.b)
	r.b = r.b[4:]
	return n
}

func (r *archiveReader) field(most int) []byte {
	n := r.u32()
	if uint64(n) > uint64(len(r.b)) || n > uint32(most) {
		r.fail("a file is longer than what is there, or than is taken")
		return nil
	}
	out := bytes.Clone(r.b[:n])
	r.b = r.b[n:]
	return out
}

// Revision is what the revision of an engine made of the source would be. It checks the data, and nothing else.
func (s *Source) Revision() (string, error) {
	data, err := ParseData(s.DataName, s.Data)
	if err != nil {
		return "", err
	}
	return s.revision(data), nil
}

// Source returns a copy of what the engine was made of.
func (e *Engine) Source() *Source { return e.source.clone() }
