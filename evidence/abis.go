package evidence

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/countersign-mpc/countersign/derive"
	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/go-json-experiment/json"
)

// Bounds on a folder of ABIs and on what is in it.
const (
	maxABIFiles     = 1024
	maxABIFile      = 1 << 20 // bytes
	maxABIFunctions = 1024    // of one contract
	maxABITuples    = 8       // inside one another
	maxABIWords     = 4096    // that a value takes without what is of no fixed length; calldata holds no more
)

// ABIs are the functions of contracts that an operator knows, by chain and address. A nil *ABIs has none. It does not
// change once it is loaded, and is safe for concurrent use.
type ABIs struct {
	contracts map[contractKey]map[[selectorLength]byte]*method
}

type contractKey struct {
	chainID uint64
	address [20]byte
}

// LoadABIs reads a folder of ABIs: <chain id>/<address>.json, such as
// 1/0xdAC17F958D2ee523a2206206994597C13D831ec7.json, where the chain id is EIP-155's in decimal and the address has 0x,
// in lower case or with its EIP-55 checksum. Each file is the JSON array that compilers write ("Contract ABI
// Specification", JSON); its functions are taken and what else it holds is not. Arguments without a name are called arg0,
// arg1 and so on. Files whose names begin with a point are skipped.
//
// Anything else in the folder is an error that names it: another file, an address twice, JSON with a member twice, two
// functions of one selector, a type that the ABI does not have. For a proxy put the implementation's ABI under the
// proxy's address.
func LoadABIs(folder fs.FS) (*ABIs, error) {
	out := &ABIs{contracts: map[contractKey]map[[selectorLength]byte]*method{}}
	err := fs.WalkDir(folder, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return fmt.Errorf("read ABIs: %w", err)
		case name == ".":
			return nil
		case strings.HasPrefix(path.Base(name), "."):
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		case entry.IsDir():
			return nil
		}
		if err := out.load(folder, name); err != nil {
			return fmt.Errorf("ABI %s: %w", name, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Len is the number of contracts.
func (a *ABIs) Len() int {
	if a == nil {
		return 0
	}
	return len(a.contracts)
}

func (a *ABIs) load(folder fs.FS, name string) error {
	key, err := parseABIName(name)
	if err != nil {
		return err
	}
	if _, twice := a.contracts[key]; twice {
		return errors.New("there is a file for this contract already, in another spelling: keep one of them")
	}
	if len(a.contracts) == maxABIFiles {
		return fmt.Errorf("the folder holds more than %d files", maxABIFiles)
	}
	info, err := fs.Stat(folder, name)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() > maxABIFile {
		return fmt.Errorf("it must be a file of at most %d bytes", maxABIFile)
	}
	content, err := fs.ReadFile(folder, name)
	if err != nil {
		return err
	}
	functions, err := parseABI(content)
	if err != nil {
		return err
	}
	a.contracts[key] = functions
	return nil
}

// parseABIName reads <chain id>/<address>.json.
func parseABIName(name string) (contractKey, error) {
	chain, file, _ := strings.Cut(name, "/")
	digits, isJSON := strings.CutSuffix(file, ".json")
	id, err := strconv.ParseUint(chain, 10, 64)
	if err != nil || !isJSON || strconv.FormatUint(id, 10) != chain || id == 0 || id > maxChainID {
		return contractKey{}, errors.New("it must be named <chain id>/<address>.json, such as " +
			"1/0xdAC17F958D2ee523a2206206994597C13D831ec7.json")
	}
	address, err := derive.ParseEVMAddress(digits)
	if err != nil {
		return contractKey{}, fmt.Errorf("its name is no address: %v", err)
	}
	return contractKey{id, address}, nil
}

// functions are those of a contract, nil if it is not known.
func (a *ABIs) functions(chainID uint64, address *[20]byte) map[[selectorLength]byte]*method {
	if a == nil || address == nil {
		return nil
	}
	return a.contracts[contractKey{chainID, *address}]
}

// abiEntry is an element of a JSON ABI, abiParam an argument. Members that say nothing about calldata are not read.
type abiEntry struct {
	Type   string     `json:"type"`
	Name   string     `json:"name"`
	Inputs []abiParam `json:"inputs"`
}

type abiParam struct {
	Name       string     `json:"name"`
	Type       string     `json:"type"`
	Components []abiParam `json:"components"`
}

// parseABI reads the functions of a JSON ABI.
func parseABI(content []byte) (map[[selectorLength]byte]*method, error) {
	var entries []abiEntry
	if err := json.Unmarshal(content, &entries); err != nil {
		return nil, fmt.Errorf("it must be one JSON array, the ABI itself and not a compiler's file around it: %s", excerpt(err.Error()))
	}
	out := map[[selectorLength]byte]*method{}
	for _, e := range entries {
		switch e.Type {
		case "constructor", "fallback", "receive", "event", "error":
			continue
		case "function", "":
		default:
			return nil, fmt.Errorf("an element has type %q, which no ABI has", excerpt(e.Type))
		}
		m, err := newMethod(e)
		if err != nil {
			return nil, fmt.Errorf("function %q: %w", excerpt(e.Name), err)
		}
		if other, twice := out[m.selector]; twice {
			return nil, fmt.Errorf("functions %s and %s have the same selector", other.signature, m.signature)
		}
		if out[m.selector] = m; len(out) > maxABIFunctions {
			return nil, fmt.Errorf("it has more than %d functions", maxABIFunctions)
		}
	}
	return out, nil
}

var (
	abiName = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$]{0,127}$`)
	abiType = regexp.MustCompile(`^(tuple|address|bool|string|function|bytes([1-9]|[12][0-9]|3[0-2])?|u?int([1-9][0-9]{0,2}))((\[[0-9]{0,4}\]){0,4})$`)
)

func newMethod(e abiEntry) (*method, error) {
	if !abiName.MatchString(e.Name) {
		return nil, errors.New("its name is malformed")
	}
	params, err := newParams(e.Inputs, "arg", 0)
	if err != nil {
		return nil, err
	}
	args := make(abi.Arguments, len(params))
	for i, p := range params {
		args[i] = abi.Argument{Name: p.name, Type: p.typ}
	}
	parsed := abi.NewMethod(e.Name, e.Name, abi.Function, "", false, false, args, nil)
	plainWords := !slices.ContainsFunc(args, func(a abi.Argument) bool { return !isPlainWord(&a.Type) })
	return &method{
		signature: parsed.Sig, selector: [selectorLength]byte(parsed.ID), selected: formatBytes(parsed.ID), params: params, args: args, plainWords: plainWords,
	}, nil
}

// newParams reads arguments, or the components of a tuple; those without a name get one of prefix and position.
func newParams(in []abiParam, prefix string, depth int) ([]param, error) {
	if depth > maxABITuples {
		return nil, fmt.Errorf("its tuples are more than %d levels deep", maxABITuples)
	}
	out := make([]param, len(in))
	seen := map[string]bool{}
	for i, p := range in {
		name := p.Name
		if name == "" {
			name = prefix + strconv.Itoa(i)
		}
		if !abiName.MatchString(name) || seen[name] {
			return nil, fmt.Errorf("the name of an argument, %q, is malformed or used twice", excerpt(name))
		}
		seen[name] = true
		parsed, err := newParam(p, depth)
		if err != nil {
			return nil, fmt.Errorf("argument %s: %w", name, err)
		}
		parsed.name = name
		out[i] = parsed
	}
	return out, nil
}

func newParam(p abiParam, depth int) (param, error) {
	found := abiType.FindStringSubmatch(p.Type)
	if found == nil {
		return param{}, fmt.Errorf("type %q is none of the ABI", excerpt(p.Type))
	}
	base, size, dimensions := found[1], found[3], found[4]
	if bits, _ := strconv.Atoi(size); size != "" && (bits > 256 || bits%8 != 0) {
		return param{}, fmt.Errorf("type %q is none of the ABI", excerpt(p.Type))
	}
	if (base == "tuple") != (len(p.Components) > 0) {
		return param{}, fmt.Errorf("type %q: tuples, and nothing else, have components", excerpt(p.Type))
	}
	parts, err := newParams(p.Components, "field", depth+1)
	if err != nil {
		return param{}, err
	}
	words, err := countWords(dimensions, parts)
	if err != nil {
		return param{}, fmt.Errorf("type %q: %w", excerpt(p.Type), err)
	}
	t, err := abi.NewType(p.Type, "", components(parts))
	if err != nil {
		return param{}, fmt.Errorf("type %q: %v", excerpt(p.Type), err)
	}
	return param{written: p.Type, words: words, typ: t, parts: parts}, nil
}

// countWords says how many words a value takes if all in it that has no fixed length takes one. It refuses more than a
// transaction could hold, long before types get too large to be made, and arrays of length 0, which Solidity does not
// have.
func countWords(dimensions string, parts []param) (int, error) {
	words := 0
	for _, p := range parts {
		words += p.words
	}
	words = max(words, 1)
	for _, length := range strings.Split(strings.ReplaceAll(dimensions, "]", ""), "[")[1:] {
		if length == "" {
			continue
		}
		n, err := strconv.Atoi(length)
		if err != nil || n == 0 || strconv.Itoa(n) != length {
			return 0, fmt.Errorf("an array of length %s is none of the ABI", length)
		}
		words *= n
		if words > maxABIWords {
			break
		}
	}
	if words > maxABIWords {
		return 0, fmt.Errorf("it takes more than %d words of 32 bytes", maxABIWords)
	}
	return words, nil
}

// components names the parts of a tuple for go-ethereum, which makes Go names of them, by their position.
func components(parts []param) []abi.ArgumentMarshaling {
	out := make([]abi.ArgumentMarshaling, len(parts))
	for i, p := range parts {
		out[i] = abi.ArgumentMarshaling{Name: fmt.Sprintf("Field%d", i), Type: p.written, Components: components(p.parts)}
	}
	return out
}
